# SPDX-License-Identifier: GPL-2.0-or-later
"""Reach maps in the cache, one for each source, flavour, arch and set of folders, and what makes them of blocks."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from orchestrator.guest.archive import SCRIPTS, program_path
from orchestrator.host import paths
from orchestrator.host.deadline import Deadline
from orchestrator.host.lock import locked
from orchestrator.host.sealed import read_sealed, write_sealed
from orchestrator.judge.frames import plain_name
from orchestrator.model.blocks import Executed
from orchestrator.model.configuration import Workload
from orchestrator.model.reach import (
    DID_ALL,
    Extent,
    KernelIdentity,
    Ran,
    ReachMap,
    Recorded,
    RecordedCode,
    SourceFunction,
    WorkloadReach,
)

FOLDER = "reach"
_LOCK_SECONDS = 60.0
_NOTHING = Ran(0, ())
# Each state of a developer's tree is a source of its own; a map takes 1 MB, and a third of a second to read.
_MOST_KEPT = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class _StoredWorkload:
    workload: str
    content: str
    seconds: int
    outcome: str
    ran: tuple[tuple[int, int, tuple[int, ...]], ...]  # number of the function, blocks, lines
    suite: str = ""
    guest_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stored:
    """A map as it lies in its file: functions by number, as each is named once for each workload."""

    kernel: KernelIdentity
    folders: tuple[str, ...]
    functions: tuple[tuple[SourceFunction, Extent], ...]
    workloads: tuple[_StoredWorkload, ...]


_STORED = TypeAdapter(_Stored)


def kept_maps(cache: Path, source: str = "") -> tuple[ReachMap, ...]:
    """The maps of a source, or else of all, latest first.

    One that is damaged, or was written by another version, counts as none.
    """
    files = _files(cache)
    own = [file for file in files if source and file.name.startswith(f"{source[:16]}.")]
    found = (_read(file) for file in own or files)
    return tuple(map_ for map_ in found if map_)


def kept_map(cache: Path, kernel: KernelIdentity, folders: Collection[str]) -> ReachMap | None:
    """The map of these folders of exactly this kernel."""
    found = _read(_file(cache, kernel, folders))
    return found if found and found.kernel == kernel else None


def keep_map(cache: Path, fresh: ReachMap) -> ReachMap:
    """Store a map, with what was known of the same kernel: further workloads, and earlier runs of the same ones."""
    file = _file(cache, fresh.kernel, fresh.folders)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(file.with_suffix(".lock"), Deadline.after(_LOCK_SECONDS, "the reach map")):
        before = kept_map(cache, fresh.kernel, fresh.folders)
        known = {one.workload: one for one in (before.workloads if before else ())}
        for one in fresh.workloads:
            known[one.workload] = _together(known.get(one.workload), one)
        whole = replace(fresh, workloads=tuple(known[name] for name in sorted(known)))
        write_sealed(file, _STORED.dump_json(_stored(whole)))
    for old in _files(cache)[_MOST_KEPT:]:
        old.unlink(missing_ok=True)
    return whole


def _together(before: WorkloadReach | None, now: WorkloadReach) -> WorkloadReach:
    """Both runs of a workload; of one that has changed since, the later."""
    if before is None or before.content != now.content:
        return now
    ran = dict(before.ran)
    for function, again in now.ran.items():
        blocks, lines = ran.get(function, _NOTHING)
        # Which blocks they were is not kept: at least as many as in one of the runs.
        ran[function] = Ran(max(blocks, again.blocks), tuple(sorted({*lines, *again.lines})))
    outcome = next((one for one in DID_ALL if one in (before.outcome, now.outcome)), now.outcome)
    seconds, longest = before.seconds + now.seconds, max(before.guest_seconds, now.guest_seconds)
    return replace(now, seconds=seconds, outcome=str(outcome), ran=ran, guest_seconds=longest)


def content_of(workload: Workload, scripts: Path = paths.GUEST_SCRIPTS) -> str:
    """What decides what a workload does: its YAML file, its program, and the library that all programs share.

    A suite's program runs a script, which counts, too.
    """
    digest = hashlib.sha256(workload.model_dump_json().encode())
    program = program_path(workload, scripts / workload.name, scripts)
    script = [scripts / name for name in workload.command[:1] if name in SCRIPTS]
    for file in (program, *script, scripts / "run-workload", *sorted((scripts / "lib").glob("*.[ch]"))):
        digest.update(b"\0" + file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def extents(code: RecordedCode) -> dict[SourceFunction, Extent]:
    """All functions of a kernel, those of one system call as one."""
    found: dict[SourceFunction, Extent] = {}
    for source, blocks, lines, recorded in _merged(code):
        found[source] = Extent(recorded, len(blocks), len(lines))
    return found


def functions_run(code: RecordedCode, executed: Executed) -> dict[SourceFunction, Ran]:
    """The functions with a block that ran, and how much of each did."""
    found = {}
    for source, blocks, lines, _ in _merged(code):
        ran = blocks & executed.keys()
        if ran:
            own = (line for line, by in sorted(lines.items()) if by & executed.keys())
            found[source] = Ran(len(ran), tuple(own))
    return found


def _merged(
    code: RecordedCode,
) -> Iterator[tuple[SourceFunction, set[int], dict[int, set[int]], Recorded]]:
    """Functions by the names that the source has for them: SYSCALL_DEFINE makes three of one."""
    named: dict[SourceFunction, tuple[set[int], dict[int, set[int]], list[Recorded]]] = {}
    for function in code.functions:
        source = SourceFunction(function.file, plain_name(function.name))
        blocks, lines, kinds = named.setdefault(source, (set(), {}, []))
        blocks.update(function.blocks)
        kinds.append(function.recorded)
        for line, by in function.lines.items():
            lines.setdefault(line, set()).update(by)
    for source, (blocks, lines, kinds) in named.items():
        yield source, blocks, lines, Recorded.YES if Recorded.YES in kinds else kinds[0]


def _file(cache: Path, kernel: KernelIdentity, folders: Collection[str]) -> Path:
    which = hashlib.sha256("\0".join((*sorted(folders), *kernel.selftests)).encode()).hexdigest()
    return cache / FOLDER / f"{kernel.source[:16]}.{kernel.flavour}.{kernel.arch}.{which[:8]}.sealed"


def _files(cache: Path) -> list[Path]:
    """Latest first. Names without a flavour are of an older patchrig, whose maps replaced one another."""
    return sorted((cache / FOLDER).glob("*.*.*.*.sealed"), key=lambda file: (-file.stat().st_mtime, file.name))


def _read(file: Path) -> ReachMap | None:
    content = read_sealed(file)
    try:
        return _loaded(_STORED.validate_json(content)) if content is not None else None
    except (ValidationError, IndexError):
        return None


def _stored(map_: ReachMap) -> _Stored:
    numbers = {function: number for number, function in enumerate(map_.functions)}
    return _Stored(
        kernel=map_.kernel,
        folders=map_.folders,
        functions=tuple(map_.functions.items()),
        workloads=tuple(_stored_workload(one, numbers) for one in map_.workloads),
    )


def _stored_workload(one: WorkloadReach, numbers: Mapping[SourceFunction, int]) -> _StoredWorkload:
    return _StoredWorkload(
        workload=one.workload,
        content=one.content,
        seconds=one.seconds,
        outcome=one.outcome,
        ran=tuple((numbers[function], ran.blocks, ran.lines) for function, ran in one.ran.items()),
        suite=one.suite,
        guest_seconds=one.guest_seconds,
    )


def _loaded(stored: _Stored) -> ReachMap:
    names = [function for function, _ in stored.functions]
    return ReachMap(
        kernel=stored.kernel,
        folders=stored.folders,
        functions=dict(stored.functions),
        workloads=tuple(_loaded_workload(one, names) for one in stored.workloads),
    )


def _loaded_workload(one: _StoredWorkload, names: list[SourceFunction]) -> WorkloadReach:
    return WorkloadReach(
        workload=one.workload,
        content=one.content,
        seconds=one.seconds,
        outcome=one.outcome,
        ran={names[number]: Ran(blocks, lines) for number, blocks, lines in one.ran},
        suite=one.suite,
        guest_seconds=one.guest_seconds,
    )


def maps_of(maps: Iterable[ReachMap], *, version: str = "", arches: Iterable[str] = ()) -> tuple[ReachMap, ...]:
    """Those of a version ("6.19" has 6.19.6) and of some arches; "" and () for any."""
    wanted = set(arches)
    start = f"{version}." if version else ""
    ours = (one for one in maps if not wanted or one.kernel.arch in wanted)
    return tuple(one for one in ours if f"{one.kernel.version}.".startswith(start))
