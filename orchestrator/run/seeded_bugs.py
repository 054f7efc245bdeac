# SPDX-License-Identifier: GPL-2.0-or-later
"""The story of `patchrig sensitivity`: a kernel for each seeded bug, and workloads until one of them finds it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from orchestrator.guest.keys import new_keys
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import Cancelled, InfraError, UserError
from orchestrator.judge.bug_verdict import attempt_of, status_of
from orchestrator.kernel.series.bug_patches import READING_SECONDS
from orchestrator.kernel.series.load import BASELINE, Series, load_series
from orchestrator.model.bugs import NO_BUG, Attempt, BugReport, BugStatus, Control, SeededBug, Sensitivity
from orchestrator.model.cells import Build, Cell
from orchestrator.model.events import BuildEnded, Event, Listener
from orchestrator.model.images import BuildFailure
from orchestrator.model.outcomes import Outcome
from orchestrator.plan.bug_cells import cells_for, control_cell, rebuild_order, workloads_for
from orchestrator.plan.expansion import builds_of
from orchestrator.report.bugs_report import Ledger, bug_ended, control_ended
from orchestrator.report.store import Store
from orchestrator.run.bootable import Bootable, BootFiles, Guests
from orchestrator.run.bootable_kernels import new_bootable
from orchestrator.run.delay_targets import check_targets
from orchestrator.run.guest_files import keep
from orchestrator.run.kernels import Building, Kernels, Request, open_kernels
from orchestrator.run.losses import LossWatch
from orchestrator.run.scheduler import Unbuilt
from orchestrator.run.trials import Trial, TrialLimits, run_cell, run_trials

# After these no further cell of the same kernel tells more.
_LAST = frozenset({Outcome.SKIPPED, Outcome.BOOT_FAILED})


def measure(
    request: Request, bugs: Sequence[SeededBug], seconds: int | None, ledger: Ledger, listener: Listener
) -> Sensitivity:
    """Try every bug on every build of the request; what is known is in the ledger whatever happens."""
    ordered = rebuild_order(bugs)
    builds = builds_of(request.cells)
    try:
        with open_kernels(request, listener) as kernels:
            for build in builds:
                workloads = workloads_for(ordered, request.plan.workloads, build.flavour)
                controls = [control_cell(build, load, request.plan.matrix, seconds) for load in workloads]
                run = SeededBugRun(kernels=kernels, controls=controls, ledger=ledger, listener=listener)
                run.try_all(ordered, seconds)
    except (KeyboardInterrupt, Cancelled, InfraError) as e:
        why = str(e) if isinstance(e, InfraError) else "interrupted"
        for build in builds:
            ledger.add_untried(ordered, build, why)
        raise
    return ledger.save()


def _trial(bug: SeededBug, cells: tuple[Cell, ...]) -> Trial[SeededBug]:
    return Trial(build=bug, name=bug.id or f"control {cells[0].workload.name}", cells=cells)


@dataclass(slots=True)
class SeededBugRun:
    """What the trials of one build share."""

    kernels: Kernels
    controls: Sequence[Cell]  # each workload once, without any bug
    ledger: Ledger
    listener: Listener
    files: BootFiles = field(init=False)

    def __post_init__(self) -> None:
        request = self.kernels.request
        folder = self.ledger.folder / "guest" / self.build.flavour
        folder.mkdir(parents=True, exist_ok=True)
        allow, sandbox = request.plan.matrix.allow, self.kernels.sandbox
        guests = Guests(
            keys=new_keys(), allow=allow, stop_when_red=True, sandbox=sandbox, deterministic=request.deterministic
        )
        workloads = tuple(cell.workload for cell in self.controls)
        self.files = BootFiles(
            folder=folder, guests=guests, workloads=workloads, cache=request.cache, listener=self.listener
        )

    @property
    def build(self) -> Build:
        return self.controls[0].build

    def try_all(self, bugs: Sequence[SeededBug], seconds: int | None) -> None:
        """First each workload without any bug, as one that is red then can't find any; then all bugs."""
        good, plan = self._good_kernel(), self.kernels.request.plan
        red = self._red_without_bugs(good)
        trials = []
        for bug in bugs:
            if cells := cells_for(bug, self.build, plan.workloads, plan.matrix, seconds=seconds, red=red):
                trials.append(_trial(bug, cells))
            else:
                why = "every workload that reaches it is red without the bug, too"
                self._record(self._report(bug, BugStatus.NO_WORKLOAD, why))
        self._try_on(good, trials)

    def _good_kernel(self) -> Bootable:
        """The kernel without any bug. Raises UserError where there is none."""
        made = self._kernel(NO_BUG, BASELINE, background=False)
        if isinstance(made, BuildFailure):
            raise UserError(f"without any seeded bug: {made.outcome}: {made.title}\n{made.detail}")
        check_targets(self.kernels.request.cells, made.kernel)
        return self.files.with_usable_kvm(made, self.controls[0])

    def _red_without_bugs(self, good: Bootable) -> frozenset[str]:
        """Run each workload once without any bug; returns the names of those that are red, and so can't find any."""
        trials = [_trial(NO_BUG, (cell,)) for cell in self.controls]
        red = set()
        with self._store(NO_BUG, good) as store:

            def observed(trial: Trial[SeededBug], _good: Bootable) -> Attempt:
                return self._attempt(trial, trial.cells[0], good, store)

            limits = TrialLimits(jobs=self.kernels.request.jobs, deterministic=self.kernels.request.deterministic)
            for attempt in run_trials(trials, lambda _bug, _background: good, observed, limits):
                control = Control(build=self.build, attempt=attempt)
                self.ledger.add_control(control)
                self.listener(control_ended(control))
                if attempt.found:
                    red.add(attempt.workload)
        return frozenset(red)

    def _try_on(self, good: Bootable, trials: Sequence[Trial[SeededBug]]) -> None:
        """Build each bug's kernel and try it beside the build of the next."""
        watch = LossWatch(what="bugs")
        limits = TrialLimits(
            jobs=self.kernels.request.jobs, deterministic=self.kernels.request.deterministic, watch=watch
        )
        for report in run_trials(trials, partial(self._bug_kernel, good), self._try, limits):
            self._record(report)
            if report.attempts:
                watch.add(lost=report.status is BugStatus.LOST)
        watch.check(f"less {self.ledger.folder / 'sensitivity.json'}; patchrig doctor")

    def _bug_kernel(self, good: Bootable, bug: SeededBug, background: bool) -> Bootable | Unbuilt[BugReport]:
        until = Deadline.after(READING_SECONDS, f"reading {bug.path}")
        log = self.ledger.kernel_folder(bug, self.build) / "git.log"
        patches = load_series((bug.path,), tree=None, log=log, until=until)
        made = self._kernel(bug, patches, background=background)
        if isinstance(made, BuildFailure):
            return Unbuilt(reports=(self._report(bug, BugStatus(str(made.outcome)), made.title),))
        if made.kernel.hashes["image"] == good.kernel.hashes["image"]:
            why = "the kernel is the same without it: what it changes is not compiled in this configuration"
            return Unbuilt(reports=(self._report(bug, BugStatus.NO_EFFECT, why),))
        return replace(made, guests=good.guests)

    def _kernel(self, bug: SeededBug, patches: Series, *, background: bool) -> Bootable | BuildFailure:
        def heard(event: Event) -> None:
            # All bugs of a build share its name.
            if isinstance(event, BuildEnded) and bug.id:
                event = replace(event, text=f"{event.text} with {bug.id}")
            self.listener(event)

        folder = self.ledger.kernel_folder(bug, self.build)
        log_dir = folder / "builds" / self.build.name
        log_dir.mkdir(parents=True, exist_ok=True)
        kernels, how = self.kernels, Building(log_dir=log_dir, listener=heard, more=patches, background=background)
        image = kernels.image(self.build, how)
        if isinstance(image, BuildFailure):
            return image
        return new_bootable(image, kernels, self.files, how, run=folder, initramfs_in=folder)

    @contextmanager
    def _store(self, bug: SeededBug, bootable: Bootable) -> Iterator[Store]:
        matrix = self.kernels.request.plan.matrix
        with self.ledger.open_run(self.ledger.kernel_folder(bug, self.build), matrix) as store:
            store.add_build(bootable.kernel)
            keep(bootable, store)
            yield store

    def _try(self, trial: Trial[SeededBug], bootable: Bootable) -> BugReport:
        attempts: list[Attempt] = []
        bug = trial.build
        with self._store(bug, bootable) as store:
            for cell in trial.cells:
                attempts.append(self._attempt(trial, cell, bootable, store))
                if attempts[-1].found or attempts[-1].outcome in _LAST:
                    break
        status = status_of(attempts)
        title = attempts[-1].title if status is not BugStatus.SURVIVED else ""
        seconds = round(bootable.kernel.seconds, 1)
        return replace(self._report(bug, status, title), attempts=tuple(attempts), build_seconds=seconds)

    def _attempt(self, trial: Trial[SeededBug], cell: Cell, bootable: Bootable, store: Store) -> Attempt:
        report = run_cell(trial.name, cell, bootable, store, self.listener)
        return attempt_of(report, str(store.cell_folder(cell).relative_to(self.ledger.folder)))

    def _report(self, bug: SeededBug, status: BugStatus, title: str) -> BugReport:
        return BugReport(bug=bug, build=self.build, status=status, title=title)

    def _record(self, report: BugReport) -> None:
        self.ledger.add_bug(report)
        self.listener(bug_ended(report))
