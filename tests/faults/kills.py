# SPDX-License-Identifier: GPL-2.0-or-later
"""F1, F2, F6: patchrig is killed, at each change that it makes to its files and at random, alone and beside another."""

import time
from collections.abc import Callable, Sequence

from tests.faults import strace
from tests.faults.campaign import Plan, Try
from tests.faults.rig import Rig
from tests.faults.strace import CHANGES, Point

# A build of the toy takes so long; a kill at random falls into it.
_BUILD_SECONDS = 2.0


def record(plan: Plan, name: str, act: Callable[[Rig, Sequence[str]], None], calls: Sequence[str]) -> list[Point]:
    """The points of what `act` does with patchrig, from one undisturbed play of it."""
    strace.check_strace()
    rig = Rig(plan.template.folder.parent / f"record.{name}", template=plan.template, seed=name)
    rig.warm()
    log = rig.folder / "strace.log"
    act(rig, strace.recording(log, calls))
    found = strace.points(rig, log)
    rig.forget()
    return found


# F1


def _cold(rig: Rig, wrap: Sequence[str] = ()) -> None:
    """A first build, of a tree and a cache that are not there yet."""
    rig.call("clean", "--all")
    rig.build("baseline", wrap=wrap)


def _switch(rig: Rig, wrap: Sequence[str] = ()) -> None:
    """Another flavour, with the series, on a tree that has been built."""
    rig.build("patched", "--flavour", "debug", wrap=wrap)


_BUILDS = {"first build": _cold, "series and flavour": _switch}


def builds_killed(plan: Plan) -> list[Try]:
    """At each change to a file, and `count` at random."""
    tries = []
    for name, act in list(_BUILDS.items())[: 1 if plan.short else None]:
        each = record(plan, f"F1.{name[0]}", act, CHANGES)
        tries += [Try(name=f"{name}, at {point}", play=_killed_at(act, point)) for point in each]
    chosen = plan.random("F1")
    for number in range(plan.count):
        name, act = chosen.choice(list(_BUILDS.items()))
        tries.append(Try(name=f"{name}, at random {number}", play=_killed_at_random(name)))
    return _of(tries, plan)


def _of(tries: list[Try], plan: Plan) -> list[Try]:
    """All of them in the long form; in a short one a sample, as each change is a try of its own."""
    return plan.random("sample").sample(tries, min(len(tries), plan.count)) if plan.short else tries


def _killed_at(act: Callable[[Rig, Sequence[str]], None], point: Point) -> Callable[[Rig], None]:
    def play(rig: Rig) -> None:
        act(rig, strace.injecting(point, "signal=KILL"))
        _all_right(rig)

    return play


def _killed_at_random(name: str) -> Callable[[Rig], None]:
    def play(rig: Rig) -> None:
        words = ["--variant", "baseline"] if name == "first build" else ["--variant", "patched", "--flavour", "debug"]
        if name == "first build":
            rig.call("clean", "--all")
        call = rig.start("build", *words)
        time.sleep(rig.random.uniform(0, _BUILD_SECONDS))
        call.kill()
        call.ended()
        _all_right(rig)

    return play


def _all_right(rig: Rig) -> None:
    """The next builds have the tree to bring into order: one that is not in the cache, and those that may be."""
    rig.check_image(rig.build("baseline", "--flavour", "debug"), "baseline/debug")
    rig.clean_baseline()
    if rig.random.random() < 0.5:
        rig.clean_patched()


# F2


def cleans_killed(plan: Plan) -> list[Try]:
    tries = []
    for words in (("--all",), ("--keep-gib", "0"))[: 1 if plan.short else None]:

        def act(rig: Rig, wrap: Sequence[str] = (), words: Sequence[str] = words) -> None:
            rig.call("clean", *words, wrap=wrap)

        each = record(plan, f"F2.{words[0][2]}", act, CHANGES)
        tries += [Try(name=f"clean {' '.join(words)}, at {point}", play=_killed_at(act, point)) for point in each]
        tries += [
            Try(name=f"clean {' '.join(words)} beside a build {number}", play=_beside_a_build(words))
            for number in range(plan.count)
        ]
    return _of(tries, plan)


def _beside_a_build(words: Sequence[str]) -> Callable[[Rig], None]:
    def play(rig: Rig) -> None:
        build = rig.start("build", "--variant", "patched", "--flavour", "debug")
        time.sleep(rig.random.uniform(0, _BUILD_SECONDS))
        clean = rig.start("clean", *words)
        time.sleep(rig.random.uniform(0, 1.0))
        if rig.random.random() < 0.7:
            clean.kill()
        # The image may be gone again by the time that we look.
        built = build.ended()
        clean.ended()
        if built.code not in (0, 3):
            rig.wrong(f"the build beside it: {built.end()}")
        _all_right(rig)

    return play


# F6


def pairs(plan: Plan) -> list[Try]:
    return [Try(name=f"pair {number}", play=_pair) for number in range(plan.count)]


def _pair(rig: Rig) -> None:
    """Two at once on one cache, one of which is stopped; the other must not notice."""
    work = [
        ("patched/debug", ("build", "--variant", "patched", "--flavour", "debug")),
        ("baseline/debug", ("build", "--variant", "baseline", "--flavour", "debug")),
        ("patched", ("build", "--variant", "patched")),
        ("baseline", ("build", "--variant", "baseline")),
        ("", ("run", "--variant", "patched", "--flavour", "debug")),
    ]
    if rig.random.random() < 0.3:
        rig.call("clean", "--all")
    (_, one), (right, other) = rig.random.choices(work, k=2)
    stopped, kept = rig.start(*one, name="stopped"), rig.start(*other, name="kept")
    time.sleep(rig.random.uniform(0, 2 * _BUILD_SECONDS))
    stopped.kill()
    ran = kept.ended()
    stopped.ended()
    if right:
        rig.check_image(ran, right)
    elif ran.code != 0 or ran.cells() != ["passed"]:
        rig.wrong(f"the run beside it: {ran.end()} {ran.cells()}")
    _all_right(rig)
