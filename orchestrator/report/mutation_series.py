# SPDX-License-Identifier: GPL-2.0-or-later
"""A series with its mutants: the changed hunks, and each mutant at its line (pure)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.model.mutation import MutantReport
from orchestrator.model.series_diff import ChangedFile, DiffLine

# A mutant may stand outside the hunks, as an exit that skips a release does: so many lines around it are shown.
_AROUND = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class MutatedLine:
    """A line of the series, or of the patched file beside it, and what became of the mutants there."""

    line: DiffLine
    mutants: tuple[MutantReport, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class MutatedFile:
    """Stretches of lines that follow one another."""

    path: str
    stretches: tuple[tuple[MutatedLine, ...], ...]


def mutated_series(
    diff: Sequence[ChangedFile], texts: Mapping[str, str], verdicts: Sequence[MutantReport]
) -> tuple[MutatedFile, ...]:
    """The files with a mutant, in the order of the series. `texts`: path -> the patched file."""
    changed = {file.path: file for file in diff}
    here: dict[str, dict[int, list[MutantReport]]] = {}
    for report in verdicts:
        here.setdefault(report.mutant.file, {}).setdefault(report.mutant.line, []).append(report)
    ordered = [*(path for path in changed if path in here), *(path for path in here if path not in changed)]
    return tuple(_file(path, changed.get(path), texts.get(path, ""), here[path]) for path in ordered)


def _file(path: str, changed: ChangedFile | None, text: str, here: Mapping[int, Sequence[MutantReport]]) -> MutatedFile:
    stretches = _joined(_in_order([*(changed.hunks if changed else ()), *_beside(changed, text, sorted(here))]))
    return MutatedFile(
        path=path,
        stretches=tuple(
            tuple(MutatedLine(line=line, mutants=tuple(here.get(line.new, ()))) for line in stretch)
            for stretch in stretches
        ),
    )


def _beside(changed: ChangedFile | None, text: str, wanted: Sequence[int]) -> Iterator[tuple[DiffLine, ...]]:
    """The lines with mutants that no hunk has, and those around them, one by one."""
    lines = text.removesuffix("\n").split("\n")
    hunks = changed.hunks if changed else ()
    there = {line.new for hunk in hunks for line in hunk}
    around = {
        at
        for number in wanted
        if number not in there
        for at in range(number - _AROUND, number + _AROUND + 1)
        if 1 <= at <= len(lines)
    }
    for at in sorted(around - there):
        old = at - sum(_growth(hunk) for hunk in hunks if _first(hunk) < at)
        yield (DiffLine(kind=" ", old=old, new=at, text=lines[at - 1]),)


def _growth(hunk: Sequence[DiffLine]) -> int:
    return sum(line.kind == "+" for line in hunk) - sum(line.kind == "-" for line in hunk)


def _first(stretch: Sequence[DiffLine]) -> int:
    return next((line.new for line in stretch if line.new), 0)


def _in_order(stretches: Sequence[tuple[DiffLine, ...]]) -> list[tuple[DiffLine, ...]]:
    return sorted(stretches, key=_first)


def _joined(stretches: Sequence[tuple[DiffLine, ...]]) -> list[tuple[DiffLine, ...]]:
    joined: list[tuple[DiffLine, ...]] = []
    for stretch in stretches:
        last = next((line.new for line in reversed(joined[-1]) if line.new), 0) if joined else 0
        if joined and last + 1 == _first(stretch):
            joined[-1] = (*joined[-1], *stretch)
        else:
            joined.append(stretch)
    return joined
