# SPDX-License-Identifier: GPL-2.0-or-later
"""The initramfs of one kernel: that of its arch, with what is probed there."""

from pathlib import Path

from orchestrator.guest.archive import add_splats, for_kernel
from orchestrator.guest.initramfs import newc, regular
from orchestrator.model.blocks import CoverageMap
from orchestrator.model.interfaces import InterfaceNames
from orchestrator.model.probes import Located, LocatedFunction, LocatedSite
from tests.unit.samples import cell

SITE = LocatedSite(name="fault", way="f()", returns=("f",))
CHANGED = LocatedFunction(label="g", file="mm/g.c", first=1, last=2, sources=("mm/g.c",), entries=("g",))
LOCATED = Located(sites={"mincore": (SITE,)}, changed=(CHANGED,))
SITE_LINES = "site fault\nreturn f -\n"


def made(tmp_path: Path, located: Located | None, coverage: CoverageMap | None) -> bytes:
    (tmp_path / "base").write_bytes(b"base")
    output = tmp_path / "own"
    workloads = (cell().workload,)
    assert (
        for_kernel(tmp_path / "base", workloads=workloads, located=located, coverage=coverage, output=output) == output
    )
    return output.read_bytes()


def test_it_has_a_list_of_probes_for_each_workload(tmp_path: Path) -> None:
    own = regular("patchrig/mincore.probes", f"{SITE_LINES}changed 0\nentry g\n".encode())

    assert made(tmp_path, LOCATED, None) == b"base" + newc([own])


def test_it_lists_the_interface_files_of_the_series(tmp_path: Path) -> None:
    (tmp_path / "base").write_bytes(b"base")
    names = InterfaceNames(files=("cgroup:memory.a", "/sys/kernel/mm/b"), words=("+a:1, -b",))
    own = regular("patchrig/interfaces", b"file cgroup:memory.a\nfile /sys/kernel/mm/b\nword +a:1, -b\n")

    made = for_kernel(
        tmp_path / "base", workloads=(), located=None, coverage=None, interfaces=names, output=tmp_path / "own"
    )

    assert made.read_bytes() == b"base" + newc([own])


def test_it_says_by_what_a_guest_has_failed_to_all_workloads_and_to_some(tmp_path: Path) -> None:
    (tmp_path / "base").write_bytes(b"base")
    splats = {"memcg": "passes a\n", "": "fails a\n"}
    own = [regular("patchrig/splats", b"fails a\n"), regular("patchrig/memcg.splats", b"passes a\n")]

    made = add_splats(tmp_path / "base", splats, output=tmp_path / "own")

    assert made.read_bytes() == b"base" + newc(own)


def test_where_blocks_are_counted_no_changed_function_is_probed(tmp_path: Path) -> None:
    coverage = CoverageMap(side="new", diff=(), lines=(), blocks=())
    own = [regular("patchrig/mincore.probes", SITE_LINES.encode()), regular("patchrig/blocks", b"")]

    assert made(tmp_path, LOCATED, coverage) == b"base" + newc(own)


def test_a_kernel_of_which_nothing_is_known_has_an_empty_list(tmp_path: Path) -> None:
    assert made(tmp_path, None, None) == b"base" + newc([regular("patchrig/mincore.probes", b"")])
