# SPDX-License-Identifier: GPL-2.0-or-later
"""The story of `patchrig sensitivity`: a kernel for each seeded bug, and workloads until one of them finds it."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.guest.keys import new_keys
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import Cancelled, InfraError, UserError
from orchestrator.host.paths import scratch_folder
from orchestrator.judge.bug_verdict import is_finding, status_of
from orchestrator.kernel.series.bug_patches import load_bugs
from orchestrator.kernel.series.load import BASELINE, Series, load_series
from orchestrator.model.bugs import Attempt, BugReport, BugStatus, Control, SeededBug, Sensitivity
from orchestrator.model.cells import Build, Cell
from orchestrator.model.configuration import Workload
from orchestrator.model.events import BuildEnded, CellProgress, Event, Listener, TrialEnded, TrialProgress
from orchestrator.model.images import BuildFailure, KernelImage
from orchestrator.model.outcomes import Outcome
from orchestrator.plan.bug_cells import budget_of, bug_cells, leading, promising, rebuild_order
from orchestrator.plan.expansion import builds_of
from orchestrator.plan.flavours import unfit
from orchestrator.report.bugs_report import Ledger
from orchestrator.report.store import BUGS, Store, open_run_at
from orchestrator.run.bootable import Bootable, BootFiles, Guests, Startable
from orchestrator.run.capacity import Room, available_memory_mib, memory_of
from orchestrator.run.cell import observe
from orchestrator.run.crash_source import new_explainer
from orchestrator.run.delay_targets import check_targets
from orchestrator.run.guest_files import keep, write_repro
from orchestrator.run.judging import judge_cell, record
from orchestrator.run.kernels import Kernels, Request, open_kernels
from orchestrator.run.losses import LossWatch
from orchestrator.run.order import Schedule
from orchestrator.run.scheduler import Ended, O, R, Steps, Stop, Unbuilt, working

# After these no further cell of the same kernel tells more.
_LAST = frozenset({Outcome.SKIPPED, Outcome.BOOT_FAILED})
_READING_SECONDS = 600.0
_NO_BUG = SeededBug(id="", path=Path(), diff="", touched=())


def read_bugs(place: Path, ids: Sequence[str]) -> tuple[tuple[SeededBug, ...], tuple[SeededBug, ...]]:
    """The bugs to try, and those that nothing can tell from the original: these are tried only when named in `ids`."""
    with scratch_folder() as scratch:
        until = Deadline.after(_READING_SECONDS, f"reading {place}")
        bugs = load_bugs(place, ids, log=Path(scratch) / "log", until=until)
    if ids:
        return bugs, ()
    counted = tuple(bug for bug in bugs if not bug.undetectable)
    if not counted:
        raise UserError(f"{place}: every bug there says that it can't be detected", hint=f"ls {place}")
    return counted, tuple(bug for bug in bugs if bug.undetectable)


def measure(
    request: Request, bugs: Sequence[SeededBug], seconds: int | None, ledger: Ledger, listener: Listener
) -> Sensitivity:
    """Try every bug on every build of the request; what is known is in the ledger whatever happens."""
    ordered = rebuild_order(bugs)
    builds = builds_of(request.cells)
    try:
        with open_kernels(request, listener) as kernels:
            for build in builds:
                _on_build(kernels, build, ordered, seconds, ledger, listener)
    except (KeyboardInterrupt, Cancelled, InfraError) as e:
        why = str(e) if isinstance(e, InfraError) else "interrupted"
        for build in builds:
            for bug in ordered:
                if not ledger.knows(bug, build):
                    ledger.add_bug(BugReport(bug=bug, build=build, status=BugStatus.UNTRIED, title=why))
        raise
    return ledger.save()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Trial:
    """The cells of one kernel that run one after another: of a bug, or one of a workload without any."""

    bug: SeededBug
    cells: tuple[Cell, ...]

    @property
    def build(self) -> str:
        """The bug's id; "" for the kernel without any."""
        return self.bug.id

    @property
    def name(self) -> str:
        return self.build or f"control {self.cells[0].workload.name}"

    @property
    def workload(self) -> Workload:
        """The one whose guest needs most memory."""
        return max(self.cells, key=memory_of).workload


def _on_build(
    kernels: Kernels, build: Build, bugs: Sequence[SeededBug], seconds: int | None, ledger: Ledger, listener: Listener
) -> None:
    """All bugs on one build: first each workload without any bug, as one that is red then can't find any."""
    workloads = _fit(kernels.request, build)
    used = {load.name for bug in bugs for load in promising(bug, workloads)}
    needed = tuple(load for load in workloads if load.name in used)
    run = SeededBugRun(kernels=kernels, build=build, ledger=ledger, listener=listener, seconds=seconds, needed=needed)
    good = run.good_kernel()
    red = run.control(good)
    trials = [_Trial(bug=bug, cells=run.cells(bug, without=red)) for bug in bugs]
    why = "every workload that reaches it is red without the bug, too"
    run.record([run.report(trial.bug, BugStatus.NO_WORKLOAD, why) for trial in trials if not trial.cells])
    run.try_all([trial for trial in trials if trial.cells], good)


def _fit(request: Request, build: Build) -> tuple[Workload, ...]:
    """The workloads that can run on kernels of the build's flavour; there is one, or there would be no such build."""
    return tuple(load for load in request.plan.workloads if not unfit(load, build.flavour))


@dataclass(slots=True)
class SeededBugRun:
    """What the trials of one build share."""

    kernels: Kernels
    build: Build
    ledger: Ledger
    listener: Listener
    seconds: int | None
    needed: tuple[Workload, ...]
    files: BootFiles = field(init=False)

    def __post_init__(self) -> None:
        request = self.kernels.request
        folder = self.ledger.folder / "guest" / self.build.flavour
        folder.mkdir(parents=True, exist_ok=True)
        allow, sandbox = request.plan.matrix.allow, self.kernels.sandbox
        guests = Guests(keys=new_keys(), allow=allow, stop_at_crash=True, sandbox=sandbox)
        self.files = BootFiles(
            folder=folder, guests=guests, workloads=self.needed, cache=request.cache, listener=self.listener
        )

    def cells(self, bug: SeededBug, *, without: frozenset[str]) -> tuple[Cell, ...]:
        """The bug's cells, most promising first; () where every workload that reaches it is one of `without`."""
        plan = self.kernels.request.plan
        fit = _fit(self.kernels.request, self.build)
        chosen = [load for load in promising(bug, fit) if load.name not in without]
        if not chosen:
            return ()
        budget = budget_of(bug, self.seconds)
        lead, first = leading(bug, chosen), min(plan.matrix.seconds, budget)
        return bug_cells(self.build, chosen, plan.matrix, lead=max(1, lead), budget=budget, first=first)

    def good_kernel(self) -> Startable:
        """The kernel without any bug. Raises UserError where there is none."""
        image = self._image(_NO_BUG, background=False)
        if isinstance(image, BuildFailure):
            raise UserError(f"without any seeded bug: {image.outcome}: {image.title}\n{image.detail}")
        check_targets(self.kernels.request.cells, image)
        bootable = self._bootable(image, _NO_BUG)
        return Startable(bootable=bootable, guests=self.files.guests_of(self._control_cell(self.needed[0]), bootable))

    def control(self, good: Startable) -> frozenset[str]:
        """Run each workload once without any bug; returns the names of those that are red, and so can't find any."""
        trials = [_Trial(bug=_NO_BUG, cells=(self._control_cell(load),)) for load in self.needed]
        red: set[str] = set()
        with self._store(_NO_BUG) as store:
            store.add_build(good.bootable.kernel)
            keep(good.bootable, good.guests.keys, store)
            steps: Steps[str, _Trial, Startable, Attempt, Control] = Steps(
                build=lambda _build, _background: good,
                observe=lambda trial, ready: self._attempt(trial.cells[0], ready, store, trial.name),
                judge=lambda _trial, _ready, attempt: Control(build=self.build, attempt=attempt),
            )
            for ended in self._ended([""], trials, steps):
                for control in ended.reports:
                    attempt = control.attempt
                    self.ledger.add_control(control)
                    red |= {attempt.workload} if attempt.found else set()
                    good_end = not attempt.found and not control.unknown
                    self.listener(TrialEnded(name=f"control {attempt.workload}", text=_text(attempt), good=good_end))
        return frozenset(red)

    def try_all(self, trials: Sequence[_Trial], good: Startable) -> None:
        """Build each bug's kernel and try it beside the build of the next."""
        bugs = {trial.build: trial.bug for trial in trials}
        watch = LossWatch(what="bugs")
        steps: Steps[str, _Trial, Startable, BugReport, BugReport] = Steps(
            build=lambda build, background: self._bug_kernel(bugs[build], good, background=background),
            observe=self._try,
            judge=lambda _trial, _ready, report: report,
        )
        for ended in self._ended(list(bugs), trials, steps, watch):
            self.record(ended.reports)
            for report in ended.reports:
                if report.attempts:
                    watch.add(lost=report.status is BugStatus.LOST)
        watch.check(f"less {self.ledger.folder / 'sensitivity.json'}; patchrig doctor")

    def _ended(
        self,
        builds: Sequence[str],
        trials: Sequence[_Trial],
        steps: Steps[str, _Trial, Startable, O, R],
        watch: LossWatch | None = None,
    ) -> Iterator[Ended[_Trial, R]]:
        room = Room(cores=os.cpu_count() or 1, memory_mib=available_memory_mib(), jobs=self.kernels.request.jobs)
        with working(Schedule(builds=tuple(builds), jobs=tuple(trials)), room, steps) as work:
            for ended in work:
                yield ended
                if watch and (why := watch.why_hopeless()):
                    work.stop(Stop(why=why, at_once=True))

    def _bug_kernel(self, bug: SeededBug, good: Startable, *, background: bool) -> Startable | Unbuilt[BugReport]:
        image = self._image(bug, background=background)
        if isinstance(image, BuildFailure):
            return Unbuilt(reports=(self.report(bug, BugStatus(str(image.outcome)), image.title),))
        if image.hashes["image"] == good.bootable.kernel.hashes["image"]:
            why = "the kernel is the same without it: what it changes is not compiled in this configuration"
            return Unbuilt(reports=(self.report(bug, BugStatus.NO_EFFECT, why),))
        return replace(good, bootable=self._bootable(image, bug))

    def _image(self, bug: SeededBug, *, background: bool) -> KernelImage | BuildFailure:
        def heard(event: Event) -> None:
            # All bugs of a build share its name.
            if isinstance(event, BuildEnded) and bug.id:
                event = replace(event, text=f"{event.text} with {bug.id}")
            self.listener(event)

        log_dir = self._folder(bug) / "builds" / self.build.name
        log_dir.mkdir(parents=True, exist_ok=True)
        return self.kernels.image(
            self.build, log_dir=log_dir, listener=heard, more=self._patches(bug), background=background
        )

    def _patches(self, bug: SeededBug) -> Series:
        """What lies on top of the series."""
        if not bug.id:
            return BASELINE
        until = Deadline.after(_READING_SECONDS, f"reading {bug.path}")
        return load_series((bug.path,), tree=None, log=self._folder(bug) / "git.log", until=until)

    def _bootable(self, image: KernelImage, bug: SeededBug) -> Bootable:
        # A data race is found only where the series or the bug changed something.
        series = self.kernels.series
        series = replace(series, patches=(*series.patches, *self._patches(bug).patches))
        folder, kernels = self._folder(bug), self.kernels
        explainer = new_explainer(
            image, series, diffs=kernels.diffs, cache=kernels.request.cache, run=folder, sandbox=kernels.sandbox
        )
        return self.files.bootable(image, explainer, blocks=folder)

    def _folder(self, bug: SeededBug) -> Path:
        variety = f"{self.build.flavour}.{self.build.arch}"
        return self.ledger.folder / (f"{BUGS}/{bug.id}.{variety}" if bug.id else f"control/{variety}")

    def _control_cell(self, workload: Workload) -> Cell:
        matrix = self.kernels.request.plan.matrix
        seconds = min(matrix.seconds, self.seconds or matrix.seconds)
        (cell,) = bug_cells(self.build, [workload], matrix, lead=1, budget=seconds, first=seconds)
        return cell

    @contextmanager
    def _store(self, bug: SeededBug) -> Iterator[Store]:
        """The folder of one kernel's cells: a run as any other, for `patchrig repro`."""
        plan, known = self.kernels.request.plan, self.ledger.report()
        folder = self._folder(bug)
        with open_run_at(
            folder,
            str(folder.relative_to(known.folder.parent)),
            argv=known.argv,
            matrix_path=str(plan.path),
            matrix=plan.matrix,
            versions=known.versions,
        ) as store:
            yield store

    def _try(self, trial: _Trial, ready: Startable) -> BugReport:
        attempts: list[Attempt] = []
        with self._store(trial.bug) as store:
            store.add_build(ready.bootable.kernel)
            keep(ready.bootable, ready.guests.keys, store)
            for cell in trial.cells:
                attempts.append(self._attempt(cell, ready, store, trial.name))
                if attempts[-1].found or attempts[-1].outcome in _LAST:
                    break
        status = status_of(attempts)
        return replace(
            self.report(trial.bug, status, attempts[-1].title if status is not BugStatus.SURVIVED else ""),
            attempts=tuple(attempts),
            build_seconds=round(ready.bootable.kernel.seconds, 1),
        )

    def _attempt(self, cell: Cell, ready: Startable, store: Store, name: str) -> Attempt:
        folder = store.cell_folder(cell)
        write_repro(cell, ready.bootable, ready.guests, folder)
        text = f"{cell.workload.name} for {cell.seconds} s"
        self.listener(TrialProgress(name=name, text=text, done=0, total=cell.seconds))

        def heard(event: Event) -> None:
            if isinstance(event, CellProgress):
                self.listener(TrialProgress(name=name, text=text, done=int(event.seconds), total=cell.seconds))

        observed = observe(cell, ready.bootable, ready.guests, folder=folder, listener=heard)
        (report,) = record([judge_cell(cell, observed, ready.bootable, ready.guests.allow)], store)
        return Attempt(
            workload=cell.workload.name,
            seconds=cell.seconds,
            outcome=report.verdict.outcome,
            title=report.verdict.title,
            found=is_finding(report),
            guest_seconds=round(report.run.guest_seconds, 1) if report.run else 0.0,
            cell=cell.name,
            folder=str(folder.relative_to(self.ledger.folder)),
        )

    def report(self, bug: SeededBug, status: BugStatus, title: str) -> BugReport:
        return BugReport(bug=bug, build=self.build, status=status, title=title)

    def record(self, reports: Iterable[BugReport]) -> None:
        for report in reports:
            self.ledger.add_bug(report)
            text = f"{report.status}: {report.title}" if report.title else str(report.status)
            name = f"{report.bug.id}.{self.build.flavour}.{self.build.arch}"
            found = f"found by {_text(report.finding)}" if report.finding else text
            self.listener(TrialEnded(name=name, text=found, good=report.good))


def _text(attempt: Attempt) -> str:
    return f"{attempt.workload}: {attempt.outcome} after {attempt.guest_seconds:.0f} s: {attempt.title}"
