# SPDX-License-Identifier: GPL-2.0-or-later
"""What a piece of work spends its time on, taken from the events that it sends."""

import threading
from dataclasses import dataclass, field

from orchestrator.host.deadline import now
from orchestrator.model.events import CellProgress, Event, Listener, PhaseBegan
from orchestrator.model.phases import Phase, Span


@dataclass(slots=True)
class Stopwatch:
    """One after another the phases of one thing; monotonic seconds until the store makes them those of the run."""

    what: str
    _began: list[tuple[Phase, float]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, phase: Phase, at: float | None = None) -> None:
        """The next phase begins, now or a moment ago; the same again goes on."""
        with self._lock:
            if not self._began or self._began[-1][0] is not phase:
                earliest = self._began[-1][1] if self._began else 0.0
                self._began.append((phase, max(earliest, now() if at is None else at)))

    def stop(self) -> tuple[Span, ...]:
        """All phases, the last of which ends now."""
        with self._lock:
            ends = [*(at for _, at in self._began[1:]), now()]
            return tuple(
                Span(phase=phase, start=start, end=end)
                for (phase, start), end in zip(self._began, ends, strict=False)  # nothing ended where nothing began
            )

    def listening(self, listener: Listener) -> Listener:
        """A listener that passes everything on, and takes the time of what is ours."""

        def heard(event: Event) -> None:
            if isinstance(event, PhaseBegan) and event.what == self.what:
                self.begin(event.phase)
            elif isinstance(event, CellProgress) and event.cell.name == self.what:
                # The first word of a workload says how long it has been at it.
                self.begin(Phase.WORKLOAD, now() - event.seconds)
            listener(event)

        return heard
