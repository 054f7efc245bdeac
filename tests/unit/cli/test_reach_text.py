# SPDX-License-Identifier: GPL-2.0-or-later
"""Maps as `patchrig reach` prints them."""

from dataclasses import replace

import pytest

from orchestrator.cli.reach_runs import folders_of
from orchestrator.cli.reach_text import map_json, map_lines, maps_with, of_json, of_lines
from orchestrator.host.errors import UserError
from orchestrator.run.recording import NotRecorded
from tests.unit.reach_samples import sample_map, workload_reach

MAP = sample_map(workload_reach("shmem", 0x10), workload_reach("swapin", 0x10, 0x20, 0x40))


def test_the_table_has_a_row_for_each_workload_and_what_only_it_runs() -> None:
    assert list(map_lines(MAP)) == [
        "6.19.6 x86_64, mm/",
        "  workload             functions     lines  only by it  seconds  outcome",
        "  shmem                        1         1           0       10  passed",
        "  swapin                       2         3           1       10  passed",
        "  together 2 of 2 functions and 3 of 5 lines that can be recorded",
        "  not recorded: 1 that run at boot only, 0 without a block of their own, 1 that are not instrumented",
    ]


def test_scripts_get_the_table_and_what_is_missing() -> None:
    found = map_json(MAP, [NotRecorded(cell="a.b", why="crashed: KASAN")])

    passed = {"outcome": "passed", "suite": None, "guest_seconds": 10.5}
    assert found["workloads"] == [
        {"workload": "shmem", "functions": 1, "lines": 1, "only": 0, "seconds": 10, **passed},
        {"workload": "swapin", "functions": 2, "lines": 3, "only": 1, "seconds": 10, **passed},
    ]
    assert (found["functions_run"], found["missing"]) == (2, [{"cell": "a.b", "why": "crashed: KASAN"}])


def test_a_function_is_shown_with_the_workloads_that_run_most_of_it_first() -> None:
    line = "  mm/memory.c: do_swap_page(): swapin 2, shmem 1 of 3 blocks"

    assert list(of_lines("do_swap_page", MAP)) == ["6.19.6 x86_64", line]
    assert list(of_lines("do_swap_page()", MAP))[1:] == [line]


def test_a_suite_is_shown_as_the_command_line_calls_it() -> None:
    map_ = sample_map(workload_reach("kselftest-mm", 0x10, suite="kselftest:mm"))

    assert list(map_lines(map_))[2].split()[0] == "kselftest:mm"
    assert list(of_lines("do_swap_page", map_))[1] == "  mm/memory.c: do_swap_page(): kselftest:mm 1 of 3 blocks"


def test_a_file_is_shown_function_by_function() -> None:
    lines = [
        "  mm/swapfile.c: sys_swapoff(): swapin 1 of 3 blocks",
        "  mm/swapfile.c: swap_init(): runs at boot only",
    ]

    for asked in ("mm/swapfile.c", "swapfile.c"):
        assert list(of_lines(asked, MAP))[1:] == lines
    functions = of_json("mm/swapfile.c", MAP)["functions"]
    assert isinstance(functions, list)
    assert functions[0]["workloads"] == {"swapin": {"blocks": 1, "lines": [2700]}}


def test_a_name_that_the_map_lacks_is_no_silence() -> None:
    with pytest.raises(UserError, match="has no 'do_swap_pages', did you mean 'do_swap_page'"):
        list(of_lines("do_swap_pages", MAP))
    with pytest.raises(UserError, match=r"has no 'file\.c'"):
        list(of_lines("file.c", MAP))


@pytest.mark.parametrize(
    ("asked", "command"),
    [
        ("do_swap_pages", "patchrig reach --of do_swap_page"),
        ("fs/fuse/dev.c", "--in fs/fuse/  # records it"),
        ("zzz", "# each function of a file"),
    ],
)
def test_a_name_that_no_map_has_comes_with_the_next_command(asked: str, command: str) -> None:
    with pytest.raises(UserError) as raised:
        maps_with(asked, (MAP, MAP))

    assert command in raised.value.hint


def test_a_map_of_a_kernel_that_lacks_a_function_does_not_hide_another_that_has_it() -> None:
    other = replace(MAP, functions={one: MAP.functions[one] for one in MAP.functions if one.name != "do_swap_page"})

    assert maps_with("do_swap_page", (other, MAP)) == (MAP,)


def test_folders_are_those_of_a_kernel_tree() -> None:
    assert folders_of("") == ("mm/",)
    assert folders_of("mm, fs/proc/,mm") == ("mm/", "fs/proc/")
    for wrong in ("/etc", "../x", "mm/%", "a b", "$(shell x)"):
        with pytest.raises(UserError, match="no folder of a kernel tree"):
            folders_of(wrong)
