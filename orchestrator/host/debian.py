# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian packages of any arch, unpacked into a folder: by mmdebstrap, from the mirrors that apt itself uses."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchestrator.host import process
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError, UserError
from orchestrator.host.paths import scratch_folder

SUITE = "bookworm"
PACKAGE_LIST = "etc/patchrig-packages"
"""In a folder with packages: the name of each package's file, which has its version."""
# What apt says of a name that it does not know, or does not have for the arch.
_UNKNOWN = ("Unable to locate package", "has no installation candidate", "was not found")


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
            f"apt knows no mirror of Debian {SUITE}, where the guest's programs come from",
            hint="apt-get indextargets  # shows what apt is configured with; run apt-get update if it is empty",
        )
    return tuple(found.values())


@contextmanager
def unpacked(
    packages: Sequence[str], debian_arch: str, sources: Sequence[str], *, log: Path, until: Deadline
) -> Iterator[Path]:
    """A folder with the packages (NAME or NAME=VERSION) and all that they depend on, for the length of the block.

    None of their scripts runs. Raises UserError for a package that the arch does not have, else InfraError.
    """
    with scratch_folder() as scratch:
        root, listed = Path(scratch) / "root", Path(scratch) / "sources.list"
        listed.write_text("\n".join(sources) + "\n", encoding="utf-8")
        argv = mmdebstrap_argv(packages, debian_arch, root=root, sources=listed)
        done = process.run(argv, log=log, until=until)
        if done.status != 0:
            raise _refused(packages, debian_arch, done.output)
        yield root


def mmdebstrap_argv(packages: Sequence[str], debian_arch: str, *, root: Path, sources: Path) -> list[str]:
    """Unpack the packages, run none of their scripts: no root and no emulation of a foreign arch is needed."""
    return [
        *("mmdebstrap", "--variant=extract", f"--architectures={debian_arch}"),
        f"--include={','.join(packages)}",
        # Nothing is installed, so dpkg has no list.
        f'--extract-hook=ls "$1/var/cache/apt/archives" >"$1/{PACKAGE_LIST}"',
        *("--skip=check/empty", SUITE, str(root), str(sources)),
    ]


def _refused(packages: Sequence[str], debian_arch: str, output: str) -> UserError | InfraError:
    said = process.last_lines(output)
    unknown = [line for line in output.splitlines() if any(words in line for words in _UNKNOWN)]
    if unknown:
        what = unknown[0].removeprefix("E: ").strip()
        hint = f"apt-cache policy {' '.join(packages)}"
        return UserError(f"packages: Debian {SUITE} for {debian_arch}: {what}", hint=hint)
    what = f"mmdebstrap can't unpack {', '.join(packages)} for {debian_arch}"
    return InfraError(f"{what}:\n{said}", hint="apt-get update; df -h /tmp")
