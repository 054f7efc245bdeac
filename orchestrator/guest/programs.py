# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's own programs: scripts copied, C compiled statically for the guest's arch."""

import hashlib
from collections.abc import Iterable, Sequence
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

    def files(self) -> tuple[Path, ...]:
        """All that decides its objects."""
        return (*self.sources(), *sorted(self.folder.glob("*.h")))


def program_bytes(source: Path, arch: Arch, library: Library, *, cache: Path, log: Path, until: Deadline) -> bytes:
    """The program as the guest runs it: a .c file compiled with the library, anything else as it is.

    Program and library are kept in the cache, each by itself: so the library is compiled once for all programs. What is
    not what was written, by its checksum, is compiled again. Raises UserError, with the compiler's words, when it does
    not compile; ToolMissing without a compiler; InfraError where the cache can't be written.
    """
    if source.suffix != ".c":
        return source.read_bytes()
    compiler = f"{arch.compiler_prefix}gcc"
    if process.find_tool(compiler) is None:
        raise ToolMissing(compiler)
    # A newer one, and the C library that comes with it, makes other programs.
    version = f"{compiler} {process.check([compiler, '-dumpfullversion'], log=log, until=until).strip()}"
    # The compiler looks for headers beside the source, too.
    beside = sorted(source.parent.glob("*.h"))
    kept = _place(cache, source.stem, arch, _key(version, (source, *beside, *library.files())))
    objects = _place(cache, "library", arch, _key(version, library.files()))

    def made() -> bytes:
        archive = kept_or_made(objects, lambda: _library_bytes(arch, library, log=log, until=until), until)
        return _compiled(source, arch, library, archive, log=log, until=until)

    return kept_or_made(kept, made, until)


def compile_argv(source: Path, output: Path, arch: Arch, library: Library, archive: Path) -> list[str]:
    """How a program is compiled and linked with all objects of the library."""
    whole = ("-Wl,--whole-archive", str(archive), "-Wl,--no-whole-archive")
    return [*_compiler(arch, library), "-o", str(output), str(source), *whole]


def _compiler(arch: Arch, library: Library) -> tuple[str, ...]:
    return (f"{arch.compiler_prefix}gcc", *CFLAGS, f"-I{library.folder.absolute()}")


def _compiled(source: Path, arch: Arch, library: Library, archive: bytes, *, log: Path, until: Deadline) -> bytes:
    with scratch_folder() as scratch:
        made, objects = Path(scratch) / "program", Path(scratch) / "library.a"
        objects.write_bytes(archive)
        _run(source, arch, compile_argv(source, made, arch, library, objects), log=log, until=until)
        return made.read_bytes()


def _library_bytes(arch: Arch, library: Library, *, log: Path, until: Deadline) -> bytes:
    """An archive of the library's objects."""
    with scratch_folder() as scratch:
        made, sources = Path(scratch) / "library.a", library.sources()
        if sources:
            argv = [*_compiler(arch, library), "-c", *(str(file.absolute()) for file in sources)]
            _run(library.folder, arch, argv, log=log, until=until, cwd=Path(scratch))
        objects = [str(Path(scratch) / f"{file.stem}.o") for file in sources]
        # Without the times and owners of the objects.
        process.check([f"{arch.compiler_prefix}ar", "rcsD", str(made), *objects], log=log, until=until)
        return made.read_bytes()


def _run(what: Path, arch: Arch, argv: Sequence[str], *, log: Path, until: Deadline, cwd: Path | None = None) -> None:
    done = process.run(argv, log=log, until=until, cwd=cwd)
    if done.status != 0:
        raise UserError(f"{what} does not compile for {arch.name}:\n{process.last_lines(done.output)}")


def _place(cache: Path, name: str, arch: Arch, key: str) -> Path:
    return cache / "programs" / f"{name}-{arch.name}-{key}.sealed"


def _key(compiler: str, files: Iterable[Path]) -> str:
    digest = hashlib.sha256("\0".join((compiler, *CFLAGS)).encode())
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
