# SPDX-License-Identifier: GPL-2.0-or-later
"""Play tries side by side, each in a process and a folder of its own, and count what they show."""

import multiprocessing
import os
import random
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path

from tests.faults.leftovers import become_subreaper, kill_descendants, reap
from tests.faults.rig import Rig, Template
from tests.faults.tally import Finding, Kind, NeverCame, Played, Skip, Tally

Play = Callable[[Rig], None]
# Several calls of patchrig on a busy machine; a try that takes longer has hung somewhere.
TRY_SECONDS = 900.0
_MOST_SHOWN = 1200


@dataclass(frozen=True, kw_only=True, slots=True)
class Try:
    """One thing that is done to patchrig. `name` tells it from the fault's others."""

    name: str
    play: Play
    template: bool = True  # begin with the template's cache and results


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How much of a fault is to be played, and from which seed."""

    count: int
    seed: int
    template: Template
    short: bool = False  # what takes long to prepare is left out

    def random(self, fault: str) -> random.Random:
        return random.Random(f"{self.seed}.{fault}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """A row of the campaign: what is done, how its tries are made, how many in the long and in the short form."""

    name: str
    what: str
    tries: Callable[[Plan], Sequence[Try]]
    full: int
    short: int
    minutes: float  # of the long form; what is not run by then is reported as such


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    folder: Path
    seed: int = 1
    jobs: int = 2
    short: bool = False
    count: int | None = None
    minutes: float = 0.0  # each fault may take so long; 0: the fault's own limit
    just: str = ""  # only tries whose name begins so
    keep: bool = True  # the folders of failed tries
    say: Callable[[str], None] = print


def play_fault(fault: Fault, template: Template, settings: Settings) -> Tally:
    """All tries of a fault."""
    count = settings.count or (fault.short if settings.short else fault.full)
    tally = Tally(fault=fault.name, what=fault.what)
    # The short form has counts of its own, and says that it is short where it is called.
    if count < fault.full and not settings.short:
        tally.note = f"{count} of {fault.full} were asked for"
    try:
        made = fault.tries(Plan(count=count, seed=settings.seed, template=template, short=settings.short))
    except Skip as why:
        tally.played.append(Played(name="all", skipped=str(why)))
        return tally
    chosen = [one for one in made if one.name.startswith(settings.just)]
    pool = _Pool(fault, template, settings)
    minutes = settings.minutes or fault.minutes
    left = pool.play(chosen, tally, time.monotonic() + minutes * 60)
    if left:
        tally.note = f"**{left} not begun after {minutes:.0f} minutes**"
    return tally


@dataclass(slots=True)
class _Worker:
    one: Try
    process: ForkProcess
    pipe: Connection
    began: float


class _Pool:
    def __init__(self, fault: Fault, template: Template, settings: Settings) -> None:
        self._fault = fault
        self._template = template
        self._settings = settings
        self._context = multiprocessing.get_context("fork")

    def play(self, tries: Sequence[Try], tally: Tally, until: float) -> int:
        """Returns how many were not begun in time."""
        todo = list(enumerate(tries))
        running: list[_Worker] = []
        try:
            while running or (todo and time.monotonic() < until):
                while todo and len(running) < self._settings.jobs and time.monotonic() < until:
                    running.append(self._start(*todo.pop(0)))
                for worker in self._ended(running):
                    running.remove(worker)
                    played = self._result(worker)
                    tally.played.append(played)
                    self._tell(played)
        finally:
            for worker in running:
                _end(worker)
        return len(todo)

    def _start(self, number: int, one: Try) -> _Worker:
        ours, theirs = self._context.Pipe(duplex=False)
        folder = self._settings.folder / f"{self._fault.name}.{number}"
        seed = f"{self._settings.seed}.{self._fault.name}.{one.name}"
        process = self._context.Process(target=_play, args=(one, folder, self._template, seed, self._settings, theirs))
        process.start()
        theirs.close()
        return _Worker(one=one, process=process, pipe=ours, began=time.monotonic())

    @staticmethod
    def _ended(running: Sequence[_Worker]) -> list[_Worker]:
        ready = set(wait([worker.pipe for worker in running], timeout=0.5))
        late = [worker for worker in running if time.monotonic() - worker.began > TRY_SECONDS]
        for worker in late:
            _end(worker)
        return [worker for worker in running if worker.pipe in ready or worker in late]

    @staticmethod
    def _result(worker: _Worker) -> Played:
        seconds = time.monotonic() - worker.began
        try:
            played: Played = worker.pipe.recv()
        except (EOFError, OSError):
            why = f"the try itself ended without a word, or after {TRY_SECONDS:.0f} s"
            played = Played(name=worker.one.name, findings=(Finding(Kind.OVERLONG, why),))
        worker.process.join()
        return replace(played, seconds=seconds)

    def _tell(self, played: Played) -> None:
        name = self._fault.name
        for finding in dict.fromkeys(played.findings):
            self._settings.say(f"FAILED {name} {played.name}: {finding.kind}: {_shown(finding.text)}")
        if played.findings:
            count = f" --tries {self._settings.count}" if self._settings.count else ""
            count += " --short" if self._settings.short else ""
            words = f"--only {name}{count} --seed {self._settings.seed} --just '{played.name}'"
            self._settings.say(f'  again: make faults ARGS="{words}"')


def _shown(text: str) -> str:
    """A few words of it, and nothing that a terminal obeys."""
    start = text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN // 2]} ... {text[-_MOST_SHOWN // 2 :]}"
    return "".join(letter if letter.isprintable() or letter == "\n" else repr(letter)[1:-1] for letter in start)


def _end(worker: _Worker) -> None:
    # What is below it first: nobody would find it afterwards.
    kill_descendants(worker.process.pid or 0)
    worker.process.kill()


def _play(one: Try, folder: Path, template: Template, seed: str, settings: Settings, pipe: Connection) -> None:
    """In a process of its own, so that all that is left of the try can be found below it."""
    become_subreaper()
    findings: list[Finding] = []
    skipped, calls = "", 0
    try:
        rig = Rig(folder, template=template, seed=seed)
        findings = rig.findings
        if one.template:
            rig.warm()
        one.play(rig)
        calls = rig.calls
    except Skip as why:
        skipped = str(why)
    except NeverCame as why:
        findings.append(Finding(Kind.WRONG, str(why)))
    except Exception:
        # A try that could not be played to its end has shown nothing.
        findings.append(Finding(Kind.WRONG, f"the campaign's own trouble: {traceback.format_exc()[-1500:]}"))
    kill_descendants(os.getpid())
    reap()
    if not (findings and settings.keep):
        rig.forget()
    pipe.send(Played(name=one.name, findings=tuple(findings), skipped=skipped, calls=calls))
    pipe.close()
    os._exit(0)
