# SPDX-License-Identifier: GPL-2.0-or-later
"""F9, F10: what patchrig starts is killed; patchrig itself is interrupted, stopped, or finds the clock changed."""

import os
import signal
import time
from collections.abc import Callable
from itertools import cycle, islice

from tests.faults import phases
from tests.faults.campaign import Plan, Try
from tests.faults.phases import BUILD_PHASES, GUEST_PHASES
from tests.faults.rig import Call, Rig
from tests.process.fake_host import PROGRESS, passing

# F9


def children_killed(plan: Plan) -> list[Try]:
    """QEMU, make and the compiler, each in five phases; the same again until `count`."""
    one_of_each = [
        *(("qemu", phase) for phase in GUEST_PHASES),
        *(("make", phase) for phase in BUILD_PHASES),
        *(("cc1", f"compiling {n}") for n in range(phases.HEAVY)),
    ]
    plan.random("F9").shuffle(one_of_each)
    chosen = islice(cycle(one_of_each), plan.count)
    return [
        Try(name=f"{program} killed, {phase}, {number}", play=_child_killed(program, phase))
        for number, (program, phase) in enumerate(chosen)
    ]


def _child_killed(program: str, phase: str) -> Callable[[Rig], None]:
    return _qemu_killed(phase) if program == "qemu" else _builder_killed(program, phase)


def _qemu_killed(phase: str) -> Callable[[Rig], None]:
    def play(rig: Rig) -> None:
        phases.guest_scenario(rig, phase)
        call = rig.start("run", "--variant", "patched", "--no-restore")
        phases.await_guest(rig, call)
        if phase == "reporting":
            # Its swapoff is stuck: patchrig is writing down what it sees.
            time.sleep(rig.random.uniform(0, 1))
        for pid in phases.programs(call, "qemu")[-1:]:
            os.kill(pid, signal.SIGKILL)
        ran = call.ended()
        right = {"lost", "hung"} if phase == "reporting" else {"lost"}
        if not set(ran.cells()) <= right or ran.code not in (3, 1 if "hung" in ran.cells() else 3):
            rig.wrong(f"QEMU was killed on the host: {ran.cells()}, {ran.end()}")
        rig.clean_baseline()

    return play


def _builder_killed(program: str, phase: str) -> Callable[[Rig], None]:
    def play(rig: Rig) -> None:
        patch = phases.slow_series(rig)
        call = rig.start("build", "--variant", "patched", "--patch", str(patch))
        phases.await_build(call, phase)
        for pid in phases.programs(call, program)[:1]:
            os.kill(pid, signal.SIGKILL)
        ran = call.ended()
        # ccache starts a compiler that did not end well once more.
        if ran.code not in ((0, 3) if program == "cc1" else (3,)):
            rig.wrong(f"{program} was killed on the host: {ran.end()}; {ran.out[-200:]}")
        rig.check_image(rig.build("baseline", "--flavour", "debug"), "baseline/debug")

    return play


# F10


def signals_sent(plan: Plan) -> list[Try]:
    tries = [
        Try(name=f"{number.name} {name}", play=_interrupted(number, begin))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for name, begin in _WORK.items()
    ]
    tries += [Try(name=f"STOP and CONT {name}", play=_stopped(begin)) for name, begin in _WORK.items()]
    tries += [Try(name="STOP and CONT of QEMU", play=_qemu_stopped)]
    tries += [Try(name=f"the clock is set to {when}", play=_clock_set(when)) for when in _CLOCKS]
    rounds = max(1, plan.count // len(tries))
    again = [Try(name=f"{one.name}, {n}", play=one.play) for n in range(rounds) for one in tries]
    return plan.random("F10").sample(again, min(len(again), max(plan.count, 1)))


def _begin_build(rig: Rig) -> Call:
    call = rig.start("build", "--variant", "patched", "--patch", str(phases.slow_series(rig)))
    phases.await_build(call, rig.random.choice(BUILD_PHASES))
    return call


def _begin_run(rig: Rig) -> Call:
    rig.host.scenario([["say", PROGRESS], ["mark", "phase"], ["sleep", 6], *passing()])
    call = rig.start("run", "--variant", "patched", "--no-restore")
    phases.await_guest(rig, call)
    return call


_WORK: dict[str, Callable[[Rig], Call]] = {"in a build": _begin_build, "in a cell": _begin_run}


def _interrupted(number: signal.Signals, begin: Callable[[Rig], Call]) -> Callable[[Rig], None]:
    def play(rig: Rig) -> None:
        call = begin(rig)
        call.send(number)
        honest = {130}
        if rig.random.random() < 0.3:
            time.sleep(rig.random.uniform(0, 0.3))
            call.send(number)
            # Python has no handler any more while it ends.
            honest.add(-number)
        ran = call.ended()
        if ran.code not in honest:
            rig.wrong(f"{number.name}: {ran.end()}")
        rig.clean_baseline()
        rig.clean_patched()

    return play


def _stopped(begin: Callable[[Rig], Call]) -> Callable[[Rig], None]:
    def play(rig: Rig) -> None:
        call = begin(rig)
        call.send(signal.SIGSTOP)
        time.sleep(8)
        call.send(signal.SIGCONT)
        ran = call.ended()
        if ran.code != 0 or "lost" in ran.cells():
            rig.wrong(f"stopped and continued: {ran.end()} {ran.out[-200:]}")
        rig.clean_baseline()

    return play


def _qemu_stopped(rig: Rig) -> None:
    call = _begin_run(rig)
    guests = phases.programs(call, "qemu")[-1:]
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for pid in guests:
            os.kill(pid, number)
        time.sleep(8 if number is signal.SIGSTOP else 0)
    ran = call.ended()
    if ran.code != 0 or ran.cells() != ["passed"]:
        rig.wrong(f"QEMU stopped and continued: {ran.cells()} {ran.end()}")


_CLOCKS = ("+1d", "-1d", "+7300d", "1971-01-01 00:00:00", "+0 x50")


def _clock_set(when: str) -> Callable[[Rig], None]:
    """The clock of patchrig changes while a guest is at work; make and the compiler keep the host's."""

    def play(rig: Rig) -> None:
        clock = rig.folder / "clock"
        clock.write_text("+0\n")
        rig.environment |= {
            "LD_PRELOAD": phases.check_faketime(),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        for launcher in rig.host.programs.glob("qemu-*"):
            launcher.write_text(launcher.read_text().replace("#!/bin/sh\n", "#!/bin/sh\nunset LD_PRELOAD\n", 1))
        call = _begin_run(rig)
        clock.write_text(f"{when}\n")
        ran = call.ended()
        if ran.code != 0 or ran.cells() != ["passed"]:
            rig.wrong(f"the clock was set to {when}: {ran.cells()} {ran.end()}")
        clean = rig.build("baseline", "--flavour", "debug")
        rig.check_image(clean, "baseline/debug")

    return play
