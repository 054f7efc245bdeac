# SPDX-License-Identifier: GPL-2.0-or-later
"""Who waits for what: the tasks that the kernel shows on the console, and what it means where they wait (pure)."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.judge.frames import PROGRAM_COUNTER, find_frame, plain_name, stack_frame
from orchestrator.judge.infrastructure import REPORTING, SCHEDULING, TICKS, WAITS
from orchestrator.judge.lines import Line, kernel_lines
from orchestrator.model.guests import Standstill, StuckTask
from orchestrator.model.stacks import StackFrame

# swapoff waits there, uninterruptibly, for the last reference to the device (mm/swapfile.c, v6.19).
REFERENCE_WAIT = "wait_for_completion"
SWAPOFF = "sys_swapoff"
LEAK = f"a swapoff in {REFERENCE_WAIT} is a leaked reference (or a put too many)"
ENDLESS_UNUSE = "a swapoff that goes on in try_to_unuse still finds swapped pages: a swap slot that nobody frees"

# Frames that a task keeps to say where it waits.
SHOWN_FRAMES = 6
_MOST_FRAMES = 64

# sysrq-w, sysrq-t and the report of a hung task; sysrq-l on the CPU that runs the task.
_SLEEPER = re.compile(r"task:(?P<comm>\S.*?) +state:(?P<state>[A-Z]) .*\bpid:(?P<pid>\d{1,10})")
_OLD_SLEEPER = re.compile(
    r"(?P<comm>\S+) +(?P<state>[A-Z]) +(?:running task +)?\d+ +(?P<pid>\d{1,10}) +\d+ 0x[0-9a-f]+$"
)
_RUNNER = re.compile(r"CPU: \d+ (?:UID: \d+ )?PID: (?P<pid>\d{1,10}),? Comm: (?P<comm>.+?) (?:Not tainted|Tainted:)")
_BACKTRACE = re.compile(r"NMI backtrace for cpu \d+$|sysrq: CPU\d+:$")
_END = re.compile(r"NMI backtrace for|Sending NMI|sysrq: |Showing all locks|INFO: task |Sched Debug|-+\[ |={20}")

# A livelock's guest keeps a CPU busy for half of the time at least; one that waits for itself, for hardly any.
BUSY_SHARE = 0.5
IDLE_SHARE = 0.1
# A guest that got so little, and had to wait for so much more, was not given a chance.
STARVED_SHARE = 0.1
STARVED_WAIT = 0.5
# In a shorter time nothing can be told.
LEAST_SECONDS = 5.0


@dataclass(slots=True)
class _Shown:
    task: str
    pid: int
    running: bool
    frames: list[StackFrame] = field(default_factory=list)


def shown_tasks(lines: Iterable[str]) -> dict[int, StuckTask]:
    """The tasks whose stacks a console has, by pid; of one that is shown several times the last.

    Sleeping ones in state D only. A stack here has the waiting functions too, which /proc/PID/stack leaves out.
    """
    open_tasks: dict[str, _Shown] = {}
    backtrace: set[str] = set()
    found: dict[int, _Shown] = {}
    for line in kernel_lines(lines):
        if _BACKTRACE.match(line.text):
            backtrace.add(line.caller)
            open_tasks.pop(line.caller, None)
        elif task := _opened(line, line.caller in backtrace):
            open_tasks[line.caller] = task
            backtrace.discard(line.caller)
            found[task.pid] = task
        elif _END.match(line.text) or _SLEEPER.match(line.text) or _OLD_SLEEPER.match(line.text):
            open_tasks.pop(line.caller, None)
        elif line.caller in open_tasks:
            _add(open_tasks[line.caller], line.text)
    return {
        pid: StuckTask(task=task.task, pid=pid, running=task.running, stack=tuple(task.frames))
        for pid, task in found.items()
        if task.frames
    }


def _opened(line: Line, after_backtrace: bool) -> _Shown | None:
    if sleeper := _SLEEPER.match(line.text) or _OLD_SLEEPER.match(line.text):
        return _Shown(sleeper["comm"], int(sleeper["pid"]), running=False) if sleeper["state"] == "D" else None
    if after_backtrace and (runner := _RUNNER.match(line.text)) and runner["pid"] != "0":
        return _Shown(runner["comm"], int(runner["pid"]), running=True)
    return None


def _add(task: _Shown, text: str) -> None:
    counter = PROGRAM_COUNTER.match(text)
    frame = find_frame(text)
    if counter and not task.frames:
        shown = stack_frame(text, exact=True)
    elif frame and not frame.guess:
        shown = stack_frame(text)
    else:
        shown = None
    if shown and len(task.frames) < _MOST_FRAMES:
        task.frames.append(shown)


def merged(stuck: Sequence[StuckTask], shown: dict[int, StuckTask]) -> tuple[StuckTask, ...]:
    """What two looks found, with the kernel's own stack of a task where it printed one.

    Where nobody could look, the sleeping tasks of the console and what its CPUs ran are all that is known.
    """
    if not stuck:
        return tuple(shown.values())
    return tuple(
        replace(task, stack=shown[task.pid].stack)
        if task.pid in shown and shown[task.pid].running == task.running
        else task
        for task in stuck
    )


def waits_for_reference(functions: Sequence[str]) -> bool:
    """Whether a stack, innermost function first, is a swapoff that sleeps until the last reference is put.

    A grace period or a page that it waits for has a function of its own between the wait and swapoff. /proc/PID/stack
    has no waiting functions, so there swapoff itself is the innermost.
    """
    names = [plain_name(name) for name in functions]
    waiting = 0
    while waiting < len(names) and (_waits(names[waiting]) or names[waiting].startswith("percpu_ref_")):
        waiting += 1
    if waiting == len(names) or names[waiting] != SWAPOFF:
        return False
    return not waiting or REFERENCE_WAIT in names[:waiting]


def _waits(function: str) -> bool:
    return WAITS.match(function) or SCHEDULING.match(function)


def meaning(tasks: Iterable[StuckTask]) -> Iterator[str]:
    """One sentence for each kind of wait that has a known reason."""
    stacks = [(task, [plain_name(frame.function) for frame in task.stack]) for task in tasks]
    if any(waits_for_reference(names) for task, names in stacks if not task.running):
        yield LEAK
    if any("try_to_unuse" in names and SWAPOFF in names for task, names in stacks if task.running):
        yield ENDLESS_UNUSE


def place_text(task: StuckTask) -> str:
    """ "swapoff: wait_for_completion <- __do_sys_swapoff (mm/swapfile.c:2904)", innermost function first."""
    frames = [frame for frame in task.stack if not _is_reporting(frame)]
    # The scheduler's own functions are in every wait.
    while len(frames) > 1 and _waits(plain_name(frames[0].function)) and _waits(_name(frames[1])):
        frames = frames[1:]
    shown = " <- ".join(map(_frame_text, frames[:SHOWN_FRAMES]))
    return f"{task.task}: {shown}" if shown else task.task


def _name(frame: StackFrame) -> str:
    return plain_name(frame.function)


def _is_reporting(frame: StackFrame) -> bool:
    return any(family.match(_name(frame)) for family in (REPORTING, TICKS))


def _frame_text(frame: StackFrame) -> str:
    place = frame.places[-1] if frame.places else None
    return f"{frame.function} ({place.file}:{place.line})" if place else frame.function


def is_starved(standstill: Standstill | None) -> bool:
    """Whether the host did not let the guest run, so that nothing can be said of the kernel."""
    if standstill is None or standstill.seconds < LEAST_SECONDS:
        return False
    return standstill.ran < STARVED_SHARE * standstill.seconds and standstill.waited > STARVED_WAIT * standstill.seconds


def is_busy(standstill: Standstill | None) -> bool:
    """Whether the guest ran, and did not get on."""
    if standstill is None or standstill.seconds < LEAST_SECONDS:
        return False
    return standstill.ran >= BUSY_SHARE * standstill.seconds


def standstill_text(standstill: Standstill | None) -> str:
    """What the guest did with its time, "" where that is not known."""
    if standstill is None or standstill.seconds < LEAST_SECONDS:
        return ""
    said = f"in the {standstill.seconds:.0f} s without progress the guest ran for {standstill.ran:.0f} CPU seconds"
    if standstill.ran < IDLE_SHARE * standstill.seconds and not is_starved(standstill):
        return f"{said}: it was idle, so something waits that nobody wakes"
    if standstill.waited > STARVED_WAIT * standstill.seconds:
        return f"{said} and waited for this machine for {standstill.waited:.0f}"
    return said
