# SPDX-License-Identifier: GPL-2.0-or-later
"""What a person sees while a run lasts."""

import io

import pytest
from rich.console import Console

from orchestrator.model.events import (
    BuildEnded,
    BuildProgress,
    CellEnded,
    CellProgress,
    CellStarted,
    Download,
    Event,
    Notice,
    Step,
)
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import RunReport
from orchestrator.report.terminal import print_table, terminal
from tests.conftest import GOLDEN, Golden
from tests.unit.samples import cell, cell_report, compared_report, guest_run, image, mixed_report

BUILD = image().build
EVENTS: tuple[Event, ...] = (
    Notice(text="no sandbox: the build of a stranger's series may write anywhere"),
    *(Download(what="linux-6.19.6.tar.xz", done=done * 1_000_000, total=159_000_000) for done in range(0, 160, 3)),
    Step(text="applying 3 patches"),
    *(BuildProgress(build=BUILD, objects=objects, expected=800) for objects in range(0, 801, 7)),
    BuildEnded(build=BUILD, text="built in 312 s", good=True),
    CellStarted(cell=cell()),
    *(CellProgress(cell=cell(), operations=10 * n, swapoffs=n, seconds=float(n)) for n in range(20)),
    CellEnded(report=cell_report(run=guest_run())),
    CellStarted(cell=cell(workload="shmem")),
    CellEnded(report=cell_report(Outcome.HUNG, "a swapoff never returned [stuck]", of=cell(workload="shmem"))),
)


def shown(*events: Event, live: bool = False) -> str:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=live, width=100, color_system=None)
    with terminal(console) as listener:
        for event in events:
            listener(event)
    return screen.getvalue()


def test_plain_lines_are_the_golden_ones(golden: Golden) -> None:
    golden.text(GOLDEN / "terminal" / "lines.txt", shown(*EVENTS))


@pytest.mark.parametrize(("name", "report"), [("table", mixed_report()), ("compared", compared_report())])
def test_the_table_is_the_golden_one(name: str, report: RunReport, golden: Golden) -> None:
    screen = io.StringIO()

    print_table(report, Console(file=screen, width=100))

    lines = [line.rstrip() for line in screen.getvalue().splitlines()]
    golden.text(GOLDEN / "terminal" / f"{name}.txt", "\n".join(lines) + "\n")


def test_a_build_is_told_at_most_every_tenth() -> None:
    text = shown(*(BuildProgress(build=BUILD, objects=objects, expected=1_000) for objects in range(1_001)))

    assert len(text.splitlines()) == 10


def test_a_first_build_without_an_expected_number_is_told_now_and_then() -> None:
    text = shown(*(BuildProgress(build=BUILD, objects=objects, expected=None) for objects in range(1_001)))

    assert len(text.splitlines()) == 5


def test_a_terminal_shows_what_is_under_way_and_keeps_what_ended() -> None:
    text = shown(*EVENTS, live=True)

    assert "patched.plain.x86_64.mincore: PASSED in 24 s" in text
    assert "a swapoff never returned [stuck]" in text  # no markup
    assert "NOTE: no sandbox" in text
