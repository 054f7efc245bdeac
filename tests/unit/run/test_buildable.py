# SPDX-License-Identifier: GPL-2.0-or-later
"""Which arches a host can do, by what of tools/packages.txt it lacks."""

from orchestrator.host.packages import HostTool
from orchestrator.model.arch import ARCHES
from orchestrator.run.buildable import sorted_out


def lacking(*tools: tuple[str, str]) -> list[HostTool]:
    return [HostTool(package=package, tool=tool, reason="") for package, tool in tools]


def test_an_arch_without_its_compiler_is_left_out_with_the_command_that_adds_it() -> None:
    missing = lacking(("gcc-aarch64-linux-gnu", "aarch64-linux-gnu-gcc"), ("qemu-system-arm", "qemu-system-aarch64"))

    arches, left_out = sorted_out(ARCHES.values(), missing)

    assert arches == ("x86_64",)
    assert left_out == (
        (
            "arm64",
            "this host has no aarch64-linux-gnu-gcc, qemu-system-aarch64; "
            "apt-get install gcc-aarch64-linux-gnu qemu-system-arm",
        ),
    )


def test_an_arch_without_the_libc_for_guest_programs_is_left_out() -> None:
    arches, _ = sorted_out(ARCHES.values(), lacking(("libc6-dev", "/usr/lib/x86_64-linux-gnu/libc.a")))

    assert arches == ("arm64",)


def test_what_all_need_leaves_none_out() -> None:
    # A build says what is missing.
    assert sorted_out(ARCHES.values(), lacking(("flex", "flex"), ("shellcheck", "shellcheck")))[1] == ()
