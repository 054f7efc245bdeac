# SPDX-License-Identifier: GPL-2.0-or-later
"""A week of `run --since last` whose truth is known: what is loud each night, and what the history calls it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from junitparser import JUnitXml

from orchestrator.cli.reported_runs import exit_code
from orchestrator.model.cells import Cell
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport
from orchestrator.report.github import annotations
from orchestrator.report.store import open_run_at
from orchestrator.run.run_history import read_history, runs_up_to, what_is_new
from tests.unit.report.history.test_past_runs import MATRIX
from tests.unit.samples import cell, cell_report, crash, guest_run

REPEATS = 3


@dataclass(frozen=True)
class Truth:
    """A cell of the matrix. Seven nights of three repeats each: . good, X bad, - lost, o not exercised."""

    nights: str
    state: str  # at the end of the week
    loud: tuple[int, ...] = ()  # the nights on which it has to fail the run
    old: tuple[int, ...] = ()  # the nights on which its failure must only be told


#                       1   2   3   4   5   6   7
WEEK: Mapping[str, Truth] = {
    "always-good": Truth("... ... ... ... ... ... ...", "good"),
    "new-crash": Truth("... ... ... ... ... ... XXX", "new", loud=(7,)),
    "regressed": Truth("... ... ... XXX XXX XXX XXX", "still bad", loud=(4,), old=(5, 6, 7)),
    "was-repaired": Truth("XXX XXX XXX ... ... ... ...", "fixed", loud=(1,), old=(2, 3)),
    # Repaired on the fourth night, and broken again on the seventh: nine bad of nine, then nine good.
    "is-back": Truth("XXX XXX XXX ... ... ... XXX", "new", loud=(1, 7), old=(2, 3)),
    "is-flaky": Truth("... .X. ... ... ... X.. ...", "flaky (2 of 21)", loud=(2,), old=(6,)),
    "proves-little": Truth("ooo ooo ooo ooo ooo ooo ooo", "never exercised", loud=(1,), old=(2, 3, 4, 5, 6, 7)),
    "lost-once": Truth("... ... --- ... ... ... ...", "good"),
    "always-lost": Truth("--- --- --- --- --- --- ---", "not observed"),
    # The night on which the host lost it tells nothing: on the sixth it is as old as on the fourth.
    "bad-and-lost": Truth("... ... ... XXX --- XXX XXX", "still bad", loud=(4,), old=(6, 7)),
}
NIGHTS = range(1, 8)


def report(of: Cell, char: str, name: str) -> CellReport:
    if char == "X":
        # A title of its own: on one build a splat is one failure, whatever the workload.
        title = f"WARNING in {name.replace('-', '_')}"
        return cell_report(Outcome.CRASHED, title, of=of, run=guest_run(), crashes=(crash(title=title),))
    if char == "o":
        return cell_report(Outcome.NOT_EXERCISED, "swapoffs grew by 1, at least 5 expected", of=of, run=guest_run())
    if char == "-":
        return replace(cell_report(Outcome.LOST, "QEMU was killed", of=of), kernel={})
    return cell_report(of=of, run=guest_run())


def cells_of(night: int, names: Mapping[str, Truth]) -> list[CellReport]:
    return [
        report(replace(cell(workload=name, repeat=n, repeats=REPEATS), seed=10 * night + n), char, name)
        for name, truth in names.items()
        for n, char in enumerate(truth.nights.split()[night - 1], start=1)
    ]


@dataclass(frozen=True)
class Night:
    code: int
    failed: set[str]  # workloads, by JUnit
    skipped: set[str]
    errors: set[str]
    annotations: list[str]


def workload_of(name: str) -> str:
    return next(known for known in WEEK if known in name)


def play(root: Path, night: int, names: Mapping[str, Truth]) -> Night:
    name = f"2026-11-{night:02}T020000Z-ab12"
    before = runs_up_to(root, "last")
    argv = ("patchrig", "run", "m.yaml", "--since", "last")
    with open_run_at(root / name, name, argv=argv, matrix_path="m.yaml", matrix=MATRIX, versions={}) as store:
        cells = cells_of(night, names)
        store.plan([one.cell for one in cells], {}, series_title="swap: hold the device")
        store.add_cells(cells)
        store.set_news(what_is_new(store.report(), before))
    saved = store.save()
    kinds: dict[str, set[str]] = {"Failure": set(), "Skipped": set(), "Error": set()}
    for suite in JUnitXml.fromfile(str(root / name / "junit.xml")):
        for case in suite:
            for result in case.result:
                kinds[type(result).__name__].add(workload_of(f"{case.classname}.{case.name}"))
    return Night(exit_code(saved), kinds["Failure"], kinds["Skipped"], kinds["Error"], list(annotations(saved)))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def week(root: Path) -> dict[int, Night]:
    return {night: play(root, night, WEEK) for night in NIGHTS}


def lost_on(night: int) -> set[str]:
    return {name for name, truth in WEEK.items() if "-" in truth.nights.split()[night - 1]}


@pytest.mark.parametrize("night", NIGHTS)
def test_what_fails_and_what_is_only_told_of_a_night_is_the_truth(week: Mapping[int, Night], night: int) -> None:
    seen = week[night]

    assert seen.failed == {name for name, truth in WEEK.items() if night in truth.loud}
    assert seen.skipped == {name for name, truth in WEEK.items() if night in truth.old}
    assert seen.errors == lost_on(night)
    loud = {workload_of(line) for line in seen.annotations if line.startswith("::error")}
    assert loud == seen.failed
    assert {workload_of(line) for line in seen.annotations if line.startswith("::notice")} == seen.skipped


def test_a_night_fails_by_its_new_failures_and_a_lost_machine_alone_is_no_verdict(week: Mapping[int, Night]) -> None:
    # `always-lost` is in each of these nights.
    assert [week[night].code for night in NIGHTS] == [1, 1, 3, 1, 3, 3, 1]


@pytest.mark.usefixtures("week")
def test_the_history_calls_each_cell_what_it_is(root: Path) -> None:
    found = {one.identity.workload: one.text for one in read_history(root).cells}

    assert found == {name: truth.state for name, truth in WEEK.items()}


def test_a_quiet_week_is_seven_times_exit_code_0(tmp_path: Path) -> None:
    quiet = {name: WEEK[name] for name in ("always-good",)}

    assert [play(tmp_path, night, quiet).code for night in NIGHTS] == [0] * 7


def test_only_what_a_week_has_of_old_failures_is_exit_code_0(tmp_path: Path) -> None:
    names = {name: WEEK[name] for name in ("always-good", "regressed", "is-flaky")}

    assert [play(tmp_path, night, names).code for night in NIGHTS] == [0, 1, 0, 1, 0, 0, 0]
