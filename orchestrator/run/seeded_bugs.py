# SPDX-License-Identifier: GPL-2.0-or-later
"""The story of `patchrig sensitivity`: a kernel for each seeded bug, and workloads until one of them finds it."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from orchestrator.guest.archive import add_blocks
from orchestrator.guest.keys import RunKeys, new_keys
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import Cancelled, InfraError, UserError
from orchestrator.host.paths import scratch_folder
from orchestrator.kernel.series.bug_patches import load_bugs
from orchestrator.kernel.series.load import BASELINE, Series, load_series
from orchestrator.model.arch import ARCHES
from orchestrator.model.bugs import Attempt, BugReport, BugStatus, Control, SeededBug, Sensitivity
from orchestrator.model.cells import Build, Cell
from orchestrator.model.configuration import Workload
from orchestrator.model.crashes import Severity
from orchestrator.model.events import BuildEnded, CellProgress, Event, Listener, Step, TrialEnded, TrialProgress
from orchestrator.model.images import BuildFailure, KernelImage
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport
from orchestrator.plan.bug_cells import budget_of, bug_cells, leading, promising, rebuild_order
from orchestrator.plan.expansion import builds_of
from orchestrator.report.bugs_report import Ledger
from orchestrator.report.store import BUGS, Store, open_run_at
from orchestrator.run.bootable import Bootable, Guests
from orchestrator.run.capacity import available_memory_mib, jobs_for
from orchestrator.run.cell import run_cell
from orchestrator.run.crash_source import new_explainer
from orchestrator.run.delay_targets import check_targets
from orchestrator.run.endings import recorded
from orchestrator.run.guest_files import initramfs_name, keep, make_initramfs, workload_sources, write_repro
from orchestrator.run.matrix import Kit, Request, end_guests, open_kit, usable_kvm

# A bug that a workload has noticed. A cell that proved nothing has found nothing either, and a lost one knows nothing.
FINDINGS = frozenset({Outcome.FAILED, Outcome.HUNG, Outcome.CORRUPTED, Outcome.CRASHED})
_READING_SECONDS = 600.0
# One bug that is lost may be an accident; two in a row say that this machine can't do it.
_LOST_IN_A_ROW = 2


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
        with open_kit(request, listener) as kit:
            for build in builds:
                bench = _Bench(kit=kit, build=build, ledger=ledger, listener=listener, seconds=seconds)
                bench.measure(ordered)
    except (KeyboardInterrupt, Cancelled, InfraError) as e:
        why = str(e) if isinstance(e, InfraError) else "interrupted"
        for build in builds:
            for bug in ordered:
                if not ledger.knows(bug, build):
                    ledger.add_bug(BugReport(bug=bug, build=build, status=BugStatus.UNTRIED, title=why))
        raise
    return ledger.save()


def is_finding(report: CellReport) -> bool:
    """Whether the cell has noticed that its kernel is broken.

    A kernel that does not come up is a finding where its console says why. Without a word it may be this machine.
    """
    if report.verdict.outcome is Outcome.BOOT_FAILED:
        return any(crash.severity is Severity.FATAL and not crash.allowed for crash in report.crashes)
    return report.verdict.outcome in FINDINGS


def status_of(attempts: Sequence[Attempt]) -> BugStatus:
    """What the cells of one bug add up to."""
    outcomes = {attempt.outcome for attempt in attempts}
    if any(attempt.found for attempt in attempts):
        return BugStatus.FOUND
    if Outcome.SKIPPED in outcomes or not attempts:
        return BugStatus.UNTRIED
    # One cell that is lost leaves open whether it would have found it.
    if outcomes & {Outcome.LOST, Outcome.BOOT_FAILED}:
        return BugStatus.LOST
    return BugStatus.SURVIVED


@dataclass(slots=True)
class _Bench:
    """All bugs on one build."""

    kit: Kit
    build: Build
    ledger: Ledger
    listener: Listener
    seconds: int | None
    keys: RunKeys = field(default_factory=new_keys)
    _good: str = ""  # the SHA-256 of the image without any bug
    _lost: int = 0

    def measure(self, bugs: Sequence[SeededBug]) -> None:
        workloads = self.kit.request.plan.workloads
        used = {load.name for bug in bugs for load in promising(bug, workloads)}
        needed = [load for load in workloads if load.name in used]
        plans = {bug.id: self._cells(bug, workloads) for bug in bugs}
        jobs = self._jobs([cell for cells in plans.values() for cell in cells])
        image = self._image(None)
        if isinstance(image, BuildFailure):
            raise UserError(f"without any seeded bug: {image.outcome}: {image.title}\n{image.detail}")
        check_targets(self.kit.request.cells, image)
        self._good = image.hashes["image"]
        initramfs = self._initramfs(needed)
        bootable = self._bootable(image, initramfs, None)
        guests = self._guests(plans[bugs[0].id][0], bootable)
        red = self._control(needed, bootable, guests, jobs)
        with side_by_side(jobs) as lanes:
            for bug in bugs:
                cells = self._cells(bug, [load for load in workloads if load.name not in red])
                self._begin(bug, cells, initramfs, guests, lanes)

    def _cells(self, bug: SeededBug, workloads: Sequence[Workload]) -> tuple[Cell, ...]:
        matrix = self.kit.request.plan.matrix
        reaching = {load.name for load in promising(bug, self.kit.request.plan.workloads)}
        chosen = [load for load in promising(bug, workloads) if load.name in reaching] if workloads else []
        budget = budget_of(bug, self.seconds)
        if not chosen:
            return ()
        lead, first = leading(bug, chosen), min(matrix.seconds, budget)
        return bug_cells(self.build, chosen, matrix, lead=lead, budget=budget, first=first)

    def _jobs(self, cells: Sequence[Cell]) -> int:
        wanted = self.kit.request.jobs
        return wanted or jobs_for(cells, cores=os.cpu_count() or 1, memory_mib=available_memory_mib())

    def _place(self, bug: SeededBug | None) -> Path:
        variety = f"{self.build.flavour}.{self.build.arch}"
        return self.ledger.folder / (f"{BUGS}/{bug.id}.{variety}" if bug else f"control/{variety}")

    def _image(self, bug: SeededBug | None) -> KernelImage | BuildFailure:
        log_dir = self._place(bug) / "builds" / self.build.name
        log_dir.mkdir(parents=True, exist_ok=True)
        listener = self._with_name(bug) if bug else self.listener
        # Guests of the bug before may be running.
        background = bug is not None
        return self.kit.image(
            self.build, log_dir=log_dir, listener=listener, more=self._more(bug), background=background
        )

    def _more(self, bug: SeededBug | None) -> Series:
        """What lies on top of the series."""
        if bug is None:
            return BASELINE
        until = Deadline.after(_READING_SECONDS, f"reading {bug.path}")
        return load_series((bug.path,), tree=None, log=self._place(bug) / "git.log", until=until)

    def _with_name(self, bug: SeededBug) -> Listener:
        def heard(event: Event) -> None:
            # All bugs of a build share its name.
            if isinstance(event, BuildEnded):
                self.listener(replace(event, text=f"{event.text} with {bug.id}"))
            else:
                self.listener(event)

        return heard

    def _initramfs(self, workloads: Sequence[Workload]) -> Path:
        arch = ARCHES[self.build.arch]
        folder = self.ledger.folder / "guest" / self.build.flavour
        folder.mkdir(parents=True, exist_ok=True)
        self.listener(Step(text=f"the guest's root file system for {arch.name}"))
        output = folder / f"initramfs.{arch.name}"
        cache = self.kit.request.cache
        return make_initramfs(arch, workload_sources(workloads), self.keys, cache=cache, output=output)

    def _bootable(self, image: KernelImage, initramfs: Path, bug: SeededBug | None) -> Bootable:
        """An instrumented kernel has blocks of its own to be told of."""
        if image.coverage:
            output = self._place(bug) / initramfs_name(image)
            initramfs = add_blocks(initramfs, image.coverage, output=output)
        # A data race is found only where the series or the bug changed something.
        series = replace(self.kit.series, patches=(*self.kit.series.patches, *self._more(bug).patches))
        kit, run = self.kit, self._place(bug)
        explainer = new_explainer(image, series, diffs=kit.diffs, cache=kit.request.cache, run=run, sandbox=kit.sandbox)
        return Bootable(kernel=image, initramfs=initramfs, explainer=explainer)

    def _guests(self, cell: Cell, bootable: Bootable) -> Guests:
        request = self.kit.request
        allow, sandbox = request.plan.matrix.allow, self.kit.sandbox
        guests = Guests(keys=self.keys, kvm=frozenset(), allow=allow, stop_at_crash=True, sandbox=sandbox)
        if usable_kvm(cell, bootable, guests, cache=request.cache, listener=self.listener):
            return replace(guests, kvm=frozenset({self.build.arch}))
        return guests

    def _control(self, workloads: Sequence[Workload], bootable: Bootable, guests: Guests, jobs: int) -> frozenset[str]:
        """Run each workload once without any bug; returns the names of those that are red, and so can't find any."""
        matrix = self.kit.request.plan.matrix
        seconds = min(matrix.seconds, self.seconds or matrix.seconds)
        red: set[str] = set()

        def one(cell: Cell, store: Store) -> None:
            attempt = self._attempt(cell, bootable, guests, store, f"control {cell.workload.name}")
            control = Control(build=self.build, attempt=attempt)
            self.ledger.add_control(control)
            if attempt.found:
                red.add(attempt.workload)
            good = not attempt.found and not control.unknown
            self.listener(TrialEnded(name=f"control {attempt.workload}", text=_told(attempt), good=good))

        with self._run(None) as store, side_by_side(jobs) as lanes:
            store.add_build(bootable.kernel)
            keep(bootable, self.keys, store)
            for load in workloads:
                (cell,) = bug_cells(self.build, [load], matrix, lead=1, budget=seconds, first=seconds)
                lanes.start(partial(one, cell, store))
        return frozenset(red)

    @contextmanager
    def _run(self, bug: SeededBug | None) -> Iterator[Store]:
        """The folder of one kernel's cells: a run as any other, for `patchrig repro`."""
        plan = self.kit.request.plan
        known = self.ledger.report()
        with open_run_at(
            self._place(bug),
            str(self._place(bug).relative_to(known.folder.parent)),
            argv=known.argv,
            matrix_path=str(plan.path),
            matrix=plan.matrix,
            versions=known.versions,
        ) as store:
            yield store

    def _begin(self, bug: SeededBug, cells: Sequence[Cell], initramfs: Path, guests: Guests, lanes: "_Lanes") -> None:
        """Build the bug's kernel here, and try it beside the build of the next."""
        if not cells:
            why = "every workload that reaches it is red without the bug, too"
            self._record(BugReport(bug=bug, build=self.build, status=BugStatus.NO_WORKLOAD, title=why))
            return
        image = self._image(bug)
        if isinstance(image, BuildFailure):
            status = BugStatus(str(image.outcome))
            self._record(BugReport(bug=bug, build=self.build, status=status, title=image.title))
            return
        if image.hashes["image"] == self._good:
            why = "the kernel is the same without it: what it changes is not compiled in this configuration"
            self._record(BugReport(bug=bug, build=self.build, status=BugStatus.NO_EFFECT, title=why))
            return
        if self._lost >= _LOST_IN_A_ROW:
            raise InfraError(
                f"{self._lost} bugs in a row were lost to this machine's own trouble",
                hint=f"less {self.ledger.folder / 'sensitivity.json'}; patchrig doctor",
            )
        bootable = self._bootable(image, initramfs, bug)
        lanes.start(partial(self._try, bug, cells, bootable, guests))

    def _try(self, bug: SeededBug, cells: Sequence[Cell], bootable: Bootable, guests: Guests) -> None:
        attempts: list[Attempt] = []
        with self._run(bug) as store:
            store.add_build(bootable.kernel)
            keep(bootable, self.keys, store)
            for cell in cells:
                attempts.append(self._attempt(cell, bootable, guests, store, bug.id))
                if attempts[-1].found or attempts[-1].outcome in _LAST:
                    break
        status = status_of(attempts)
        told = attempts[-1].title if status is not BugStatus.SURVIVED else ""
        self._record(
            BugReport(
                bug=bug,
                build=self.build,
                status=status,
                title=told,
                attempts=tuple(attempts),
                build_seconds=round(bootable.kernel.seconds, 1),
            )
        )

    def _attempt(self, cell: Cell, bootable: Bootable, guests: Guests, store: Store, name: str) -> Attempt:
        folder = store.cell_folder(cell)
        write_repro(cell, bootable, guests, folder)
        text = f"{cell.workload.name} for {cell.seconds} s"
        self.listener(TrialProgress(name=name, text=text, done=0, total=cell.seconds))

        def heard(event: Event) -> None:
            if isinstance(event, CellProgress):
                done = int(event.seconds)
                self.listener(TrialProgress(name=name, text=text, done=done, total=cell.seconds))

        report = recorded(run_cell(cell, bootable, guests, folder=folder, listener=heard), store.add_cell, folder)
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

    def _record(self, report: BugReport) -> None:
        self.ledger.add_bug(report)
        if report.attempts:
            self._lost = self._lost + 1 if report.status is BugStatus.LOST else 0
        finding = report.finding
        text = f"{report.status}: {report.title}" if report.title else str(report.status)
        self.listener(
            TrialEnded(
                name=f"{report.bug.id}.{self.build.flavour}.{self.build.arch}",
                text=f"found by {_told(finding)}" if finding else text,
                good=report.good,
            )
        )


# After these no further cell of the same kernel tells more.
_LAST = frozenset({Outcome.SKIPPED, Outcome.BOOT_FAILED})


def _told(attempt: Attempt) -> str:
    return f"{attempt.workload}: {attempt.outcome} after {attempt.guest_seconds:.0f} s: {attempt.title}"


class _Lanes:
    """Work side by side, and a start that waits until one of the lanes is free."""

    def __init__(self, pool: ThreadPoolExecutor, jobs: int) -> None:
        self._pool = pool
        self._jobs = jobs
        self._running: set[Future[None]] = set()

    def start(self, work: Callable[[], None]) -> None:
        while len(self._running) >= self._jobs:
            self._collect()
        self._running.add(self._pool.submit(work))

    def finish(self) -> None:
        while self._running:
            self._collect()

    def drain(self) -> None:
        """Wait for all, after their waits have been ended."""
        wait(self._running)

    def _collect(self) -> None:
        done, _ = wait(self._running, timeout=1.0, return_when=FIRST_COMPLETED)
        self._running -= done
        for future in done:
            future.result()


@contextmanager
def side_by_side(jobs: int) -> Iterator[_Lanes]:
    """Lanes for the length of the block, which ends when all work is done; an interrupt ends the guests first."""
    with ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="trial") as pool:
        lanes = _Lanes(pool, jobs)
        try:
            yield lanes
            lanes.finish()
        except KeyboardInterrupt as e:
            end_guests()
            lanes.drain()
            raise Cancelled("interrupted; what had finished is reported") from e
        except BaseException:
            end_guests()
            raise
