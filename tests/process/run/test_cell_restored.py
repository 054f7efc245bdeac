# SPDX-License-Identifier: GPL-2.0-or-later
"""Cells that share a guest: booted once, restored for the others, and booted where that does not work."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.model.events import Event, Notice
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport
from orchestrator.run.snapshots import Snapshots
from tests.process import fake_host
from tests.process.fake_host import BOOT, Host, passing

host = fake_host.host

PANIC = "[    9.913000][    C1] Kernel panic - not syncing: Fatal exception in interrupt"
SECOND_BOOT = "[    0.000000][    T0] Linux version 6.19.6 (booted again)"


@pytest.fixture
def states(host: Host) -> Iterator[Snapshots]:
    """Of three cells."""
    with host.states(3) as made:
        yield made


def run_cells(host: Host, states: Snapshots, count: int = 3) -> tuple[list[CellReport], list[Event]]:
    reports, events = [], []
    for number in range(count):
        report, heard = host.run_cell(states=states, folder=f"cell{number}")
        reports.append(report)
        events += heard
    return reports, events


def restored(reports: list[CellReport]) -> list[bool]:
    return [report.run.restored for report in reports if report.run]


def notices(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


def outcomes(reports: list[CellReport]) -> set[Outcome]:
    return {report.verdict.outcome for report in reports}


def break_state(states: Snapshots, name: str) -> None:
    (file,) = states.folder.glob(f"*/{name}")
    file.write_text("nothing that was ever saved\n")


def test_one_guest_is_booted_and_the_others_are_restored(host: Host, states: Snapshots) -> None:
    host.scenario(passing())

    reports, events = run_cells(host, states)

    assert outcomes(reports) == {Outcome.PASSED}, reports
    assert restored(reports) == [False, True, True]
    assert notices(events) == []
    assert all(report.run and report.run.boot_seconds and report.run.speed == 200.0 for report in reports)
    host.await_no_guest()


def test_a_restored_guests_console_begins_with_the_boot_of_the_saved_one(host: Host, states: Snapshots) -> None:
    host.scenario(passing(), restores=[["console", "[    2.000000][    T1] said after it was restored"]])

    run_cells(host, states, 2)

    said = (host.folder / "cell1" / "console.log").read_text()
    assert said.index("Linux version") < said.index("patchrig: ready") < said.index("after it was restored")
    assert "after it was restored" not in (host.folder / "cell0" / "console.log").read_text()


def test_what_the_kernel_complained_of_before_it_was_saved_is_in_every_cells_verdict(
    host: Host, states: Snapshots
) -> None:
    warning = "[    0.500000][    T1] WARNING: CPU: 0 PID: 1 at mm/swapfile.c:100 swap_init+0x41/0x90"
    host.scenario(passing(), boot=[BOOT[0], ["console", warning], BOOT[1]])

    reports, _ = run_cells(host, states)

    assert outcomes(reports) == {Outcome.CRASHED}
    assert restored(reports) == [False, True, True]


def test_each_restored_guest_gets_entropy_of_its_own(host: Host, states: Snapshots) -> None:
    host.scenario(passing())

    run_cells(host, states)

    commands = [file.read_text() for file in host.state.glob("renewed.*")]
    entropy = {found[1] for said in commands if (found := re.search(r"reseed [\d.]+ ([0-9a-f]{64})\b", said))}
    assert len(commands) == len(entropy) == 2


def test_cells_side_by_side_boot_one_guest_between_them(host: Host, states: Snapshots) -> None:
    host.scenario(passing())

    with ThreadPoolExecutor(max_workers=3) as pool:
        running = [pool.submit(host.run_cell, states=states, folder=f"cell{number}") for number in range(3)]
        reports = [future.result()[0] for future in running]

    assert sorted(restored(reports)) == [False, True, True]


def test_a_cell_alone_is_not_saved_for_nobody(host: Host) -> None:
    host.scenario(passing())

    with host.states(1) as states:
        reports, _ = run_cells(host, states, 1)

        assert restored(reports) == [False]
        assert list(states.folder.iterdir()) == []


def test_the_state_goes_with_the_last_cell_that_wants_it(host: Host, states: Snapshots) -> None:
    host.scenario(passing())

    run_cells(host, states)

    assert list(states.folder.iterdir()) == []


@pytest.mark.parametrize("file", ["devices", "memory"])
def test_a_state_that_can_not_be_used_is_thrown_away_and_made_again(host: Host, states: Snapshots, file: str) -> None:
    host.scenario(passing())

    first, _ = run_cells(host, states, 1)
    break_state(states, file)
    second, events = host.run_cell(states=states, folder="second")

    assert outcomes([*first, second]) == {Outcome.PASSED}
    assert restored([second]) == [False]
    (notice,) = notices(events)
    assert "can't be used and is thrown away" in notice


def test_qemus_own_words_say_why_a_state_can_not_be_used(host: Host, states: Snapshots) -> None:
    host.scenario(passing())

    run_cells(host, states, 1)
    break_state(states, "devices")
    _, events = host.run_cell(states=states, folder="second")

    assert "load of migration failed" in notices(events)[0]


def test_a_restored_guest_that_dies_before_it_answers_is_booted(host: Host, states: Snapshots) -> None:
    host.scenario(passing(), restores=[["die", 1]])

    reports, events = run_cells(host, states)

    assert outcomes(reports) == {Outcome.PASSED}
    assert restored(reports) == [False, False, False]
    assert len(notices(events)) == 2, "the state is made twice, and then no more"


def test_a_restored_guest_whose_kernel_complains_before_it_answers_is_no_trouble_with_the_state(
    host: Host, states: Snapshots
) -> None:
    host.scenario(passing(), restores=[["console", PANIC], ["die", 0]])

    reports, events = run_cells(host, states)

    assert [report.verdict.outcome for report in reports] == [Outcome.PASSED, Outcome.CRASHED, Outcome.CRASHED]
    assert reports[1].verdict.title.startswith("kernel panic")
    assert notices(events) == []


def test_a_speed_that_is_much_lower_than_before_is_measured_again(host: Host, states: Snapshots) -> None:
    host.scenario(passing(), answers={"/patchrig/reseed": "cpus=2 memory_kib=248320 speed=20.0", "speed": "180.0"})

    reports, _ = run_cells(host, states, 2)

    assert [report.run.speed for report in reports if report.run] == [200.0, 180.0]


def test_a_guest_whose_random_numbers_can_not_be_renewed_is_booted(host: Host, states: Snapshots) -> None:
    host.scenario(passing(), answers={"/patchrig/reseed": "sh: /patchrig/reseed: not found"})

    reports, events = run_cells(host, states, 2)

    assert outcomes(reports) == {Outcome.PASSED}
    assert restored(reports) == [False, False]
    assert notices(events)


def test_the_console_of_a_guest_that_was_booted_after_all_has_that_boot_only(host: Host, states: Snapshots) -> None:
    host.scenario(passing(), boots=[BOOT, [["console", SECOND_BOOT], ["ready"]]], restores=[["die", 1]])

    run_cells(host, states, 2)

    said = (host.folder / "cell1" / "console.log").read_text()
    assert said.count("Linux version") == 1
    assert SECOND_BOOT in said


def test_a_guest_that_can_not_be_saved_is_booted_again_and_so_are_the_others(host: Host, states: Snapshots) -> None:
    host.scenario(passing(), saving="failed")

    reports, events = run_cells(host, states)

    assert outcomes(reports) == {Outcome.PASSED}
    assert restored(reports) == [False, False, False]
    assert len(notices(events)) == 1
    assert len(host.guests()) == 4


def test_of_a_guest_that_does_not_go_on_nothing_is_kept(host: Host, states: Snapshots) -> None:
    host.scenario(passing(), saving="stuck")

    reports, _ = run_cells(host, states)

    assert outcomes(reports) == {Outcome.PASSED}
    assert restored(reports) == [False, False, False]
    assert list(states.folder.iterdir()) == []


def test_where_no_guest_comes_up_each_cell_says_so_itself(host: Host, states: Snapshots) -> None:
    host.scenario([], boot=[BOOT[0], ["die", 0]])

    reports, events = run_cells(host, states)

    assert outcomes(reports) == {Outcome.BOOT_FAILED}
    assert restored(reports) == [False, False, False]
    assert notices(events) == []


def test_without_restoring_every_guest_is_booted(host: Host) -> None:
    host.scenario(passing())

    reports = [host.run_cell(folder=f"cell{number}")[0] for number in range(2)]

    assert restored(reports) == [False, False]


def test_a_run_says_of_each_cell_whether_it_was_restored(host: Host) -> None:
    host.scenario(passing())
    host.earlier_run("x86_64")

    done = host.repro("--repeat", "3", "--jobs", "1")

    assert done.returncode == 0, done.stderr
    assert [cell["run"]["restored"] for cell in host.cells()] == [False, True, True]
    assert list(Path(host.environment["TMPDIR"]).glob("patchrig-*")) == []


def test_no_restore_boots_every_guest_of_a_run(host: Host) -> None:
    host.scenario(passing())
    host.earlier_run("x86_64")

    done = host.repro("--repeat", "2", "--jobs", "1", "--no-restore")

    assert done.returncode == 0, done.stderr
    assert [cell["run"]["restored"] for cell in host.cells()] == [False, False]
