# SPDX-License-Identifier: GPL-2.0-or-later
"""The subtests of a test suite in words and as JSON: what the series changed first (pure)."""

from collections.abc import Iterable, Iterator, Sequence

from orchestrator.model.subtests import Change, SubtestChange, SuiteComparison, Tally

_MOST = 20
# With fewer runs of each variant not even a subtest that always fails with the series can be told from chance.
ENOUGH_RUNS = 5
# What is said of each subtest, and what it means in a run of one variant and of both.
_LISTED = (
    (Change.REGRESSED, "REGRESSED: bad more often with the series than chance explains"),
    (Change.SUSPECT, "suspect: bad with the series only, in too few runs to tell"),
    (Change.GONE, "gone: only the baseline has them"),
    (Change.FIXED, "fixed by the series"),
    (Change.FLAKY, "flaky: sometimes bad, and the series makes no difference that can be told"),
    (Change.FAILING, "bad in all runs"),
    (Change.NEW, "new: the baseline does not have them, or skips them"),
)


def suite_lines(suite: SuiteComparison) -> Iterator[str]:
    """A head, and a line for each thing that a reader has to know; what is ok is a number."""
    yield f"{suite.name}: {counts_text(suite)}"
    yield _runs(suite)
    for change, meaning in _LISTED:
        yield from _section(meaning, [f"{one.path}: {_detail(suite, one)}" for one in _innermost(suite.of(change))])
    yield from _skips(suite)


def counts_text(suite: SuiteComparison) -> str:
    """ "1 regressed, 57 ok, 3 skipped", what matters most first."""
    counts = [(len(suite.of(change)), change.value) for change in Change]
    return ", ".join(f"{count} {name}" for count, name in counts if count) or "no subtest has a result"


def change_text(suite: SuiteComparison, one: SubtestChange) -> str:
    """ "regressed: bad 5 of 5 with the series, 0 of 5 without (p=0.004): exit=1"."""
    return f"{one.change.value}: {_detail(suite, one)}"


def runs_text(suite: SuiteComparison, one: SubtestChange) -> str:
    """All that is known of the runs of a subtest."""
    lines = [f"baseline: {_tally(one.baseline)}", f"patched: {_tally(one.patched)}"]
    chance = [] if one.chance is None else [f"p: {one.chance:.3g}"]
    return "\n".join((f"{one.change.value} ({suite.name})", *lines, *chance))


def suite_json(suite: SuiteComparison) -> dict[str, object]:
    """The suite for scripts: how many subtests of each kind, and those that the series made worse."""
    return {
        "suite": suite.name,
        "runs": {"baseline": suite.baseline_runs, "patched": suite.patched_runs},
        "counts": {change.value: len(suite.of(change)) for change in Change},
        "regressed": [one.path for one in suite.of(Change.REGRESSED)],
        "suspect": [one.path for one in suite.of(Change.SUSPECT)],
    }


def _runs(suite: SuiteComparison) -> str:
    runs = f"runs that came to their end: {suite.patched_runs} with the series, {suite.baseline_runs} without"
    if not suite.compares:
        return f"{runs}; nothing to compare: --variant baseline --variant patched --repeat {ENOUGH_RUNS}"
    if min(suite.baseline_runs, suite.patched_runs) < ENOUGH_RUNS:
        return f"{runs}; few for a comparison: --repeat {ENOUGH_RUNS}"
    return runs


def _innermost(changes: Sequence[SubtestChange]) -> list[SubtestChange]:
    """Without those that only contain another of the same kind: it is bad because that one is."""
    paths = [one.path for one in changes]
    return [one for one in changes if not any(path.startswith(f"{one.path}/") for path in paths)]


def _section(meaning: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"{meaning} ({len(lines)}):"
        yield from (f"- {line}" for line in lines[:_MOST])
        if len(lines) > _MOST:
            yield f"- and {len(lines) - _MOST} more, in junit.xml"


def _skips(suite: SuiteComparison) -> Iterator[str]:
    """Those that the baseline runs one by one; the others by their reason."""
    skipped = _innermost(suite.of(Change.SKIPPED))
    newly = [one for one in skipped if one.baseline.ran]
    yield from _section("SKIPPED with the series only", [f"{one.path}: {_detail(suite, one)}" for one in newly])
    by_reason: dict[str, list[str]] = {}
    for one in skipped:
        if not one.baseline.ran:
            by_reason.setdefault(one.reason or "no reason given", []).append(one.path)
    yield from _section("skipped", [f"{why}: {_some(paths)}" for why, paths in by_reason.items()])


def _some(paths: Sequence[str], most: int = 3) -> str:
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(paths[:most]) + more


def _detail(suite: SuiteComparison, one: SubtestChange) -> str:
    reason = f": {one.reason}" if one.reason else ""
    if not (suite.baseline_runs or one.baseline.there):
        return f"{_tally(one.patched)}{reason}"
    if not (suite.patched_runs or one.patched.there):
        return f"{_tally(one.baseline)}{reason}"
    chance = f" (p={one.chance:.2g})" if one.chance is not None and one.change in _WITH_CHANCE else ""
    return f"{_tally(one.patched)} with the series, {_tally(one.baseline)} without{chance}{reason}"


_WITH_CHANCE = (Change.REGRESSED, Change.SUSPECT, Change.FIXED)


def _tally(tally: Tally) -> str:
    return ", ".join(_counts(tally)) or "not there"


def _counts(tally: Tally) -> Iterable[str]:
    if tally.ran:
        yield f"bad {tally.bad} of {tally.ran}"
    if tally.skipped:
        yield f"skipped {tally.skipped}"
