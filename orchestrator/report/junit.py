# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as JUnit XML, for whatever CI shows."""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.model.bugs import BugReport, BugStatus, Control, SeededBug, Sensitivity
from orchestrator.model.configuration import Variant
from orchestrator.model.crashes import Crash, Severity
from orchestrator.model.images import BuildFailure
from orchestrator.model.mutation import ControlTry, MutantReport, MutantStatus, Mutation
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.model.subtests import Change, SubtestChange, SuiteComparison
from orchestrator.report.crash_entries import crash_entries, tally_text
from orchestrator.report.crash_text import crash_lines
from orchestrator.report.junit_document import Case, Kind, Problem, Suite, counted, document, suite_of
from orchestrator.report.proof_text import proof_lines
from orchestrator.report.reached_elsewhere import excused, unproved
from orchestrator.report.suite_text import change_text, runs_text

_MOST_CRASHES = 10


def junit_pieces(report: RunReport) -> Iterator[str]:
    """One suite for each build, one case for each workload and repeat.

    Test suites come after them: one case for each subtest, over all repeats and both variants. Only one that the series
    made worse is a failure. Of a run that was compared with earlier ones, what failed before is skipped.
    """
    suites: dict[str, list[CellReport]] = {build.build.name: [] for build in report.builds}
    for cell in report.cells:
        suites.setdefault(cell.cell.build.name, []).append(cell)
    context = _Context.of(report)
    made = [_suite(report, name, cells, context) for name, cells in suites.items()]
    made += [_subtest_suite(report, suite) for suite in report.suites]
    if why := unproved(report):
        problem = Problem(kind=Kind.FAILURE, message=why, type=Outcome.NOT_EXERCISED)
        case = Case(name="changed functions", classname="series", problem=problem)
        made.append(suite_of("series", report.started, [case], {}))
    return document(made)


@dataclass(frozen=True, slots=True)
class _Context:
    """What a case says beside its own cell: whose each splat is, and which failures are known."""

    whose: Mapping[str, str]  # title of a splat -> text
    known: Mapping[str, str]  # cell that does not fail the run -> why

    @classmethod
    def of(cls, report: RunReport) -> "_Context":
        whose = {entry.title: tally_text(entry) for entry in crash_entries(report.cells)}
        return cls(whose, excused(report))


def sensitivity_junit_text(report: Sensitivity) -> str:
    """One suite for each build, one case for each seeded bug (a failure unless it was found) and for each control."""
    builds = dict.fromkeys([*(one.build for one in report.control), *(bug.build for bug in report.bugs)])
    suites = []
    for build in builds:
        cases = [_control_case(one) for one in report.control if one.build == build]
        cases += [_bug_case(bug) for bug in report.bugs if bug.build == build]
        suites.append(_bug_suite(report, f"sensitivity.{build.flavour}.{build.arch}", cases))
    if report.not_counted:
        skipped = [_uncounted_case(bug) for bug in report.not_counted]
        suites.append(_bug_suite(report, "sensitivity.not-counted", skipped))
    return "".join(document(suites))


def _bug_suite(report: Sensitivity, name: str, cases: Sequence[Case]) -> Suite:
    facts = {"run": report.id, "matrix": report.matrix_path, "argv": shlex.join(report.argv)}
    return suite_of(name, report.started, cases, facts)


def _bug_case(bug: BugReport) -> Case:
    tried = "\n".join(
        f"{one.workload} for {one.seconds} s: {one.outcome} after {one.guest_seconds} s: {one.title} ({one.folder})"
        for one in bug.attempts
    )
    return Case(
        name=bug.bug.id,
        classname=f"sensitivity.{bug.build.flavour}.{bug.build.arch}",
        seconds=bug.guest_seconds,
        problem=_bug_problem(bug),
        stdout=tried,
    )


def _bug_problem(bug: BugReport) -> Problem | None:
    why = bug.title or f"survived: {bug.bug.broken or 'no workload noticed it'}"
    if bug.status is BugStatus.LOST:
        return Problem(kind=Kind.ERROR, message=why, type=bug.status)
    if bug.status in (BugStatus.UNTRIED, BugStatus.NO_EFFECT):
        return Problem(kind=Kind.SKIPPED, message=why)
    return None if bug.status is BugStatus.FOUND else Problem(kind=Kind.FAILURE, message=why, type=bug.status)


def _control_case(control: Control) -> Case:
    attempt, problem = control.attempt, None
    if attempt.found:
        message = f"red without any seeded bug: {attempt.title}"
        problem = Problem(kind=Kind.FAILURE, message=message, type=attempt.outcome)
    elif control.unknown:
        problem = Problem(kind=Kind.ERROR, message=attempt.title, type=attempt.outcome)
    return Case(
        name=f"control.{attempt.workload}",
        classname=f"sensitivity.{control.build.flavour}.{control.build.arch}",
        seconds=attempt.guest_seconds,
        problem=problem,
    )


def _uncounted_case(bug: SeededBug) -> Case:
    problem = Problem(kind=Kind.SKIPPED, message=bug.undetectable)
    return Case(name=bug.id, classname="sensitivity.not-counted", problem=problem)


_SKIPPED = frozenset({MutantStatus.NOT_TRIED, MutantStatus.NO_EFFECT, MutantStatus.BUILD_FAILED})


def mutation_junit_text(report: Mutation) -> str:
    """One suite for each build: a case for each mutant (a failure where nothing noticed it) and for each control."""
    builds = dict.fromkeys([*(one.build for one in report.control), *(one.build for one in report.reports)])
    suites = []
    for build in builds:
        name = f"mutate.{build.flavour}.{build.arch}"
        cases = [_mutant_control_case(one, name) for one in report.control if one.build == build]
        cases += [_mutant_case(one, name) for one in report.reports if one.build == build]
        facts = {"run": report.id, "matrix": report.matrix_path, "argv": shlex.join(report.argv)}
        suites.append(suite_of(name, report.started, cases, facts))
    return "".join(document(suites))


def _mutant_case(report: MutantReport, suite: str) -> Case:
    mutant = report.mutant
    tried = "\n".join(
        f"{one.workload} for {one.seconds} s: {one.outcome} after {one.guest_seconds} s: {one.title} ({one.folder})"
        for one in (tried.attempt for tried in report.tries)
    )
    return Case(
        name=f"{mutant.number:03}-{mutant.operator} {mutant.file}:{mutant.line}",
        classname=suite,
        seconds=sum(one.attempt.guest_seconds for one in report.tries),
        problem=_mutant_problem(report),
        stdout=tried,
    )


def _mutant_problem(report: MutantReport) -> Problem | None:
    why, status = report.hint or report.title or str(report.status), report.status
    if status is MutantStatus.LOST:
        return Problem(kind=Kind.ERROR, message=why, type=status)
    if status in _SKIPPED:
        return Problem(kind=Kind.SKIPPED, message=f"{status}: {why}")
    return None if status is MutantStatus.NOTICED else Problem(kind=Kind.FAILURE, message=why, type=status)


def _mutant_control_case(control: ControlTry, suite: str) -> Case:
    attempt, problem = control.attempt, None
    if control.kind:
        message = f"red without any mutant: {attempt.title}"
        problem = Problem(kind=Kind.FAILURE, message=message, type=attempt.outcome)
    elif not control.usable:
        problem = Problem(kind=Kind.ERROR, message=attempt.title, type=attempt.outcome)
    return Case(name=f"control.{attempt.workload}", classname=suite, seconds=attempt.guest_seconds, problem=problem)


def _suite(report: RunReport, name: str, cells: Sequence[CellReport], context: _Context) -> Suite:
    failure = next((b for b in report.builds if isinstance(b, BuildFailure) and b.build.name == name), None)
    properties = _properties(report, name, cells)
    if failure is not None and not cells:
        return suite_of(name, report.started, [_build_case(failure)], properties)
    return Suite(
        name=name,
        started=report.started,
        counts=counted((_kind(cell, context), cell.seconds) for cell in cells),
        cases=(_case(cell, context) for cell in cells),
        properties=properties,
    )


def _properties(report: RunReport, name: str, cells: Iterable[CellReport]) -> Mapping[str, str]:
    kernel: dict[str, str] = {}
    for build in report.builds:
        if build.build.name == name and not isinstance(build, BuildFailure):
            kernel = {"release": build.release, **build.hashes}
    for cell in cells:
        kernel |= cell.kernel
    return {
        "run": report.id,
        "matrix": report.matrix_path,
        "argv": shlex.join(report.argv),
        "seed": str(report.matrix.seed),
        "interrupted": str(report.interrupted).lower(),
        **({"since": report.news.since or "no earlier run"} if report.news else {}),
        **({"base": report.choices.base.text} if report.choices else {}),
        **{f"kernel.{key}": value for key, value in kernel.items()},
        **{f"version.{key}": value for key, value in report.versions.items()},
    }


def _case(cell: CellReport, context: _Context) -> Case:
    suffix = f".{cell.cell.repeat}" if cell.cell.repeats > 1 else ""
    return Case(
        name=cell.cell.workload.name + suffix,
        classname=cell.cell.build.name,
        seconds=cell.seconds,
        problem=_problem(cell, context),
        stdout=_facts(cell),
    )


def _kind(cell: CellReport, context: _Context) -> Kind | None:
    outcome = cell.verdict.outcome
    # All readers of JUnit know "skipped" as neither a pass nor a failure, and show its message.
    if outcome is Outcome.SKIPPED or context.known.get(cell.cell.name):
        return Kind.SKIPPED
    if outcome is Outcome.LOST:
        return Kind.ERROR
    return None if outcome.good else Kind.FAILURE


def _problem(cell: CellReport, context: _Context) -> Problem | None:
    kind, outcome, title = _kind(cell, context), cell.verdict.outcome, cell.verdict.title
    if kind is None:
        return None
    if known := context.known.get(cell.cell.name):
        return Problem(kind=kind, message=f"{outcome}, {known}: {title}", text=_why(cell, context.whose))
    if kind is Kind.SKIPPED:
        return Problem(kind=kind, message=title)
    return Problem(kind=kind, message=title, text=_why(cell, context.whose), type=outcome)


def _subtest_suite(report: RunReport, suite: SuiteComparison) -> Suite:
    name = f"subtests.{suite.name}"
    known = report.news.known_subtests if report.news else {}
    cases = [
        Case(
            name=one.path,
            classname=name,
            problem=_subtest_problem(suite, one, known.get(f"{suite.name} {one.path}", "")),
            stdout=runs_text(suite, one),
        )
        for one in suite.changes
    ]
    runs = {"baseline.runs": str(suite.baseline_runs), "patched.runs": str(suite.patched_runs)}
    return suite_of(name, report.started, cases, runs)


def _subtest_problem(suite: SuiteComparison, one: SubtestChange, known: str) -> Problem | None:
    message = change_text(suite, one)
    if known:
        return Problem(kind=Kind.SKIPPED, message=f"{known}: {message}")
    if one.change is Change.REGRESSED:
        return Problem(kind=Kind.FAILURE, message=message, text="\n".join(one.diagnostics), type=one.change)
    # No pass, and no fault of the series that could be told.
    no_pass = one.patched.bad or one.baseline.bad or not (one.patched.ran or one.baseline.ran)
    if no_pass or one.change in (Change.GONE, Change.SKIPPED):
        return Problem(kind=Kind.SKIPPED, message=message)
    return None


def _build_case(failure: BuildFailure) -> Case:
    problem = Problem(kind=Kind.FAILURE, message=failure.title, text=failure.detail, type=failure.outcome)
    return Case(name="build", classname=failure.build.name, problem=problem)


def _why(cell: CellReport, whose: Mapping[str, str]) -> str:
    parts = ["\n".join((cell.verdict.title, *cell.verdict.reasons))]
    variant = cell.cell.build.variant
    fatal = [crash for crash in cell.crashes[:_MOST_CRASHES] if crash.severity is Severity.FATAL]
    parts += [_crash_text(crash, variant, whose.get(crash.title, "")) for crash in fatal]
    return "\n\n".join(parts)


def _crash_text(crash: Crash, variant: Variant, whose: str) -> str:
    allowed = f" (allowed: {crash.allowed})" if crash.allowed else ""
    head = [f"{crash.title}{allowed}", *([whose] if whose else [])]
    return "\n".join((*head, *crash_lines(crash, variant), "console:", crash.text))


def _facts(cell: CellReport) -> str:
    facts = {"outcome": cell.verdict.outcome.value, "seed": str(cell.cell.seed), "folder": cell.folder}
    if cell.run is not None:
        facts |= {"ending": cell.run.ending.value, "accelerator": cell.run.accelerator}
        if cell.run.boot_seconds is not None:
            facts["guest"] = "restored" if cell.run.restored else "booted"
            facts["boot seconds"] = f"{cell.run.boot_seconds:.1f}"
        if cell.run.result is not None:
            facts |= {name: str(growth) for name, growth in sorted(cell.run.result.counters.items())}
    proof = proof_lines(cell.run)
    # A failure has its reasons in its own text; a pass beside an allowed crash would hide them.
    reasons = cell.verdict.reasons if cell.verdict.outcome is Outcome.PASSED else ()
    return "\n".join((*(f"{name}: {value}" for name, value in facts.items()), *proof, *reasons))
