# SPDX-License-Identifier: GPL-2.0-or-later
"""The coverage map of a kernel, made in the sandbox: its DWARF was written by a stranger's build.

`python -m orchestrator.kernel.code.coverage_map REQUEST ANSWER` is the part inside; both are files of JSON.
"""

import sys
from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from orchestrator.host.deadline import Deadline
from orchestrator.host.elf import open_binary
from orchestrator.host.paths import scratch_folder
from orchestrator.host.process import check
from orchestrator.host.sandbox import Mount
from orchestrator.kernel.code.dwarf_reader import VMLINUX, answered, value_of
from orchestrator.kernel.code.flow import BRANCHES
from orchestrator.kernel.code.recorded import recorded_code
from orchestrator.kernel.code.symboliser import TOOL, Places, bulk_argv, places_in
from orchestrator.kernel.code.targets import Kernel, coverage_map
from orchestrator.kernel.compile.make import OBJDUMP, BuildDirs, span_options
from orchestrator.kernel.source.tree import content_at
from orchestrator.model.arch import ARCHES
from orchestrator.model.blocks import CoverageMap, Partner
from orchestrator.model.reach import RecordedCode
from orchestrator.model.series_diff import ChangedFile, Side
from orchestrator.model.stacks import SourceLine

_TOOL_SECONDS = 600.0
# Addresses for one run of the symboliser, whose answer has 1 kB for each.
_AT_ONCE = 50_000


@dataclass(frozen=True, kw_only=True, slots=True)
class MapRequest:
    """What is asked of a kernel that was built."""

    changed: tuple[ChangedFile, ...]
    side: Side  # which lines of the diff are in it
    instrumented: tuple[str, ...]
    arch: str
    whole: tuple[str, ...] = ()  # C files all of whose functions are asked for
    partners: tuple[Partner, ...] = ()
    vmlinux: str = ""
    src: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeRequest:
    """All functions below some folders are asked for."""

    folders: tuple[str, ...]
    arch: str
    vmlinux: str = ""
    src: str = ""


_REQUEST: TypeAdapter[MapRequest | CodeRequest] = TypeAdapter(MapRequest | CodeRequest)
_MAP = TypeAdapter(CoverageMap)
_CODE = TypeAdapter(RecordedCode)
T = TypeVar("T")


def mapped(request: MapRequest, dirs: BuildDirs, until: Deadline) -> CoverageMap:
    """What can be counted in the kernel of a build. Raises BadFile where its DWARF can't be read."""
    return _answered(request, _MAP, dirs, until)


def recorded(request: CodeRequest, dirs: BuildDirs, until: Deadline) -> RecordedCode:
    """What a kernel of a build can record. Raises BadFile where its DWARF can't be read."""
    return _answered(request, _CODE, dirs, until)


def _answered(request: MapRequest | CodeRequest, adapter: TypeAdapter[T], dirs: BuildDirs, until: Deadline) -> T:
    vmlinux = dirs.out / "vmlinux"
    seen = VMLINUX if dirs.sandbox else vmlinux
    asked = _REQUEST.dump_json(replace(request, vmlinux=str(seen), src=str(dirs.seen.src)))
    mounts = (Mount(vmlinux, seen), Mount(dirs.src, dirs.seen.src))
    return value_of(adapter, answered(__name__, asked, mounts=mounts, sandbox=dirs.sandbox, until=until))


def answer(request: Path, target: Path) -> None:
    """The part inside the sandbox."""
    asked = _REQUEST.validate_json(request.read_bytes())
    vmlinux, src = Path(asked.vmlinux), Path(asked.src)
    prefix = ARCHES[asked.arch].compiler_prefix

    def source(path: str) -> str:
        content = content_at(src, path)
        return content.data.decode("utf-8", "replace") if content and content.kind != "link" else ""

    def disassemble(start: int, end: int) -> str:
        argv = [f"{prefix}objdump", *OBJDUMP, *span_options((start, end)), str(vmlinux)]
        with scratch_folder() as scratch:
            return check(argv, log=Path(scratch) / "log", until=Deadline.after(_TOOL_SECONDS, "objdump"))

    def places(addresses: Collection[int]) -> Places:
        found: dict[int, tuple[SourceLine, ...]] = {}
        wanted = iter(sorted(addresses))
        while batch := list(islice(wanted, _AT_ONCE)):
            with scratch_folder() as scratch:
                argv = bulk_argv(vmlinux, batch, Path(scratch) / "addresses")
                until = Deadline.after(_TOOL_SECONDS, TOOL)
                found |= places_in(check(argv, log=Path(scratch) / "log", until=until), f"{src}/")
        return found

    with open_binary(vmlinux, src) as binary:
        branches = BRANCHES[asked.arch]
        kernel = Kernel(binary=binary, sources=source, disassemble=disassemble, places=places, branches=branches)
        if isinstance(asked, CodeRequest):
            content = _CODE.dump_json(recorded_code(asked.folders, kernel))
        else:
            found = coverage_map(
                asked.changed,
                asked.side,
                kernel,
                instrumented=asked.instrumented,
                whole=asked.whole,
                partners=asked.partners,
            )
            content = _MAP.dump_json(found)
    target.write_bytes(content)


if __name__ == "__main__":
    answer(Path(sys.argv[1]), Path(sys.argv[2]))
