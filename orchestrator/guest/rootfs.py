# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's root file system: a handful of files out of Debian packages, the same for every run."""

import hashlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from orchestrator.guest.initramfs import Entry, character_device, directory, newc, regular, symlink
from orchestrator.host import process
from orchestrator.host.deadline import Deadline
from orchestrator.host.elf import needed_libraries
from orchestrator.host.errors import InfraError
from orchestrator.host.paths import scratch_folder
from orchestrator.host.sealed import kept_or_made
from orchestrator.model.arch import Arch

PACKAGES = ("busybox-static", "dropbear-bin")
PROGRAMS = ("bin/busybox", "usr/sbin/dropbear", "usr/bin/dropbear")
SUITE = "bookworm"
FOLDERS = (
    *("bin", "sbin", "dev", "etc", "etc/dropbear", "lib", "lib64", "mnt", "patchrig", "proc", "root", "root/.ssh"),
    *("run", "sys", "tmp", "usr", "usr/bin", "usr/sbin", "var", "var/log", "var/run"),
)
LIBRARY_FOLDERS = ("lib", "usr/lib")
FORMAT = "2"  # part of the cache key: raise it when the archive's content is put together in another way


def base_archive(arch: Arch, *, cache: Path, log: Path, until: Deadline) -> bytes:
    """The arch's base archive from the cache, made from Debian packages the first time (about 6 s).

    One that is not what was written, by its checksum, is made again. Raises InfraError when apt knows no mirror of the
    suite, mmdebstrap fails, or the cache can't be written.
    """
    sources = apt_sources(log=log, until=until)
    key = hashlib.sha256("\n".join((FORMAT, arch.debian, SUITE, *PACKAGES, *sources)).encode()).hexdigest()[:16]
    kept = cache / "rootfs" / f"{arch.name}-{key}.sealed"
    return kept_or_made(kept, lambda: _made(arch, sources, log=log, until=until), until)


def apt_sources(*, log: Path, until: Deadline) -> tuple[str, ...]:
    """One-line sources of SUITE's main component, from the mirrors that apt itself is configured with."""
    listing = process.check(
        ["apt-get", "indextargets", "--format", "$(SITE)|$(CODENAME)|$(COMPONENT)|$(SIGNED_BY)"], log=log, until=until
    )
    return sources_of(listing)


def sources_of(listing: str) -> tuple[str, ...]:
    """`apt-get indextargets` lines (site|codename|component|signed-by) as deb lines; raises InfraError on none."""
    found = {}
    for line in listing.splitlines():
        site, _, rest = line.partition("|")
        codename, _, rest = rest.partition("|")
        component, _, _ = rest.partition("|")
        if codename == SUITE and component == "main":
            found[site] = f"deb {site} {SUITE} main"
    if not found:
        raise InfraError(
            f"apt knows no mirror of Debian {SUITE}, where the guest's busybox and dropbear come from",
            hint="apt-get indextargets  # shows what apt is configured with; run apt-get update if it is empty",
        )
    return tuple(found.values())


def _made(arch: Arch, sources: Iterable[str], *, log: Path, until: Deadline) -> bytes:
    with scratch_folder() as scratch:
        root = Path(scratch) / "root"
        listed = Path(scratch) / "sources.list"
        listed.write_text("\n".join(sources) + "\n", encoding="utf-8")
        process.check(mmdebstrap_argv(arch, root=root, sources=listed), log=log, until=until)
        archive = newc(root_entries(root))
        shutil.rmtree(root, ignore_errors=True)
    return archive


def mmdebstrap_argv(arch: Arch, *, root: Path, sources: Path) -> list[str]:
    """Unpack the packages, run none of their scripts: no root and no emulation of a foreign arch is needed."""
    return [
        *("mmdebstrap", "--variant=extract", f"--architectures={arch.debian}"),
        f"--include={','.join(PACKAGES)}",
        *("--skip=check/empty", SUITE, str(root), str(sources)),
    ]


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
