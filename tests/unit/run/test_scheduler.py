# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds and guests side by side, with work that only notes what is done and waits for its neighbours."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.host.deadline import Deadline, scope
from orchestrator.host.errors import Cancelled, InfraError
from orchestrator.model.cells import Build, Cell
from orchestrator.run.capacity import Room, memory_of
from orchestrator.run.order import as_given
from orchestrator.run.scheduler import Ended, Steps, Stop, Unbuilt, Work, working
from tests.unit.samples import cell

SOON = 30.0  # for what comes at once, unless it never does

Taken = Callable[[Work[Build, Cell, str, str, str], Ended[Cell, str]], None]


def name(one: Cell) -> str:
    return f"{one.build.arch} {one.workload.name}"


def cells(*names: str, arch: str = "x86_64") -> list[Cell]:
    return [cell(workload=one, arch=arch) for one in names]


def room(guests: int) -> Room:
    return Room(cores=4 * guests, memory_mib=1_000_000)


@dataclass
class Log:
    """What was done, in order, by whichever thread; and what came to the thread that waits."""

    said: list[str] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, text: str) -> None:
        with self.lock:
            self.said.append(text)

    def run(
        self,
        jobs: list[Cell],
        room: Room,
        *,
        build: Callable[[Build, bool], str | Unbuilt[str]] = lambda build, _: build.name,
        observe: Callable[[Cell, str], str] | None = None,
        judge: Callable[[Cell, str, str], str] = lambda one, _kernel, _observed: name(one),
        taken: Taken = lambda _work, _ended: None,
        root_mib: Callable[[Cell, str], int] = lambda _one, _kernel: 0,
        until_judged: bool = False,
        until: Deadline | None = None,
    ) -> None:
        def noted(one: Cell, _: str) -> str:
            self.say(name(one))
            return name(one)

        steps: Steps[Build, Cell, str, str, str] = Steps(
            build=build, observe=observe or noted, judge=judge, root_mib=root_mib
        )
        schedule = as_given(jobs)
        with working(Work(schedule=schedule, room=room, steps=steps, until_judged=until_judged, until=until)) as work:
            for ended in work:
                self.reports += ended.reports
                self.skipped |= {name(one): ended.why_skipped for one in ended.skipped}
                taken(work, ended)


def test_guests_run_side_by_side_and_no_more_than_there_is_room_for() -> None:
    log, together = Log(), threading.Barrier(3)

    def observe(*_: object) -> str:
        log.say("begins")
        together.wait(SOON)
        log.say("ends")
        return ""

    log.run(cells(*"abcdef"), room(3), observe=observe)

    assert log.said[:3] == ["begins"] * 3
    at_once = [sum(1 if word == "begins" else -1 for word in log.said[:end]) for end in range(len(log.said) + 1)]
    assert max(at_once) == 3
    assert sorted(log.reports) == [f"x86_64 {one}" for one in "abcdef"]


def test_a_guest_with_a_large_root_waits_until_there_is_room_for_it() -> None:
    log, jobs = Log(), cells("small", "large")
    here = Room(cores=16, memory_mib=1024 + 2 * memory_of(jobs[0]) + 99)

    def observe(one: Cell, _: str) -> str:
        log.say(f"{name(one)} begins")
        if name(one) == "x86_64 small":
            time.sleep(0.05)  # for as long another could begin beside it
            log.say(f"{name(one)} ends")
        return ""

    log.run(jobs, here, observe=observe, root_mib=lambda one, _kernel: 100 * (one.workload.name == "large"))

    assert log.said == ["x86_64 small begins", "x86_64 small ends", "x86_64 large begins"]


def test_the_next_guest_starts_while_the_last_is_judged() -> None:
    log, second = Log(), threading.Event()

    def observe(one: Cell, _: str) -> str:
        if name(one) == "x86_64 b":
            second.set()
        return ""

    def judge(one: Cell, *_: str) -> str:
        assert second.wait(SOON)
        return name(one)

    log.run(cells("a", "b"), room(1), observe=observe, judge=judge)

    assert sorted(log.reports) == ["x86_64 a", "x86_64 b"]


def test_where_the_verdict_decides_no_guest_starts_before_it() -> None:
    log = Log()

    def judge(one: Cell, *_: str) -> str:
        log.say(f"{name(one)} is judged")
        return name(one)

    log.run(cells("a", "b"), room(1), judge=judge, until_judged=True)

    assert log.said == ["x86_64 a", "x86_64 a is judged", "x86_64 b", "x86_64 b is judged"]


def test_a_kernel_is_built_in_the_background_of_guests_and_not_before_there_are_any() -> None:
    log, built = Log(), threading.Event()

    def build(one: Build, background: bool) -> str:
        log.say(f"{one.arch} in the background: {background}")
        if background:
            built.set()
        return one.name

    def observe(one: Cell, kernel: str) -> str:
        assert kernel == one.build.name
        assert built.wait(SOON)
        return ""

    log.run([*cells("a"), *cells("a", arch="arm64")], room(1), build=build, observe=observe)

    assert log.said == ["x86_64 in the background: False", "arm64 in the background: True"]


def test_a_build_that_raises_lets_the_guests_of_those_before_finish() -> None:
    log, raised = Log(), threading.Event()

    def build(one: Build, _: bool) -> str:
        if one.arch == "arm64":
            raised.set()
            raise InfraError("no compiler")
        return one.name

    def observe(*_: object) -> str:
        assert raised.wait(SOON)
        assert not scope().why
        return ""

    with pytest.raises(InfraError, match="no compiler"):
        log.run([*cells("a", "b"), *cells("a", arch="arm64")], room(1), build=build, observe=observe)

    assert log.reports == ["x86_64 a", "x86_64 b"]
    assert log.skipped == {"arm64 a": "not run: its kernel was never built"}


def test_what_raises_in_a_job_ends_everything() -> None:
    log = Log()

    def observe(one: Cell, _: str) -> str:
        if name(one) == "x86_64 a":
            raise InfraError("the disk is full")
        log.say(str(scope().wait(SOON)))
        return ""

    with pytest.raises(InfraError, match="the disk is full"):
        log.run(cells("a", "b", "c"), room(2), observe=observe)

    assert log.said == ["True"]
    assert log.reports == ["x86_64 b"]
    assert log.skipped == {"x86_64 c": "not run: this machine failed"}


def test_an_error_of_who_takes_the_reports_ends_what_runs() -> None:
    log = Log()

    def observe(one: Cell, _: str) -> str:
        if name(one) == "x86_64 b":
            log.say(str(scope().wait(SOON)))
        return ""

    def taken(_work: object, _ended: object) -> None:
        raise InfraError("the report can't be written")

    with pytest.raises(InfraError, match="the report can't be written"):
        log.run(cells("a", "b"), room(2), observe=observe, taken=taken)

    assert log.said == ["True"]


def test_a_build_that_failed_has_the_reports_of_its_jobs_and_none_is_run() -> None:
    log = Log()

    log.run(cells("a", "b"), room(1), build=lambda *_: Unbuilt(reports=("a: no", "b: no")))

    assert log.reports == ["a: no", "b: no"]
    assert not log.said
    assert not log.skipped


@pytest.mark.parametrize("at_once", [True, False])
def test_a_stop_starts_nothing_more_and_says_what_was_not_run(at_once: bool) -> None:
    log = Log()
    ended = threading.Event()

    def observe(one: Cell, _: str) -> str:
        if name(one) == "x86_64 b":
            log.say(f"ended early: {scope().wait(SOON) if at_once else ended.wait(SOON) and bool(scope().why)}")
        return ""

    def taken(work: Work[Build, Cell, str, str, str], _: object) -> None:
        work.stop(Stop(why="enough", at_once=at_once))
        ended.set()

    jobs = [*cells("a", "b", "c"), *cells("a", arch="arm64")]
    log.run(jobs, room(2), observe=observe, taken=taken)

    assert log.said == [f"ended early: {at_once}"]
    assert log.reports == ["x86_64 a", "x86_64 b"]
    assert "x86_64 c" in log.skipped
    assert set(log.skipped.values()) == {"not run: enough"}


@pytest.mark.parametrize("step", ["build", "observe"])
def test_when_the_time_is_up_what_runs_is_ended_and_nothing_raises(step: str) -> None:
    log = Log()

    def build(one: Build, _: bool) -> str:
        if step == "build" and one.arch == "arm64":
            scope().wait(SOON)
            raise Cancelled("ended")
        return one.name

    def observe(one: Cell, _: str) -> str:
        if step == "observe" and name(one) == "x86_64 b":
            log.say(f"ended early: {scope().wait(SOON)}")
        return ""

    jobs = [*cells("a", "b"), *(cells("c") if step == "observe" else cells("c", arch="arm64"))]
    log.run(jobs, room(1), build=build, observe=observe, until=Deadline.after(2.0, "the time of the hunt"))

    last = name(jobs[-1])
    assert log.said == ["ended early: True"] * (step == "observe")
    assert (log.reports, log.skipped) == (
        ["x86_64 a", "x86_64 b"],
        {last: "not run: the time of the hunt is over"},
    )


def test_work_that_ends_in_time_is_not_held_up_by_its_deadline() -> None:
    log = Log()

    log.run(cells("a", "b"), room(1), until=Deadline.after(SOON, "the time of the hunt"))

    assert (log.reports, log.skipped) == (["x86_64 a", "x86_64 b"], {})


@settings(max_examples=60)
@given(
    builds=st.lists(
        st.tuples(st.sampled_from(["good", "unbuilt", "raises"]), st.lists(st.booleans(), max_size=4)), max_size=4
    ),
    guests=st.integers(1, 3),
    stop_after=st.integers(0, 9),
    at_once=st.booleans(),
)
def test_whatever_happens_each_job_has_one_report_or_is_skipped_once(
    builds: list[tuple[str, list[bool]]], guests: int, stop_after: int, at_once: bool
) -> None:
    """A job that is True works, another raises; after `stop_after` reports everything is to stop."""
    log, running, most = Log(), 0, 0
    # An arch of their own makes builds of them.
    kinds = {f"arch{number}": kind for number, (kind, _) in enumerate(builds)}
    jobs = [
        cell(workload=f"w{index}{'' if works else 'bad'}", arch=f"arch{number}")
        for number, (_, many) in enumerate(builds)
        for index, works in enumerate(many)
    ]

    def build(one: Build, _: bool) -> str | Unbuilt[str]:
        if kinds[one.arch] == "raises":
            raise InfraError(f"no {one.arch}")
        if kinds[one.arch] == "unbuilt":
            return Unbuilt(reports=tuple(name(job) for job in jobs if job.build == one))
        return one.name

    def observe(one: Cell, _: str) -> str:
        nonlocal running, most
        with log.lock:
            running, most = running + 1, max(most, running + 1)
        log.say(name(one))
        with log.lock:
            running -= 1
        if one.workload.name.endswith("bad"):
            raise InfraError(f"no {name(one)}")
        return name(one)

    def taken(work: Work[Build, Cell, str, str, str], _: object) -> None:
        if len(log.reports) >= stop_after:
            work.stop(Stop(why="enough", at_once=at_once))

    error = ""
    try:
        log.run(jobs, room(guests), build=build, observe=observe, taken=taken)
    except InfraError as e:
        error = str(e)

    assert most <= guests
    assert len(log.said) == len(set(log.said))
    failed = {name(job) for job in jobs if job.workload.name.endswith("bad")} & set(log.said)
    assert sorted([*log.reports, *log.skipped, *failed]) == sorted(map(name, jobs))
    assert bool(failed) <= bool(error)
    if not error and not log.skipped:
        assert len(log.reports) == len(jobs)
