"""What a hung guest still tells before it is ended: over SSH, else the serial console, else QEMU's monitor."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.deadline import Deadline, pause_seconds
from orchestrator.errors import InfraError

Shell = Callable[[str], str]

# comm, state and kernel stack of every task. One block a task, so that two samples can be compared.
STACKS = (
    "for p in /proc/[0-9]*; do echo \"== ${p#/proc/} $(cat $p/comm) $(sed -n 's/^State:.//p' $p/status)\"; "
    "cat $p/task/*/stack; done 2>/dev/null"
)
COMMANDS: Mapping[str, str] = {
    "stacks.txt": STACKS,
    "swaps.txt": "cat /proc/swaps",
    "memory.txt": "cat /proc/meminfo /proc/vmstat",
}
# These print to the console: blocked tasks, and what every CPU runs.
SYSRQ = "echo w > /proc/sysrq-trigger; echo l > /proc/sysrq-trigger"

_TASK = re.compile(r"^== (?P<pid>\d+) (?P<comm>.*) (?P<state>[A-Z]) \(.*\)$")
_FRAME = re.compile(r"^\[<0>\] (?P<function>[\w.]+)\+0x")


@dataclass(frozen=True, kw_only=True, slots=True)
class Stuck:
    """A task that sleeps uninterruptibly: its name and where, innermost function first."""

    pid: int
    comm: str
    frames: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.comm}: {' <- '.join(self.frames[:6])}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """The files written, and the tasks that were found stuck in the same place twice."""

    files: tuple[str, ...]
    stuck: tuple[Stuck, ...]
    source: str  # where the answers came from: "SSH", "serial console", "QEMU monitor"


def stuck_tasks(stacks: str) -> tuple[Stuck, ...]:
    """Tasks in state D in the output of STACKS. Kernel threads that wait idly are not in state D."""
    found: list[Stuck] = []
    task: re.Match[str] | None = None
    frames: list[str] = []
    for line in [*stacks.splitlines(), "== 0 end R (end)"]:
        if header := _TASK.match(line):
            if task and task["state"] == "D":
                found.append(Stuck(pid=int(task["pid"]), comm=task["comm"], frames=tuple(frames)))
            task, frames = header, []
        elif frame := _FRAME.match(line):
            frames.append(frame["function"])
    return tuple(found)


def still_stuck(first: str, second: str) -> tuple[Stuck, ...]:
    """The tasks that both samples show stuck in the same place."""
    before = set(stuck_tasks(first))
    return tuple(task for task in stuck_tasks(second) if task in before)


def collect(
    folder: Path, shells: Mapping[str, Callable[[], Shell]], monitor: Callable[[str], str], *, second_look: float
) -> Evidence:
    """Ask by each way in turn until one answers, and write what was said to `folder`.

    `shells` maps a way's name to what opens it; `monitor` is QEMU's, for when the guest itself says nothing.
    `second_look`: seconds between the two samples of the stacks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for source, opened in shells.items():
        try:
            return _by_shell(folder, opened(), source, second_look)
        except InfraError as e:
            (folder / f"no-{source.replace(' ', '-')}.txt").write_text(f"{e}\n")
    try:
        (folder / "registers.txt").write_text(monitor("info registers -a"))
        return Evidence(files=("registers.txt",), stuck=(), source="QEMU monitor")
    except InfraError as e:
        (folder / "no-monitor.txt").write_text(f"{e}\n")
        return Evidence(files=(), stuck=(), source="nothing")


def _by_shell(folder: Path, shell: Shell, source: str, second_look: float) -> Evidence:
    said = {name: shell(command) for name, command in COMMANDS.items()}
    pause_seconds(second_look)
    said["stacks-again.txt"] = shell(STACKS)
    shell(SYSRQ)
    for name, text in said.items():
        (folder / name).write_text(text)
    stuck = still_stuck(said["stacks.txt"], said["stacks-again.txt"])
    return Evidence(files=tuple(said), stuck=stuck, source=source)


def shell_deadline() -> Deadline:
    return Deadline.after(30, "an answer of the hung guest")
