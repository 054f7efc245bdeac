# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's own programs: scripts copied, C compiled statically for the guest's arch."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.host import process
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import ToolMissing, UserError
from orchestrator.host.paths import scratch_folder
from orchestrator.host.sealed import kept_or_made
from orchestrator.model.arch import Arch

CFLAGS = (
    *("-std=gnu11", "-O2", "-g0", "-Wall", "-Wextra", "-Werror", "-static", "-pthread"),
    # Every boot unpacks them: a quarter less.
    *("-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "-Wl,--strip-all"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Library:
    """The C files that every compiled program is linked with."""

    folder: Path

    def sources(self) -> tuple[Path, ...]:
        return tuple(sorted(self.folder.glob("*.c")))

    def headers(self) -> tuple[Path, ...]:
        return tuple(sorted(self.folder.glob("*.h")))


def program_bytes(source: Path, arch: Arch, library: Library, *, cache: Path, log: Path, until: Deadline) -> bytes:
    """The program as the guest runs it: a .c file compiled with the library, anything else as it is.

    One in the cache that is not what was written, by its checksum, is compiled again. Raises UserError, with the
    compiler's words, when it does not compile; ToolMissing without a compiler; InfraError where the cache can't be
    written.
    """
    if source.suffix != ".c":
        return source.read_bytes()
    compiler = f"{arch.compiler_prefix}gcc"
    if process.find_tool(compiler) is None:
        raise ToolMissing(compiler)
    # A newer one, and the C library that comes with it, makes other programs.
    version = process.check([compiler, "-dumpfullversion"], log=log, until=until).strip()
    key = _key(source, f"{compiler} {version}", library)
    kept = cache / "programs" / f"{source.stem}-{arch.name}-{key}.sealed"
    return kept_or_made(kept, lambda: _compiled(source, arch, library, log=log, until=until), until)


def compile_argv(source: Path, output: Path, arch: Arch, library: Library) -> list[str]:
    compiler = f"{arch.compiler_prefix}gcc"
    return [compiler, *CFLAGS, f"-I{library.folder}", "-o", str(output), str(source), *map(str, library.sources())]


def _compiled(source: Path, arch: Arch, library: Library, *, log: Path, until: Deadline) -> bytes:
    with scratch_folder() as scratch:
        made = Path(scratch) / "program"
        done = process.run(compile_argv(source, made, arch, library), log=log, until=until)
        if done.status != 0:
            raise UserError(f"{source} does not compile for {arch.name}:\n{process.last_lines(done.output)}")
        return made.read_bytes()


def _key(source: Path, compiler: str, library: Library) -> str:
    digest = hashlib.sha256("\0".join((compiler, *CFLAGS)).encode())
    # The compiler looks for headers beside the source, too.
    beside = sorted(source.parent.glob("*.h"))
    files: Sequence[Path] = (source, *beside, *library.sources(), *library.headers())
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
