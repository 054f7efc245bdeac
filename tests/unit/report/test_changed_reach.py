# SPDX-License-Identifier: GPL-2.0-or-later
"""What maps tell of a series, as the summary has it."""

from dataclasses import replace

from orchestrator.model.reach import ChangedReach, RankedWorkload, SourceFunction, Unseen, UnseenFunction
from orchestrator.report.changed_reach import names, reach_json, reach_lines
from orchestrator.report.summary import summary_text
from tests.unit.samples import run_report

REACH = ChangedReach(
    maps=("6.19.6 arm64", "6.19.6 x86_64"),
    same_source=True,
    changed=5,
    ranked=(
        RankedWorkload(workload="swapin", mapped=True, reached=2, first=2, reason="2 of 5 changed functions"),
        RankedWorkload(workload="own", mapped=False, reason="not in the map"),
        RankedWorkload(workload="idle", mapped=True, reason="0 of 5 changed functions"),
    ),
    unreached=(SourceFunction("mm/zswap.c", "zswap_load"), SourceFunction("mm/zswap.c", "zswap_store")),
    elsewhere=((SourceFunction("mm/shmem.c", "shmem_undo"), ("shmem",)),),
    unseen=(
        UnseenFunction(function=SourceFunction("mm/a.c", "fresh"), why=Unseen.NOT_IN_MAP, caller="swap_read"),
        UnseenFunction(function=SourceFunction("fs/x.c", "read"), why=Unseen.OUTSIDE),
    ),
)

WHOLE = replace(REACH, ranked=(REACH.ranked[0], REACH.ranked[2]))


def test_the_lines_say_what_is_reached_what_is_not_and_what_is_not_known() -> None:
    assert list(reach_lines(REACH)) == [
        "Reach map: 6.19.6 arm64, 6.19.6 x86_64",
        "  swapin: 2 of 5 changed functions",
        "  own: not in the map",
        "Changed functions that nothing reaches (2 of 3 workloads are in the map): mm/zswap.c: zswap_load, zswap_store",
        "  not by the workloads of this run: mm/shmem.c: shmem_undo, which shmem would reach",
        "  likely reached, as what calls them is: mm/a.c: fresh",
        "  not known (outside the folders of the map): fs/x.c: read",
    ]


def test_where_all_is_reached_that_is_said() -> None:
    assert "Changed functions that nothing reaches: none" in reach_lines(replace(WHOLE, unreached=()))


def test_what_ran_in_the_run_is_not_said_to_be_reached_by_nothing() -> None:
    lines = list(reach_lines(WHOLE, ran={"zswap_load", "shmem_undo", "fresh", "read"}))

    assert lines[2:] == ["Changed functions that nothing reaches: mm/zswap.c: zswap_store"]


def test_without_a_map_the_command_that_makes_one_is_named() -> None:
    (line,) = reach_lines(ChangedReach(hint="patchrig reach swapoff --kernel 6.19"))

    assert line.endswith("there is no reach map. patchrig reach swapoff --kernel 6.19 makes one.")


def test_a_map_of_another_kernel_is_told_as_such() -> None:
    lines = list(reach_lines(replace(REACH, same_source=False, hint="patchrig reach swapoff")))

    assert lines[0].endswith(", another kernel's")
    assert lines[-1] == "patchrig reach swapoff makes a map of this kernel."


def test_workloads_that_did_little_when_they_were_recorded_are_named() -> None:
    lines = list(reach_lines(replace(REACH, thin=("swapin", "own"), hint="patchrig reach swapoff --again")))

    assert lines[-2:] == [
        "They may reach more: swapin, own did not pass when what they run was recorded.",
        "patchrig reach swapoff --again adds to the map.",
    ]


def test_of_many_functions_the_first_are_named() -> None:
    many = [SourceFunction("mm/a.c", f"f{number}") for number in range(50)]

    assert names(many).endswith("f39; and 10 more, in run.json")


def test_the_summary_has_the_lines_where_there_was_a_series() -> None:
    report = run_report()

    assert "nothing reaches" not in summary_text(report)
    text = summary_text(replace(report, reach=WHOLE))
    assert "Changed functions that nothing reaches: mm/zswap.c: zswap_load, zswap_store\n" in text
    assert max(map(len, text.splitlines())) <= 78


def test_scripts_get_the_same() -> None:
    found = reach_json(REACH)

    assert found
    assert found["unreached"] == [
        {"file": "mm/zswap.c", "name": "zswap_load"},
        {"file": "mm/zswap.c", "name": "zswap_store"},
    ]
    assert found["workloads"] == {"swapin": 2, "idle": 0}
    assert reach_json(None) is None
