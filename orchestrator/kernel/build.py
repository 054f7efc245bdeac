"""make: the argv of a build, its progress while it runs, and what its end means."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.arch import Arch
from orchestrator.deadline import Deadline
from orchestrator.errors import InfraError, ToolMissing
from orchestrator.kernel.buildlog import first_error, host_trouble
from orchestrator.kernel.dependencies import definitions, why_not
from orchestrator.kernel.files import write_whole
from orchestrator.kernel.kconfig import config_text, not_granted, parse_config
from orchestrator.kernel.progress import Progress
from orchestrator.model import Build, BuildFailure, Outcome
from orchestrator.process import check, find_tool, last_lines, spawn
from orchestrator.sandbox import Limits, Sandbox, plain_argv, sandbox_argv, tool_mounts

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
class Workshop:
    """One build's places: private source, output folder, compiler cache, log."""

    build: Build
    arch: Arch
    src: Path
    out: Path
    ccache: Path
    log: Path
    sandbox: bool
    background: bool = False  # guests go first


def make_argv(shop: Workshop, *targets: str, jobs: int) -> list[str]:
    """make for one build, without the sandbox around it."""
    return [
        "make",
        "-C", str(shop.src),
        f"O={shop.out}",
        f"ARCH={shop.arch.kbuild}",
        f"CROSS_COMPILE={shop.arch.compiler_prefix}",
        f"CC=ccache {shop.arch.compiler_prefix}gcc",
        # Nothing of the tree's state in the version, so that the release is the same for all series on one source.
        "LOCALVERSION=",
        f"-j{jobs}",
        *targets,
    ]  # fmt: skip


def make_env(shop: Workshop) -> dict[str, str]:
    """The whole environment of a build: nothing of the user's gets in."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "HOME": "/tmp",  # Empty and private inside the sandbox, as is the next one.
        "TMPDIR": "/tmp",
        "CCACHE_DIR": str(shop.ccache),
        "CCACHE_TEMPDIR": str(shop.ccache / "tmp"),
        # Not the ccache.conf in its folder, which every build can write.
        "CCACHE_CONFIGPATH": os.devnull,
        "CCACHE_BASEDIR": str(shop.src.parent),
        # Dependencies come from the compiler's own -MMD: no preprocessor run of its own for each file. The generated
        # headers are always new to a fresh build folder, which says nothing of their content.
        "CCACHE_DEPEND": "1",
        "CCACHE_SLOPPINESS": "include_file_ctime,include_file_mtime,time_macros",
        "CCACHE_MAXSIZE": "10G",
        "KCONFIG_ALLCONFIG": str(_request_file(shop)),
        **_FIXED,
    }


def in_sandbox(argv: Sequence[str], shop: Workshop) -> list[str]:
    """The argv as it is run: inside the sandbox unless the user said otherwise."""
    inside = Sandbox(
        readable=(shop.src, *tool_mounts((*HOST_TOOLS, f"{shop.arch.compiler_prefix}gcc"))),
        writable=(shop.out, shop.ccache),
        env=make_env(shop),
        limits=_BUILD,
    )
    return (sandbox_argv if shop.sandbox else plain_argv)(argv, inside)


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


def configure(shop: Workshop, asked: Mapping[str, str], until: Deadline) -> BuildFailure | None:
    """Write .config from what is asked; a BuildFailure when a symbol did not survive kconfig."""
    # Not olddefconfig on a .config that lies there: what is not asked for is off, whatever was built here before.
    write_whole(_request_file(shop), config_text(asked).encode())
    if failure := _make(shop, ["allnoconfig"], None, until):
        return failure
    config = parse_config((shop.out / ".config").read_text())
    refused = not_granted(asked, config)
    if not refused:
        return None
    found = list(definitions(lambda path: _kconfig_texts(shop, path), "Kconfig"))
    lines = [f"{symbol.title} ({why_not(symbol.symbol, found, config)})" for symbol in refused]
    return BuildFailure(
        build=shop.build, outcome=Outcome.BUILD_FAILED, title=lines[0], detail="\n".join(lines), log=shop.log
    )


def compile_kernel(shop: Workshop, progress: Progress, until: Deadline) -> BuildFailure | None:
    """Build the boot image; a BuildFailure when the kernel does not compile."""
    return _make(shop, [shop.arch.make_target], progress, until)


def run_tool(shop: Workshop, argv: Sequence[str], until: Deadline) -> bool:
    """Run a tool on what the build made, as shut in as the build; says whether it succeeded."""
    with spawn(in_sandbox(argv, shop), log=shop.log) as child:
        return until.until(child.poll) == 0


def disassembly(shop: Workshop, program: Path, span: tuple[int, int], log: Path, until: Deadline) -> str:
    """What objdump prints of the code between two addresses, as shut in as the build."""
    argv = [f"{shop.arch.compiler_prefix}objdump", *OBJDUMP, *_span(span), str(program)]
    return check(in_sandbox(argv, shop), log=log, until=until)


OBJDUMP = ("--disassemble", "--no-show-raw-insn", "--wide")


def _span(span: tuple[int, int]) -> tuple[str, str]:
    return f"--start-address={span[0]:#x}", f"--stop-address={span[1]:#x}"


def _make(shop: Workshop, targets: Sequence[str], progress: Progress | None, until: Deadline) -> BuildFailure | None:
    start = shop.log.stat().st_size if shop.log.exists() else 0
    argv = in_sandbox(make_argv(shop, *targets, jobs=len(os.sched_getaffinity(0))), shop)

    with spawn(argv, log=shop.log, background=shop.background) as child:

        def status() -> int | None:
            if progress:
                progress.show()
            return child.poll()

        ended = until.until(status, every=PROGRESS_SECONDS)
    if progress:
        progress.show()
    if ended == 0:
        return None
    # An interrupt kills make first and is noticed afterwards; that is no failure of the kernel.
    until.left()
    with shop.log.open("rb") as log:
        log.seek(start)
        return _failure(shop, log.read().decode(errors="replace"), ended)


def _failure(shop: Workshop, text: str, status: int) -> BuildFailure:
    if trouble := host_trouble(text):
        raise InfraError(f"{shop.build.name} can't be built here: {trouble[0]}\n{last_lines(text)}", hint=trouble[1])
    if status < 0:
        raise InfraError(f"make for {shop.build.name} was killed by signal {-status}", hint=f"less {shop.log}")
    return BuildFailure(
        build=shop.build,
        outcome=Outcome.BUILD_FAILED,
        title=first_error(text, str(shop.src)),
        detail=last_lines(text),
        log=shop.log,
    )


def _request_file(shop: Workshop) -> Path:
    return shop.out / "patchrig.config"


def _kconfig_texts(shop: Workshop, path: str) -> list[str]:
    plain = path.replace("$(SRCARCH)", _ARCH_FOLDER.get(shop.arch.kbuild, shop.arch.kbuild)).lstrip("/")
    return [file.read_text(errors="replace") for file in sorted(shop.src.glob(plain)) if file.is_file()]
