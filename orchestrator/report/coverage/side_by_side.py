# SPDX-License-Identifier: GPL-2.0-or-later
"""The series as one diff, with the counts of several builds side by side (pure)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from orchestrator.model.series_diff import ChangedFile, DiffLine
from orchestrator.report.coverage.figures import MEANINGS, BuildCoverage, LineCount, hunk_start, line_counts


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """What one build has to say of a line of the diff."""

    shown: str = ""  # a count, or one of MEANINGS; "" for a line that is none of this kernel's changed ones
    meaning: str = ""  # of what is shown, where that is no count
    kind: Literal["", "ran", "missed"] = ""
    by_workload: tuple[tuple[str, int], ...] = ()  # those that ran it, and how often


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A line of the diff with a mark for each build."""

    line: DiffLine
    anchor: str  # like no other of the same page; "" for a line that stays as it was
    marks: tuple[Mark, ...]

    @property
    def missed(self) -> bool:
        """In at least one of the builds it has code that never ran."""
        return any(mark.kind == "missed" for mark in self.marks)


@dataclass(frozen=True, kw_only=True, slots=True)
class Hunk:
    start: str  # "-80 +80"
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class AnnotatedFile:
    path: str
    anchor: str
    hunks: tuple[Hunk, ...]

    @property
    def rows(self) -> tuple[Row, ...]:
        return tuple(row for hunk in self.hunks for row in hunk.rows)

    @property
    def missed(self) -> int:
        return sum(row.missed for row in self.rows)


@dataclass(frozen=True, kw_only=True, slots=True)
class MissedLine:
    """A changed line with code that never ran, in all builds that have it or in some."""

    file: str
    number: int
    text: str
    anchor: str
    builds: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SideBySide:
    """One diff, and the builds that it is the diff of: each row has a mark for each of them, in this order."""

    builds: tuple[str, ...]
    files: tuple[AnnotatedFile, ...]
    missed: tuple[MissedLine, ...]

    @property
    def counted(self) -> bool:
        """At least one of the changed lines has code that can be counted."""
        return any(mark.kind for file in self.files for row in file.rows for mark in row.marks)


def side_by_side(builds: Iterable[BuildCoverage]) -> tuple[SideBySide, ...]:
    """One for each different diff; mostly all builds of a run have the same."""
    groups: dict[tuple[ChangedFile, ...], list[BuildCoverage]] = {}
    for one in builds:
        groups.setdefault(one.map.diff, []).append(one)
    return tuple(_compared(f"s{at}", group) for at, group in enumerate(groups.values(), start=1))


def _compared(name: str, group: Sequence[BuildCoverage]) -> SideBySide:
    columns = [_Column.of(one) for one in group]
    names = tuple(one.build for one in group)
    files = tuple(_file(f"{name}-f{number}", file, columns) for number, file in enumerate(group[0].map.diff, start=1))
    return SideBySide(builds=names, files=files, missed=tuple(_missed(names, files)))


@dataclass(frozen=True, slots=True)
class _Column:
    """The counts of one build, found by file and line."""

    kind: Literal["+", "-"]  # the lines of the diff that are in its kernel only
    counts: Mapping[tuple[str, int], LineCount]

    @classmethod
    def of(cls, coverage: BuildCoverage) -> "_Column":
        counts = {(one.line.file, one.line.line): one for one in line_counts(coverage)}
        return cls("+" if coverage.map.side == "new" else "-", counts)

    def mark(self, path: str, line: DiffLine) -> Mark:
        counted = self.counts.get((path, _number(line))) if line.kind == self.kind else None
        if counted is None:
            return Mark()
        return Mark(
            shown=counted.shown,
            meaning=MEANINGS.get(counted.shown, ""),
            kind="missed" if counted.missed else "ran" if counted.ran else "",
            by_workload=tuple(counted.by_workload.items()),
        )


def _file(name: str, file: ChangedFile, columns: Sequence[_Column]) -> AnnotatedFile:
    hunks = tuple(
        Hunk(start=hunk_start(hunk), rows=tuple(_row(name, file.path, line, columns) for line in hunk))
        for hunk in file.hunks
    )
    return AnnotatedFile(path=file.path, anchor=name, hunks=hunks)


def _row(name: str, path: str, line: DiffLine, columns: Sequence[_Column]) -> Row:
    # Of numbers only: a path may hold anything.
    anchor = "" if line.kind == " " else f"{name}-{'new' if line.kind == '+' else 'old'}{_number(line)}"
    return Row(line=line, anchor=anchor, marks=tuple(column.mark(path, line) for column in columns))


def _number(line: DiffLine) -> int:
    return line.old if line.kind == "-" else line.new


def _missed(names: Sequence[str], files: Iterable[AnnotatedFile]) -> Iterator[MissedLine]:
    for file in files:
        for row in (row for row in file.rows if row.missed):
            yield MissedLine(
                file=file.path,
                number=_number(row.line),
                text=row.line.text,
                anchor=row.anchor,
                builds=tuple(name for name, mark in zip(names, row.marks, strict=True) if mark.kind == "missed"),
            )
