# SPDX-License-Identifier: GPL-2.0-or-later
"""A run of mutants as one HTML page, mutants.html: the series with each mutant at its line; no script, no network."""

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestrator.host.text import one_line
from orchestrator.model.mutation import MutantReport, MutantStatus, Mutation, Score
from orchestrator.model.series_diff import DiffLine
from orchestrator.report.mutation_series import MutatedFile, mutated_series
from orchestrator.report.mutation_text import (
    MISSED,
    again_command,
    change_text,
    control_lines,
    count_line,
    cover_letter_line,
    score_lines,
)
from orchestrator.report.templating import render

PAGE_FILE = "mutants.html"
_CODE = 160
# How a status looks: the names of the style sheet.
_KINDS = {
    MutantStatus.NOTICED: "good",
    MutantStatus.SURVIVED: "bad",
    MutantStatus.NOT_REACHED: "unproved",
    MutantStatus.LOST: "lost",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownMutant:
    """What the page says of one mutant."""

    number: int
    operator: str
    place: str
    change: str
    status: str
    kind: str
    why: str
    ran: str  # what ran without noticing
    again: str  # the command that repeats it; "" where none of its cells was run


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownLine:
    line: DiffLine
    mutants: tuple[ShownMutant, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownFile:
    path: str
    anchor: str
    missed: int
    stretches: tuple[tuple[ShownLine, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatorRow:
    name: str
    counts: tuple[int, ...]  # in the order of the score's


def mutation_page_text(report: Mutation, verdicts: Sequence[MutantReport], score: Score) -> str:
    """The page, in ASCII: it reads the same whatever encoding it is stored or sent in.

    `verdicts`: the one report of each mutant that decides; `score`: that of these.
    """
    builds = dict.fromkeys(one.build for one in verdicts)
    series = mutated_series(report.diff, report.texts, verdicts)
    shown = {one.mutant.number: _shown(report, one, named=len(builds) > 1) for one in verdicts}
    mutated = {file.path for file in series}
    text = render(
        "mutants.html",
        report=report,
        headline=count_line(score),
        score=tuple(score_lines(score)),
        letter=cover_letter_line(report, score) if score.whole else "",
        facts=tuple(_facts(report)),
        warnings=tuple(control_lines(report)),
        controls=tuple(_controls(report)),
        missed=tuple(shown[one.mutant.number] for one in verdicts if one.status in MISSED),
        statuses=tuple(map(str, score.counts)),
        operators=tuple(_operators(verdicts, score)),
        files=tuple(_file(f"f{at}", file, shown) for at, file in enumerate(series, start=1)),
        unmutated=tuple(file.path for file in report.diff if file.path not in mutated),
        again=shlex.join(report.argv),
        one_again=again_command(report, "NUMBER") if any(one.deciding for one in verdicts) else "",
    )
    return text.encode("ascii", errors="xmlcharrefreplace").decode()


def _facts(report: Mutation) -> Iterator[tuple[str, str]]:
    yield "Run", report.id
    yield "Started", f"{datetime.fromisoformat(report.started):%Y-%m-%d %H:%M %Z}, took {report.seconds:.0f} s"
    yield "Matrix", report.matrix_path
    yield "Cells", f"{report.load_seconds} s of load each, the control's as well"
    if report.budget is not None:
        yield "Budget", f"{report.budget:.0f} s of guests"
    yield "Changed", f"{report.statements} statements and conditions; {report.left_out} changes left out"
    yield "Command", shlex.join(report.argv)
    yield "Versions", ", ".join(f"{name} {version}" for name, version in report.versions.items())


def _controls(report: Mutation) -> Iterator[tuple[str, str, str, str]]:
    """Workload, build, how it ended, and how many places of mutants it passed."""
    for one in report.control:
        passed = "not known" if one.passed is None else str(sum(1 for count in one.passed.values() if count))
        ending = f"{one.attempt.outcome}: {one.attempt.title}"
        yield one.attempt.workload, f"{one.build.flavour}.{one.build.arch}", ending, passed


def _shown(run: Mutation, report: MutantReport, *, named: bool) -> ShownMutant:
    """`named`: there are several builds, so that the mutant's has to be said."""
    mutant = report.mutant
    on = f" on {report.build.flavour}.{report.build.arch}" if named else ""
    return ShownMutant(
        number=mutant.number,
        operator=mutant.operator,
        place=f"{mutant.file}:{mutant.line}",
        change=change_text(mutant, _CODE),
        status=f"{report.status}{on}",
        kind=_KINDS.get(report.status, "skipped"),
        why=one_line(report.hint or report.title),
        ran=one_line(report.title) if report.hint else "",
        again=again_command(run, mutant.number) if report.deciding else "",
    )


def _operators(verdicts: Sequence[MutantReport], score: Score) -> Iterator[OperatorRow]:
    counted = Counter((one.mutant.operator, one.status) for one in verdicts)
    for name in sorted({one.mutant.operator for one in verdicts}):
        yield OperatorRow(name=name, counts=tuple(counted[name, status] for status in score.counts))


def _file(anchor: str, file: MutatedFile, shown: dict[int, ShownMutant]) -> ShownFile:
    reports = [report for stretch in file.stretches for one in stretch for report in one.mutants]
    return ShownFile(
        path=file.path,
        anchor=anchor,
        missed=sum(report.status in MISSED for report in reports),
        stretches=tuple(
            tuple(
                ShownLine(line=one.line, mutants=tuple(shown[report.mutant.number] for report in one.mutants))
                for one in stretch
            )
            for stretch in file.stretches
        ),
    )
