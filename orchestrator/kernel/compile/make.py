# SPDX-License-Identifier: GPL-2.0-or-later
"""make: the argv of a build, its progress while it runs, and what its end means."""

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from orchestrator.host.cores import host_cores
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError, ToolMissing
from orchestrator.host.files import write_cached
from orchestrator.host.process import find_tool, last_lines, spawn
from orchestrator.host.sandbox import Limits, Mount, Sandbox, confined_argv, sandbox_trouble, tool_mounts
from orchestrator.host.untrusted import BadFile, open_plain, read_plain_text
from orchestrator.kernel.compile.build_log import Suspicion, first_error, suspicions
from orchestrator.kernel.compile.build_progress import BuildCounter
from orchestrator.kernel.compile.host_fault import HostWatch
from orchestrator.kernel.compile.kconfig import OF_SOME_KERNELS, asked_for_too, config_text, not_granted, parse_config
from orchestrator.kernel.compile.kconfig_dependencies import Definition, definitions, why_not
from orchestrator.kernel.compile.limits import BuildLimits, BuildWatch, build_limits
from orchestrator.kernel.compile.refused_options import refused_by_hand
from orchestrator.kernel.compile.wishes import NO_WISHES, note_refused
from orchestrator.model.arch import Arch
from orchestrator.model.cells import Build
from orchestrator.model.images import BuildFailure
from orchestrator.model.outcomes import Outcome

HOST_TOOLS = ("make", "flex", "bison", "bc", "ccache", "gcc", "ld", "perl")
PROGRESS_SECONDS = 0.25
_BUILD = Limits(processes=2048, process_bytes=16 << 30)

# Kbuild's ARCH= to the folder in arch/, where the two differ.
_ARCH_FOLDER = {"x86_64": "x86"}

# The same input gives the same image, whoever builds it and whenever.
_FIXED = {
    "KBUILD_BUILD_USER": "patchrig",
    "KBUILD_BUILD_HOST": "patchrig",
    "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 2026",
    "KBUILD_BUILD_VERSION": "1",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """The paths that a build sees: the same for all trees and layers, as objects have them in their debug info."""

    src: Path
    out: Path
    ccache: Path
    request: Path


IN_SANDBOX = Places(
    src=Path("/patchrig/src"),
    out=Path("/patchrig/build"),
    ccache=Path("/patchrig/ccache"),
    request=Path("/patchrig/request.config"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildDirs:
    """One build's places on this host: private source, build folder, compiler cache, log."""

    build: Build
    arch: Arch
    src: Path
    out: Path
    ccache: Path
    log: Path
    sandbox: bool
    trusted: bool  # nothing of a series is in the source: it may write to the compiler cache
    background: bool = False  # guests go first
    limits: BuildLimits = field(default_factory=build_limits)
    keep_going: bool = False  # after an error, compile what does not depend on it: all errors are in one log

    @property
    def request(self) -> Path:
        """The options that are asked for; beside the build folder, where the build can't change it."""
        return self.out.with_name(f"{self.out.name}.request")

    @property
    def seen(self) -> Places:
        """The places as the build knows them."""
        own = Places(src=self.src, out=self.out, ccache=self.ccache, request=self.request)
        return IN_SANDBOX if self.sandbox else own


def make_argv(dirs: BuildDirs, *targets: str, jobs: int) -> list[str]:
    """make for one build, without the sandbox around it."""
    return [
        "make",
        "-C", str(dirs.seen.src),
        f"O={dirs.seen.out}",
        f"ARCH={dirs.arch.kbuild}",
        f"CROSS_COMPILE={dirs.arch.compiler_prefix}",
        f"CC=ccache {dirs.arch.compiler_prefix}gcc",
        # Nothing of the tree's state in the version, so that the release is the same for all series on one source.
        "LOCALVERSION=",
        f"-j{jobs}",
        *(["--keep-going"] if dirs.keep_going else []),
        *targets,
    ]  # fmt: skip


def make_env(dirs: BuildDirs) -> dict[str, str]:
    """The environment of a build: nothing of the user's gets in."""
    own = {"CCACHE_TEMPDIR": str(dirs.seen.ccache / "tmp")} if dirs.trusted else _CCACHE_READ_ONLY
    return {
        "LC_ALL": "C",
        "CCACHE_DIR": str(dirs.seen.ccache),
        # Not the ccache.conf in its folder, which other builds can write.
        "CCACHE_CONFIGPATH": os.devnull,
        "CCACHE_BASEDIR": str(dirs.seen.src.parent),
        # Dependencies come from the compiler's own -MMD: no preprocessor run of its own for each file. The generated
        # headers are always new to a fresh build folder, which says nothing of their content.
        "CCACHE_DEPEND": "1",
        "CCACHE_SLOPPINESS": "include_file_ctime,include_file_mtime,time_macros",
        "CCACHE_MAXSIZE": "10G",
        "KCONFIG_ALLCONFIG": str(dirs.seen.request),
        **own,
        **_FIXED,
    }


# What a series compiles must not come to another kernel by way of the compiler cache.
_CCACHE_READ_ONLY = {"CCACHE_READONLY": "1", "CCACHE_NOSTATS": "1", "CCACHE_TEMPDIR": "/tmp"}


def in_sandbox(argv: Sequence[str], dirs: BuildDirs) -> list[str]:
    """The argv as it is run: inside the sandbox unless the user said otherwise."""
    seen = dirs.seen
    ccache = Mount(dirs.ccache, seen.ccache)
    inside = Sandbox(
        readable=(
            Mount(dirs.src, seen.src),
            Mount(dirs.request, seen.request),
            *(() if dirs.trusted else (ccache,)),
            *tool_mounts((*HOST_TOOLS, f"{dirs.arch.compiler_prefix}gcc")),
        ),
        writable=(Mount(dirs.out, seen.out), *((ccache,) if dirs.trusted else ())),
        env=make_env(dirs),
        limits=_BUILD,
    )
    return confined_argv(argv, inside, sandbox=dirs.sandbox)


def check_tools(arch: Arch) -> None:
    """Raise ToolMissing for the first program that a build needs and this host lacks."""
    for tool in (
        *HOST_TOOLS,
        f"{arch.compiler_prefix}gcc",
        f"{arch.compiler_prefix}ld",
        f"{arch.compiler_prefix}objcopy",
        f"{arch.compiler_prefix}objdump",
    ):
        if find_tool(tool) is None:
            raise ToolMissing(tool)


def configure(
    dirs: BuildDirs,
    asked: Mapping[str, str],
    until: Deadline,
    wished: Mapping[str, str] = NO_WISHES,
    by_hand: Collection[str] = (),
) -> BuildFailure | None:
    """Write .config from what is asked; a BuildFailure when a symbol did not survive kconfig.

    What is only wished may be refused: the build's log says so. Raises UserError for a symbol that was asked for
    `by_hand` and came out otherwise.
    """
    config = _best_config(dirs, asked, wished, until)
    if isinstance(config, BuildFailure):
        return config
    note_refused(dirs.log, not_granted({name: value for name, value in wished.items() if name not in asked}, config))
    refused = not_granted(asked, config)
    if not refused:
        return None
    found = _kconfig_definitions(dirs)
    defined = {definition.symbol for definition in found}
    refused = tuple(one for one in refused if one.symbol in defined or one.symbol not in OF_SOME_KERNELS)
    if not refused:
        return None
    if mistaken := [one for one in refused if one.symbol in by_hand or _is_about(one.symbol, by_hand, found, config)]:
        raise refused_by_hand(mistaken, found, config, dirs.build.name)
    lines = [f"{symbol.title} ({why_not(symbol.symbol, found, config)})" for symbol in refused]
    return _failed(dirs, lines[0], "\n".join(lines))


def _is_about(symbol: str, by_hand: Collection[str], found: Sequence[Definition], config: Mapping[str, str]) -> bool:
    """Whether it is an option of the user's that keeps a symbol of a flavour from what was asked for."""
    return not set(re.findall(r"\w+", why_not(symbol, found, config))).isdisjoint(by_hand)


def _best_config(
    dirs: BuildDirs, asked: Mapping[str, str], wished: Mapping[str, str], until: Deadline
) -> dict[str, str] | BuildFailure:
    """What kconfig makes of all that is asked for and wished; of the former alone where a wish turns some of it off."""
    more: dict[str, str] = {}
    config = _config_of(dirs, {**wished, **asked}, until)
    if not isinstance(config, BuildFailure) and (more := asked_for_too(not_granted(asked, config))):
        config = _config_of(dirs, {**wished, **asked, **more}, until)
    if isinstance(config, BuildFailure) or not wished:
        return config
    refused = (one.symbol for one in not_granted(asked, config))
    return _config_of(dirs, {**asked, **more}, until) if set(refused) - OF_SOME_KERNELS else config


def _config_of(dirs: BuildDirs, request: Mapping[str, str], until: Deadline) -> dict[str, str] | BuildFailure:
    """What kconfig makes of a request."""
    # Not olddefconfig on a .config that lies there: what is not asked for is off, whatever was built here before.
    write_cached(dirs.request, config_text(request).encode())
    if failure := _make(dirs, ["allnoconfig"], None, until):
        return failure
    return parse_config(read_plain_text(dirs.out, ".config", most_bytes=CONFIG_BYTES))


CONFIG_BYTES = 4 << 20


def compile_kernel(dirs: BuildDirs, progress: BuildCounter, until: Deadline) -> BuildFailure | None:
    """Build the boot image; a BuildFailure when the kernel does not compile."""
    return _make(dirs, [dirs.arch.make_target], progress, until)


def compile_objects(dirs: BuildDirs, objects: Sequence[str], until: Deadline) -> BuildFailure | None:
    """Compile single objects, named from the build folder; a BuildFailure where one does not compile."""
    return _make(dirs, objects, None, until)


def run_tool(dirs: BuildDirs, argv: Sequence[str], until: Deadline) -> bool:
    """Run a tool on what the build made, as shut in as the build; says whether it succeeded."""
    with spawn(in_sandbox(argv, dirs), log=dirs.log) as child:
        return until.until(child.poll) == 0


IMAGE_BYTES = 1 << 30
VMLINUX_BYTES = 4 << 30


def boot_image(dirs: BuildDirs, until: Deadline) -> str:
    """The name of the file to boot, below the build folder. Raises BadFile for one that can't be used."""
    made = str(dirs.arch.image)
    with open_plain(dirs.out, made, most_bytes=VMLINUX_BYTES) as file:
        if file.read(4) != b"\x7fELF":
            return made
    # QEMU would copy 100 MB of DWARF into each guest's start; the notes by which it enters the kernel stay.
    stripped = "patchrig.image"
    (dirs.out / stripped).unlink(missing_ok=True)
    names = (str(dirs.seen.out / name) for name in (made, stripped))
    if not run_tool(dirs, [f"{dirs.arch.compiler_prefix}objcopy", "--strip-all", *names], until):
        raise BadFile(f"an image that can't be stripped: {made}")
    return stripped


OBJDUMP = ("--disassemble", "--no-show-raw-insn", "--wide")


def span_options(span: tuple[int, int]) -> tuple[str, str]:
    return f"--start-address={span[0]:#x}", f"--stop-address={span[1]:#x}"


def _make(
    dirs: BuildDirs, targets: Sequence[str], progress: BuildCounter | None, until: Deadline
) -> BuildFailure | None:
    host = HostWatch((dirs.out, dirs.ccache, dirs.log.parent))
    text = ""
    for _attempt in range(_ATTEMPTS):
        start = dirs.log.stat().st_size if dirs.log.exists() else 0
        ended = _made(dirs, targets, progress, until, host)
        if isinstance(ended, BuildFailure):
            return ended
        if ended == 0:
            return None
        # An interrupt kills make first and is noticed afterwards; that is no failure of the kernel.
        until.left()
        text = tail_of(dirs.log, start)
        if trouble := host.trouble(text, ended, sandbox=sandbox_trouble):
            said = f"{dirs.build.name} can't be built here: {trouble}\n{last_lines(text)}"
            raise InfraError(said, hint=trouble.hint)
        if Suspicion.KILLED not in suspicions(text):
            break
    return _failed(dirs, first_error(text, str(dirs.seen.src)), last_lines(text))


# Who killed a compiler, nobody tells. Make goes on where it was; what is the series' doing comes again.
_ATTEMPTS = 2


def _made(
    dirs: BuildDirs, targets: Sequence[str], progress: BuildCounter | None, until: Deadline, host: HostWatch
) -> BuildFailure | int:
    """Run make once; its exit status, or a failure where it used more than a build may."""
    argv = in_sandbox(make_argv(dirs, *targets, jobs=host_cores()), dirs)
    with spawn(argv, log=dirs.log, background=dirs.background) as child:
        ended: int | None = None
        watch = BuildWatch(dirs.limits, child=child.pid, log=dirs.log, folder=dirs.out)
        while not (over := watch.exceeded()) and (ended := child.poll()) is None:
            if progress:
                progress.show()
            host.look()
            until.pause(PROGRESS_SECONDS)
        over = over or watch.exceeded()
    if dirs.log.stat().st_size > dirs.limits.log:
        # What was written between two looks would stay in the results.
        os.truncate(dirs.log, dirs.limits.log)
    if over or ended is None:
        return _over_limit(dirs, over)
    if progress:
        progress.show()
    return ended


def _over_limit(dirs: BuildDirs, over: str) -> BuildFailure:
    if dirs.trusted:
        hint = f"less {dirs.log}; a smaller configuration, or a machine with more memory and disk"
        raise InfraError(f"{dirs.build.name} can't be built here: {over}", hint=hint)
    return _failed(dirs, over, "the build was ended")


# So much of a log tells why make failed.
_LOG_BYTES = 4 << 20


def tail_of(log: Path, start: int) -> str:
    """The end of a log, no longer than is worth reading, from its byte `start` on."""
    with log.open("rb") as file:
        file.seek(max(start, log.stat().st_size - _LOG_BYTES))
        return file.read(_LOG_BYTES).decode(errors="replace")


def _failed(dirs: BuildDirs, title: str, detail: str) -> BuildFailure:
    return BuildFailure(build=dirs.build, outcome=Outcome.BUILD_FAILED, title=title, detail=detail, log=dirs.log)


def _kconfig_definitions(dirs: BuildDirs) -> list[Definition]:
    """What the tree's Kconfig files define; nothing where they can't be read, as a series may write what it likes."""
    seen: set[str] = set()

    def read(path: str) -> list[str]:
        # A file that sources itself would be read without end.
        if path in seen:
            return []
        seen.add(path)
        return _kconfig_texts(dirs, path)

    try:
        return list(definitions(read, "Kconfig"))
    except (RecursionError, IndexError, ValueError):
        return []


def _kconfig_texts(dirs: BuildDirs, path: str) -> list[str]:
    plain = path.replace("$(SRCARCH)", _ARCH_FOLDER.get(dirs.arch.kbuild, dirs.arch.kbuild)).lstrip("/")
    return list(_texts(dirs.src, plain))


def _texts(src: Path, pattern: str) -> Iterator[str]:
    """The files below the source that a pattern of Kconfig's names; a series may have links in their place."""
    if ".." in PurePosixPath(pattern).parts or not pattern:
        return
    for file in sorted(src.glob(pattern)):
        with suppress(BadFile, OSError):
            yield read_plain_text(src, str(file.relative_to(src)), most_bytes=CONFIG_BYTES)
