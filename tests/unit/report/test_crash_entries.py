# SPDX-License-Identifier: GPL-2.0-or-later
"""The same complaint once, and whose it is."""

from dataclasses import replace

import pytest

from orchestrator.model.cells import Cell
from orchestrator.model.configuration import Variant
from orchestrator.model.crashes import Comparison, CrashKind, Severity, Tally
from orchestrator.model.guests import Ending
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport
from orchestrator.report.crash_entries import Comparisons, crash_entries, tally_text
from tests.unit.samples import cell, cell_report, compared_report, crash, explained_crash, guest_run

PATCHED, BASELINE = Variant.PATCHED, Variant.BASELINE


def crashed(of: Cell, title: str = "BUG in f") -> CellReport:
    return cell_report(Outcome.CRASHED, title, of=of, run=guest_run(), crashes=(crash(title=title),))


def silent(of: Cell) -> CellReport:
    return cell_report(of=of, run=guest_run())


def only(*cells: CellReport) -> tuple[Comparison | None, Tally | None, Tally | None]:
    (entry,) = crash_entries(cells)
    return entry.compared, entry.with_series, entry.without_series


def test_repeats_and_cells_of_one_title_are_one_entry() -> None:
    cells = [crashed(cell(repeat=number, repeats=3)) for number in (1, 2, 3)] + [crashed(cell(arch="arm64"))]

    (entry,) = crash_entries(cells)

    assert (entry.title, entry.count, entry.reports) == ("BUG in f", 4, 4)
    assert entry.cells[0] == "patched.plain.x86_64.mincore.1"
    assert entry.cells[-1] == "patched.plain.arm64.mincore"
    assert (entry.compared, tally_text(entry)) == (None, "")


def test_a_complaint_that_comes_again_in_one_cell_counts_the_cell_once() -> None:
    (entry,) = crash_entries([cell_report(of=cell(), crashes=(crash(), crash(line=9, follow_up=True)))])

    assert (entry.count, entry.reports, entry.follow_up) == (1, 2, False)


def test_what_fails_a_cell_comes_before_what_is_allowed_followed_or_noted() -> None:
    crashes = (
        crash(title="noted", severity=Severity.NOTE),
        crash(title="allowed", allowed="known"),
        crash(title="followed", follow_up=True),
        crash(title="first"),
    )

    titles = [entry.title for entry in crash_entries([cell_report(of=cell(), crashes=crashes)])]

    assert titles == ["first", "followed", "allowed", "noted"]


def test_with_and_without() -> None:
    found = only(crashed(cell()), crashed(cell(variant=BASELINE)))

    assert found == (Comparison.BOTH, Tally(seen=1, cells=1), Tally(seen=1, cells=1))


@pytest.mark.parametrize(
    ("variant", "expected"), [(PATCHED, Comparison.ONLY_WITH), (BASELINE, Comparison.ONLY_WITHOUT)]
)
def test_only_one_of_them_where_the_other_ran_to_its_end(variant: Variant, expected: Comparison) -> None:
    other = BASELINE if variant is PATCHED else PATCHED

    assert only(crashed(cell(variant=variant)), silent(cell(variant=other)))[0] is expected


@pytest.mark.parametrize(
    "without",
    [
        cell_report(Outcome.LOST, "ssh", of=cell(variant=BASELINE)),
        cell_report(Outcome.SKIPPED, "interrupted", of=cell(variant=BASELINE), run=guest_run(Ending.INTERRUPTED)),
        cell_report(Outcome.BUILD_FAILED, "error", of=cell(variant=BASELINE)),
        cell_report(Outcome.HUNG, "stuck", of=cell(variant=BASELINE), run=guest_run(Ending.SWAPOFF_STUCK)),
        cell_report(Outcome.NOT_EXERCISED, "too few", of=cell(variant=BASELINE), run=guest_run()),
        silent(cell(workload="shmem", variant=BASELINE)),
        silent(cell(arch="arm64", variant=BASELINE)),
    ],
    ids=["lost", "skipped", "not-built", "hung", "not-exercised", "other-workload", "other-arch"],
)
def test_a_baseline_that_proved_nothing_does_not_blame_the_series(without: CellReport) -> None:
    compared, with_series, tally = only(crashed(cell()), without)

    assert compared is Comparison.NOT_KNOWN_WITHOUT
    assert (with_series, tally) == (Tally(seen=1, cells=1), Tally(seen=0, cells=0))


def test_what_is_not_known_of_the_series_is_said_too() -> None:
    lost = cell_report(Outcome.LOST, "ssh", of=cell())
    (entry,) = crash_entries([crashed(cell(variant=BASELINE)), lost])

    assert entry.compared is Comparison.NOT_KNOWN_WITH
    assert tally_text(entry) == "without the series, not known with: no matching cell with it ran to its end"


def test_a_cell_that_crashed_by_something_else_and_still_ended_tells() -> None:
    other = crashed(cell(variant=BASELINE), "WARNING in g")

    entries = {entry.title: entry for entry in crash_entries([crashed(cell()), other])}

    assert entries["BUG in f"].compared is Comparison.ONLY_WITH


def test_repeats_of_the_other_variant_all_count() -> None:
    cells = [crashed(cell(repeat=1, repeats=2)), silent(cell(repeat=2, repeats=2))]
    cells += [silent(cell(repeat=number, repeats=2, variant=BASELINE)) for number in (1, 2)]
    (entry,) = crash_entries(cells)

    assert tally_text(entry) == "only with the series: 1 of 2 cells with it, 0 of 2 without"


def test_a_report_of_both_variants_has_its_entries_in_order() -> None:
    entries = crash_entries(compared_report().cells)

    assert [(entry.kind, entry.count, entry.compared) for entry in entries] == [
        (CrashKind.KASAN, 2, Comparison.ONLY_WITH),
        (CrashKind.LOCKDEP, 2, Comparison.BOTH),
        (CrashKind.KASAN, 1, Comparison.NOT_KNOWN_WITHOUT),
        (CrashKind.WARNING, 1, Comparison.ONLY_WITH),
        (CrashKind.OTHER, 1, Comparison.ONLY_WITH),
    ]


def test_a_longer_list_changes_nothing_for_what_is_there() -> None:
    cells = compared_report().cells
    more = [*cells, replace(cells[2], cell=cell(workload="uffd-move"))]

    assert [entry.title for entry in crash_entries(more)] == [entry.title for entry in crash_entries(cells)]


def test_a_thing_is_compared_where_it_shows_and_a_cell_with_two_splats_counts_once() -> None:
    cells = compared_report().cells
    comparisons = Comparisons(cells)
    title = "possible deadlock in swapoff"

    shown = list(comparisons.with_splat(title))

    assert [one.cell.workload.name for one in shown] == ["shmem", "shmem"]
    assert comparisons.of(shown) == (Comparison.BOTH, Tally(seen=1, cells=1), Tally(seen=1, cells=1))
    only = [one for one in cells if one.verdict.title == explained_crash().title]
    assert comparisons.of(only) == (Comparison.ONLY_WITH, Tally(seen=2, cells=3), Tally(seen=0, cells=3))
    assert list(comparisons.with_splat("none")) == []


def test_with_one_variant_nothing_is_compared() -> None:
    cells = [one for one in compared_report().cells if one.cell.build.variant is Variant.PATCHED]

    assert Comparisons(cells).of(cells[:1]) == (None, None, None)
