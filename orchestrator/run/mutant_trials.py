# SPDX-License-Identifier: GPL-2.0-or-later
"""The story of `patchrig mutate`: one kernel with all mutants, a control, and each mutant's cells until one notices."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.guest.keys import new_keys
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import Cancelled, InfraError
from orchestrator.judge.bug_verdict import attempt_of
from orchestrator.judge.mutant_hints import hint_of
from orchestrator.judge.mutant_verdict import kind_of, status_of_tries, try_of
from orchestrator.kernel.mutants.mutant_patch import bug_name, patch_of_one
from orchestrator.kernel.mutants.operators import OPERATORS
from orchestrator.kernel.series.load import BASELINE, load_series
from orchestrator.model.cells import Build, Cell
from orchestrator.model.events import Listener, Notice
from orchestrator.model.images import BuildFailure
from orchestrator.model.mutants import Guard, Mutant, Mutants
from orchestrator.model.mutation import ControlTry, MutantReport, MutantStatus, MutantTry
from orchestrator.plan.expansion import builds_of, workloads_on
from orchestrator.plan.mutant_cells import cells_of_mutant, control_cells, most_promising, reaching, trial_order
from orchestrator.report.mutation_report import MUTANTS_FILE, MutationLedger, control_ended, mutant_ended
from orchestrator.report.store import Store
from orchestrator.run.bootable import Bootable, BootFiles, Guests, vm_spec
from orchestrator.run.bootable_kernels import new_bootable
from orchestrator.run.delay_targets import check_targets
from orchestrator.run.guest_files import keep
from orchestrator.run.kernels import Building, Kernels, Request, open_kernels
from orchestrator.run.losses import LossWatch
from orchestrator.run.mutant_build import MutantChoice, MutantImage, build_mutants, mutants_of
from orchestrator.run.mutant_effects import EffectCheck
from orchestrator.run.scheduler import Unbuilt
from orchestrator.run.snapshots import snapshots
from orchestrator.run.trials import Trial, TrialLimits, run_cell, run_trials

BUDGET = "the budget"
_USED_UP = f"{BUDGET} was used up"
_READING_SECONDS = 1800.0
_OPERATORS = {operator.name: operator for operator in OPERATORS}
# What the kernel with all guarded mutants is known by, beside those of one mutant each.
_ALL = 0
OWN = "own"  # in the folder: the kernels with one mutant each


def _kernel_of(mutant: Mutant) -> int:
    return mutant.number if mutant.guard is Guard.OWN_BUILD else _ALL


def measure_mutants(request: Request, choice: MutantChoice, ledger: MutationLedger, listener: Listener) -> None:
    """Try every mutant of the series on every build of the request; what is known is in the ledger whatever happens.

    A mutant that one build notices is not tried on the next. Raises UserError for a series that does not apply.
    """
    try:
        with open_kernels(request, listener) as kernels:
            found = mutants_of(kernels, choice, listener)
            ledger.begin(found)
            if found.mutants:
                _measure(kernels, found, ledger, listener)
    except (KeyboardInterrupt, Cancelled, InfraError) as e:
        ledger.add_untried(builds_of(request.cells)[0], str(e) if isinstance(e, InfraError) else "interrupted")
        raise


def _measure(kernels: Kernels, found: Mutants, ledger: MutationLedger, listener: Listener) -> None:
    until: Deadline | None = None
    for build in builds_of(kernels.request.cells):
        left = ledger.not_noticed()
        if until and until.passed():
            listener(Notice(text=f"{build.name} is not built: {_USED_UP}"))
            ledger.add_untried(build, _USED_UP)
            continue
        run = MutantRun(kernels=kernels, build=build, found=found, ledger=ledger, listener=listener)
        made = run.build_all(left)
        if made is None:
            continue
        # What the kernels take to build depends on the cache, and is no measure of the workloads.
        if ledger.budget is not None and until is None:
            until = Deadline.after(ledger.budget, BUDGET)
        run.try_all(made, left, until)


@dataclass(slots=True)
class MutantRun:
    """What the trials of one build share."""

    kernels: Kernels
    build: Build
    found: Mutants
    ledger: MutationLedger
    listener: Listener
    controls: tuple[Cell, ...] = field(init=False)
    files: BootFiles = field(init=False)
    passed: dict[str, dict[int, int]] = field(default_factory=dict)  # workload -> mutant -> times, in the control
    noise: dict[str, str] = field(default_factory=dict)  # workload -> the kind that the control shows

    def __post_init__(self) -> None:
        request, plan = self.kernels.request, self.kernels.request.plan
        seconds = self.ledger.load_seconds
        loads = workloads_on(self.build, request.cells, plan.workloads)
        self.controls = control_cells(self.build, loads, plan.matrix, self.found.in_kernel, seconds)
        allow, sandbox = plan.matrix.allow, self.kernels.sandbox
        guests = Guests(keys=new_keys(), allow=allow, stop_when_red=True, sandbox=sandbox)
        self.files = BootFiles(
            folder=self._made(self._folder / "guest"),
            guests=guests,
            workloads=tuple(cell.workload for cell in self.controls),
            cache=request.cache,
            listener=self.listener,
        )

    def build_all(self, mutants: Sequence[Mutant]) -> tuple[MutantImage, Bootable] | None:
        """The kernel with all mutants; None, with that in the ledger, where it can't be built."""
        log_dir = self._made(self._folder / "builds" / self.build.name)
        how = Building(log_dir=log_dir, listener=self.listener)
        made = build_mutants(self.kernels, self.build, self.found, how)
        if isinstance(made, BuildFailure):
            self._no_kernel(mutants, made)
            return None
        bad = {mutant.number for mutant in made.not_compiled}
        for mutant in mutants:
            if mutant.number in bad:
                self._record(self._report(mutant, MutantStatus.BUILD_FAILED, "it does not compile"))
        bootable = new_bootable(made.image, self.kernels, self.files, how, run=self._folder)
        if isinstance(bootable, BuildFailure):
            self._no_kernel([mutant for mutant in mutants if mutant.number not in bad], bootable)
            return None
        check_targets(self.kernels.request.cells, bootable.kernel)
        return made, self.files.with_usable_kvm(bootable, self.controls[0])

    def _no_kernel(self, mutants: Sequence[Mutant], failure: BuildFailure) -> None:
        self.listener(Notice(text=f"{self.build.name}: {failure.outcome}: {failure.title}"))
        for mutant in mutants:
            self._record(self._report(mutant, MutantStatus.BUILD_FAILED, failure.title))

    def try_all(self, made: tuple[MutantImage, Bootable], mutants: Sequence[Mutant], until: Deadline | None) -> None:
        """First the control; then each mutant that it reaches, in guests of one kernel, or with a kernel of its own."""
        image, bootable = made
        compiled = {mutant.number for mutant in image.mutants}
        with ExitStack() as stack:
            store = stack.enter_context(self._store(bootable, self._folder))
            specs = [vm_spec(cell, bootable) for cell in self.controls]
            # Nobody knows how many cells there will be: the snapshots live as long as the block.
            many = specs * (len(mutants) + 2)
            kept = stack.enter_context(snapshots(many, restoring=self.kernels.request.restore))
            bootable = replace(bootable, guests=replace(bootable.guests, snapshots=kept))
            self._control(bootable, store, until)
            guarded = [mutant for mutant in mutants if mutant.number in compiled]
            own = [mutant for mutant in mutants if mutant.guard is Guard.OWN_BUILD]
            self._try(bootable, store, [*guarded, *own], until)
        self._check_effects(image)

    def _check_effects(self, image: MutantImage) -> None:
        """Say of the survivors of this build which of them change nothing."""
        folder, texts = self._folder / "effects", self.found.texts
        check = EffectCheck(kernels=self.kernels, image=image.image, texts=texts, folder=folder, listener=self.listener)
        for report in check.without_effect(self.ledger.survivors(self.build)):
            self.ledger.correct(report)
            self.listener(mutant_ended(report))

    def _control(self, bootable: Bootable, store: Store, until: Deadline | None) -> None:
        trials = [Trial(build=_ALL, name=f"control {cell.workload.name}", cells=(cell,)) for cell in self.controls]

        def tried(trial: Trial[int], kernel: Bootable) -> ControlTry:
            (cell,) = trial.cells
            report = run_cell(trial.name, cell, kernel, store, self.listener)
            attempt = attempt_of(report, self._place(store, cell))
            passed = report.run.mutant_counts if report.run else None
            return ControlTry(build=self.build, attempt=attempt, kind=kind_of(report), passed=passed)

        limits = TrialLimits(jobs=self.kernels.request.jobs, until=until)
        for control in run_trials(trials, lambda _all, _background: bootable, tried, limits):
            self.ledger.add_control(control)
            self.listener(control_ended(control))
            name = control.attempt.workload
            if control.passed is not None:
                self.passed[name] = dict(control.passed)
            if control.kind:
                self.noise[name] = control.kind
        if not self.passed and not (until and until.passed()):
            first = next((one.attempt for one in self.ledger.report().control), None)
            why = f"{first.outcome}: {first.title}" if first else "none was run"
            raise InfraError(
                f"{self.build.name}: no workload of the control came to its end: {why}",
                hint=f"less {self.ledger.folder / MUTANTS_FILE}",
            )

    def _try(self, bootable: Bootable, store: Store, mutants: Sequence[Mutant], until: Deadline | None) -> None:
        reached = {mutant.number: self._reaching(mutant) for mutant in mutants}
        for mutant in mutants:
            if self.passed and not reached[mutant.number]:
                why = f"none of {len(self.passed)} workloads passes its place"
                self._record(self._report(mutant, MutantStatus.NOT_REACHED, why))
        wanted = [mutant for mutant in mutants if reached[mutant.number]]
        seed, by_name = self.kernels.request.plan.matrix.seed, {bug_name(mutant): mutant for mutant in wanted}
        trials = [
            Trial(build=_kernel_of(mutant), name=bug_name(mutant),
                  cells=cells_of_mutant(mutant, self.controls, reached[mutant.number][: self.ledger.tries]))
            for mutant in trial_order(wanted, seed, sampled=self.ledger.budget is not None)
        ]  # fmt: skip

        def kernel(number: int, background: bool) -> Bootable | Unbuilt[MutantReport]:
            own = next((one for one in wanted if number and one.number == number), None)
            return self._own_kernel(bootable, own, background=background) if own else bootable

        def tried(trial: Trial[int], kernel: Bootable) -> MutantReport:
            mutant = by_name[trial.name]
            if not trial.build:
                return self._tried(mutant, trial, reached[mutant.number], kernel, store)
            with self._store(kernel, self._own_folder(mutant)) as own:
                return self._tried(mutant, trial, reached[mutant.number], kernel, own)

        watch = LossWatch(what="mutants")
        limits = TrialLimits(jobs=self.kernels.request.jobs, watch=watch, until=until)
        for report in run_trials(trials, kernel, tried, limits):
            self._record(report)
            if report.tries:
                watch.add(lost=report.fault_here)
        why = _USED_UP if until and until.passed() else "it did not get a turn"
        self.ledger.add_untried(self.build, why, mutants)
        watch.check(f"less {self.ledger.folder / MUTANTS_FILE}; patchrig doctor")

    def _reaching(self, mutant: Mutant) -> tuple[str, ...]:
        """The workloads that pass the mutant's place, in the order in which it is run in them."""
        names = reaching(mutant, self.found.in_kernel, self.passed)
        return most_promising(mutant, names, [cell.workload for cell in self.controls], self.noise)

    def _tried(
        self, mutant: Mutant, trial: Trial[int], workloads: tuple[str, ...], kernel: Bootable, store: Store
    ) -> MutantReport:
        tries: list[MutantTry] = []
        for cell in trial.cells:
            report = run_cell(trial.name, cell, kernel, store, self.listener)
            tries.append(try_of(report, self._place(store, cell), self.noise))
            if tries[-1].noticed or tries[-1].interrupted:
                break
        status, title = status_of_tries(tries, of=len(workloads))
        report_of = replace(self._report(mutant, status, title), tries=tuple(tries), workloads=workloads)
        if status is not MutantStatus.SURVIVED:
            return report_of
        hint = hint_of(mutant, _OPERATORS[mutant.operator], self.found.in_kernel, self._all_passed(), tries)
        return replace(report_of, hint=hint)

    def _place(self, store: Store, cell: Cell) -> str:
        return str(store.cell_folder(cell).relative_to(self.ledger.folder))

    def _all_passed(self) -> dict[int, int]:
        total: dict[int, int] = {}
        for counts in self.passed.values():
            for number, count in counts.items():
                total[number] = total.get(number, 0) + count
        return total

    def _own_kernel(self, whole: Bootable, mutant: Mutant, *, background: bool) -> Bootable | Unbuilt[MutantReport]:
        """A kernel with one mutant and no guard, for what no guard can choose."""
        folder = self._own_folder(mutant)
        patch = folder / "mutant.patch"
        patch.write_bytes(patch_of_one(self.found.texts, mutant))
        until = Deadline.after(_READING_SECONDS, f"reading {patch}")
        more = load_series((patch,), tree=None, log=folder / "git.log", until=until)
        images = []
        for name, series in (("without", BASELINE), ("with", more)):
            how = Building(
                log_dir=self._made(folder / name), listener=self.listener, more=series, background=background
            )
            image = self.kernels.image(self.build, how)
            if isinstance(image, BuildFailure):
                return self._unbuilt(mutant, MutantStatus.BUILD_FAILED, image.title)
            images.append(image)
        if images[0].hashes["image"] == images[1].hashes["image"]:
            return self._unbuilt(mutant, MutantStatus.NO_EFFECT, "the kernel is the same to the byte")
        made = new_bootable(images[1], self.kernels, self.files, how, run=folder, initramfs_in=folder)
        if isinstance(made, BuildFailure):
            return self._unbuilt(mutant, MutantStatus.BUILD_FAILED, made.title)
        return replace(made, guests=whole.guests)

    def _unbuilt(self, mutant: Mutant, status: MutantStatus, why: str) -> Unbuilt[MutantReport]:
        return Unbuilt(reports=(self._report(mutant, status, why),))

    @contextmanager
    def _store(self, bootable: Bootable, folder: Path) -> Iterator[Store]:
        with self.ledger.open_run(folder, self.kernels.request.plan.matrix) as store:
            store.add_build(bootable.kernel)
            keep(bootable, store)
            yield store

    @property
    def _folder(self) -> Path:
        """The run of the guests whose kernel has all mutants."""
        return self._made(self.ledger.folder / f"{self.build.flavour}.{self.build.arch}")

    def _own_folder(self, mutant: Mutant) -> Path:
        return self._made(self.ledger.folder / OWN / f"{bug_name(mutant)}.{self.build.flavour}.{self.build.arch}")

    @staticmethod
    def _made(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _report(self, mutant: Mutant, status: MutantStatus, title: str) -> MutantReport:
        return MutantReport(mutant=mutant, build=self.build, status=status, title=title)

    def _record(self, report: MutantReport) -> None:
        self.ledger.add_mutant(report)
        self.listener(mutant_ended(report))
