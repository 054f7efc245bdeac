# SPDX-License-Identifier: GPL-2.0-or-later
"""Headers and libraries of an arch that tests of the tree are linked with: Debian packages, unpacked once and kept."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.host import process
from orchestrator.host.deadline import Deadline
from orchestrator.host.debian import SUITE, apt_sources, unpacked
from orchestrator.host.paths import scratch_folder
from orchestrator.host.sealed import kept_or_made
from orchestrator.model.arch import Arch

# A test whose library is not among them is not built, and named.
PACKAGES = (
    *("libc6-dev", "libcap-dev", "libcap-ng-dev", "libelf-dev", "libmnl-dev", "libmount-dev", "libnuma-dev"),
    *("libpopt-dev", "libssl-dev", "liburing-dev", "zlib1g-dev"),
)
# What a compiler does not look into.
_LEFT_OUT = ("./var", "./dev", "./etc", "./usr/share", "./usr/bin", "./usr/sbin", "./bin", "./sbin")


@contextmanager
def sysroot(arch: Arch, *, cache: Path, log: Path, until: Deadline) -> Iterator[Path]:
    """A folder with PACKAGES of the arch, for the length of the block. Raises InfraError where they can't be had."""
    sources = apt_sources(log=log, until=until)
    key = hashlib.sha256("\n".join((arch.debian, SUITE, *PACKAGES, *sources)).encode()).hexdigest()[:16]
    kept = cache / "sysroots" / f"{arch.name}-{key}.sealed"
    content = kept_or_made(kept, lambda: _made(arch, sources, log=log, until=until), until)
    with scratch_folder() as scratch:
        folder, archive = Path(scratch) / "sysroot", Path(scratch) / "sysroot.tar"
        folder.mkdir()
        archive.write_bytes(content)
        process.check(["tar", "-xf", str(archive), "-C", str(folder)], log=log, until=until)
        archive.unlink()
        yield folder


def _made(arch: Arch, sources: tuple[str, ...], *, log: Path, until: Deadline) -> bytes:
    with unpacked(PACKAGES, arch.debian, sources, log=log, until=until) as root, scratch_folder() as scratch:
        archive = Path(scratch) / "sysroot.tar"
        left_out = [f"--exclude={path}" for path in _LEFT_OUT]
        process.check(["tar", *left_out, "-cf", str(archive), "-C", str(root), "."], log=log, until=until)
        return archive.read_bytes()
