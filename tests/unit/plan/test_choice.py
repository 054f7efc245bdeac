# SPDX-License-Identifier: GPL-2.0-or-later
"""Which workloads a series gets that names none, and in which order."""

from pathlib import PurePosixPath

import pytest

from orchestrator.model.configuration import DeviceKind, SwapDevice, Workload
from orchestrator.model.reach import ChangedReach, RankedWorkload, SourceFunction, Unseen, UnseenFunction
from orchestrator.plan.choice import Choice, by_reach, choose


def workload(name: str, *files: str, site: str = "", flavour: str = "") -> Workload:
    return Workload(
        name=name,
        summary=name,
        program=PurePosixPath("x.c"),
        devices=(SwapDevice(kind=DeviceKind.ZRAM, size_mib=64),),
        exercised={"calls": 1},
        files=files,
        flavour=flavour,
        sites={site: (site,)} if site else {},
    )


SWAPIN = workload("swapin", "mm/memory.c", "mm/swap_state.c", site="do_swap_page")
SHMEM = workload("shmem", "mm/shmem.c", "mm/swap_state.c")
MINCORE = workload("mincore", "mm/mincore.c", site="mincore_pte_range")
SOCKETS = workload("sockets", "net/socket.c")
ALL = (SWAPIN, SHMEM, MINCORE, SOCKETS)


def names(choice: Choice) -> list[str]:
    return [one.name for one in choice.chosen]


def test_the_workload_with_most_changed_files_goes_first() -> None:
    choice = choose(ALL, ["mm/shmem.c", "mm/swap_state.c"])

    assert names(choice) == ["shmem", "swapin", "mincore", "sockets"]
    assert choice.chosen[0].reason == "mm/shmem.c, mm/swap_state.c"
    assert choice.chosen[2].reason == "the series changes mm/"


def test_all_workloads_have_an_order_and_those_meant_for_a_changed_file_are_first() -> None:
    assert choose(ALL, ["mm/mincore.c"]).order == ("mincore", "swapin", "shmem", "sockets")
    assert choose(ALL, ["net/socket.c"]).order == ("sockets", "swapin", "shmem", "mincore")


def test_of_workloads_with_as_many_changed_files_the_one_with_a_changed_site_goes_first() -> None:
    choice = choose(ALL, ["mm/swap_state.c", "mm/shmem.c", "mm/memory.c"], ["do_swap_page"])

    assert names(choice)[:2] == ["swapin", "shmem"]
    assert "do_swap_page()" in choice.chosen[0].reason
    assert names(choose(ALL, ["mm/swap_state.c", "mm/shmem.c", "mm/memory.c"]))[0] == "swapin"


def test_a_file_of_mm_that_none_is_meant_for_is_named_and_all_run() -> None:
    choice = choose(ALL, ["mm/vmscan.c", "mm/mincore.c", "include/linux/swap.h"])

    assert names(choice) == ["mincore", "swapin", "shmem", "sockets"]
    assert choice.unreached == ("mm/vmscan.c",)


def test_headers_of_swap_alone_run_all_and_are_named() -> None:
    choice = choose(ALL, ["include/linux/swap.h", "Documentation/mm/swap.rst"])

    assert names(choice) == ["swapin", "shmem", "mincore", "sockets"]
    assert {one.reason for one in choice.chosen} == {"the series changes include/linux/swap.h"}
    assert choice.unreached == ("include/linux/swap.h",)


def test_what_is_outside_of_memory_management_runs_only_what_is_meant_for_it() -> None:
    choice = choose(ALL, ["net/socket.c", "net/core/dev.c"])

    assert names(choice) == ["sockets"]
    assert choice.unreached == ("net/core/dev.c",)


def test_a_workload_is_meant_for_the_drivers_of_its_swap_devices() -> None:
    disk = workload("disk").model_copy(update={"devices": (SwapDevice(kind=DeviceKind.NULL_BLK, size_mib=64),)})

    choice = choose((disk, SWAPIN), ["drivers/block/zram/zram_drv.c"])

    assert choice.chosen[0].name == "swapin"
    assert choice.chosen[0].reason == "drivers/block/zram/zram_drv.c"
    assert choice.unreached == ()


def test_where_none_is_meant_for_it_all_run_and_say_so() -> None:
    choice = choose(ALL, ["drivers/gpu/drm/x.c", "tools/mm/slabinfo.c"])

    assert names(choice) == ["swapin", "shmem", "mincore", "sockets"]
    assert {one.reason for one in choice.chosen} == {"none is meant for what the series changes"}
    # No kernel is made of the other one.
    assert choice.unreached == ("drivers/gpu/drm/x.c",)


def test_one_that_needs_a_kernel_of_its_own_runs_only_where_it_is_meant() -> None:
    every = (*ALL, workload("policies", "mm/mempolicy.c", flavour="numa"))

    assert names(choose(every, ["mm/mempolicy.c"])) == ["policies", "swapin", "shmem", "mincore", "sockets"]
    assert names(choose(every, ["mm/shmem.c"])) == ["shmem", "swapin", "mincore", "sockets"]
    assert names(choose(every, [])) == ["swapin", "shmem", "mincore", "sockets"]


def test_without_a_series_all_run_in_their_order() -> None:
    choice = choose(ALL, [])

    assert names(choice) == ["swapin", "shmem", "mincore", "sockets"]
    assert choice.unreached == ()


def ranked(name: str, reached: int = 0, likely: int = 0, *, mapped: bool = True) -> RankedWorkload:
    return RankedWorkload(workload=name, mapped=mapped, reached=reached, likely=likely, reason=f"{reached} of 9")


def test_what_was_measured_decides_over_what_is_written() -> None:
    by_files = choose(ALL, ["mm/shmem.c"])
    reach = ChangedReach(ranked=(ranked("mincore", 4), ranked("swapin", likely=1), ranked("shmem"), ranked("sockets")))

    choice = by_reach(by_files, reach)

    assert names(choice) == ["mincore", "swapin"]
    assert choice.chosen[0].reason == "runs 4 of 9"
    assert all(one.meant for one in choice.chosen)


def test_a_workload_of_which_too_little_is_known_stays() -> None:
    by_files = choose((SWAPIN, SHMEM), ["mm/memory.c", "mm/shmem.c"])
    reach = ChangedReach(ranked=(ranked("swapin", 2), ranked("shmem")), thin=("shmem",))

    assert names(by_reach(by_files, reach)) == ["swapin", "shmem"]

    reach = ChangedReach(ranked=(ranked("swapin", 2), ranked("shmem", mapped=False)))

    assert names(by_reach(by_files, reach)) == ["swapin", "shmem"]


def test_maps_that_know_nothing_of_a_series_change_nothing() -> None:
    by_files = choose(ALL, ["mm/shmem.c"])

    assert by_reach(by_files, ChangedReach(ranked=(ranked("swapin"), ranked("shmem")))) == by_files
    assert by_reach(by_files, ChangedReach()) == by_files


def test_where_the_maps_know_of_nothing_that_runs_a_changed_function_each_is_named_with_the_reason() -> None:
    one, two, three = (SourceFunction(f"{top}/shmem.c", name) for top, name in (("mm", "f"), ("mm", "g"), ("fs", "h")))
    reach = ChangedReach(
        maps=("7.1.8 x86_64",),
        ranked=(ranked("swapin"), ranked("shmem")),
        unreached=(one,),
        elsewhere=((two, ("kselftest:mm",)),),
        unseen=(UnseenFunction(function=three, why=Unseen.OUTSIDE),),
    )

    choice = by_reach(choose(ALL, ["mm/shmem.c"]), reach, [one, two, three])

    assert names(choice)[0] == "shmem"
    assert choice.unrun == (
        "f() ran in no workload",
        "g() ran only in kselftest:mm",
        "h(): outside the folders of the map",
        "patchrig reach --in fs/,mm/ records further folders",
    )


def test_a_changed_function_that_nothing_runs_is_named_beside_those_that_are_run() -> None:
    one, two, three, four = (SourceFunction("mm/shmem.c", name) for name in ("f", "g", "h", "i"))
    main = SourceFunction("tools/testing/selftests/mm/ksm.c", "main")
    reach = ChangedReach(
        maps=("7.1.8 x86_64",),
        ranked=(ranked("swapin", 2), ranked("shmem")),
        unreached=(two,),
        elsewhere=((four, ("swapin",)),),
        unseen=(
            UnseenFunction(function=three, why=Unseen.NOT_IN_MAP, caller="f"),
            UnseenFunction(function=main, why=Unseen.OUTSIDE),
        ),
    )

    choice = by_reach(choose(ALL, ["mm/shmem.c"]), reach, [one, two, three, four, main])

    assert choice.unrun == ("g() ran in no workload",)


def test_what_was_measured_also_tells_which_changed_files_nothing_reaches() -> None:
    one, two, three, four, five = (
        SourceFunction(f"mm/{file}.c", "f") for file in ("memory", "shmem", "vmscan", "slub", "zswap")
    )
    by_files = choose(ALL, ["mm/memory.c", "mm/shmem.c", "mm/vmscan.c", "mm/slub.c", "mm/zswap.c", "mm/page_io.c"])
    reach = ChangedReach(
        ranked=(ranked("swapin", 2), ranked("shmem"), ranked("mincore", mapped=False)),
        unreached=(two,),  # although shmem is meant for it
        elsewhere=((four, ("other",)),),
        unseen=(UnseenFunction(function=five, why=Unseen.NOT_IN_MAP, caller="g"),),  # and its caller is run
    )

    choice = by_reach(by_files, reach, [one, two, three, four, five])

    assert by_files.unreached == ("mm/page_io.c", "mm/slub.c", "mm/vmscan.c", "mm/zswap.c")
    assert choice.unreached == ("mm/page_io.c", "mm/shmem.c", "mm/slub.c")


def test_maps_do_not_say_that_a_workload_which_they_lack_misses_what_it_is_meant_for() -> None:
    run, missed = SourceFunction("mm/memory.c", "f"), SourceFunction("mm/shmem.c", "f")
    by_files = choose(ALL, ["mm/memory.c", "mm/shmem.c"])
    lacks = ChangedReach(ranked=(ranked("swapin", 1), ranked("shmem", mapped=False)), unreached=(missed,))
    thin = ChangedReach(ranked=(ranked("swapin", 1), ranked("shmem")), unreached=(missed,), thin=("shmem",))
    has = ChangedReach(ranked=(ranked("swapin", 1), ranked("shmem")), unreached=(missed,))

    assert by_reach(by_files, lacks, [run, missed]).unreached == ()
    assert by_reach(by_files, thin, [run, missed]).unreached == ()
    assert by_reach(by_files, has, [run, missed]).unreached == ("mm/shmem.c",)


def test_a_file_of_which_no_map_can_tell_is_reached_by_what_is_meant_for_it() -> None:
    header = SourceFunction("mm/memory.c", "f")
    reach = ChangedReach(ranked=(ranked("swapin", 2),), unseen=(UnseenFunction(function=header, why=Unseen.FOLDED),))

    assert by_reach(choose(ALL, ["mm/memory.c"]), reach, [header]).unreached == ()
    assert by_reach(choose(ALL, ["mm/vmscan.c"]), reach, [header]).unreached == ("mm/vmscan.c",)


def test_a_workload_that_uses_interface_files_is_first_where_the_series_has_some() -> None:
    knobs = workload("knobs").model_copy(update={"interfaces": True})
    every = (*ALL, knobs)
    files = ("memory.swap.tiers", "/sys/kernel/mm/swap/tiers")

    choice = choose(every, ["mm/shmem.c"], (), files)
    assert names(choice)[:2] == ["knobs", "shmem"]
    assert choice.chosen[0].reason == "interface memory.swap.tiers, /sys/kernel/mm/swap/tiers"
    assert choice.chosen[0].meant
    assert names(choose(every, ["net/socket.c"], (), files)) == ["knobs", "sockets"]
    assert names(choose(every, ["mm/shmem.c"])) == ["shmem", "swapin", "mincore", "sockets", "knobs"]
    assert names(choose(every, ["net/socket.c"])) == ["sockets"]


def test_no_map_takes_the_user_of_new_interface_files_away() -> None:
    knobs = workload("knobs").model_copy(update={"interfaces": True})
    ranked = (
        RankedWorkload(workload="shmem", reached=2, likely=0, reason="2 of 2", mapped=True),
        RankedWorkload(workload="knobs", reached=0, likely=0, reason="", mapped=True),
    )
    choice = by_reach(choose((SHMEM, knobs), ["mm/shmem.c"], (), ("memory.a",)), ChangedReach(ranked=ranked))

    assert names(choice) == ["knobs", "shmem"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["Documentation/mm/ksm.rst"], "changes nothing that a kernel is built from: only Documentation/mm/ksm.rst"),
        (["tools/testing/selftests/mm/ksm_tests.c"], "changes nothing that a kernel is built from"),
        (
            ["mm/Kconfig", "Documentation/mm/ksm.rst"],
            "no C, assembly or Rust code: the cells show only whether a kernel",
        ),
        (["arch/arm64/boot/dts/qcom/sm8550.dtsi", "MAINTAINERS"], "changes nothing that a kernel is built from"),
        ([], "the series as a whole changes nothing"),
        (["mm/ksm.c", "Documentation/mm/ksm.rst"], ""),
        (["include/linux/swap.h"], ""),
    ],
)
def test_a_series_without_kernel_code_is_said_to_show_nothing(files: list[str], said: str) -> None:
    choice = choose(ALL, files)

    assert said in choice.inert
    assert bool(choice.inert) == bool(said)
