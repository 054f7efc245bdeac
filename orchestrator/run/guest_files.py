# SPDX-License-Identifier: GPL-2.0-or-later
"""The files that guests start from, in the run's own folder: for its cells, and for whoever repeats one by hand."""

from pathlib import Path

from orchestrator.guest.keys import save_keys
from orchestrator.guest.workload import REFERENCE_SPEED, disk_sizes, workload_argv
from orchestrator.host.files import link_or_copy
from orchestrator.model.cells import Cell
from orchestrator.report.kept_probes import save_located
from orchestrator.report.repro_script import repro_script
from orchestrator.report.store import Store
from orchestrator.run.bootable import Bootable, limits_of, vm_spec
from orchestrator.vm.argv import VmSpec, standalone_argv
from orchestrator.vm.deterministic import deterministic_standalone_argv


def keep(bootable: Bootable, store: Store) -> None:
    """Copies (hard links where possible), in the run's folder, of what a guest of this build starts from."""
    folder = store.build_folder(bootable.kernel.build)
    _keep(bootable.kernel.image, folder / "image")
    _keep(bootable.kernel.config, folder / "config")
    _keep(bootable.kernel.log, folder / "build.log")
    guest = guest_folder(store)
    for initramfs in (bootable.initramfs, *bootable.with_packages.values()):
        _keep(initramfs, guest / initramfs.name)
    save_keys(bootable.guests.keys, guest)
    if bootable.located:
        save_located(bootable.located, folder)


def write_repro(cell: Cell, bootable: Bootable, folder: Path) -> None:
    """repro.sh: the cell's guest by hand, with QEMU alone."""
    spec = vm_spec(cell, bootable)
    options = bootable.kernel.options
    beside = f"\nThe kernel has the options of its flavour and {' '.join(options)}." if options else ""
    if spec.schedule:
        note = (
            f"Cell {cell.name}: the same again, to the byte. Needs QEMU only. Then: cmp console.log console-again.log"
        )
        _write_script(folder, repro_script(deterministic_by_hand(cell, spec), disks={}, note=note + beside))
        return
    sizes = disk_sizes(cell)
    # By hand there is nobody to measure the guest: limits as for a slow one.
    limits = limits_of(cell, REFERENCE_SPEED / 2)
    argv = standalone_argv(
        spec,
        **_kept_files(cell, spec),
        disks=[f"@DISK{index}@" for index in range(len(sizes))],
        workload=workload_argv(cell, limits)[1:],
    )
    note = f"Cell {cell.name}: boots the kernel of this run and runs the workload on the console. Needs QEMU only."
    _write_script(
        folder, repro_script(argv, disks={index: size for index, size in enumerate(sizes) if size}, note=note + beside)
    )


def deterministic_by_hand(cell: Cell, spec: VmSpec) -> list[str]:
    """QEMU's command line in the folder of a deterministic cell."""
    return deterministic_standalone_argv(spec, **_kept_files(cell, spec), console="console-again.log")


def _kept_files(cell: Cell, spec: VmSpec) -> dict[str, str]:
    """Where the run's folder has the guest's files, as seen from the cell's."""
    return {
        "image": f"../../builds/{cell.build.name}/image",
        "initramfs": f"../../guest/{spec.initramfs.name}",
    }


def _write_script(folder: Path, text: str) -> None:
    script = folder / "repro.sh"
    script.write_text(text, encoding="utf-8", errors="surrogateescape")
    script.chmod(0o755)


def guest_folder(store: Store) -> Path:
    folder = store.folder / "guest"
    folder.mkdir(exist_ok=True)
    return folder


def _keep(source: Path, target: Path) -> None:
    # An earlier run, which is run again, may not have kept all of them.
    if source.exists():
        link_or_copy(source, target)
