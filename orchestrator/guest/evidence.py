# SPDX-License-Identifier: GPL-2.0-or-later
"""What a hung guest still tells before it is ended: over SSH, else the serial console, sysrq, and QEMU's monitor."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.host.deadline import Deadline, pause_seconds
from orchestrator.host.errors import InfraError
from orchestrator.host.text import LONGEST_LINE
from orchestrator.model.guests import StuckTask
from orchestrator.model.stacks import StackFrame

Shell = Callable[[str], str]

# comm, state and kernel stack of every thread. One block each, so that two samples can be compared.
STACKS = (
    "for t in /proc/[0-9]*/task/[0-9]*; do echo \"== ${t##*/} $(cat $t/comm) $(sed -n 's/^State:.//p' $t/status)\"; "
    "cat $t/stack; done 2>/dev/null"
)
# The guest's clock and the CPU time of every process, and the kernel's counters: what still moves.
TIMES = "cat /proc/uptime /proc/[0-9]*/stat 2>/dev/null"
COUNTERS = "cat /proc/vmstat"
ONCE: Mapping[str, str] = {"swaps.txt": "cat /proc/swaps", "memory.txt": "cat /proc/meminfo"}
TWICE: Mapping[str, str] = {"stacks": STACKS, "times": TIMES, "vmstat": COUNTERS}
# Blocked tasks, what every CPU runs, and the locks that are held where the kernel keeps a list: on the console.
SYSRQ_KEYS = "wld"
# The same where nobody can list the tasks.
SYSRQ_KEYS_WITHOUT_SHELL = "wldt"

# A process that used less of a CPU between the two looks only does its bookkeeping.
RUNNING_SHARE = 0.2
_TICKS = 100  # USER_HZ on both arches
_CORE = "memory.elf"

# A guest may say anything: of numbers no more digits than the kernel gives them, of lines no more than LONGEST.
_TASK = re.compile(r"^== (?P<pid>\d{1,10}) (?P<comm>.{1,64}) (?P<state>[A-Z]) \(.{1,64}\)$", re.ASCII)
_FRAME = re.compile(
    r"^\[<0>\] (?P<function>[\w.]+)\+(?P<offset>0x[0-9a-f]{1,16})/(?P<size>0x[0-9a-f]{1,16})"
    r"(?: \[(?P<module>[\w-]+)\])?",
    re.ASCII,
)
_NUMBER = r"-?\d{1,20}"
_STAT = re.compile(rf"^(?P<pid>\d{{1,10}}) \((?P<comm>.{{1,64}})\) [A-Z] (?P<rest>{_NUMBER}(?: {_NUMBER})*)$", re.ASCII)
_MOST_FRAMES = 64
_MOST_TASKS = 4096
# Counters that swapping, reclaim and migration move; the looks themselves move those of plain allocations.
_TELLING = re.compile(
    r"^(?P<name>(?:pswp|swap_|swpin|swpout|zsw|pgmajfault|pgscan|pgsteal|pgrotated|allocstall|compact_|workingset_refault"
    r"|pgmigrate|thp_)\w{0,64}) (?P<value>\d{1,20})$",
    re.MULTILINE | re.ASCII,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class HangChannels:
    """How a guest can be asked."""

    shells: Mapping[str, Callable[[], Shell]]  # a way's name -> what opens it; tried in order
    sysrq: Callable[[str], None]  # sysrq keys on the serial line, for when no shell answers
    monitor: Callable[[str], str]  # QEMU's
    dump_memory: Callable[[Path], None] | None = None  # where the user asked for it


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """The files written, what was found in them, and who answered."""

    files: tuple[str, ...]
    source: str  # "SSH, QEMU monitor"
    stuck: tuple[StuckTask, ...] = ()
    moved: Mapping[str, int] | None = None  # None: nobody could look twice


def stuck_tasks(stacks: str) -> tuple[StuckTask, ...]:
    """Tasks in state D in the output of STACKS. Kernel threads that wait idly are not in state D."""
    found: list[StuckTask] = []
    task: re.Match[str] | None = None
    frames: list[StackFrame] = []
    for line in [*_lines(stacks), "== 0 end R (end)"]:
        if header := _TASK.match(line):
            if task and task["state"] == "D" and len(found) < _MOST_TASKS:
                found.append(StuckTask(task=task["comm"], pid=int(task["pid"]), running=False, stack=tuple(frames)))
            task, frames = header, []
        elif (frame := _FRAME.match(line)) and len(frames) < _MOST_FRAMES:
            frames.append(
                StackFrame(
                    function=frame["function"],
                    offset=int(frame["offset"], 16),
                    size=int(frame["size"], 16),
                    module=frame["module"] or "",
                )
            )
    return tuple(found)


def still_stuck(first: str, second: str) -> tuple[StuckTask, ...]:
    """The tasks that both samples show stuck in the same place."""
    before = set(stuck_tasks(first))
    return tuple(task for task in stuck_tasks(second) if task in before)


def running_tasks(first: str, second: str) -> tuple[StuckTask, ...]:
    """The processes that used a CPU between two outputs of TIMES, the busiest first; their stacks are not in there."""
    before, after = _ticks(first), _ticks(second)
    seconds = _uptime(second) - _uptime(first)
    if seconds <= 0:
        return ()
    shares = {key: (after[key] - before[key]) / _TICKS / seconds for key in after if key in before}
    busy = sorted((key for key in shares if shares[key] >= RUNNING_SHARE), key=lambda key: -shares[key])
    return tuple(StuckTask(task=comm, pid=pid, running=True, stack=()) for pid, comm in busy)


def growth(first: str, second: str) -> dict[str, int]:
    """The telling counters that grew between two outputs of COUNTERS, the largest growth first."""
    before = {found["name"]: int(found["value"]) for found in _TELLING.finditer(first)}
    after = {found["name"]: int(found["value"]) for found in _TELLING.finditer(second)}
    grown = {name: after[name] - before[name] for name in after if after[name] > before.get(name, after[name])}
    return dict(sorted(grown.items(), key=lambda item: -item[1]))


def _uptime(times: str) -> float:
    found = _UPTIME.match(times)
    return float(found[0]) if found else 0.0


_UPTIME = re.compile(r"\s*\d{1,12}(?:\.\d{1,6})?\b", re.ASCII)


def _lines(text: str) -> Iterator[str]:
    return (line[:LONGEST_LINE] for line in text.split("\n"))


def _ticks(times: str) -> dict[tuple[int, str], int]:
    """(pid, name) -> user and system time of all threads, source: fields 14 and 15 of proc(5)'s stat."""
    found = {}
    for line in _lines(times):
        stat = _STAT.match(line)
        fields = stat["rest"].split() if stat else []
        if stat and len(fields) > 11:
            found[int(stat["pid"]), stat["comm"]] = int(fields[10]) + int(fields[11])
    return found


def collect(folder: Path, ways: HangChannels, *, second_look: float) -> Evidence:
    """Ask by each way in turn and write what was said to `folder`; a way that fails leaves a file that says so.

    The first shell that answers is the only one asked. `second_look`: seconds between the two samples.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seen, source = _by_shells(folder, ways.shells, second_look)
    sources = [source] if source else []
    if not source and _tried(folder, "sysrq", lambda: ways.sysrq(SYSRQ_KEYS_WITHOUT_SHELL)):
        sources.append("sysrq")
    files = [*seen.files]
    if _tried(folder, "monitor", lambda: _write(folder / "registers.txt", ways.monitor("info registers -a"))):
        sources.append("QEMU monitor")
        files.append("registers.txt")
    dump = ways.dump_memory
    if dump and _tried(folder, "memory-dump", lambda: dump(folder / _CORE)):
        files.append(_CORE)
    said = ", ".join(sources) or "nothing"
    return Evidence(files=tuple(files), source=said, stuck=seen.stuck, moved=seen.moved)


def _by_shells(folder: Path, shells: Mapping[str, Callable[[], Shell]], second_look: float) -> tuple[Evidence, str]:
    for source, opened in shells.items():
        try:
            return _by_shell(folder, opened(), second_look), source
        except InfraError as e:
            _failed(folder, source, e)
    return Evidence(files=(), source=""), ""


def _by_shell(folder: Path, shell: Shell, second_look: float) -> Evidence:
    first = {name: shell(command) for name, command in TWICE.items()}
    said = {name: shell(command) for name, command in ONCE.items()}
    pause_seconds(second_look)
    second = {name: shell(command) for name, command in TWICE.items()}
    shell(sysrq_command(SYSRQ_KEYS))
    said |= {f"{name}.txt": text for name, text in first.items()}
    said |= {f"{name}-again.txt": text for name, text in second.items()}
    for name, text in said.items():
        _write(folder / name, text)
    sleeping = still_stuck(first["stacks"], second["stacks"])
    running = running_tasks(first["times"], second["times"])
    moved = growth(first["vmstat"], second["vmstat"])
    return Evidence(files=tuple(said), source="", stuck=(*sleeping, *running), moved=moved)


def sysrq_command(keys: str) -> str:
    """The shell command for sysrq keys, one after the other: each says what it has to say before the next."""
    return "; ".join(f"echo {key} > /proc/sysrq-trigger" for key in keys)


def _tried(folder: Path, way: str, asked: Callable[[], None]) -> bool:
    try:
        asked()
    except InfraError as e:
        _failed(folder, way, e)
        return False
    return True


def _failed(folder: Path, way: str, error: InfraError) -> None:
    _write(folder / f"no-{way.replace(' ', '-')}.txt", f"{error}\n")


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8", errors="backslashreplace")


def shell_deadline() -> Deadline:
    return Deadline.after(30, "an answer of the hung guest")


def dump_deadline() -> Deadline:
    return Deadline.after(300, "the dump of the guest's memory")
