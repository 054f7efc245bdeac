# SPDX-License-Identifier: GPL-2.0-or-later
"""One run's initramfs: the arch's base archive, the run's keys, our scripts and the workload programs.

Without keys the same inputs give the same bytes.
"""

import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from orchestrator.guest.block_counts import BLOCKS_FILE, blocks_text
from orchestrator.guest.initramfs import Entry, directory, newc, regular
from orchestrator.guest.keys import RunKeys
from orchestrator.guest.probe_lists import INTERFACES_FILE, interfaces_text, probes_file, probes_text
from orchestrator.guest.programs import Library, program_bytes
from orchestrator.guest.rootfs import base_archive
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import UserError
from orchestrator.host.files import replace_whole
from orchestrator.model.arch import Arch
from orchestrator.model.blocks import CoverageMap
from orchestrator.model.configuration import Workload
from orchestrator.model.interfaces import InterfaceNames
from orchestrator.model.probes import Located
from orchestrator.model.suites import SuiteFile

_EXECUTABLE = 0o755
SUITES_FOLDER = "suites"
COMPILED = ("job", "reseed", "speed")
SCRIPTS = ("console", "run-workload", "suite-kselftest", "suite-kunit", "suite-stress-ng")
_SECRET = 0o600
_HOST_KEY = "etc/dropbear/host_key"
# The name of a member of the archive, as probes_file() has it, behind the last number of its header.
_PROBES = re.compile(rb"00000000patchrig/([a-z0-9][a-z0-9-]*)\.probes\0")


@dataclass(frozen=True, kw_only=True, slots=True)
class GuestFiles:
    """Where the guest's own files come from, and where made ones are kept."""

    scripts: Path  # guest-scripts/
    cache: Path
    log: Path


def build_initramfs(
    arch: Arch,
    workloads: Iterable[tuple[Workload, Path]],
    keys: RunKeys | None,
    files: GuestFiles,
    *,
    output: Path,
    until: Deadline,
) -> Path:
    """Write the initramfs of a run for one arch to `output`; the workloads come with their programs' paths.

    `keys`: None for guests in which no SSH server runs.
    """
    workloads = tuple(workloads)
    packages = [package for workload, _ in workloads for package in workload.packages]
    base = base_archive(arch, packages, cache=files.cache, log=files.log, until=until)
    entries = [*_own_entries(arch, keys, files, until), *_program_entries(arch, workloads, files, until)]
    replace_whole(output, base + newc(entries))
    return output


def for_kernel(
    initramfs: Path,
    *,
    workloads: Iterable[Workload],
    located: Located | None,
    coverage: CoverageMap | None,
    interfaces: InterfaceNames | None = None,
    output: Path,
) -> Path:
    """The initramfs of a run for one kernel: with what is probed in it, and with its blocks if it is instrumented.

    There the blocks tell which functions of the series ran. `interfaces` are the interface files of the series.
    """
    texts = {
        probes_file(load.name): probes_text(load, located, changed=coverage is None) if located else ""
        for load in sorted(workloads, key=lambda load: load.name)
    }
    texts |= {BLOCKS_FILE: blocks_text(coverage)} if coverage else {}
    texts |= {INTERFACES_FILE: interfaces_text(interfaces)} if interfaces else {}
    return _with_texts(initramfs, texts, output=output)


def add_splats(initramfs: Path, splats: Mapping[str, str], *, output: Path) -> Path:
    """The initramfs with what guest-scripts/job.c sees a splat by: for each workload, and at "" for all others."""
    texts = {f"patchrig/{name}.splats" if name else "patchrig/splats": splats[name] for name in sorted(splats)}
    return _with_texts(initramfs, texts, output=output)


def _with_texts(initramfs: Path, texts: Mapping[str, str], *, output: Path) -> Path:
    replace_whole(output, initramfs.read_bytes() + newc([regular(path, text.encode()) for path, text in texts.items()]))
    return output


def add_tests(initramfs: Path, tests: Iterable[SuiteFile], *, output: Path) -> Path:
    """The initramfs of a run for one build: with the tests that were built from its tree."""
    replace_whole(output, initramfs.read_bytes() + newc(_test_entries(tuple(tests))))
    return output


def with_keys(initramfs: Path, keys: RunKeys, *, output: Path) -> Path:
    """An initramfs with other keys: what comes later in it counts. One without keys stays as it is."""
    archive = initramfs.read_bytes()
    has_keys = b"00000000%s\0" % _HOST_KEY.encode() in archive
    replace_whole(output, archive + newc(_key_entries(keys)) if has_keys else archive)
    return output


def programs_in(initramfs: bytes) -> tuple[str, ...]:
    """The names of the workloads whose programs are in an initramfs that for_kernel() has made."""
    return tuple(sorted({name.decode() for name in _PROBES.findall(initramfs)}))


def _key_entries(keys: RunKeys) -> list[Entry]:
    return [
        regular(_HOST_KEY, keys.host_key, permissions=_SECRET),
        regular("root/.ssh/authorized_keys", keys.authorized_keys, permissions=_SECRET),
    ]


def _test_entries(tests: Sequence[SuiteFile]) -> Iterator[Entry]:
    paths = {test.path: PurePosixPath(SUITES_FOLDER, test.path) for test in tests}
    folders = {str(parent) for path in paths.values() for parent in path.parents} - {"."}
    yield from (directory(folder) for folder in sorted(folders))
    for test in tests:
        if test.link:
            yield Entry(path=str(paths[test.path]), mode=stat.S_IFLNK | 0o777, data=test.data)
        else:
            yield regular(str(paths[test.path]), test.data, permissions=_EXECUTABLE if test.executable else 0o644)


def program_path(workload: Workload, yaml: Path, scripts: Path) -> Path:
    """Where the workload's program lies: beside its YAML file, else in guest-scripts/. Raises UserError."""
    places = [yaml.parent / workload.program, scripts / workload.program]
    for place in places:
        if place.is_file():
            return place
    raise UserError(f"{yaml}: program: there is no {workload.program}; looked for {places[0]} and {places[1]}")


def _own_entries(arch: Arch, keys: RunKeys | None, files: GuestFiles, until: Deadline) -> list[Entry]:
    scripts = files.scripts
    library = Library(folder=scripts / "lib")
    own = {
        name: program_bytes(scripts / f"{name}.c", arch, library, cache=files.cache, log=files.log, until=until)
        for name in ("init", *COMPILED)
    }
    return [
        regular("init", own.pop("init"), permissions=_EXECUTABLE),
        regular("root/.profile", (scripts / "profile").read_bytes()),
        *(regular(f"patchrig/{name}", (scripts / name).read_bytes(), permissions=_EXECUTABLE) for name in SCRIPTS),
        *(regular(f"patchrig/{name}", program, permissions=_EXECUTABLE) for name, program in own.items()),
        *(_key_entries(keys) if keys else ()),
    ]


def _program_entries(
    arch: Arch, workloads: Iterable[tuple[Workload, Path]], files: GuestFiles, until: Deadline
) -> list[Entry]:
    library = Library(folder=files.scripts / "lib")
    return [
        regular(
            f"patchrig/{workload.name}",
            program_bytes(source, arch, library, cache=files.cache, log=files.log, until=until),
            permissions=_EXECUTABLE,
        )
        for workload, source in workloads
    ]
