# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig explain` prints."""

from dataclasses import replace

from orchestrator.cli.explain_text import explained_json, explained_lines
from orchestrator.judge.race_table import places
from orchestrator.model.explained import Act, Explained, Span
from orchestrator.model.race_points import Role
from orchestrator.model.stacks import SourceLine
from orchestrator.run.debugging import Debugged
from orchestrator.run.explaining import Seen

REF = 0xFFFF888000DCD000
LINES = {
    0x10: SourceLine(function="do_swap_page", file="mm/memory.c", line=4707),
    0x20: SourceLine(function="do_swap_page", file="mm/memory.c", line=5077),
    0x30: SourceLine(function="__do_sys_swapoff", file="mm/swapfile.c", line=2902),
}
FAULT, SWAPOFF = 0xFFFF888000C15A00, 0xFFFF888000EEF1E0


def act(address: int, role: Role, function: str, task: int, seconds: float | None) -> Act:
    arguments = (("ref", REF), ("nr", 1))
    return Act(
        address=address, role=role, function=function, host="", cpu=2, task=task, seconds=seconds, arguments=arguments
    )


ACTS = (
    act(0x10, Role.TAKES, "percpu_ref_tryget_live", FAULT, None),
    act(0x20, Role.PUTS, "percpu_ref_put", FAULT, 4.001),
    act(0x20, Role.PUTS, "percpu_ref_put", FAULT, 4.0015),
    act(0x30, Role.KILLS, "percpu_ref_kill", SWAPOFF, 4.03),
)
TOLD = Explained(
    splat="WARNING: percpu ref (swap_users_ref_free) <= 0",
    seconds=4.0545,
    stop="*0xffffffff814e88cf",
    types=("percpu_ref", "percpu_ref_data"),
    objects=(Span(start=REF, size=8, name="ref"),),
    acts=ACTS,
    places=places(ACTS, LINES),
    lines=LINES,
    tasks={FAULT: "swapin", SWAPOFF: "swapoff"},
)
SEEN = Seen(console=Debugged(places=(), passes=0, output="", stopped=True, lines=224), explained=TOLD)


def test_lines_of_code_then_who_did_it_last() -> None:
    assert [line.rstrip() for line in explained_lines(SEEN, everything=False)] == [
        "splat         WARNING: percpu ref (swap_users_ref_free) <= 0 at 4.054500 s of guest time",
        "object        ref 0xffff888000dcd000",
        "in all        takes 1, puts 2",
        "",
        "   times  tasks  what     function                            where",
        "       2      1  puts     percpu_ref_put                      do_swap_page(), mm/memory.c:5077",
        "       1      1  kills    percpu_ref_kill                     __do_sys_swapoff(), mm/swapfile.c:2902",
        "       1      1  takes    percpu_ref_tryget_live              do_swap_page(), mm/memory.c:4707",
        "",
        "each task's last act at each line of code (3 rows; --all prints all 4 acts):",
        "before (s)  CPU  task                    what      function                            where",
        "         -    2  swapin:30568            takes     percpu_ref_tryget_live(ref)        "
        " do_swap_page(), mm/memory.c:4707",
        "    -0.053    2  swapin:30568            puts      percpu_ref_put(ref)                "
        " do_swap_page(), mm/memory.c:5077 (x2)",
        "    -0.024    2  swapoff:3bbc7           kills     percpu_ref_kill(ref)               "
        " __do_sys_swapoff(), mm/swapfile.c:2902",
        "",
        "console       identical up to the splat, 224 lines",
    ]


def test_all_acts_in_their_order() -> None:
    lines = list(explained_lines(SEEN, everything=True))

    assert sum(line.endswith("mm/memory.c:5077") for line in lines) == 3
    assert not [line for line in lines if "--all" in line]


def test_what_is_not_known_is_said() -> None:
    other = replace(SEEN.console, line=7, said_before="a", says_now="b\x1b")
    seen = Seen(console=other, explained=replace(TOLD, objects=(), seconds=None, left_out=3, tasks={}, lines={}))

    text = "\n".join(explained_lines(seen, everything=False))

    assert "object        not known: any struct percpu_ref or percpu_ref_data" in text
    assert "percpu_ref_put(ref=0xffff888000dcd000, nr=0x1)" in text
    assert "0xffff888000c15a00" in text
    assert "not seen      3 more places" in text
    assert "console       different from line 7 on: this is another execution" in text
    assert "now           b\\x1b" in text


def test_a_script_gets_all_of_it() -> None:
    said = explained_json(SEEN)

    assert said["identical"] is True
    assert said["objects"] == [{"name": "ref", "address": "0xffff888000dcd000", "size": 8}]
    assert isinstance(said["acts"], list)
    assert said["acts"][3] == {
        "seconds": 4.03,
        "cpu": 2,
        "task": "0xffff888000eef1e0",
        "task_name": "swapoff",
        "what": "kills",
        "function": "percpu_ref_kill",
        "host": "",
        "arguments": {"ref": "0xffff888000dcd000", "nr": "0x1"},
        "line": {"function": "__do_sys_swapoff", "file": "mm/swapfile.c", "line": 2902},
        "times": 1,
    }
