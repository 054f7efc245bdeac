# SPDX-License-Identifier: GPL-2.0-or-later
"""The test suites of the tree under test, built in the sandbox: kselftest's tests, and the parser of their results.

The tests are linked with libraries of Debian's packages for their arch, in a folder of their own: the host needs none.
Sources: Documentation/dev-tools/kselftest.rst and tools/testing/selftests/lib.mk of the kernel.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePath

from orchestrator.host.cores import host_cores
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError, ToolMissing
from orchestrator.host.files import write_cached
from orchestrator.host.process import find_tool, last_lines, spawn
from orchestrator.host.sandbox import (
    Limits,
    Mount,
    Sandbox,
    hand_over,
    sandbox_argv,
    sandbox_trouble,
    tool_mounts,
)
from orchestrator.host.sealed import read_sealed, write_sealed
from orchestrator.host.untrusted import BadFile, files_below, read_plain, read_plain_text
from orchestrator.kernel.compile.build_mark import discard, drop_setuid
from orchestrator.kernel.compile.host_fault import HostWatch
from orchestrator.kernel.compile.limits import BuildWatch
from orchestrator.kernel.compile.make import HOST_TOOLS, PROGRESS_SECONDS, tail_of
from orchestrator.kernel.compile.prepare import BUILD_SECONDS, BuildContext, not_applied, toolchain_of
from orchestrator.kernel.compile.suite_archive import packed, unpacked_files
from orchestrator.kernel.compile.sysroot import PACKAGES, sysroot
from orchestrator.kernel.series.load import Series
from orchestrator.kernel.source.apply import NotApplied
from orchestrator.kernel.source.layer import applied_to, layer_name, layer_of, put_on
from orchestrator.kernel.source.tree import PreparedSource, Tree, pristine_tree
from orchestrator.model.arch import ARCHES, Arch
from orchestrator.model.cells import Build
from orchestrator.model.events import Step
from orchestrator.model.images import BuildFailure
from orchestrator.model.outcomes import Outcome
from orchestrator.model.suites import SuiteFile, SuiteFiles

PARSER_FILES = ("kunit_parser.py", "kunit_printer.py")
_PARSER_FOLDER = "tools/testing/kunit"
_PARSER_BYTES = 1 << 20
_SELFTESTS = "tools/testing/selftests"
FORMAT = "1"  # part of the cache key: raise it when suites are built or kept in another way
_MOST_FILES = 20_000
_MOST_BYTES = 256 << 20
_LIMITS = Limits(processes=2048, process_bytes=16 << 30)
# "make[2]: [../lib.mk:222: /patchrig/build/objects/kselftest/mm/ksm_tests] Error 1 (ignored)"
_IGNORED = re.compile(r"\[[^\]\s]*\s?(?:\S*/)?kselftest/(?P<test>[^\]\s]+)\] Error \d+ \(ignored\)")

_SEEN = PurePath("/patchrig")
KUNIT_NAMES = "kunit-names"
# By Documentation/dev-tools/kunit/style.rst a file with tests says so in its name or its folder's.
_KUNIT_FILE = re.compile(r"test|kunit")
_KUNIT_SUITE = re.compile(r"struct kunit_suite \w+\s*=\s*\{[^}]*?\.name\s*=\s*\"([\w.-]+)\"")


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What of a tree's suites a kernel's guests need."""

    selftests: tuple[str, ...] = ()  # folders of tools/testing/selftests
    kunit: tuple[str, ...] = ()  # names of KUnit suites, as globs; or folders of the tree, whose suites are meant


def build_suites(
    build: Build, *, source: PreparedSource, series: Series, wanted: Wanted, context: BuildContext
) -> SuiteFiles | BuildFailure:
    """The tests that are wanted and the parser of their results, from the cache or built now.

    `series` is series.BASELINE for the baseline. What does not compile is left out and named. Raises InfraError without
    a sandbox: the tests' makefiles write to their sources.
    """
    until = Deadline.after(BUILD_SECONDS, f"the test suites of {build.name}")
    context.log_dir.mkdir(parents=True, exist_ok=True)
    arch = ARCHES[build.arch]
    tools = toolchain_of(arch, log=context.log_dir / "toolchain.log", until=until) if wanted.selftests else ""
    names = (*sorted(wanted.selftests), "kunit", *sorted(wanted.kunit), "with", *PACKAGES, tools)
    parts = (FORMAT, source.sha256, series.sha256, arch.name, *names)
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
    kept = context.cache / "suites" / f"{arch.name}-{key}.sealed"
    if (content := read_sealed(kept)) is not None:
        return unpacked_files(content)
    made = _made(_Asked(build=build, arch=arch, wanted=wanted), source, series, context, until)
    if isinstance(made, SuiteFiles):
        write_sealed(kept, packed(made))
    return made


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    build: Build
    arch: Arch
    wanted: Wanted

    @property
    def targets(self) -> tuple[str, ...]:
        return self.wanted.selftests

    @property
    def folder(self) -> str:
        """In the builds of a tree or layer."""
        return f"kselftest.{self.arch.name}"


def _made(
    asked: _Asked, source: PreparedSource, series: Series, context: BuildContext, until: Deadline
) -> SuiteFiles | BuildFailure:
    with ExitStack() as held:
        with pristine_tree(source, cache=context.cache, on_event=context.on_event, until=until) as tree:
            if not series.patches:
                return _built(asked, tree, context, until)
            applied = applied_to(tree, series, None, log_dir=context.log_dir, until=until)
            if isinstance(applied, NotApplied):
                return not_applied(asked.build, applied)
            name = layer_name(series, None, applied)
            layer = held.enter_context(layer_of(tree, name, asked.folder, on_event=context.on_event, until=until))
            put_on(tree, layer, applied)
        return _built(asked, layer, context, until)


def _built(asked: _Asked, tree: Tree, context: BuildContext, until: Deadline) -> SuiteFiles | BuildFailure:
    parser, kunit = dict(_parser(tree.src)), tuple(kunit_names(tree.src, asked.wanted.kunit))
    if not asked.targets:
        return SuiteFiles(parser=parser, tests=kunit)
    if not context.sandbox:
        raise InfraError(
            "the tests of a tree are built in the sandbox only: their makefiles write to their sources",
            hint="leave out --no-sandbox; patchrig doctor  # says why there is no sandbox here",
        )
    for tool in ("rsync", "make", f"{asked.arch.compiler_prefix}gcc"):
        if find_tool(tool) is None:
            raise ToolMissing(tool)
    out = tree.builds / asked.folder
    discard(out)
    out.mkdir(parents=True)
    try:
        made = _compiled(asked, tree, out, context, until)
    finally:
        discard(out)
    return replace(made, parser=parser, tests=(*made.tests, *kunit)) if isinstance(made, SuiteFiles) else made


def _compiled(
    asked: _Asked, tree: Tree, out: Path, context: BuildContext, until: Deadline
) -> SuiteFiles | BuildFailure:
    log = context.log_dir / "suites.log"
    log.unlink(missing_ok=True)
    context.on_event(Step(text=f"building the tests of {', '.join(asked.targets)} for {asked.arch.name}"))
    host = HostWatch((out, context.log_dir))
    with sysroot(asked.arch, cache=context.cache, log=context.log_dir / "sysroot.log", until=until) as libraries:
        _make_folders(asked.arch, out)
        for step, argv in enumerate(steps(asked.arch, asked.targets)):
            inside = _inside(tree, out, libraries, over=step > 0)
            status, over = _run(sandbox_argv(argv, inside), log, out, context, until)
            text = tail_of(log, 0)
            if over:
                return _failed(asked.build, over, log, last_lines(text))
            if (status or not_built(text)) and (trouble := host.trouble(text, status, sandbox=sandbox_trouble)):
                # Else tests would be missing from the cache for good.
                raise InfraError(f"{asked.build.name}: its tests can't be built here: {trouble}", hint=trouble.hint)
            if status and "-i" not in argv:
                why = f"{argv[0]} {argv[-1]} fails, before any test was compiled"
                return _failed(asked.build, why, log, last_lines(text))
    drop_setuid(out)
    return _installed_tests(asked, out / "install", log)


def _make_folders(arch: Arch, out: Path) -> None:
    folders = [out / name for name in ("selftests", "objects", "install")]
    for folder in folders:
        folder.mkdir()
    write_cached(out / "cc", compiler_script(arch).encode())
    (out / "cc").chmod(0o755)
    hand_over(out, *folders)


def _installed_tests(asked: _Asked, install: Path, log: Path) -> SuiteFiles | BuildFailure:
    text = tail_of(log, 0)
    try:
        tests = tuple(_tests(install))
    except BadFile as error:
        return _failed(asked.build, f"what the build of the tests left can't be used: {error}", log)
    missing = tuple(
        name for name in asked.targets if not any(test.path.startswith(f"{_installed(name)}/") for test in tests)
    )
    if len(missing) == len(asked.targets):
        return _failed(asked.build, f"no test of {', '.join(missing)} was built", log, last_lines(text))
    return SuiteFiles(parser={}, tests=tests, not_built=(*missing, *not_built(text)))


def steps(arch: Arch, targets: Sequence[str]) -> tuple[list[str], ...]:
    """The commands of a build, as they are run in the sandbox: a copy of the sources, the headers, the tests.

    -i: a test that does not compile keeps no other one from being built and installed.
    """
    source, out = _SEEN / "src", _SEEN / "build"
    jobs = f"-j{host_cores()}"
    common = [f"O={out / 'objects'}", f"ARCH={arch.kbuild}", f"CROSS_COMPILE={arch.compiler_prefix}", jobs]
    return (
        ["cp", "-R", "--preserve=mode,timestamps,links", f"{source / _SELFTESTS}/.", f"{out / 'selftests'}"],
        ["make", "-C", f"{source}", *common, "headers"],
        [
            *("make", "-i", "-C", f"{source / _SELFTESTS}", *common, f"CC={out / 'cc'}", "SKIP_TARGETS="),
            *(f"TARGETS={' '.join(targets)}", f"KSFT_INSTALL_PATH={out / 'install'}", "install"),
        ],
    )


def compiler_script(arch: Arch) -> str:
    """The compiler that looks for headers and libraries among the packages of the arch."""
    return f'#!/bin/sh\nexec {arch.compiler_prefix}gcc --sysroot={_SEEN / "sysroot"} "$@"\n'


def not_built(log: str) -> tuple[str, ...]:
    """The tests that make went on without, as FOLDER/NAME."""
    return tuple(dict.fromkeys(found["test"] for found in _IGNORED.finditer(log)))


def _inside(tree: Tree, out: Path, libraries: Path, *, over: bool) -> Sandbox:
    """What a step sees; once they are copied, the tests' sources are the copy, which makefiles may write to."""
    source = _SEEN / "src"
    return Sandbox(
        readable=(Mount(tree.src, source), Mount(libraries, _SEEN / "sysroot"), *tool_mounts((*HOST_TOOLS, "rsync"))),
        writable=(
            Mount(out, _SEEN / "build"),
            *([Mount(out / "selftests", source / _SELFTESTS)] if over else []),
        ),
        env={"LC_ALL": "C"},
        limits=_LIMITS,
    )


def _run(argv: Sequence[str], log: Path, out: Path, context: BuildContext, until: Deadline) -> tuple[int, str]:
    """Run one step; its exit status, and which limit it broke, or ""."""
    with spawn(argv, log=log, background=context.background) as child:
        watch = BuildWatch(context.limits, child=child.pid, log=log, folder=out)
        while not (over := watch.exceeded()) and child.poll() is None:
            until.pause(PROGRESS_SECONDS)
        return child.poll() or 0, over or watch.exceeded()


def _failed(build: Build, title: str, log: Path, detail: str = "") -> BuildFailure:
    return BuildFailure(build=build, outcome=Outcome.BUILD_FAILED, title=title, detail=detail, log=log)


def _parser(src: Path) -> Iterator[tuple[str, bytes]]:
    for name in PARSER_FILES:
        try:
            yield name, read_plain(src, f"{_PARSER_FOLDER}/{name}", most_bytes=_PARSER_BYTES)
        except BadFile:
            # Before Linux 5.5 there was none, and a series may have something else in its place.
            return


def kunit_names(src: Path, wanted: Sequence[str]) -> Iterator[SuiteFile]:
    """For suite-kunit: a line "FOLDER SUITE" for each suite in the sources of a folder that is wanted."""
    lines = [f"{folder} {name}" for folder in wanted for name in _suites_in(src, folder)]
    if lines:
        yield SuiteFile(path=KUNIT_NAMES, data="".join(f"{line}\n" for line in lines).encode())


def _suites_in(src: Path, folder: str) -> list[str]:
    names: set[str] = set()
    if ".." in PurePath(folder).parts or PurePath(folder).is_absolute():
        return []
    for entry in islice(files_below(src / folder), _MOST_FILES):
        path = str(Path(entry.path).relative_to(src))
        if path.endswith((".c", ".h")) and _KUNIT_FILE.search(path):
            with suppress(BadFile):
                names |= set(_KUNIT_SUITE.findall(read_plain_text(src, path, most_bytes=_PARSER_BYTES)))
    return sorted(names)


def _installed(path: str | Path) -> str:
    return f"kselftest/{path}"


def _tests(install: Path) -> Iterator[SuiteFile]:
    """What was installed; links are kept as they are, for the guest alone."""
    size = 0
    for count, entry in enumerate(sorted(files_below(install), key=lambda entry: entry.path)):
        path = Path(entry.path).relative_to(install)
        if entry.is_symlink():
            yield SuiteFile(path=_installed(path), data=os.fsencode(Path(entry.path).readlink()), link=True)
        elif entry.is_file(follow_symlinks=False):
            data = read_plain(install, str(path), most_bytes=_MOST_BYTES)
            size += len(data)
            yield SuiteFile(
                path=_installed(path), data=data, executable=bool(entry.stat(follow_symlinks=False).st_mode & 0o111)
            )
        if size > _MOST_BYTES or count > _MOST_FILES:
            raise BadFile(f"more than {_MOST_BYTES >> 20} MiB or {_MOST_FILES} files")
