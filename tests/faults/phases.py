# SPDX-License-Identifier: GPL-2.0-or-later
"""Where patchrig is in its work, as seen from outside: a process below it, or a mark of the fake guest's."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.faults.leftovers import descendants
from tests.faults.rig import Call, Rig
from tests.faults.tally import NeverCame, Skip
from tests.process.fake_host import BOOT, PROGRESS, Step, passing, result_line

_WAIT_SECONDS = 60.0
# What a Makefile sleeps for tells where it is.
SLEEPS = {"configured": "3.01", "before": "3.02", "after": "3.03"}
HEAVY = 5  # files that take the compiler a second each

GUEST_PHASES: dict[str, tuple[list[Step], list[Step]]] = {
    "booting": ([BOOT[0], ["mark", "phase"], ["hang"]], []),
    "booted": ([*BOOT], [["mark", "phase"], ["hang"]]),
    "at work": ([*BOOT], [["say", PROGRESS], ["mark", "phase"], ["hang"]]),
    "reporting": ([*BOOT], [["say", PROGRESS], ["say", result_line(swapoff_stuck=True)], ["mark", "phase"], ["hang"]]),
    "after a crash": (
        [*BOOT],
        [["say", PROGRESS], ["console", "[   12.1][  T400] random: crng init done"], ["mark", "phase"], ["hang"]],
    ),
}
BUILD_PHASES = ("configured", "before", "compiling 0", "compiling 3", "after")


def slow_series(rig: Rig) -> Path:
    """A series whose build sleeps in three places, and compiles for a while in between."""
    lines = [f"{name} = sleep {seconds}" for name, seconds in SLEEPS.items()]
    lines += [f"objects += heavy{n}.o" for n in range(HEAVY)]
    files = {"drivers/slow.mk": lines} | {f"heavy{n}.c": _heavy(n) for n in range(HEAVY)}
    patch = rig.folder / "slow.patch"
    patch.write_text("".join(_new_file(name, text) for name, text in files.items()))
    return patch


def _heavy(number: int) -> list[str]:
    body = "{ int a = x, i; for (i = 0; i < x; i++) { a += i * x; if (a % 7) a ^= i; else a -= x; } return a; }"
    return [f"int heavy{number}_{n}(int x) {body}" for n in range(4000)]


def _new_file(name: str, lines: list[str]) -> str:
    body = "".join(f"+{line}\n" for line in lines)
    head = f"diff --git a/{name} b/{name}\nnew file mode 100644\n--- /dev/null\n+++ b/{name}\n"
    return f"{head}@@ -0,0 +1,{len(lines)} @@\n{body}"


def await_guest(rig: Rig, call: Call) -> None:
    """Until the guest has made its mark."""
    _until(lambda: (rig.host.state / "phase").exists(), call, "the guest's mark")


def guest_scenario(rig: Rig, phase: str) -> None:
    boot, run = GUEST_PHASES[phase]
    rig.host.scenario(run or passing(), boot=boot)


def await_build(call: Call, phase: str) -> None:
    """Until the slow series' build is in a phase of BUILD_PHASES."""
    name, _, number = phase.partition(" ")
    wanted = (f"heavy{number}.c",) if name == "compiling" else ("sleep", SLEEPS[name])
    program = "cc1" if name == "compiling" else "sleep"

    def there() -> bool:
        return any(
            Path(argv[0]).name == program and any(word.endswith(wanted[-1]) for word in argv)
            for argv in argv_below(call).values()
        )

    _until(there, call, phase)


def argv_below(call: Call) -> dict[int, list[str]]:
    """The processes below patchrig, with their arguments."""
    found = {}
    for pid in descendants(call.child.pid):
        with suppress(OSError):
            if words := Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]:
                found[pid] = words
    return found


def programs(call: Call, name: str) -> list[int]:
    """The process ids of a program below patchrig, outermost first; `qemu` is the fake."""
    if name == "qemu":
        below = argv_below(call).items()
        return sorted(pid for pid, argv in below if any(word.endswith("fake_qemu.py") for word in argv[:3]))
    return sorted(pid for pid, comm in descendants(call.child.pid).items() if comm == name)


def _until(true: Callable[[], bool], call: Call, what: str) -> None:
    until = time.monotonic() + _WAIT_SECONDS
    while not true():
        if call.child.poll() is not None or time.monotonic() > until:
            said = call.err.read_text(errors="replace")[-300:]
            raise NeverCame(f"patchrig never came to: {what}; it said {said}")
        time.sleep(0.02)


def check_faketime() -> str:
    """The library that steps clocks. Raises Skip where there is none."""
    for path in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"):
        return str(path)
    raise Skip("libfaketime is not installed")
