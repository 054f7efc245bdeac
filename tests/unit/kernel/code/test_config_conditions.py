# SPDX-License-Identifier: GPL-2.0-or-later
"""Which lines and objects a kernel configuration leaves out."""

import pytest

from orchestrator.kernel.code.config_conditions import lines_left_out, object_left_out

ON = {"SWAP": "y", "NR_CPUS": "8", "ZRAM": "m"}


def left_out(*lines: str) -> dict[int, str]:
    return lines_left_out("\n".join(lines), ON)


def test_a_branch_of_an_option_that_is_off_is_left_out_with_the_option() -> None:
    assert left_out("a", "#ifdef CONFIG_CMA", "b", "#else /* CONFIG_CMA */", "c", "#endif", "d") == {
        3: "CONFIG_CMA is not set"
    }
    assert left_out("#ifdef CONFIG_SWAP", "a", "#else", "b", "#endif") == {4: "CONFIG_SWAP is set"}
    assert left_out("#ifndef CONFIG_SWAP", "a", "#endif", "b") == {2: "CONFIG_SWAP is set"}
    assert left_out("#if 0", "a", "#endif") == {2: "#if 0"}


def test_an_outer_branch_counts_and_elif_is_taken_once() -> None:
    assert left_out("#ifdef CONFIG_CMA", "#ifdef CONFIG_SWAP", "a", "#endif", "#endif") == {3: "CONFIG_CMA is not set"}
    assert left_out("#ifdef CONFIG_CMA", "a", "#elif defined(CONFIG_SWAP)", "b", "#else", "c", "#endif") == {
        2: "CONFIG_CMA is not set",
        6: "CONFIG_SWAP is set",
    }


@pytest.mark.parametrize(
    "condition",
    [
        "defined(CONFIG_NUMA) && defined(CONFIG_SWAP)",
        "IS_ENABLED(CONFIG_NUMA)",
        "!defined(CONFIG_SWAP) || defined CONFIG_NUMA",
        "!(IS_ENABLED(CONFIG_SWAP))",
        "IS_BUILTIN(CONFIG_ZRAM)",
        "defined(CONFIG_NUMA) && PAGE_SHIFT > 12",
        "defined(CONFIG_NUMA) \\\n\t&& 1",
    ],
)
def test_a_condition_that_is_false_whatever_else_is_true(condition: str) -> None:
    assert list(left_out(f"#if {condition}", "a", "#endif"))


@pytest.mark.parametrize(
    "condition",
    [
        "IS_ENABLED(CONFIG_ZRAM)",
        "defined(CONFIG_NUMA) || defined(MINE)",
        "CONFIG_NR_CPUS > 1",
        "BITS_PER_LONG == 64",
        "!defined(MINE)",
        "__has_attribute(x) && defined(CONFIG_SWAP)",
    ],
)
def test_what_nobody_can_tell_counts_as_compiled(condition: str) -> None:
    assert left_out(f"#if {condition}", "a", "#else", "b", "#endif") in ({}, {4: "CONFIG_ZRAM is set"})


def test_a_header_guard_leaves_nothing_out() -> None:
    assert left_out("#ifndef _MM_SWAP_H", "#define _MM_SWAP_H", "a", "#endif") == {}


MAKEFILES = {
    "mm": "mmu-y := nommu.o\nmmu-$(CONFIG_MMU) := memory.o \\\n\tmincore.o\nobj-y := filemap.o $(mmu-y)\n"
    "obj-$(CONFIG_CMA)\t+= cma.o  # contiguous\nobj-$(CONFIG_DAMON) += damon/\nobj-$(CONFIG_SWAP) += page_io.o swap.o\n"
    "memory-hotplug-y := a.o\nobj-$(CONFIG_ONE) += both.o\nobj-$(CONFIG_SWAP) += both.o\n",
    "mm/damon": "obj-y := core.o\nobj-$(CONFIG_DAMON_SYSFS) += sysfs.o\n",
    "drivers/zram": "zram-y := zcomp.o zram_drv.o\nzram-$(CONFIG_LZ4) += lz4.o\nobj-$(CONFIG_ZRAM) += zram.o\n",
    "fs/ramfs": "obj-y += ramfs.o\nfile-mmu-y := file-nommu.o\nfile-mmu-$(CONFIG_SWAP) := file-mmu.o\n"
    "ramfs-objs += inode.o $(file-mmu-y)\n",
    "fs": "obj-$(CONFIG_NFS) += nfs/\n",
    "fs/nfs": "obj-$(CONFIG_NFS) += nfs.o\nnfs-y := file.o\nifeq ($(CONFIG_X),y)\nnfs-y += x.o\nendif\n",
}


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("mm/cma.c", "CONFIG_CMA is not set"),
        ("mm/mincore.c", "CONFIG_MMU is not set"),
        ("fs/ramfs/file-nommu.c", "CONFIG_SWAP is set"),
        ("mm/damon/core.c", "CONFIG_DAMON is not set"),
        ("mm/damon/sysfs.c", "CONFIG_DAMON is not set"),
        ("drivers/zram/lz4.c", "CONFIG_LZ4 is not set"),
        ("fs/nfs/file.c", "CONFIG_NFS is not set"),
        ("mm/page_io.c", ""),
        ("fs/ramfs/file-mmu.c", ""),
        ("mm/both.c", ""),
        ("mm/filemap.c", ""),
        ("drivers/zram/zram_drv.c", ""),
        ("mm/unnamed.c", ""),
        ("elsewhere/x.c", ""),
    ],
)
def test_a_makefile_names_the_option_of_an_object(file: str, why: str) -> None:
    assert object_left_out(file, MAKEFILES, ON) == why
