# SPDX-License-Identifier: GPL-2.0-or-later
"""Which arches this host can build kernels for and boot."""

from collections.abc import Collection, Iterator, Sequence

from orchestrator.host.packages import HostTool, missing_tools
from orchestrator.model.arch import ARCHES, Arch


def buildable_arches() -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """The arches that have all they need, and for each other one what is missing and what to type."""
    return sorted_out(ARCHES.values(), missing_tools())


def sorted_out(
    arches: Collection[Arch], missing: Sequence[HostTool]
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """buildable_arches() for what is missing on a host. Pure."""
    lacking = {arch.name: list(_lacking(arch, missing)) for arch in arches}
    left_out = tuple((name, _what_to_type(tools)) for name, tools in lacking.items() if tools)
    return tuple(name for name, tools in lacking.items() if not tools), left_out


def _lacking(arch: Arch, missing: Sequence[HostTool]) -> Iterator[HostTool]:
    """The tools of tools/packages.txt that this arch alone needs; what all need is no reason to leave one out."""
    own = (f"{arch.compiler_prefix}gcc", f"qemu-system-{arch.qemu}")
    for tool in missing:
        if tool.tool in own or tool.package == arch.libc_package:
            yield tool


def _what_to_type(tools: Sequence[HostTool]) -> str:
    names = ", ".join(tool.tool for tool in tools)
    return f"this host has no {names}; apt-get install {' '.join(dict.fromkeys(tool.package for tool in tools))}"
