# SPDX-License-Identifier: GPL-2.0-or-later
"""Which files of a kernel may run on the host while it is built."""

import pytest

from orchestrator.kernel.source.host_code import may_run


@pytest.mark.parametrize(
    "path",
    [
        "Makefile", "mm/Makefile", "mm/Kconfig", "scripts/sorttable.c", "tools/objtool/check.c", "lib/raid6/mktables.c",
        "arch/x86/boot/mkcpustr.c", "arch/x86/entry/vdso/vdso2c.h", "arch/x86/tools/relocs.c", "certs/extract-cert.c",
        "drivers/tty/vt/conmakehash.c", "drivers/gpu/drm/xe/xe_gen_wa_oob.c", "include/uapi/linux/elf.h",
        "fs/unicode/mkutf8data.c", "drivers/zorro/gen-devlist.c", "kernel/gen_kheaders.sh",
        "arch/arm64/kernel/pi/relacheck.c",
    ],
)  # fmt: skip
def test_makefiles_scripts_and_host_programs_may_run(path: str) -> None:
    assert may_run(path)


@pytest.mark.parametrize(
    "path", ["mm/swap.c", "mm/swap.h", "include/linux/swap.h", "arch/x86/mm/fault.c", "Documentation/mm/swap-table.rst"]
)
def test_what_only_the_guests_compiler_reads_does_not(path: str) -> None:
    assert not may_run(path)
