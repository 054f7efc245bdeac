# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames -> file and line, by the real tools on a small ELF file."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.host.errors import InfraError
from orchestrator.host.process import find_tool
from orchestrator.host.sandbox import sandbox_works
from orchestrator.kernel.code.symbols import Symbols
from orchestrator.model.arch import ARCHES, Arch
from orchestrator.model.stacks import SourceLine, StackFrame
from tests.process import small_kernel


@pytest.fixture(scope="module", params=["x86_64", "arm64"])
def arch(request: pytest.FixtureRequest) -> Arch:
    found = ARCHES[request.param]
    if find_tool(f"{found.compiler_prefix}gcc") is None:
        pytest.skip(f"{found.gcc_package} is not installed")
    return found


@pytest.fixture(scope="module")
def vmlinux(arch: Arch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_kernel.build(tmp_path_factory.mktemp("kernel"), arch)


def symbols(vmlinux: Path, arch: Arch) -> Symbols:
    return Symbols(vmlinux=vmlinux, arch=arch, sandbox=False)


def shown(places: tuple[SourceLine, ...]) -> list[str]:
    return [f"{one.function} {one.file}:{one.line}{' inlined' if one.inlined else ''}" for one in places]


def helper_frames(vmlinux: Path, arch: Arch) -> list[StackFrame]:
    """An executed instruction of each helper(): the first one, where only the function itself is."""
    found = small_kernel.starts(vmlinux, arch, "helper")
    sizes = [small_kernel.size(vmlinux, arch, start) for start in found]
    assert len(set(sizes)) == 2
    return [StackFrame(function="helper", offset=0, size=size, exact=True) for size in sizes]


def test_a_caller_is_at_the_line_of_its_call_and_not_at_the_one_it_returns_to(vmlinux: Path, arch: Arch) -> None:
    frame = small_kernel.return_frame(vmlinux, arch, "use", "helper")

    found = symbols(vmlinux, arch).places([frame])

    assert shown(found[frame]) == ["use mm/use.c:12"]


def test_an_inlined_call_comes_first_and_is_in_its_own_file(vmlinux: Path, arch: Arch) -> None:
    frames = [
        StackFrame(function="helper", offset=offset, size=frame.size, exact=True)
        for frame in helper_frames(vmlinux, arch)
        for offset in range(0, frame.size, 4 if arch.name == "arm64" else 1)
    ]

    found = [shown(places) for places in symbols(vmlinux, arch).places(frames).values()]

    assert ["count_up include/linux/count.h:3 inlined", "helper mm/use.c:7"] in found
    assert ["count_up include/linux/count.h:3 inlined", "helper mm/other.c:8"] in found


def test_functions_of_one_name_are_told_apart_by_their_size(vmlinux: Path, arch: Arch) -> None:
    frames = helper_frames(vmlinux, arch)

    found = symbols(vmlinux, arch).places(frames)

    assert {found[frame][-1].file for frame in frames} == {"mm/use.c", "mm/other.c"}


def test_of_what_does_not_fit_nothing_is_said(vmlinux: Path, arch: Arch) -> None:
    good = small_kernel.return_frame(vmlinux, arch, "use", "helper")
    unknown = [
        replace(good, size=good.size + 1),  # another kernel's
        replace(good, function="no_such_function"),
        replace(good, module="zram"),
        StackFrame(function="helper", offset=4, size=0),  # which of the two?
    ]

    assert symbols(vmlinux, arch).places(unknown) == {}


def test_a_frame_without_a_size_is_found_by_a_name_that_is_there_once(vmlinux: Path, arch: Arch) -> None:
    frame = replace(small_kernel.return_frame(vmlinux, arch, "use", "helper"), size=0)

    assert shown(symbols(vmlinux, arch).places([frame])[frame]) == ["use mm/use.c:12"]


def test_a_second_question_needs_no_second_process_for_what_is_known(vmlinux: Path, arch: Arch, tmp_path: Path) -> None:
    copy = tmp_path / "vmlinux"
    copy.write_bytes(vmlinux.read_bytes())
    frame = small_kernel.return_frame(vmlinux, arch, "use", "helper")
    asked = symbols(copy, arch)
    first = asked.places([frame])
    copy.unlink()

    assert asked.places([frame]) == first


def test_inside_the_sandbox_it_is_the_same(vmlinux: Path, arch: Arch) -> None:
    if not sandbox_works():
        pytest.skip("bubblewrap can't make a sandbox here")
    frame = small_kernel.return_frame(vmlinux, arch, "use", "helper")

    found = Symbols(vmlinux=vmlinux, arch=arch, sandbox=True).places([frame])

    assert shown(found[frame]) == ["use mm/use.c:12"]


def test_a_kernel_that_is_gone_is_named(arch: Arch, tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="vmlinux is gone"):
        symbols(tmp_path / "vmlinux", arch).places([])


def test_a_file_that_is_no_kernel_is_trouble_of_ours(arch: Arch, tmp_path: Path) -> None:
    (tmp_path / "vmlinux").write_text("vmlinux\n")

    with pytest.raises(InfraError, match="nm"):
        symbols(tmp_path / "vmlinux", arch).places([])
