# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest and a series that print what moves a cursor, hides text or ends a file: no output has it as it is."""

import io
from collections.abc import Iterator
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner
from rich.console import Console

from orchestrator.cli.judge_commands import judge
from orchestrator.judge.mutant_verdict import whole_verdicts
from orchestrator.model.blocks import CoverageMap
from orchestrator.model.events import BuildEnded, CellEnded, Event, Notice, Step
from orchestrator.model.images import BuildFailure, KernelImage
from orchestrator.model.mutation import Mutation
from orchestrator.model.outcomes import Outcome
from orchestrator.model.phases import Phase, Span
from orchestrator.model.reports import RunReport
from orchestrator.model.series_diff import ChangedFile
from orchestrator.report.coverage.figures import annotated_patch, cobertura_text, coverage_of, lcov_text
from orchestrator.report.coverage.page import page_text
from orchestrator.report.junit import mutation_junit_text
from orchestrator.report.mutation_series import mutated_series
from orchestrator.report.mutation_text import annotated_lines, control_lines, table_lines
from orchestrator.report.run_page.run_page import run_page_text
from orchestrator.report.summary import summary_text
from orchestrator.report.terminal import print_table, say, terminal
from orchestrator.report.timeline import timeline_svg
from tests.unit.coverage_samples import FIRST
from tests.unit.coverage_samples import report as widened_report
from tests.unit.mutation_samples import hostile_mutation, page_of
from tests.unit.report_texts import junit_text, trace_text
from tests.unit.samples import cell, cell_report, crash, explained_crash, guest_run, image, run_report

HOSTILE = "\x1b]0;x\x07\x1b[2J\x9b1m\x7f\r\b\u202e\u200b\u2028\ud800\ufeff\x85\x00<b>&\"'"


def hostile_report() -> RunReport:
    bad = replace(explained_crash(), title=f"KASAN {HOSTILE}", task=HOSTILE, text=HOSTILE, unexplained=HOSTILE)
    bad = replace(bad, excerpt=(HOSTILE, f"> 1 {HOSTILE}"))
    of = cell_report(Outcome.CRASHED, bad.title, run=guest_run(detail=HOSTILE), crashes=(bad,), reasons=(HOSTILE,))
    failure = BuildFailure(
        build=image("arm64").build, outcome=Outcome.BUILD_FAILED, title=HOSTILE, detail=HOSTILE, log=None
    )
    of = replace(of, spans=(Span(phase=Phase.BOOT, start=0.0, end=1.0),))
    passed = cell_report(of=cell(workload="shmem"), run=guest_run(), reasons=(HOSTILE,))
    lost = cell_report(Outcome.LOST, HOSTILE, of=cell(workload="swapin"))
    skipped = cell_report(Outcome.SKIPPED, HOSTILE, of=cell(workload="willneed"))
    noted = cell_report(of=cell(workload="uffd-move"), crashes=(crash(title=f"noted {HOSTILE}"),))
    report = run_report(of, passed, lost, skipped, noted, builds=(image(), failure))
    return replace(report, versions={"host": HOSTILE})


def hostile_coverage() -> RunReport:
    report = widened_report(FIRST)

    def spoiled(one: CoverageMap) -> CoverageMap:
        lines = tuple(replace(line, file=f"mm/{HOSTILE}.c", text=HOSTILE) for line in one.lines)
        diff = tuple(
            ChangedFile(
                path=f"mm/{HOSTILE}.c",
                hunks=tuple(tuple(replace(line, text=HOSTILE) for line in hunk) for hunk in file.hunks),
            )
            for file in one.diff
        )
        return replace(one, lines=lines, diff=diff)

    builds = tuple(
        replace(one, coverage=spoiled(one.coverage)) if isinstance(one, KernelImage) and one.coverage else one
        for one in report.builds
    )
    return replace(report, builds=builds)


def shown(*events: Event) -> str:
    screen = io.StringIO()
    console = Console(file=screen, width=100, color_system=None)
    with terminal(console) as listener:
        for event in events:
            listener(event)
    return screen.getvalue()


def table() -> str:
    screen = io.StringIO()
    print_table(hostile_report(), Console(file=screen, width=100))
    return screen.getvalue()


def on_screen(*lines: str) -> str:
    screen = io.StringIO()
    for line in lines:
        say(Console(file=screen, width=100), line)
    return screen.getvalue()


def annotated_of(mutants: Mutation) -> Iterator[str]:
    verdicts = whole_verdicts(mutants.mutants, mutants.reports)
    return annotated_lines(verdicts, mutated_series(mutants.diff, mutants.texts, verdicts))


def outputs() -> Iterator[tuple[str, str]]:
    report, covered = hostile_report(), hostile_coverage()
    builds = coverage_of(covered)
    yield "summary", summary_text(report)
    yield "summary of coverage", summary_text(covered)
    yield "junit", junit_text(report)
    yield "timeline", timeline_svg(report)
    yield "trace", trace_text(report)
    yield "page", page_text(covered, builds)
    yield "run page", run_page_text(report, timeline=timeline_svg(report), coverage=())
    mutants = hostile_mutation(HOSTILE)
    verdicts = whole_verdicts(mutants.mutants, mutants.reports)
    yield "page of mutants", page_of(mutants)
    yield "junit of mutants", mutation_junit_text(mutants)
    yield "mutants", on_screen(*table_lines(verdicts), *annotated_of(mutants), *control_lines(mutants))
    yield "lcov", lcov_text(builds)
    yield "cobertura", cobertura_text(builds, timestamp=0)
    yield "patch", "\n".join(line.text for one in builds for line in annotated_patch(one))
    yield "table", table()
    events: tuple[Event, ...] = (
        Step(text=HOSTILE),
        Notice(text=f"{HOSTILE}\nfaked line"),
        BuildEnded(build=image().build, text=HOSTILE, good=False),
        *(CellEnded(report=one) for one in report.cells),
    )
    yield "events", shown(*events)
    said = CliRunner().invoke(
        judge, [], input=f"BUG: KASAN: wild-{HOSTILE} in f{HOSTILE}+0x1\n".encode(errors="replace")
    )
    yield "judge", said.output


OUTPUTS = dict(outputs())


@pytest.mark.parametrize("name", OUTPUTS)
def test_no_output_has_a_character_that_can_not_be_seen(name: str) -> None:
    text = OUTPUTS[name]

    hidden = {char for char in text if char != "\n" and char != "\t" and not char.isprintable()}
    assert not hidden
    text.encode()


@pytest.mark.parametrize("name", ["junit", "junit of mutants", "timeline", "cobertura"])
def test_xml_stays_whole(name: str) -> None:
    ET.fromstring(OUTPUTS[name])


@pytest.mark.parametrize("name", ["page", "run page", "page of mutants"])
def test_html_has_no_markup_of_a_strangers(name: str) -> None:
    assert "<b>" not in OUTPUTS[name]


def test_a_title_does_not_add_lines() -> None:
    assert not [line for line in OUTPUTS["events"].splitlines() if line.startswith("faked")]
