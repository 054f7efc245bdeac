# SPDX-License-Identifier: GPL-2.0-or-later
"""A deterministic cell again: the same console, or where the first difference is and what it comes from."""

from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.host.errors import InfraError, UserError
from orchestrator.host.files import sha256_of
from orchestrator.host.text import capped_lines, printable
from orchestrator.model.arch import ARCHES
from orchestrator.model.cells import Cell
from orchestrator.model.events import Listener
from orchestrator.model.guests import Ending
from orchestrator.model.images import KernelImage
from orchestrator.model.replays import ConsoleDigest, ReplayRecord, first_difference, other_inputs
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.report.kept_replay import load_replay
from orchestrator.run.bootable import Bootable, Guests, kept_bootable, vm_spec
from orchestrator.run.cell import observe
from orchestrator.run.guest_files import deterministic_by_hand
from orchestrator.run.replay_keys_of import key_text
from orchestrator.run.run_keys import keys_to_repeat
from orchestrator.vm.accelerator import qemu_version
from orchestrator.vm.deterministic import schedule_in
from orchestrator.vm.guest_clock import stamp_of

# Beside the cell's own files, so that both consoles can be compared by hand.
REPLAY_FOLDER = "replay"
QEMU_LOG = "qemu.log"


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """Two runs of one cell."""

    before: ReplayRecord
    now: ReplayRecord
    line: int = 0  # of the first difference, from 1; 0: there is none
    said_before: str = ""  # that line
    says_now: str = ""
    why: tuple[str, ...] = ()  # inputs that differ

    @property
    def identical(self) -> bool:
        return self.before.console.sha256 == self.now.console.sha256


def record_of(cell: Cell, bootable: Bootable, folder: Path) -> ReplayRecord:
    """The run of a deterministic guest that has just ended, its console in `folder`."""
    spec = vm_spec(cell, bootable)
    record = ReplayRecord(
        qemu=qemu_version(spec.arch),
        argv=tuple(deterministic_by_hand(cell, spec)),
        image=sha256_of(spec.image),
        initramfs=sha256_of(spec.initramfs),
        seed=cell.seed,
        shift=schedule_in(spec).shift,
        console=console_digest(folder / "console.log"),
    )
    return replace(record, key=key_text(cell, bootable, record))


def console_digest(console_log: Path) -> ConsoleDigest:
    """The console in short. Its last stamp is the guest's time."""
    lines, seconds = 0, 0.0
    with console_log.open("rb") as file:
        for line in capped_lines(file):
            lines += 1
            seconds = stamp_of(line) or seconds
    size = console_log.stat().st_size
    return ConsoleDigest(sha256=sha256_of(console_log), size=size, lines=lines, guest_seconds=seconds)


def replay(
    report: RunReport, found: CellReport, listener: Listener, *, sandbox: bool, traced: tuple[int, ...] = ()
) -> Replayed:
    """Run a deterministic cell of an earlier run again. Raises UserError for the cell of an ordinary run.

    QEMU tells of the instructions at the addresses of `traced`, in qemu.log.
    """
    folder = report.folder / found.folder
    before = kept_replay(report, found)
    bootable = replayable(report, found.cell, sandbox=sandbox)
    bootable = replace(bootable, guests=replace(bootable.guests, traced=traced))
    again = folder / REPLAY_FOLDER
    again.mkdir(exist_ok=True)
    (again / QEMU_LOG).unlink(missing_ok=True)
    observed = observe(found.cell, bootable, folder=again, listener=listener).observation
    if observed.ending in (Ending.LOST, Ending.INTERRUPTED):
        raise InfraError(f"the replay found out nothing: {observed.detail}", hint=observed.hint)
    now = record_of(found.cell, bootable, again)
    return compared(before, now, folder / "console.log", again / "console.log")


def kept_replay(report: RunReport, found: CellReport) -> ReplayRecord:
    """What decided how the cell's guest ran. Raises UserError for the cell of an ordinary run."""
    before = load_replay(report.folder / found.folder) if found.folder else None
    if before is None:
        raise UserError(
            f"{found.cell.name} of {report.id} can't be replayed: its guest was not deterministic",
            hint="patchrig run ... --deterministic",
        )
    return before


def replayable(report: RunReport, cell: Cell, *, sandbox: bool) -> Bootable:
    """The kernel as the run's folder has it now; whether it is another one, the comparison says."""
    image = next((image for image in report.builds if image.build == cell.build), None)
    if not isinstance(image, KernelImage) or cell.build.arch not in ARCHES:
        raise UserError(f"{report.id} has no kernel for {cell.build.name}")
    hashes = {name: value for name, value in image.hashes.items() if name != "image"}
    keys = keys_to_repeat(report.folder / "guest", deterministic=True)
    guests = Guests(keys=keys, allow=report.matrix.allow, sandbox=sandbox, deterministic=True)
    unchecked = replace(image, hashes=hashes)
    return kept_bootable(unchecked, report.folder, guests, workloads=(cell.workload,), sandbox=sandbox)


def compared(before: ReplayRecord, now: ReplayRecord, old: Path, new: Path) -> Replayed:
    """Both runs, and where they part. `old` and `new` are their consoles."""
    replayed = Replayed(before=before, now=now, why=tuple(other_inputs(before, now)))
    if replayed.identical:
        return replayed
    if sha256_of(old) != before.console.sha256:
        raise UserError(f"{old} is not the console of the run any more", hint=f"ls -l {old}")
    at, said_before, says_now = first_difference(console_lines(old), console_lines(new))
    return replace(replayed, line=at + 1, said_before=said_before, says_now=says_now)


def console_lines(console_log: Path) -> list[str]:
    """The lines of a console, as they are compared."""
    with console_log.open("rb") as file:
        return [printable(line.rstrip("\r\n")) for line in capped_lines(file)]
