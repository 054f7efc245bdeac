# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of what a host needs."""

from pathlib import Path

from orchestrator.host.packages import HostTool, missing_tools, packages
from orchestrator.model.arch import ARCHES


def test_every_row_has_a_package_a_tool_and_a_reason() -> None:
    rows = packages()

    assert all(row.package and row.tool and row.reason for row in rows)
    assert len({row.package for row in rows}) == len(rows)


def test_every_arch_has_its_emulator_and_its_compiler_in_the_table() -> None:
    rows = {row.tool: row.package for row in packages()}

    for arch in ARCHES.values():
        assert rows[f"qemu-system-{arch.qemu}"] == arch.qemu_package
        assert f"{arch.compiler_prefix}gcc" in rows
        assert arch.libc_package in rows.values()


def test_what_is_not_there_is_missing_and_what_is_there_is_not(tmp_path: Path) -> None:
    table = tmp_path / "packages.txt"
    table.write_text(
        "# a comment\n\n"
        "coreutils  ls                      lists\n"
        "flux       flux-capacitor          travels in time\n"
        f"here       {tmp_path}/pack*.txt    this very file\n"
        f"nowhere    {tmp_path}/*.none       no file at all\n"
    )

    assert missing_tools(table) == (
        HostTool(package="flux", tool="flux-capacitor", reason="travels in time"),
        HostTool(package="nowhere", tool=f"{tmp_path}/*.none", reason="no file at all"),
    )
