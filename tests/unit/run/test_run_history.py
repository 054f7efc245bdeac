# SPDX-License-Identifier: GPL-2.0-or-later
"""A week of nights in a results folder: what is loud, and what is only in the summary."""

from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from junitparser import JUnitXml

from orchestrator.cli.reported_runs import exit_code
from orchestrator.host.errors import ExitCode, UserError
from orchestrator.model.cells import Cell
from orchestrator.model.history import CellState, SplatHistory
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.report.history.database import DATABASE_FILE
from orchestrator.report.history.index_page import INDEX_FILE
from orchestrator.report.store import open_run_at
from orchestrator.run.run_history import counted_runs, read_history, runs_up_to, what_is_new, write_index
from tests.unit.report.coverage.test_page import Page
from tests.unit.report.history.test_past_runs import MATRIX
from tests.unit.samples import cell, cell_report, explained_crash, guest_run

LOADS = ("mincore", "shmem", "swapin", "willneed", "zswap")
ARCHES = ("x86_64", "arm64")
SPLAT = explained_crash()


def crashed(of: Cell) -> CellReport:
    return cell_report(Outcome.CRASHED, SPLAT.title, of=of, run=guest_run(), crashes=(SPLAT,))


def hung(of: Cell) -> CellReport:
    return cell_report(Outcome.HUNG, "a swapoff never returned", of=of, run=guest_run())


def lost(of: Cell) -> CellReport:
    # Nothing is known of its kernel.
    return replace(cell_report(Outcome.LOST, "QEMU was killed", of=of), kernel={})


NEW_CRASH = ("shmem", "arm64")  # from the fourth night on
FLAKY = ("swapin", "x86_64")  # on the second night and on the sixth
LAZY = ("zswap", "arm64")  # proves nothing, on no night
BROKEN_MACHINE = 3


def of_night(number: int) -> list[CellReport]:
    found = []
    for load in LOADS:
        for arch in ARCHES:
            of, place = replace(cell(workload=load, arch=arch), seed=number), (load, arch)
            if place == LAZY:
                report = cell_report(Outcome.NOT_EXERCISED, f"site.a grew by {number}, at least 100 expected", of=of)
            elif number == BROKEN_MACHINE and arch == "arm64":
                report = lost(of)
            elif place == NEW_CRASH and number >= 4:
                report = crashed(of)
            elif place == FLAKY and number in (2, 6):
                report = hung(of)
            else:
                report = cell_report(of=of, run=guest_run())
            found.append(report)
    return found


@dataclass(frozen=True)
class Night:
    report: RunReport
    code: ExitCode
    junit: JUnitXml
    summary: str


def run_night(root: Path, number: int, *, since: str = "last") -> Night:
    """As `patchrig run --since` does, with the guests' ends as given."""
    name = f"2026-11-{number:02}T020000Z-ab12"
    before = runs_up_to(root, since)
    argv = ("patchrig", "run", "m.yaml", "--since", since)
    with open_run_at(root / name, name, argv=argv, matrix_path="m.yaml", matrix=MATRIX, versions={}) as store:
        cells = of_night(number)
        store.plan([one.cell for one in cells], {}, series_title="swap: hold the device")
        store.add_cells(cells)
        store.set_news(what_is_new(store.report(), before))
    report = store.save()
    return Night(
        report=report,
        code=exit_code(report),
        junit=JUnitXml.fromfile(str(root / name / "junit.xml")),
        summary=(root / name / "summary.txt").read_text(),
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def week(root: Path) -> list[Night]:
    return [run_night(root, number) for number in range(1, 8)]


def new_on(night: Night) -> list[str]:
    assert night.report.news is not None
    return [name for one in night.report.news.new for name in one.cells]


def test_only_what_is_new_is_loud(week: list[Night]) -> None:
    crash, flaky, lazy = (f"patched.plain.{arch}.{load}" for load, arch in (NEW_CRASH, FLAKY, LAZY))

    assert [new_on(night) for night in week] == [[lazy], [flaky], [], [crash], [], [], []]


def test_the_exit_code_is_of_what_is_new_and_a_broken_machine_is_no_verdict(week: list[Night]) -> None:
    bad, ok, infra = ExitCode.BAD_KERNEL, ExitCode.OK, ExitCode.INFRA

    assert [night.code for night in week] == [bad, bad, infra, bad, ok, ok, ok]


def test_junit_fails_what_is_new_and_skips_what_is_known(week: list[Night]) -> None:
    counts = [(night.junit.tests, night.junit.failures, night.junit.skipped, night.junit.errors) for night in week]

    # On the third night the machine loses the four cells of arm64 that do not end by themselves.
    assert counts == [
        (10, 1, 0, 0),
        (10, 1, 1, 0),
        (10, 0, 1, 4),
        (10, 1, 1, 0),
        (10, 0, 2, 0),
        (10, 0, 3, 0),
        (10, 0, 2, 0),
    ]
    skipped = ET.parse(week[5].report.folder / "junit.xml").findall(".//skipped")
    assert sorted(str(one.get("message")) for one in skipped) == [
        f"crashed, old since 2026-11-04T020000Z-ab12: 2 of 8 cells: {SPLAT.title}",
        "hung, old since 2026-11-02T020000Z-ab12: 1 of 4 cells: a swapoff never returned",
        "not-exercised, old since 2026-11-01T020000Z-ab12: 5 of 5 cells: site.a grew by 6, at least 100 expected",
    ]


def test_the_summary_shows_what_is_known_too(week: list[Night]) -> None:
    assert f"CRASHED (1 cell): {SPLAT.title}\n  NEW: first seen\n" in week[3].summary
    assert f"CRASHED (1 cell): {SPLAT.title}\n  old since 2026-11-04T020000Z-ab12" in week[6].summary
    assert "swap_cache_get_folio.isra.0+0x12c/0x180 mm/swap_state.c:412" in week[6].summary
    assert "0 new, 2 old, compared with 6 earlier runs" in " ".join(week[6].summary.split())
    assert "There is no earlier run to compare with" in week[0].summary


def test_the_page_of_a_night_says_what_is_new(week: list[Night]) -> None:
    said = Page((week[3].report.folder / "report.html").read_text()).said

    assert "1 new, 1 old, compared with 3 earlier runs" in said
    assert f"NEW (first seen): crashed: {SPLAT.title} (patched.plain.arm64.shmem)" in said


@pytest.mark.usefixtures("week")
def test_the_history_of_the_week(root: Path) -> None:
    history = read_history(root)

    states = {
        (one.identity.workload, one.identity.arch): one.text for one in history.cells if one.state is not CellState.GOOD
    }
    assert states == {NEW_CRASH: "still bad", FLAKY: "flaky (2 of 7)", LAZY: "never exercised"}
    assert len(history.cells) == len(LOADS) * len(ARCHES)
    assert history.splats == (
        SplatHistory(
            title=SPLAT.title,
            first="2026-11-04T020000Z-ab12",
            last="2026-11-07T020000Z-ab12",
            runs=4,
            cells=4,
            places=("patched.plain.arm64.shmem",),
            new=False,
        ),
    )


def test_since_an_older_run_what_came_after_it_is_new(week: list[Night], root: Path) -> None:
    before = runs_up_to(root, "2026-11-03")

    assert [run.id[:10] for run in before] == ["2026-11-01", "2026-11-02", "2026-11-03"]
    news = what_is_new(week[6].report, before)
    assert [one.title for one in news.new] == [SPLAT.title]


@pytest.mark.usefixtures("week")
def test_a_run_that_is_not_there_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run '2027'"):
        runs_up_to(root, "2027")
    with pytest.raises(UserError, match="is no run of"):
        runs_up_to(tmp_path, str(root / "2026-11-03T020000Z-ab12"))
    assert runs_up_to(tmp_path, "last") == ()


@pytest.mark.usefixtures("week")
def test_the_index_is_sound_and_leads_to_the_runs(root: Path) -> None:
    write_index(root)
    text = (root / INDEX_FILE).read_text()
    read = Page(text)

    assert read.open == []
    assert text.isascii()
    assert "default-src 'none'" in text
    assert not {"script", "link", "img"} & {tag for tag, _ in read.tags}
    assert all((root / href).is_file() for href in read.of("href") if not href.startswith("#"))
    assert read.count("caption") == read.count("table")
    for said in (
        "flaky (2 of 7)",
        "never exercised",
        "still bad",
        SPLAT.title,
        "..?XXXX",
        "1 crashed, 1 hung, 1 not-exercised, 7 passed",
    ):
        assert said in read.said
    assert (root / INDEX_FILE).stat().st_mode & 0o777 == 0o600


def test_a_run_again_is_no_sample_of_anything(tmp_path: Path) -> None:
    for name, argv in (("1", ("patchrig", "run")), ("2", ("patchrig", "repro", "1", "mincore", "--until-fail"))):
        with open_run_at(tmp_path / name, name, argv=argv, matrix_path="m.yaml", matrix=MATRIX, versions={}) as store:
            store.add_cells([hung(cell())])

    assert [run.id for run in counted_runs(tmp_path)] == ["1"]


@pytest.mark.usefixtures("week")
def test_the_database_can_go_at_any_time(root: Path) -> None:
    history = read_history(root)
    (root / DATABASE_FILE).unlink()

    assert read_history(root) == history


def test_what_an_interrupted_run_found_is_still_news(tmp_path: Path) -> None:
    def ran(name: str, *, interrupted: bool) -> RunReport:
        argv = ("patchrig", "run")
        with open_run_at(tmp_path / name, name, argv=argv, matrix_path="m.yaml", matrix=MATRIX, versions={}) as store:
            store.add_cells([hung(cell())])
            return store.save(interrupted=interrupted)

    ran("1", interrupted=True)
    second = ran("2", interrupted=False)
    assert runs_up_to(tmp_path, "last")[0].id == "2"
    assert what_is_new(second, runs_up_to(tmp_path, "last")).new
    assert not what_is_new(ran("3", interrupted=False), runs_up_to(tmp_path, "last")).new
