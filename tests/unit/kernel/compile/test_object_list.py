# SPDX-License-Identifier: GPL-2.0-or-later
"""What is compiled from a file of the series, as Kbuild's files of dependencies say."""

from pathlib import Path, PurePosixPath

from orchestrator.kernel.compile.object_build import ObjectCode, same_code
from orchestrator.kernel.compile.object_list import objects_with

SWAPFILE = """\
savedcmd_mm/swapfile.o := gcc -c -o mm/swapfile.o ../src/mm/swapfile.c
source_mm/swapfile.o := ../src/mm/swapfile.c
deps_mm/swapfile.o := \\
  /patchrig/src/mm/swap.h \\
  /patchrig/src/include/linux/swap.h \\
"""


def test_each_touched_file_has_the_objects_that_depend_on_it(tmp_path: Path) -> None:
    for name, text in {
        "mm/.swapfile.o.cmd": SWAPFILE,
        "mm/.memory.o.cmd": "deps_mm/memory.o := /patchrig/src/mm/swap.h /patchrig/other/mm/swapfile.c",
        "kernel/.bounds.s.cmd": "deps := /patchrig/src/kernel/../include/linux/swap.h",
        "mm/swapfile.o.cmd": "/patchrig/src/mm/memory.c",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "mm/.bad.o.cmd").symlink_to("/dev/zero")
    touched = [PurePosixPath(name) for name in ("mm/swapfile.c", "mm/swap.h", "include/linux/swap.h", "mm/memory.c")]

    found = objects_with(touched, tmp_path, Path("/patchrig/build"), Path("/patchrig/src"))

    assert found == {
        "mm/swapfile.c": ("mm/swapfile.o",),
        "mm/swap.h": ("mm/memory.o", "mm/swapfile.o"),
        "include/linux/swap.h": ("kernel/bounds.s", "mm/swapfile.o"),
        "mm/memory.c": (),
    }


def test_an_object_that_was_not_compiled_again_proves_nothing() -> None:
    first, again = ({"mm/a.o": ObjectCode(sha256="x", written=at)} for at in (1, 2))

    assert same_code(first, again)
    assert not same_code(first, first)
    assert not same_code(first, {"mm/a.o": ObjectCode(sha256="y", written=2)})
    assert not same_code(first, {})
