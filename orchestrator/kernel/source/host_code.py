# SPDX-License-Identifier: GPL-2.0-or-later
"""Which files of a kernel tree can run on the host while the kernel is built. Pure.

Source: the makefiles of Linux 6.19 and their `hostprogs`.
"""

import re

# What the compiler for the guest reads, or nobody does.
_COMPILED = (".c", ".h", ".S", ".rst", ".txt")
_RUN = re.compile(
    r"(?:scripts|tools|usr|certs|samples|rust|include/uapi|lib/raid6|lib/crc|lib/crypto|security/selinux)/"
    r"|arch/[^/]+/(?:boot|tools|vdso|entry|kernel/(?:pi|vdso)|kvm/hyp/nvhe|include/uapi|include/asm/vdso)"
    r"|(?:.*/)?(?:\w*gen|mk|make|con|pnm)[^/]*\.[ch]$"
)


def may_run(path: str) -> bool:
    """Whether a build may run what is in the file: makefiles, scripts, Kconfig, the sources of host programs."""
    return not path.endswith(_COMPILED) or bool(_RUN.match(path))
