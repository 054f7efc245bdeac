# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as JUnit XML, for whatever CI shows."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from junit_xml import TestCase, TestSuite, to_xml_report_string

from orchestrator.host.text import printable
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
from orchestrator.report.proof_text import proof_lines
from orchestrator.report.suite_text import change_text, runs_text

_MOST_CRASHES = 10


def junit_text(report: RunReport) -> str:
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
    text: str = to_xml_report_string(made, encoding="utf-8")
    return text


@dataclass(frozen=True, slots=True)
class _Context:
    """What a case says beside its own cell: whose each splat is, and which failures are known."""

    whose: Mapping[str, str]  # title of a splat -> text
    known: Mapping[str, str]  # cell that fails as others did before -> since when

    @classmethod
    def of(cls, report: RunReport) -> "_Context":
        whose = {entry.title: tally_text(entry) for entry in crash_entries(report.cells)}
        return cls(whose, report.news.known if report.news else {})


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
    text: str = to_xml_report_string(suites, encoding="utf-8")
    return text


def _bug_suite(report: Sensitivity, name: str, cases: Sequence[TestCase]) -> TestSuite:
    facts = {"run": report.id, "matrix": report.matrix_path, "argv": shlex.join(report.argv)}
    properties = {key: valid_xml(value) for key, value in facts.items()}
    return TestSuite(name=name, test_cases=cases, timestamp=report.started, properties=properties)


def _bug_case(bug: BugReport) -> TestCase:
    tried = "\n".join(
        f"{one.workload} for {one.seconds} s: {one.outcome} after {one.guest_seconds} s: {one.title} ({one.folder})"
        for one in bug.attempts
    )
    case = TestCase(
        name=valid_xml(bug.bug.id),
        classname=f"sensitivity.{bug.build.flavour}.{bug.build.arch}",
        elapsed_sec=bug.guest_seconds,
        stdout=valid_xml(tried),
    )
    why = valid_xml(bug.title or f"survived: {bug.bug.broken or 'no workload noticed it'}")
    if bug.status is BugStatus.LOST:
        case.add_error_info(message=why, error_type=bug.status.value)
    elif bug.status in (BugStatus.UNTRIED, BugStatus.NO_EFFECT):
        case.add_skipped_info(message=why)
    elif bug.status is not BugStatus.FOUND:
        case.add_failure_info(message=why, failure_type=bug.status.value)
    return case


def _control_case(control: Control) -> TestCase:
    attempt = control.attempt
    case = TestCase(
        name=valid_xml(f"control.{attempt.workload}"),
        classname=f"sensitivity.{control.build.flavour}.{control.build.arch}",
        elapsed_sec=attempt.guest_seconds,
    )
    if attempt.found:
        message = valid_xml(f"red without any seeded bug: {attempt.title}")
        case.add_failure_info(message=message, failure_type=attempt.outcome.value)
    elif control.unknown:
        case.add_error_info(message=valid_xml(attempt.title), error_type=attempt.outcome.value)
    return case


def _uncounted_case(bug: SeededBug) -> TestCase:
    case = TestCase(name=valid_xml(bug.id), classname="sensitivity.not-counted")
    case.add_skipped_info(message=valid_xml(bug.undetectable))
    return case


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
        properties = {key: valid_xml(value) for key, value in facts.items()}
        suites.append(TestSuite(name=name, test_cases=cases, timestamp=report.started, properties=properties))
    text: str = to_xml_report_string(suites, encoding="utf-8")
    return text


def _mutant_case(report: MutantReport, suite: str) -> TestCase:
    mutant = report.mutant
    tried = "\n".join(
        f"{one.workload} for {one.seconds} s: {one.outcome} after {one.guest_seconds} s: {one.title} ({one.folder})"
        for one in (tried.attempt for tried in report.tries)
    )
    case = TestCase(
        name=valid_xml(f"{mutant.number:03}-{mutant.operator} {mutant.file}:{mutant.line}"),
        classname=suite,
        elapsed_sec=sum(one.attempt.guest_seconds for one in report.tries),
        stdout=valid_xml(tried),
    )
    why = valid_xml(report.hint or report.title or str(report.status))
    if report.status is MutantStatus.LOST:
        case.add_error_info(message=why, error_type=report.status.value)
    elif report.status in _SKIPPED:
        case.add_skipped_info(message=f"{report.status}: {why}")
    elif report.status is not MutantStatus.NOTICED:
        case.add_failure_info(message=why, failure_type=report.status.value)
    return case


def _mutant_control_case(control: ControlTry, suite: str) -> TestCase:
    attempt = control.attempt
    case = TestCase(name=valid_xml(f"control.{attempt.workload}"), classname=suite, elapsed_sec=attempt.guest_seconds)
    if control.kind:
        message = valid_xml(f"red without any mutant: {attempt.title}")
        case.add_failure_info(message=message, failure_type=attempt.outcome.value)
    elif not control.usable:
        case.add_error_info(message=valid_xml(attempt.title), error_type=attempt.outcome.value)
    return case


def valid_xml(text: str) -> str:
    """The text with every character written out that XML 1.0 cannot hold, or that nobody can see."""
    return printable(text.replace("\r\n", "\n"))


def _suite(report: RunReport, name: str, cells: Sequence[CellReport], context: _Context) -> TestSuite:
    failure = next((b for b in report.builds if isinstance(b, BuildFailure) and b.build.name == name), None)
    cases = [_case(cell, context) for cell in cells]
    if failure is not None and not cells:
        cases = [_build_case(failure)]
    return TestSuite(
        name=valid_xml(name),
        test_cases=cases,
        timestamp=report.started,
        properties={valid_xml(key): valid_xml(value) for key, value in _properties(report, name, cells).items()},
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


def _case(cell: CellReport, context: _Context) -> TestCase:
    suffix = f".{cell.cell.repeat}" if cell.cell.repeats > 1 else ""
    case = TestCase(
        name=valid_xml(cell.cell.workload.name + suffix),
        classname=valid_xml(cell.cell.build.name),
        elapsed_sec=cell.seconds,
        stdout=valid_xml(_facts(cell)),
        allow_multiple_subelements=True,
    )
    _judge(case, cell, context)
    return case


def _judge(case: TestCase, cell: CellReport, context: _Context) -> None:
    outcome, title, whose = cell.verdict.outcome, valid_xml(cell.verdict.title), context.whose
    if known := context.known.get(cell.cell.name):
        # All readers of JUnit know "skipped" as neither a pass nor a failure, and show its message.
        case.add_skipped_info(message=valid_xml(f"{outcome}, {known}: {title}"), output=valid_xml(_why(cell, whose)))
    elif outcome is Outcome.SKIPPED:
        case.add_skipped_info(message=title)
    elif outcome is Outcome.LOST:
        case.add_error_info(message=title, output=valid_xml(_why(cell, whose)), error_type=outcome.value)
    elif not outcome.good:
        case.add_failure_info(message=title, output=valid_xml(_why(cell, whose)), failure_type=outcome.value)


def _subtest_suite(report: RunReport, suite: SuiteComparison) -> TestSuite:
    name = valid_xml(f"subtests.{suite.name}")
    known = report.news.known_subtests if report.news else {}
    cases = [_subtest_case(name, suite, one, known.get(f"{suite.name} {one.path}", "")) for one in suite.changes]
    runs = {"baseline.runs": str(suite.baseline_runs), "patched.runs": str(suite.patched_runs)}
    return TestSuite(name=name, test_cases=cases, timestamp=report.started, properties=runs)


def _subtest_case(suite_name: str, suite: SuiteComparison, one: SubtestChange, known: str) -> TestCase:
    case = TestCase(name=valid_xml(one.path), classname=suite_name, stdout=valid_xml(runs_text(suite, one)))
    message = valid_xml(change_text(suite, one))
    if known:
        case.add_skipped_info(message=valid_xml(f"{known}: {message}"))
    elif one.change is Change.REGRESSED:
        output = valid_xml("\n".join(one.diagnostics))
        case.add_failure_info(message=message, output=output, failure_type=one.change.value)
    elif one.patched.bad or one.baseline.bad or not (one.patched.ran or one.baseline.ran):
        # No pass, and no fault of the series that could be told.
        case.add_skipped_info(message=message)
    elif one.change in (Change.GONE, Change.SKIPPED):
        case.add_skipped_info(message=message)
    return case


def _build_case(failure: BuildFailure) -> TestCase:
    case = TestCase(name="build", classname=valid_xml(failure.build.name))
    case.add_failure_info(
        message=valid_xml(failure.title), output=valid_xml(failure.detail), failure_type=failure.outcome.value
    )
    return case


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
