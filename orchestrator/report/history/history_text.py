# SPDX-License-Identifier: GPL-2.0-or-later
"""The history of a results folder in words and as JSON (pure)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from orchestrator.model.history import CellHistory, CellState, History, PassRate
from orchestrator.model.outcomes import Outcome

# One character for a run.
MARKS = {
    Outcome.PASSED: ".",
    Outcome.SUBTESTS_FAILED: ".",
    Outcome.SKIPPED: " ",
    Outcome.LOST: "?",
    Outcome.BUILD_FAILED: "b",
    Outcome.NOT_APPLIED: "b",
    Outcome.NOT_EXERCISED: "n",
}
_BAD = "X"
LEGEND = ". good, X bad, n not exercised, b not built, ? lost; the newest last"
_MOST_SPLATS = 40


def marks(outcomes: Iterable[Outcome]) -> str:
    """ "..X.?." of the newest runs of a cell."""
    return "".join(MARKS.get(outcome, _BAD) for outcome in outcomes)


def rate_text(rate: PassRate) -> str:
    """ "39 of 40 (87-100 %)"."""
    if not rate.observed:
        return "none"
    return f"{rate.passed} of {rate.observed} ({100 * rate.low:.0f}-{100 * rate.high:.0f} %)"


def counts_text(cells: Sequence[CellHistory]) -> str:
    """ "1 new, 2 flaky, 15 good"."""
    counts = [(sum(one.state is state for one in cells), state) for state in CellState]
    return ", ".join(f"{count} {state}" for count, state in counts if count) or "no cell"


def history_lines(history: History) -> Iterator[str]:
    """A line for each cell, and for each splat; what matters most first."""
    if not history.runs:
        yield "no run"
        return
    yield f"{len(history.runs)} runs, {history.runs[0].id} to {history.runs[-1].id}: {counts_text(history.cells)}"
    yield ""
    width = max((len(one.identity.name) for one in history.cells), default=0)
    last = max((len(one.last) for one in history.cells), default=0)
    for kernel, series, cells in groups(history.cells):
        yield ", ".join(part for part in (kernel or "no kernel", series) if part)
        for one in cells:
            yield (
                f"  {one.identity.name:<{width}}  {marks(one.last):>{last}}  {one.text:<18}"
                f"{rate_text(one.rate):<24}{one.seconds:>6.0f} s  {one.title}"
            ).rstrip()
    yield f"  ({LEGEND}; passed of observed with 95 % interval; median seconds; newest failure)"
    if history.splats:
        yield ""
        yield "splats, the newest first:"
    for splat in history.splats[:_MOST_SPLATS]:
        new = "NEW " if splat.new else ""
        yield f"  {new}{splat.title}: {splat.cells} cells in {splat.runs} runs, {splat.first} to {splat.last}"
    if len(history.splats) > _MOST_SPLATS:
        yield f"  and {len(history.splats) - _MOST_SPLATS} more"


def groups(cells: Sequence[CellHistory]) -> Iterator[tuple[str, str, Sequence[CellHistory]]]:
    """The cells by kernel line and series, in the order of the worst of each."""
    found: dict[tuple[str, str], list[CellHistory]] = {}
    for one in cells:
        found.setdefault((one.identity.kernel, one.identity.series), []).append(one)
    for (kernel, series), group in found.items():
        yield kernel, series, group


def history_json(history: History) -> Mapping[str, object]:
    """The same for scripts."""
    return {
        "runs": [{"run": run.id, "started": run.started, "cells": len(run.cells)} for run in history.runs],
        "cells": [
            {
                **one.identity._asdict(),
                "state": one.state.value,
                "passed": one.rate.passed,
                "observed": one.rate.observed,
                "rate_low": one.rate.low,
                "rate_high": one.rate.high,
                "last": [outcome.value for outcome in one.last],
                "seconds": one.seconds,
                "title": one.title,
                "failed_first": one.failed_first or None,
                "failed_last": one.failed_last or None,
            }
            for one in history.cells
        ],
        "splats": [
            {
                "title": one.title,
                "first": one.first,
                "last": one.last,
                "runs": one.runs,
                "cells": one.cells,
                "places": list(one.places),
                "new": one.new,
            }
            for one in history.splats
        ],
    }
