# SPDX-License-Identifier: GPL-2.0-or-later
"""A console's lines -> crashes: which reports are open, which are complete, and what came before."""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from orchestrator.judge.crash import LINES_BEFORE, LONGEST_TEXT, Report, ends
from orchestrator.judge.frames import find_task
from orchestrator.judge.lines import Line, kernel_lines, possible_messages
from orchestrator.judge.patterns import (
    ASKED_BOOT,
    BOOT,
    FIRMWARE,
    FIRMWARE_BANNER,
    NEXT_BOOT,
    PATTERNS,
    REBOOT,
    RESTART,
    Pattern,
)
from orchestrator.model.crashes import Crash, CrashKind, Severity

# Reports that are put together at the same time: one of each CPU, and some that never came to an end.
MOST_OPEN = 16
# An endless loop of one splat fills a disk, not our memory.
SAME_TITLE = 10
MOST_TITLES = 1000
# What ends with its own trace is over before one of these.
OF_ITS_OWN = (CrashKind.BUG, CrashKind.WARNING)
_GROUP_NAME = re.compile(r"\(\?P<\w+>")
# One search tells the many harmless lines from the few that are worth trying each pattern on.
_ANY = re.compile("|".join(f"(?:{_GROUP_NAME.sub('(?:', pattern.line.pattern)})" for pattern in PATTERNS))


def find_crashes(lines: Iterable[str]) -> Iterator[Crash]:
    """The kernel's splats on a console, in the order of their first lines, each once its report is complete.

    `lines` may be endless: no more than the reports still open are kept. A crash title that was given ten times
    is not given again.
    """
    watch = Watch()
    for line in kernel_lines(lines):
        yield from watch.see(line)
    yield from watch.end()


def may_complain(raw: str) -> bool:
    """Whether a console line, stamps and all, can begin a report; True where only what came before can tell."""
    texts = (text.rstrip() for text in possible_messages(raw))
    return any(_ANY.match(text) or BOOT.match(text) or FIRMWARE_BANNER.match(text) for text in texts)


class Watch:
    """The reports that are still open, and what came before."""

    def __init__(self) -> None:
        self._before: deque[str] = deque(maxlen=LINES_BEFORE)
        self._open: deque[Report] = deque()
        self._fatal_seen = False
        self._given: dict[str, int] = {}
        self._seconds = 0.0

    @property
    def busy(self) -> bool:
        """Whether the lines that come next may belong to a report."""
        return bool(self._open)

    def remember(self, line: Line) -> None:
        """A line that is part of no report."""
        self._before.append(line.text[:LONGEST_TEXT])
        if line.seconds and line.seconds > self._seconds:
            self._seconds = line.seconds

    def clock(self, seconds: float) -> None:
        """What time the kernel has reached."""
        self._seconds = max(self._seconds, seconds)

    def see(self, line: Line, *, suspect: bool = True) -> Sequence[Crash]:
        """A line, which begins a report only if it is suspect; the crashes whose reports are complete with it."""
        opened = self._opened(line) if suspect else None
        for report in self._open:
            if not report.complete:
                report.add(line)
        if opened:
            self._open.append(opened)
            self._fatal_seen = self._fatal_seen or (opened.pattern.severity is Severity.FATAL and not opened.doubtful)
        self.remember(line)
        if not self._open or not (self._open[0].complete or len(self._open) > MOST_OPEN):
            return ()
        return tuple(self._complete())

    def _complete(self) -> Iterator[Crash]:
        while self._open and (self._open[0].complete or len(self._open) > MOST_OPEN):
            yield from self._give(self._open.popleft())

    def end(self) -> Iterator[Crash]:
        while self._open:
            yield from self._give(self._open.popleft())

    def _opened(self, line: Line) -> Report | None:
        if FIRMWARE_BANNER.match(line.text) and any(
            text.strip() and not FIRMWARE_BANNER.match(text) for text in self._before
        ):
            return self._report(FIRMWARE, line)
        if BOOT.match(line.text) and self._seconds > 1.0 and line.seconds is not None and line.seconds < 1.0:
            self._seconds = 0.0  # "Booting Linux" and "Linux version" are of one boot.
            asked = any(RESTART.match(text) for text in self._before)
            return self._report(ASKED_BOOT if asked else NEXT_BOOT if line.kept else REBOOT, line)
        if not _ANY.match(line.text):
            return None
        for pattern in PATTERNS:
            if pattern.line.match(line.text) and self._fits(pattern):
                return None if self._follows(pattern, line) else self._report(pattern, line)
        return None

    def _fits(self, pattern: Pattern) -> bool:
        return pattern.behind is None or any(pattern.behind.match(text) for text in self._before)

    def _follows(self, pattern: Pattern, line: Line) -> bool:
        return any(
            report.pattern.kind in pattern.follows
            and not report.doubtful
            and not (report.pattern.alone and pattern.kind in OF_ITS_OWN)
            and (report.pattern.severity is Severity.FATAL or pattern.severity is not Severity.FATAL)
            and report.lines < pattern.within
            and report.mine(line)
            for report in self._open
        )

    def _report(self, pattern: Pattern, line: Line) -> Report:
        match = pattern.line.match(line.text)
        assert match is not None
        for report in self._open:
            if report.mine(line) and ends(report, pattern):
                report.complete = True
        return Report(
            pattern=pattern,
            first=line,
            match=match,
            follow_up=self._fatal_seen,
            text=[*self._before, line.text[:LONGEST_TEXT]],
            task=find_task(line.text),
        )

    def _give(self, report: Report) -> Iterator[Crash]:
        crash = report.crash()
        if report.silent:
            return
        self._fatal_seen = self._fatal_seen or crash.severity is Severity.FATAL
        count = self._given.get(crash.title, 0)
        if count < SAME_TITLE and (count or len(self._given) < MOST_TITLES):
            self._given[crash.title] = count + 1
            yield crash
