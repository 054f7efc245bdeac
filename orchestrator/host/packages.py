# SPDX-License-Identifier: GPL-2.0-or-later
"""What the host has to have besides Python: tools/packages.txt, which tools/setup installs from."""

from dataclasses import dataclass
from pathlib import Path

from orchestrator.host.paths import PROJECT
from orchestrator.host.process import find_tool

PACKAGES = PROJECT / "tools" / "packages.txt"


@dataclass(frozen=True, kw_only=True, slots=True)
class HostTool:
    """A Debian package, the program or file (a path, may have wildcards) that tells it is there, and why we need it."""

    package: str
    tool: str
    reason: str


def packages(table: Path = PACKAGES) -> tuple[HostTool, ...]:
    """Everything that a host needs, in the order of the table."""
    lines = (line.split(maxsplit=2) for line in table.read_text(encoding="utf-8").splitlines())
    rows = (words for words in lines if words and not words[0].startswith("#"))
    return tuple(HostTool(package=package, tool=tool, reason=reason) for package, tool, reason in rows)


def missing_tools(table: Path = PACKAGES) -> tuple[HostTool, ...]:
    """What is not installed; apt-get has it under `package`."""
    return tuple(tool for tool in packages(table) if not _installed(tool.tool))


def _installed(tool: str) -> bool:
    if tool.startswith("/"):
        return any(Path("/").glob(tool.removeprefix("/")))
    return find_tool(tool) is not None
