# SPDX-License-Identifier: GPL-2.0-or-later
"""The story of `patchrig replay KEY`: image and initramfs are built from a key, and the cell runs on them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from orchestrator.host import paths
from orchestrator.host.errors import InfraError, UserError
from orchestrator.model.arch import ARCHES
from orchestrator.model.cells import Build, Cell
from orchestrator.model.configuration import Allowed, Matrix, Variant, Workload
from orchestrator.model.events import Listener, Notice
from orchestrator.model.images import BuildFailure
from orchestrator.model.kernel_options import joined_options
from orchestrator.model.outcomes import Outcome
from orchestrator.model.replay_keys import ReplayKey, short
from orchestrator.model.replays import ReplayRecord
from orchestrator.model.reports import CellReport
from orchestrator.plan.claimed_cells import parse_claim
from orchestrator.plan.config import Plan, load_workload
from orchestrator.plan.delays import parse_delays
from orchestrator.report.kept_replay import load_replay
from orchestrator.report.store import Store
from orchestrator.run.bootable import Bootable, BootFiles, Guests
from orchestrator.run.bootable_kernels import new_bootable
from orchestrator.run.deterministic_cells import run_deterministic
from orchestrator.run.guest_files import guest_folder, keep
from orchestrator.run.kernels import Building, Kernels, Request, open_kernels
from orchestrator.run.replay_keys_of import qemu_number, unpacked_allow, unpacked_changes
from orchestrator.run.run_keys import keys_of_run
from orchestrator.run.settling import claimed_places

KEY = "KEY"


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What a key only has the digest of."""

    patches: tuple[Path, ...] = ()
    tree: Path | None = None
    kernel: str = ""  # "": the version in the key
    workloads: tuple[str, ...] = ()  # YAML files of workloads that are not patchrig's


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyReplayed:
    """A key's cell, run here."""

    report: CellReport
    record: ReplayRecord
    identical: bool
    why: tuple[str, ...]  # inputs that are not those of the key


def request_of_key(key: ReplayKey, given: Given, *, sandbox: bool) -> Request:
    """The request whose only cell is that of the key. Raises UserError for what is missing, with the option for it."""
    if key.arch not in ARCHES:
        raise UserError(f"the key is of an arch that this version does not know: {key.arch}")
    if bool(key.series) != bool(given.patches):
        has = f"a series with the SHA-256 {key.series}..." if key.series else "no series"
        hint = f"patchrig replay {KEY} --patch PATH" if key.series else f"patchrig replay {KEY}"
        raise UserError(f"the kernel of the key has {has}", hint=hint)
    loads = _workloads(key, given)
    build = Build(variant=Variant(key.variant), flavour=key.flavour, arch=key.arch)
    cell = Cell(
        build=build,
        workload=_changed(loads[key.workload], key),
        seconds=int(key.seconds),
        seed=int(key.seed),
        repeat=1,
        repeats=1,
        widening=parse_delays(key.delays) if key.delays else None,
    )
    matrix = Matrix(
        kernel=str(given.tree or given.kernel or key.version),
        series=given.patches,
        variants=(build.variant,),
        flavours=(key.flavour,),
        arches=(key.arch,),
        workloads=key.programs,
        seconds=cell.seconds,
        widen=key.delays,
        allow=_allowed(key),
        config=_options(key),
    )
    return Request(
        plan=Plan(path=Path("a replay key"), matrix=matrix, workloads=tuple(loads.values())),
        cells=(cell,),
        series=given.patches,
        tree=given.tree,
        delayed_files=key.files,
        deterministic=True,
        sandbox=sandbox,
    )


def _workloads(key: ReplayKey, given: Given) -> dict[str, Workload]:
    """All whose programs are in the initramfs, by name."""
    own = {Path(name).stem: name for name in given.workloads}
    found = {}
    for name in dict.fromkeys((*key.programs, key.workload)):
        try:
            found[name] = load_workload(own.get(name, name), beside=Path() if name in own else paths.CONFIGS)
        except UserError as why:
            hint = f"patchrig replay {KEY} --workload {name}.yaml"
            raise UserError(f"the key's initramfs has the workload {name}: {why}", hint=hint) from why
    return found


def _allowed(key: ReplayKey) -> tuple[Allowed, ...]:
    try:
        return unpacked_allow(key.allow)
    except (ValidationError, ValueError) as why:
        raise UserError(f"what the key allows can't be read: {why}") from why


def _options(key: ReplayKey) -> tuple[str, ...]:
    try:
        return joined_options(f"{name}={value}" for name, value in unpacked_changes(key.options).items())
    except ValueError as why:
        raise UserError(f"the kernel options of the key can't be read: {why}") from why


def _changed(workload: Workload, key: ReplayKey) -> Workload:
    try:
        changes = unpacked_changes(key.changes)
        return Workload.model_validate(workload.model_dump() | changes)
    except (ValidationError, ValueError) as why:
        raise UserError(f"the key's changes of {workload.name} can't be read: {why}") from why


def replay_key(key: ReplayKey, request: Request, store: Store, listener: Listener) -> KeyReplayed:
    """Build what the key is of, run its cell in the store's run, and compare. Raises UserError for another source."""
    (cell,) = request.cells
    with open_kernels(request, listener) as kernels:
        _check_inputs(key, kernels)
        if key.claim:
            found = claimed_places(kernels, cell.build, parse_claim(key.claim), listener)
            if isinstance(found, str):
                raise UserError(f"the key's claim: {found}")
            kernels = replace(kernels, request=replace(request, claimed=found))
        store.plan(request.cells, kernels.series.by_file, series_title=kernels.series.title)
        bootable = _bootable(cell, kernels, store, listener)
        keep(bootable, store)
        report = run_deterministic(cell, bootable, store, listener)
    record = load_replay(store.cell_folder(report.cell))
    if record is None or report.verdict.outcome is Outcome.LOST:
        raise InfraError(f"the replay found out nothing: {report.verdict.title}", hint="patchrig doctor")
    why = tuple(other_than_key(key, record))
    for text in why:
        listener(Notice(text=text))
    return KeyReplayed(report=report, record=record, identical=_same(key.console, record.console.sha256), why=why)


def _check_inputs(key: ReplayKey, kernels: Kernels) -> None:
    """Before anything is built."""
    source, series = kernels.source, kernels.series
    if not _same(key.source, source.sha256):
        raise UserError(
            f"the kernel source is another one: the key has {key.version} with the SHA-256 {key.source}..., "
            f"and this is {source.version} with {short(source.sha256)}...",
            hint=f"patchrig replay {KEY} --kernel NAME, or --tree DIR",
        )
    if key.series and not _same(key.series, series.sha256):
        raise UserError(
            f"the series is another one: the key's has the SHA-256 {key.series}..., and --patch gives "
            f"{short(series.sha256)}...",
            hint=f"patchrig replay {KEY} --patch PATH  # as often and in the same order as in the run",
        )


def _bootable(cell: Cell, kernels: Kernels, store: Store, listener: Listener) -> Bootable:
    how = Building(log_dir=store.build_folder(cell.build), listener=listener)
    image = kernels.image(cell.build, how)
    store.add_build(image)
    made = image
    if not isinstance(image, BuildFailure):
        folder, request = guest_folder(store), kernels.request
        guests = Guests(
            keys=keys_of_run(folder), allow=request.plan.matrix.allow, sandbox=kernels.sandbox, deterministic=True
        )
        loads = request.plan.workloads
        files = BootFiles(folder=folder, guests=guests, workloads=loads, cache=request.cache, listener=listener)
        bootable = new_bootable(image, kernels, files, how, run=store.folder)
        if isinstance(bootable, Bootable):
            return bootable
        made = bootable
    assert isinstance(made, BuildFailure)
    raise UserError(f"{cell.build.name}: {made.outcome}: {made.title}", hint=f"less {made.log}" if made.log else "")


def other_than_key(key: ReplayKey, record: ReplayRecord) -> Iterator[str]:
    """In what the inputs that were built here differ from those of a key, and what that may come from."""
    number = qemu_number(record.qemu)
    if number != key.qemu:
        yield f"another QEMU: the key has {key.qemu}, and this is {number}: install that version"
    parts: Sequence[tuple[str, str, str, str]] = (
        ("image", key.image, record.image, "another compiler or linker, or another version of patchrig"),
        ("initramfs", key.initramfs, record.initramfs, "other versions of Debian's packages, a compiler, patchrig"),
    )
    for what, wanted, made, maybe in parts:
        if not _same(wanted, made):
            yield f"another {what}: the key has {wanted}, and this is {short(made)}: {maybe}"


def _same(digits: str, sha256: str) -> bool:
    return sha256.startswith(digits)


def summary_of(done: KeyReplayed) -> Mapping[str, object]:
    """For a script."""
    return {
        "identical": done.identical,
        "outcome": str(done.report.verdict.outcome),
        "title": done.report.verdict.title,
        "cell": done.report.cell.name,
        "sha256": done.record.console.sha256,
        "why": list(done.why),
    }
