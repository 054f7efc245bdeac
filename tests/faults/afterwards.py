# SPDX-License-Identifier: GPL-2.0-or-later
"""F12: nothing is left behind. Every call of the campaign is looked at; here are all commands, and kills."""

import signal
import time
from collections.abc import Callable

from tests.faults import phases
from tests.faults.campaign import Plan, Try
from tests.faults.leftovers import abandoned_in_memory
from tests.faults.rig import Rig

_COMMANDS: tuple[tuple[str, ...], ...] = (
    ("build", "--variant", "baseline"),
    ("build", "--variant", "patched", "--flavour", "debug"),
    ("run", "--variant", "patched"),
    ("run", "--variant", "patched", "--no-restore", "--repeat", "3"),
    ("list", "@MATRIX@"),
    ("repro", "latest", "mincore", "--results", "@RESULTS@"),
    ("repro", "latest", "mincore", "--repeat", "3", "--until-fail", "--results", "@RESULTS@"),
    ("judge", "@MATRIX@"),
    ("doctor",),
    ("clean", "--dry-run"),
    ("clean", "--keep-gib", "0"),
    ("clean", "--all"),
)


def nothing_left(plan: Plan) -> list[Try]:
    tries = [Try(name=" ".join(words), play=_command(words)) for words in _COMMANDS]
    tries += [Try(name=f"clean after kill -9 of a guest {phase}", play=_killed(phase)) for phase in phases.GUEST_PHASES]
    tries += [Try(name="clean after kill -9 of a build", play=_build_killed)]
    return plan.random("F12").sample(tries, min(plan.count, len(tries)))


def _command(words: tuple[str, ...]) -> Callable[[Rig], None]:
    def play(rig: Rig) -> None:
        places = {"@MATRIX@": str(rig.folder / "matrix.yaml"), "@RESULTS@": str(rig.results)}
        ran = rig.call(words[0], *(places.get(word, word) for word in words[1:]))
        if ran.code != 0 and words[0] != "doctor":
            rig.wrong(f"{' '.join(words)}: {ran.end()}")

    return play


def _killed(phase: str) -> Callable[[Rig], None]:
    def play(rig: Rig) -> None:
        phases.guest_scenario(rig, phase)
        call = rig.start("run", "--variant", "patched")
        phases.await_guest(rig, call)
        call.send(signal.SIGKILL)
        call.ended()
        _clean(rig)

    return play


def _build_killed(rig: Rig) -> None:
    call = rig.start("build", "--variant", "patched", "--patch", str(phases.slow_series(rig)))
    phases.await_build(call, "before")
    call.send(signal.SIGKILL)
    call.ended()
    _clean(rig)


def _clean(rig: Rig) -> None:
    rig.excused.clear()
    before = abandoned_in_memory()
    rig.call("clean")
    # Others may be killed at this moment; what was there before we cleaned is not to be there now.
    time.sleep(0.2)
    if left := [path for path in before if path.exists()]:
        rig.silent(f"left in memory after `patchrig clean`: {left}")
    rig.clean_baseline()
