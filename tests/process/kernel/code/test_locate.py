# SPDX-License-Identifier: GPL-2.0-or-later
"""The places of probes, found by a process of its own in a vmlinux, and kept beside it."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.host.untrusted import BadFile
from orchestrator.kernel.code.locate import locate
from orchestrator.model.configuration import SiteWay
from orchestrator.model.images import KernelImage
from orchestrator.model.probes import Located
from orchestrator.model.series_diff import ChangedFunction
from tests.unit.samples import cell, image

SOURCE = """\
volatile int sink;
__attribute__((noinline, noclone)) void called(int n) { sink = n; }
__attribute__((noinline, noclone)) void start_kernel(int n) { sink = 1; called(n); sink = 2; }
int main(int argc, char **argv) { start_kernel(argc); return sink; }
"""
CHANGED = ChangedFunction(file="init/main.c", name="called", first=2, last=2)


@pytest.fixture
def kernel(tmp_path: Path) -> KernelImage:
    (tmp_path / "init").mkdir()
    (tmp_path / "init" / "main.c").write_text(SOURCE)
    argv = ["gcc", "-O2", "-g", "-fno-optimize-sibling-calls", "-o", "vmlinux", str(tmp_path / "init" / "main.c")]
    subprocess.run(argv, cwd=tmp_path, check=True, timeout=60)
    return replace(image(), vmlinux=tmp_path / "vmlinux")


def located(kernel: KernelImage, *ways: SiteWay) -> Located:
    workload = cell().workload.model_copy(update={"sites": {"site": ways}})
    return locate(kernel, [workload], [CHANGED], sandbox=False)


def test_sites_and_changed_functions_are_found_below_the_root_of_the_source(kernel: KernelImage) -> None:
    found = located(kernel, SiteWay(call="called", by=("start_kernel",)))

    assert found.sites["mincore"][0].returns == ("called",)
    assert (found.changed[0].label, found.changed[0].entries) == ("called", ("called",))


def test_the_answer_is_kept_and_another_question_has_its_own(kernel: KernelImage) -> None:
    way = SiteWay(call="called", by=("start_kernel",))
    first = located(kernel, way)
    kernel.vmlinux.write_bytes(b"")

    assert located(kernel, way) == first
    with pytest.raises(BadFile):
        located(kernel, SiteWay(call="called"))
