# SPDX-License-Identifier: GPL-2.0-or-later
"""What a schema can't say: names that must be known, files that must be there, values that must fit each other."""

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath

from orchestrator.host.errors import UserError
from orchestrator.host.paths import PROJECT
from orchestrator.model.arch import ARCHES
from orchestrator.model.commands import placeholder_problem
from orchestrator.model.configuration import (
    COMMAND_PROGRAM,
    DeviceKind,
    KernelSource,
    Matrix,
    Results,
    SiteWay,
    SwapDevice,
    Workload,
)
from orchestrator.model.kernel_options import option_problem
from orchestrator.plan.delays import parse_delays
from orchestrator.plan.flavours import flavour_conflict, is_widened
from orchestrator.plan.names import repeated, unknown
from orchestrator.plan.schema import Problem
from orchestrator.plan.suite_workloads import is_suite, suite_workload

SUFFIXES = (".yaml", ".yml")
# In the guest's /patchrig beside the workloads.
GUEST_PROGRAMS = (
    *("console", "job", "reseed", "run-workload", "speed"),
    *("suite-kselftest", "suite-kunit", "suite-stress-ng"),
)

_VERSION = re.compile(r"\d+\.\d+(?:\.\d+)?(?:[~-]rc\d+)?")
_SITE_NAME = re.compile(r"[\w-]{1,40}", re.ASCII)
_GIT_RANGE = re.compile(r"[^/.]\.\.\.?([^/.]|$)")


def known_flavours(project: Path = PROJECT) -> frozenset[str]:
    """The kconfig fragments that are no base and no arch; numa.x86_64.config is a part of numa's."""
    stems = {path.stem for path in (project / "configs" / "kconfig").glob("*.config")}
    fragments = {stem for stem in stems if "." not in stem}
    return frozenset(fragments - {"base"} - set(ARCHES))


def known_kernels(project: Path = PROJECT) -> frozenset[str]:
    return frozenset(path.stem for path in (project / "kernels").glob("*.yaml"))


def is_version(name: str) -> bool:
    """Whether a kernel is given by its version: 6.12.100, 7.2-rc3."""
    return _VERSION.fullmatch(name) is not None


def known_workloads(project: Path = PROJECT, *, beside: Path | None = None) -> frozenset[str]:
    """The workloads that a matrix in the folder `beside` can name."""
    folders = [project / "configs" / "workloads", *([beside / "workloads"] if beside else [])]
    return frozenset(path.stem for folder in folders for path in folder.glob("*.yaml"))


def is_file_name(name: str) -> bool:
    """Whether a workload is given by the path of its file, and not by its name."""
    return "/" in name or name.endswith(SUFFIXES)


def workload_path(name: str, beside: Path, project: Path) -> Path:
    """The YAML file of a workload; raises UserError where there is none."""
    if is_file_name(name):
        if (path := beside / name).is_file():
            return path
        raise UserError(f"no such workload file: {path}", hint=f"ls {path.parent}")
    for folder in (beside / "workloads", project / "configs" / "workloads"):
        if (path := folder / f"{name}.yaml").is_file():
            return path
    known = known_workloads(project, beside=beside)
    raise UserError(
        unknown("workload", name, known), hint=f"ls {project / 'configs' / 'workloads'}  # each YAML file is a workload"
    )


def series_path(entry: Path, folder: Path) -> Path:
    """An entry of `series` as an absolute path; a git range (v6.19..topic) as it is."""
    path = (folder / entry).absolute()
    return entry if _GIT_RANGE.search(str(entry)) and not path.exists() else path.resolve()


def flavour_problem(flavour: str, known: Collection[str]) -> str:
    """What is wrong with a flavour (`kasan+debug` has two parts); "" when nothing is."""
    parts = flavour.split("+")
    wrong = [part for part in parts if part not in known]
    twice = [part for part in parts if parts.count(part) > 1]
    if wrong:
        return unknown("flavour", wrong[0], known)
    if twice:
        return f"{flavour}: {twice[0]} is there twice"
    return f"{flavour}: {conflict}" if (conflict := flavour_conflict(flavour)) else ""


def matrix_problems(matrix: Matrix, folder: Path, project: Path) -> Iterator[Problem]:
    if matrix.kernel not in (kernels := known_kernels(project)):
        yield Problem(key=("kernel",), text=unknown("kernel", matrix.kernel, kernels))
    for at, arch in enumerate(matrix.arches):
        if arch not in ARCHES:
            yield Problem(key=("arches", at), text=unknown("arch", arch, ARCHES))
    known = known_flavours(project)
    wrong = [(at, text) for at, flavour in enumerate(matrix.flavours) if (text := flavour_problem(flavour, known))]
    yield from (Problem(key=("flavours", at), text=text) for at, text in wrong)
    try:
        parse_delays(matrix.widen)
    except UserError as e:
        yield Problem(key=("widen",), text=str(e).removeprefix("widen: "))
    if matrix.widen and not wrong and not any(map(is_widened, matrix.flavours)):
        yield Problem(key=("widen",), text="no flavour of the matrix is widened; add `widened` to `flavours`")
    for key in ("config", "config_wanted"):
        options = enumerate(getattr(matrix, key))
        yield from (Problem(key=(key, at), text=why) for at, text in options if (why := option_problem(text)))
    yield from _missing_files(matrix, folder, project)
    for axis in ("arches", "flavours", "variants", "workloads"):
        for name in repeated(getattr(matrix, axis)):
            yield Problem(key=(axis,), text=f"{str(name)!r} is there twice; to run cells N times: `repeat: N`")


def _missing_files(matrix: Matrix, folder: Path, project: Path) -> Iterator[Problem]:
    for at, name in enumerate(matrix.workloads):
        try:
            suite_workload(name) if is_suite(name) else workload_path(name, folder, project)
        except UserError as e:
            yield Problem(key=("workloads", at), text=str(e))
    for at, entry in enumerate(matrix.series):
        if not _GIT_RANGE.search(str(entry)) and not (folder / entry).exists():
            allowed = "a patch, a mail, an mbox, a folder of patches, a git range A..B"
            yield Problem(key=("series", at), text=f"no such file or folder: {folder / entry}; allowed: {allowed}")


def workload_problems(
    workload: Workload, stem: str, folders: tuple[Path, ...], flavours: Collection[str] = ()
) -> Iterator[Problem]:
    """`stem` is the YAML file's name, `folders` where the program may lie."""
    if workload.flavour and (text := flavour_problem(workload.flavour, flavours)):
        yield Problem(key=("flavour",), text=text)
    yield from _name_problems(workload.name, stem)
    yield from _command_problems(workload)
    if not any((folder / workload.program).is_file() for folder in folders):
        places = " or ".join(str(folder / workload.program) for folder in folders)
        yield Problem(key=("program",), text=f"no such file: {places}")
    for at, device in enumerate(workload.devices):
        yield from _device_problems(device, at)
    for file in workload.cgroup:
        if "/" in file or "." not in file:
            yield Problem(key=("cgroup", file), text="must be a control file of the workload's cgroup: memory.high")
    for file in workload.settings:
        if not file.startswith("/"):
            yield Problem(key=("settings", file), text="must be an absolute path in the guest: /proc/sys/vm/swappiness")
    for site, ways in workload.sites.items():
        yield from _site_problems(site, ways)
    yield from _substitute_problems(workload)
    yield from _flavour_problems(workload)


def _flavour_problems(workload: Workload) -> Iterator[Problem]:
    known = known_flavours()
    keys = [("not_with", part) for part in workload.not_with]
    keys += [("exercised_with", part) for part in workload.exercised_with]
    for key in (key for key in keys if key[1] not in known):
        yield Problem(key=key, text=unknown("part of a flavour", key[1], known))


def _substitute_problems(workload: Workload) -> Iterator[Problem]:
    for counter in workload.instead:
        if counter not in workload.exercised:
            yield Problem(key=("instead", counter), text=f"{counter} has no minimum under `exercised`")


def _site_problems(site: str, ways: Sequence[SiteWay]) -> Iterator[Problem]:
    if not ways:
        yield Problem(key=("sites", site), text="must name at least one way: {call: FUNCTION, by: [CALLER]}")
    if not _SITE_NAME.fullmatch(site):
        yield Problem(key=("sites", site), text="must be letters, digits, _ and -, 40 at most")
    for at, way in enumerate(ways):
        if way.by and way.below:
            yield Problem(
                key=("sites", site, at), text="has either `by` (the caller) or `below` (anywhere in the stack)"
            )


def _command_problems(workload: Workload) -> Iterator[Problem]:
    if workload.command and workload.program != COMMAND_PROGRAM:
        yield Problem(key=("command",), text="is there beside `program`: give one of them")
    if workload.command and workload.arguments:
        yield Problem(key=("arguments",), text="are for a `program`; those of a command follow it")
    if not workload.command and workload.program == COMMAND_PROGRAM:
        yield Problem(key=(), text="program: is missing, and there is no `command` either")
    if workload.results is Results.KTAP and not workload.command:
        yield Problem(key=("results",), text="are those of a `command`: there is none")
    if workload.selftests and workload.results is not Results.KTAP:
        yield Problem(key=("selftests",), text="print KTAP: add `results: ktap`")
    for word in workload.command:
        if text := placeholder_problem(word):
            yield Problem(key=("command",), text=text)


def _name_problems(name: str, stem: str) -> Iterator[Problem]:
    if name != stem:
        yield Problem(key=("name",), text=f"must be what the file is called: {stem} (got {name})")
    if name in GUEST_PROGRAMS:
        yield Problem(key=("name",), text=f"is taken: /patchrig/{name} is a program of every guest's")


def _device_problems(device: SwapDevice, at: int) -> Iterator[Problem]:
    if device.latency_us and device.kind is not DeviceKind.NULL_BLK:
        text = f"only {DeviceKind.NULL_BLK} has a latency, {device.kind} has none"
        yield Problem(key=("devices", at, "latency_us"), text=text)
    if device.discard and device.kind is not DeviceKind.NULL_BLK:
        text = f"only {DeviceKind.NULL_BLK} takes discards, {device.kind} does not"
        yield Problem(key=("devices", at, "discard"), text=text)


def kernel_problems(source: KernelSource) -> Iterator[Problem]:
    for at, place in enumerate(source.places):
        if bool(place.sha256) == bool(place.content_sha256):
            yield Problem(key=("places", at), text="must have either a sha256 or a content_sha256")
        if place.without and not place.content_sha256:
            yield Problem(key=("places", at, "without"), text="goes with a content_sha256: a sha256 covers all")
        if bool(place.url) == bool(place.debian):
            yield Problem(key=("places", at), text="must have either a url or a debian path")
        elif place.url and not place.url.startswith(("https://", "http://", "file://")):
            yield Problem(key=("places", at, "url"), text=f"must begin with https:// (got {place.url})")
        elif PurePosixPath(place.debian).is_absolute():
            yield Problem(key=("places", at, "debian"), text="must be relative to the mirror: pool/main/l/linux/...")
