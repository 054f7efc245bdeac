# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's root file system: a few files of Debian packages, and all files of those a workload asks for."""

import hashlib
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from orchestrator.guest.initramfs import Entry, character_device, directory, newc, regular, symlink
from orchestrator.host.deadline import Deadline
from orchestrator.host.debian import SUITE, apt_sources, unpacked
from orchestrator.host.elf import needed_libraries
from orchestrator.host.errors import InfraError, UserError
from orchestrator.host.sealed import kept_or_made
from orchestrator.host.untrusted import BadFile, files_below, read_plain
from orchestrator.model.arch import Arch

PACKAGES = ("busybox-static", "dropbear-bin")
PROGRAMS = ("bin/busybox", "usr/sbin/dropbear", "usr/bin/dropbear")
FOLDERS = (
    *("bin", "sbin", "dev", "etc", "etc/dropbear", "lib", "lib64", "mnt", "patchrig", "proc", "root", "root/.ssh"),
    *("run", "sys", "tmp", "usr", "usr/bin", "usr/sbin", "var", "var/log", "var/run"),
)
LIBRARY_FOLDERS = ("lib", "usr/lib")
# Of a workload's packages: what no program needs to run, and what is the guest's own.
LEFT_OUT = (
    *("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian", "usr/share/i18n"),
    *("var/cache", "var/lib/apt", "var/lib/dpkg", "boot", "dev", "proc", "sys", "run", "tmp", "patchrig"),
)
# On a merged system links into /usr; in the guest folders of their own.
_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
MOST_BYTES = 512 << 20
FORMAT = "2"  # part of the cache key: raise it when the archive's content is put together in another way


def base_archive(arch: Arch, packages: Sequence[str] = (), *, cache: Path, log: Path, until: Deadline) -> bytes:
    """The arch's base archive from the cache, made from Debian packages the first time (about 6 s).

    `packages` are those of workloads (NAME or NAME=VERSION): all their files are in it, and a list of all versions. One
    that is not what was written, by its checksum, is made again. Raises UserError for a package that there is not,
    InfraError when apt knows no mirror of the suite, mmdebstrap fails, or the cache can't be written.
    """
    sources = apt_sources(log=log, until=until)
    more = tuple(sorted(set(packages)))
    parts = (FORMAT, arch.debian, SUITE, *PACKAGES, *sources, *(("packages", *more) if more else ()))
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    kept = cache / "rootfs" / f"{arch.name}-{key}.sealed"
    return kept_or_made(kept, lambda: _made(arch, sources, more, log=log, until=until), until)


def _made(arch: Arch, sources: Sequence[str], more: Sequence[str], *, log: Path, until: Deadline) -> bytes:
    with unpacked((*PACKAGES, *more), arch.debian, sources, log=log, until=until) as root:
        archive = newc(root_entries(root))
        return archive + newc(package_entries(root)) if more else archive


def package_entries(root: Path) -> Iterator[Entry]:
    """All files of an unpacked root that programs may need; no device, no link's target is followed.

    Raises UserError where they are too large for a guest that keeps them in memory.
    """
    found = sorted(_paths(root))
    yield from (directory(path) for path in _folders(path for path, _ in found))
    size = 0
    for path, place in found:
        known = place.lstat()
        if stat.S_ISLNK(known.st_mode):
            yield symlink(path, str(place.readlink()))
        elif stat.S_ISREG(known.st_mode):
            size += known.st_size
            if size > MOST_BYTES:
                raise UserError(
                    f"packages: with all that they depend on they have more than {MOST_BYTES >> 20} MiB",
                    hint="apt-cache depends --recurse PACKAGE  # what else they bring",
                )
            yield regular(path, _content(root, place), permissions=0o755 if known.st_mode & 0o111 else 0o644)
    yield from _short_names(path for path, _ in found)


def _paths(root: Path) -> Iterator[tuple[str, Path]]:
    for entry in files_below(root):
        place = Path(entry.path)
        path = str(place.relative_to(root))
        merged = path in _MERGED and place.is_symlink()
        # busybox is the guest's shell, whatever else comes along.
        if not merged and path not in ("bin/sh", "usr/bin/sh") and not _left_out(path):
            yield path, place


def _left_out(path: str) -> bool:
    return any(path.startswith(f"{folder}/") for folder in LEFT_OUT)


def _folders(paths: Iterable[str]) -> list[str]:
    """All that the paths lie in, parents first."""
    folders = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
    return sorted(folders - {"."} - set(FOLDERS))


def _short_names(paths: Iterable[str]) -> Iterator[Entry]:
    """Programs below /usr are in /bin or /sbin too, as on a merged system: scripts begin with #!/bin/bash."""
    there = set(paths)
    for path in sorted(there):
        short = path.removeprefix("usr/")
        if path.startswith(("usr/bin/", "usr/sbin/")) and short not in there and short != "bin/busybox":
            yield symlink(short, f"/{path}")


def _content(root: Path, place: Path) -> bytes:
    try:
        return read_plain(root, str(place.relative_to(root)), most_bytes=MOST_BYTES)
    except BadFile as e:
        raise InfraError(f"a package can't be read where it was unpacked: {e}") from e


def root_entries(root: Path) -> Iterator[Entry]:
    """The few files that the guest needs: the programs and the shared libraries that they name."""
    yield from (directory(path) for path in FOLDERS)
    yield symlink("bin/sh", "busybox")
    yield character_device("dev/console", 5, 1)
    yield regular("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    yield regular("etc/group", b"root:x:0:\n")
    yield regular("etc/shells", b"/bin/sh\n")
    libraries = {path.name: path for folder in LIBRARY_FOLDERS for path in sorted((root / folder).rglob("*.so*"))}
    wanted = [root / program for program in PROGRAMS if (root / program).exists()]
    for program in wanted:
        yield regular(str(program.relative_to(root)), program.read_bytes(), permissions=0o755)
    for name in sorted(_closure(wanted, libraries)):
        yield regular(f"lib/{name}", libraries[name].resolve().read_bytes(), permissions=0o755)
        if name.startswith("ld-linux-x86-64"):
            yield symlink(f"lib64/{name}", f"/lib/{name}")


def _closure(programs: Iterable[Path], libraries: dict[str, Path]) -> set[str]:
    todo, found = [name for path in programs for name in needed_libraries(path)], set[str]()
    while todo:
        name = todo.pop()
        if name in found:
            continue
        if name not in libraries:
            raise InfraError(f"the guest's root file system lacks the library {name}", hint="patchrig clean --all")
        found.add(name)
        todo += needed_libraries(libraries[name].resolve())
    return found
