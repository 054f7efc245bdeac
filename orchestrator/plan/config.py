# SPDX-License-Identifier: GPL-2.0-or-later
"""The YAML files in configs/ and kernels/ to checked values, with file and line in every error."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NoReturn, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from orchestrator.host.errors import UserError
from orchestrator.host.paths import PROJECT
from orchestrator.model.configuration import KernelSource, Matrix, Workload
from orchestrator.plan.checks import (
    SUFFIXES,
    flavour_problem,
    is_file_name,
    kernel_problems,
    known_flavours,
    known_kernels,
    matrix_problems,
    series_path,
    workload_path,
    workload_problems,
)
from orchestrator.plan.expansion import AS_WRITTEN, Selection, refuse_idle_delays, selected
from orchestrator.plan.names import repeated, unknown
from orchestrator.plan.schema import STAND_INS, Key, Problem, dotted, problem_of, stand_in
from orchestrator.plan.suite_workloads import is_suite, suite_workload

# Far above what a person writes; an alias of an alias of an alias gets there soon.
MAX_VALUES = 20_000
MAX_DEPTH = 20

Text = str | list["Text"] | dict[str, "Text"]
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A matrix as it is run, with its workloads loaded and in order."""

    path: Path
    matrix: Matrix
    workloads: tuple[Workload, ...]

    @property
    def notices(self) -> tuple[str, ...]:
        """What a user should know of the files: keys that the next release no longer has."""
        return tuple(
            f"workload {load.name}: `probe` and sites that are lists of functions will go with the next release; "
            f"write `sites: {{NAME: [{{call: {load.probe}, below: [FUNCTION]}}]}}` (patchrig schema workload)"
            for load in self.workloads
            if load.probe
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Document:
    """A YAML file as text, lists and mappings, and the line of each key."""

    path: Path
    kind: str  # as `patchrig schema` calls it
    value: Text
    lines: Mapping[Key, int]


def load_plan(path: Path, selection: Selection = AS_WRITTEN, *, project: Path = PROJECT) -> Plan:
    """The matrix at `path` with the command line's selection applied, and its workloads.

    Raises UserError that names every wrong key of a file with its line.
    """
    return selected_plan(path, load_matrix(path, project=project), selection, project=project)


def selected_plan(path: Path, written: Matrix, selection: Selection, *, project: Path = PROJECT) -> Plan:
    """load_plan() for a matrix that is a value; `path` is what reports call it, and where its workloads may lie."""
    matrix = selected(written, selection)
    for flavour in selection.flavours:
        if text := flavour_problem(flavour, known_flavours(project)):
            raise UserError(f"--flavour: {text}")
    refuse_idle_delays(matrix, selection)
    own = [load_workload(name, beside=path.parent, project=project) for name in written.workloads]
    by_name = {workload.name: workload for workload in own}
    # A path on the command line is relative to where the user is, not to the matrix.
    chosen = [
        by_name.get(name) or load_workload(name, beside=Path() if is_file_name(name) else path.parent, project=project)
        for name in selection.workloads
    ]
    suites = tuple(map(suite_workload, selection.suites))
    workloads = (*(chosen or ([] if suites else own)), *suites)
    if twice := repeated([workload.name for workload in workloads]):
        raise UserError(f"{path}: workloads: two of them are called {twice[0]!r}; cells need names of their own")
    return Plan(path=path, matrix=matrix, workloads=workloads)


def load_matrix(path: Path, *, project: Path = PROJECT) -> Matrix:
    """The matrix in a YAML file; the paths of its series are absolute, a git range stays as it is."""
    document = _read(path, "matrix")
    matrix = _validated(document, Matrix, lambda matrix: matrix_problems(matrix, path.parent, project))
    series = tuple(series_path(entry, path.parent) for entry in matrix.series)
    return matrix.model_copy(update={"series": series})


def load_workload(name: str, *, beside: Path, project: Path = PROJECT) -> Workload:
    """A workload by its name (in workloads/ at `beside`, or the project's own) or by the path of its YAML file.

    The program stays relative when it lies in guest-scripts/, and is absolute when it lies at the YAML file.
    """
    if is_suite(name):
        return suite_workload(name)
    document = _read(workload_path(name, beside, project), "workload")
    folders = (document.path.parent.absolute(), project / "guest-scripts")
    flavours = known_flavours(project)
    workload = _validated(
        document, Workload, lambda workload: workload_problems(workload, document.path.stem, folders, flavours)
    )
    beside_yaml = folders[0] / workload.program
    return workload.model_copy(update={"program": PurePosixPath(beside_yaml)}) if beside_yaml.is_file() else workload


def load_kernel_sources(*, project: Path = PROJECT) -> dict[str, KernelSource]:
    """All kernels of kernels/, by their names."""
    return {name: load_kernel_source(name, project=project) for name in sorted(known_kernels(project))}


def load_kernel_source(name: str, *, project: Path = PROJECT) -> KernelSource:
    """Where the tarball of a kernel can be had: kernels/NAME.yaml."""
    known = known_kernels(project)
    if name not in known:
        raise UserError(unknown("kernel", name, known), hint=f"ls {project / 'kernels'}  # each YAML file is a kernel")
    return _validated(_read(project / "kernels" / f"{name}.yaml", "kernel"), KernelSource, kernel_problems)


# --- YAML to text, lists and mappings ----------------------------------------------------------


def _validated(document: _Document, model: type[M], check: Callable[[M], Iterable[Problem]]) -> M:
    try:
        value = model.model_validate(document.value)
        problems = list(check(value))
    except ValidationError as e:
        problems = [problem_of(error, model) for error in e.errors()]
        problems += _further_problems(document, model, check, {_scope(problem.key, model) for problem in problems})
    if problems:
        _refuse(document, problems)
    return value


def _further_problems(
    document: _Document, model: type[M], check: Callable[[M], Iterable[Problem]], bad: Collection[Key]
) -> Iterator[Problem]:
    # One report for all mistakes of a file: stand-ins replace what has the wrong shape, the rest is checked too.
    if not isinstance(document.value, dict):
        return
    patched: dict[str, object] = {**STAND_INS[model], **document.value}
    for name, item in document.value.items():
        if (name,) in bad:
            del patched[name]
            patched |= {name: STAND_INS[model][name]} if name in STAND_INS[model] else {}
        elif isinstance(item, list):
            patched[name] = [stand_in(model, name) if (name, at) in bad else entry for at, entry in enumerate(item)]
    # A list that is no list, or is missing, is a stand-in as a whole.
    yield from (
        problem
        for problem in check(model.model_validate(patched))
        if _scope(problem.key, model) not in bad and problem.key[:1] not in bad
    )


def _scope(key: Key, model: type[BaseModel]) -> Key:
    # One bad entry of a list must not hide the others.
    return key[:2] if len(key) > 1 and isinstance(key[1], int) and stand_in(model, str(key[0])) else key[:1]


def _refuse(document: _Document, problems: Iterable[Problem]) -> NoReturn:
    found = [(_line_of(document.lines, problem.key), problem) for problem in problems]
    found.sort(key=lambda entry: entry[0])
    raise UserError(
        "\n".join(f"{document.path}:{line}: {dotted(problem.key)}{problem.text}" for line, problem in found),
        hint=_schema_hint(document.kind),
    )


def _schema_hint(kind: str) -> str:
    return f"patchrig schema {kind}  # every key and what it allows"


def _line_of(lines: Mapping[Key, int], key: Key) -> int:
    # What is missing has no line of its own: the mapping that lacks it has.
    while key not in lines:
        key = key[:-1]
    return lines[key]


def _read(path: Path, kind: str) -> _Document:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as e:
        near = sorted(str(other) for suffix in SUFFIXES for other in path.parent.glob(f"*{suffix}"))
        hint = f"patchrig list {near[0]}  # one of {len(near)} YAML files there" if near else ""
        raise UserError(f"{path}: {(e.strerror or str(e)).lower()}", hint=hint) from e
    except UnicodeDecodeError as e:
        raise UserError(f"{path}: is no UTF-8 text (byte {e.start} is 0x{e.object[e.start]:02x})") from e
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as e:
        raise UserError(f"{path}:{_mark(e)}: is no YAML: {e.problem or e.context}") from e
    except yaml.reader.ReaderError as e:
        line = text.count("\n", 0, e.position) + 1
        raise UserError(f"{path}:{line}: is no YAML: {e.reason} (#x{ord(text[e.position]):02x})") from e
    except RecursionError as e:
        raise UserError(f"{path}: is nested too deep") from e
    if root is None:
        raise UserError(f"{path}:1: the file is empty", hint=_schema_hint(kind))
    return _text_of(path, kind, root)


def _mark(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f"{mark.line + 1}:{mark.column + 1}" if mark else "1"


def _text_of(path: Path, kind: str, root: yaml.Node) -> _Document:
    reading = _Reading(path=path)
    document = _Document(path=path, kind=kind, value=reading.value(root, ()), lines=reading.lines)
    if reading.problems:
        _refuse(document, reading.problems)
    return document


@dataclass(kw_only=True, slots=True)
class _Reading:
    """A walk over a YAML tree, and what it found.

    Every scalar stays the text that was written: 6.10 is a kernel and no number, `on` and `Y` are no booleans.
    """

    path: Path
    lines: dict[Key, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def value(self, node: yaml.Node, key: Key) -> Text:
        line = self.lines.setdefault(key, node.start_mark.line + 1)
        if len(key) > MAX_DEPTH or len(self.lines) > MAX_VALUES:
            raise UserError(f"{self.path}:{line}: {dotted(key[:3])}is too large, or contains itself")
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*key, at)) for at, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, key)
        if node.tag == "tag:yaml.org,2002:null":
            self.problems.append(Problem(key=key, text="has no value; give it one or remove the key"))
        return str(node.value)

    def mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, Text]:
        found: dict[str, Text] = {}
        for name, item in node.value:
            line = name.start_mark.line + 1
            if not isinstance(name, yaml.ScalarNode):
                self.problems.append(Problem(key=key, text=f"a key must be a single text (line {line})"))
            elif name.value in found:
                self.problems.append(Problem(key=(*key, name.value), text=f"is given twice (again in line {line})"))
            else:
                self.lines[*key, name.value] = line
                found[name.value] = self.value(item, (*key, name.value))
        return found
