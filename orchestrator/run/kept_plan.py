# SPDX-License-Identifier: GPL-2.0-or-later
"""plan.json in a run's folder: what was asked for and what it was made of, for `patchrig resume` and `patchrig merge`.

It is written before the source is fetched, and again, with the digests of source and series, before the first cell.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path, PurePosixPath

from pydantic import TypeAdapter, ValidationError

from orchestrator.guest.archive import program_path
from orchestrator.host import paths
from orchestrator.host.errors import UserError
from orchestrator.host.files import sha256_of
from orchestrator.host.text import json_text
from orchestrator.model.configuration import Matrix, Workload
from orchestrator.plan.checks import is_file_name
from orchestrator.plan.config import load_matrix, selected_plan
from orchestrator.plan.expansion import Selection, expand
from orchestrator.plan.suite_workloads import suite_name
from orchestrator.report.run_files import write_whole
from orchestrator.report.stored import read_object, with_sum
from orchestrator.run.kernels import Kernels, Request

PLAN_FILE = "plan.json"
# What decides what is built, run and judged: the rest of the project is documents and tests.
_PROGRAM = {
    "the code": (paths.PACKAGE, "*.py"),
    "configs/kconfig": (paths.KCONFIG, "*"),
    "kernels/overlays": (paths.OVERLAYS, "*"),
    "guest-scripts": (paths.GUEST_SCRIPTS, "*"),
}
_VERSION = "the version"
_MOST_FILES = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """What kernels are made of, as it was when it was read."""

    series: str  # SHA-256 of the patches
    files: Mapping[str, str]  # each file that the series touches -> SHA-256 of what is done to it
    source: str  # SHA-256 of the tarball, or of the files of the tree
    version: str  # of the kernel


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptPlan:
    """A run as it was asked for, all paths absolute. Its cells are those of the matrix, also where it has a shard."""

    request: Request
    selection: Selection
    written: Matrix | None  # the matrix as its file has it; None: patchrig chose it
    program: Mapping[str, str]  # patchrig's version, and digests of its files
    workloads: Mapping[str, str]  # name of a workload -> SHA-256 of its program
    junit: Path | None = None  # the second JUnit file that was asked for
    since: str = ""  # --since; "": all that fails is new
    inputs: Inputs | None = None  # None: the run ended before source and series were read

    @property
    def source(self) -> str:
        """The kernel source in words."""
        return str(self.request.tree or f"kernel {self.request.plan.matrix.kernel}")


_KEPT = TypeAdapter(KeptPlan)


def new_plan(request: Request, selection: Selection, junit: Path | None, since: str = "") -> KeptPlan:
    """What is to be kept of a command. Raises UserError."""
    plan = request.plan
    file = plan.path if plan.path.is_file() else None
    workloads = tuple(str(Path(name).absolute()) if is_file_name(name) else name for name in selection.workloads)
    return KeptPlan(
        request=replace(
            request,
            plan=replace(plan, path=plan.path.absolute()) if file else plan,
            # A git range is no path.
            series=tuple(path.absolute() if path.exists() else path for path in request.series),
            tree=request.tree.absolute() if request.tree else None,
        ),
        selection=replace(selection, workloads=workloads),
        written=load_matrix(file) if file else None,
        program=program(),
        workloads=programs_of(plan.workloads),
        junit=junit.absolute() if junit else None,
        since=since,
    )


def keep_plan(kept: KeptPlan, folder: Path) -> None:
    """Write it to a run's folder. Raises InfraError."""
    # The matrix and its workloads give the cells again; ten thousand would take 20 MB. The others are of this process.
    value = _KEPT.dump_python(kept, mode="json", exclude={"request": {"cells", "lookups", "until"}})
    write_whole(folder / PLAN_FILE, with_sum(json_text(value, indent=1)))


def load_plan_of(folder: Path) -> KeptPlan | None:
    """What a run's folder keeps; None where it has none. Raises UserError where it can't be read."""
    kept = _without_cells(folder)
    if kept is None:
        return None
    plan = kept.request.plan
    return replace(kept, request=replace(kept.request, cells=expand(plan.matrix, plan.workloads)))


def _without_cells(folder: Path) -> KeptPlan | None:
    file = folder / PLAN_FILE
    if not file.exists():
        return None
    stored = read_object(file)
    try:
        return _KEPT.validate_python(stored | {"request": stored["request"] | {"cells": ()}})
    except (ValidationError, LookupError, TypeError) as why:
        raise UserError(f"{file} was written by another version, or by hand", hint=f"less {file}") from why


def keep_inputs(folder: Path, kernels: Kernels) -> None:
    """Keep what the kernels of a run are made of, if it has a plan; where that was kept before, it must be the same.

    Raises UserError where it is not.
    """
    kept = _without_cells(folder)
    if kept is None:
        return
    now = inputs_of(kernels)
    if kept.inputs is None:
        keep_plan(replace(kept, inputs=now), folder)
    elif reasons := list(other_inputs(kept, now)):
        raise UserError(f"{folder.name} was run with other files: {'; '.join(reasons)}")


def inputs_of(kernels: Kernels) -> Inputs:
    """What the kernels are made of now."""
    series, source = kernels.series, kernels.source
    return Inputs(series=series.sha256, files=series.by_file, source=source.sha256, version=source.version)


def other_inputs(kept: KeptPlan, now: Inputs | None) -> Iterator[str]:
    """In what source and series differ, in words."""
    before = kept.inputs
    if before is None or now is None:
        return
    if before.series != now.series:
        files = sorted(name for name in {**before.files, **now.files} if before.files.get(name) != now.files.get(name))
        more = [f"and {len(files) - _MOST_FILES} more"] if len(files) > _MOST_FILES else []
        what = f"what it does to {', '.join([*files[:_MOST_FILES], *more])}" if files else "the text of its patches"
        yield f"the series is another one: {what} differs"
    if before.source != now.source:
        versions = (
            f"version {before.version} and {now.version}" if before.version != now.version else "its files differ"
        )
        yield f"the kernel source is another one: {kept.source}: {versions}"


def program() -> dict[str, str]:
    """patchrig's version, and a digest of each kind of its files."""
    return {_VERSION: version("patchrig")} | {
        what: _digest(folder, pattern) for what, (folder, pattern) in _PROGRAM.items()
    }


def _digest(folder: Path, pattern: str) -> str:
    digest = hashlib.sha256()
    files = (path for path in folder.rglob(pattern) if path.suffix not in (".pyc", ".md") and path.is_file())
    for file in sorted(files):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(folder)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def programs_of(workloads: Iterable[Workload]) -> dict[str, str]:
    """A digest of each workload's program, which may lie beside a YAML file of the user's."""
    scripts = paths.GUEST_SCRIPTS
    return {load.name: sha256_of(program_path(load, scripts / load.name, scripts)) for load in workloads}


def other_program(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """In what one patchrig differs from another, in words."""
    if before.get(_VERSION) != now.get(_VERSION):
        yield f"patchrig is another one: version {before.get(_VERSION)} and {now.get(_VERSION)}"
        return
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if names:
        yield f"patchrig is another one: {', '.join(names)} differ, of the same version"


def other_matrix(kept: KeptPlan) -> Iterator[str]:
    """In what the matrix and its workloads differ from what they were, in words. Raises UserError for a bad file."""
    plan = kept.request.plan
    if kept.written is not None:
        if not plan.path.is_file():
            yield f"the matrix {plan.path} is gone"
            return
        yield from other_fields(str(plan.path), kept.written, load_matrix(plan.path))
    yield from other_workloads(kept, _workloads_now(kept))


def _workloads_now(kept: KeptPlan) -> tuple[Workload, ...]:
    matrix = kept.written or kept.request.plan.matrix
    if kept.selection.workloads:
        # The paths among those of the command line are absolute there, and nowhere else.
        matrix = matrix.model_copy(update={"workloads": ()})
    return selected_plan(kept.request.plan.path, matrix, kept.selection).workloads


def other_workloads(kept: KeptPlan, now: Sequence[Workload]) -> Iterator[str]:
    """The workloads that are not what they were, in words; where their programs lie does not matter."""
    by_name = {load.name: load for load in now}
    programs = programs_of(now)
    for load in kept.request.plan.workloads:
        other = by_name.get(load.name)
        same = other is not None and unplaced(other) == unplaced(load)
        if not same or programs[load.name] != kept.workloads.get(load.name):
            yield f"the workload {load.name} has changed"


def unplaced(load: Workload) -> Workload:
    """A workload without the folder of its program, and a suite without the flavours that a chosen one leaves out."""
    left_out = {} if suite_name(load) else load.not_with
    return load.model_copy(update={"program": PurePosixPath(load.program.name), "not_with": left_out})


def other_fields(what: str, before: Matrix, now: Matrix, *, beside: Collection[str] = ()) -> Iterator[str]:
    """The keys of a matrix whose values differ, with both values; without the keys in `beside`."""
    for name in Matrix.model_fields:
        if name in beside:
            continue
        old, new = getattr(before, name), getattr(now, name)
        if old != new:
            yield f"{what}: `{name}` differs: {_shown(old)} and {_shown(new)}"


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
