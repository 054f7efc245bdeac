# SPDX-License-Identifier: GPL-2.0-or-later
"""What Debian's indexes and .dsc files say of kernel sources. Pure.

The forms: deb822(5), dsc(5), and apt-secure(8).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_ARCHIVE = re.compile(r"linux_(\d+\.\d+(?:\.\d+)?(?:~rc\d+)?)\.orig\.tar\.xz")
_FILE_LINE = re.compile(r" ([0-9a-f]{64}) +\d+ +(\S+)")
_DIRECTORY = re.compile(r"pool/[\w./+-]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolFile:
    """The kernel source of a version in a pool."""

    version: str
    path: str  # relative to a mirror
    sha256: str


def pool_files(lines: Iterable[str]) -> Iterator[PoolFile]:
    """The kernel sources in an index of sources, a stanza each."""
    stanza: list[str] = []
    for line in lines:
        if line.strip():
            stanza.append(line.rstrip("\n"))
            continue
        yield from _of_stanza(stanza)
        stanza = []
    yield from _of_stanza(stanza)


def index_sha256(release: str, name: str) -> str:
    """The SHA-256 of an index, from the text of the Release file that lists it; "" where it is not listed."""
    return next((sha256 for sha256, file in _listed(release.splitlines(), "SHA256:") if file == name), "")


def dsc_file(text: str, version: str) -> str:
    """The SHA-256 of a version's source archive in the text of a .dsc; "" where it is not listed."""
    listed = _listed(text.splitlines(), "Checksums-Sha256:")
    return next((sha256 for sha256, file in listed if file == f"linux_{version}.orig.tar.xz"), "")


def newest_first(versions: Iterable[str]) -> tuple[str, ...]:
    """By their numbers; a release candidate is older than its release."""
    return tuple(sorted(versions, key=_numbers, reverse=True))


def of_release(release: str, versions: Iterable[str]) -> tuple[str, ...]:
    """The stable kernels of a release ("7.2"), newest first, and then its candidates."""
    known = newest_first(versions)
    stable = [one for one in known if one.startswith(f"{release}.")]
    candidates = [one for one in known if one.startswith(f"{release}~rc")]
    return (*stable, *candidates)


def near(version: str, versions: Iterable[str], most: int = 4) -> tuple[str, ...]:
    """The versions that a user may mean, nearest first: those of the same release, then of the releases around it."""
    wanted = _padded(version)

    def distance(one: str) -> tuple[int, ...]:
        return tuple(abs(a - b) for a, b in zip(_padded(one), wanted, strict=True))

    return tuple(sorted(versions, key=distance)[:most])


def _padded(version: str) -> tuple[int, int, int]:
    numbers = [int(number) for number in version.partition("~")[0].split(".")[:3]]
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return major, minor, patch


def _numbers(version: str) -> tuple[tuple[int, ...], bool, tuple[int, ...]]:
    release, _, candidate = version.partition("~rc")
    return tuple(map(int, release.split("."))), not candidate, tuple(map(int, candidate.split()))


def _of_stanza(stanza: list[str]) -> Iterator[PoolFile]:
    if "Package: linux" not in stanza:
        return
    folder = next((line.partition(": ")[2] for line in stanza if line.startswith("Directory: ")), "")
    for sha256, file in _listed(stanza, "Checksums-Sha256:"):
        if (archive := _ARCHIVE.fullmatch(file)) and _DIRECTORY.fullmatch(folder) and ".." not in folder:
            yield PoolFile(version=archive[1], path=f"{folder}/{file}", sha256=sha256)


def _listed(lines: Iterable[str], field: str) -> Iterator[tuple[str, str]]:
    """The hashes and names of a field with a file on each line."""
    inside = False
    for line in lines:
        if not line.startswith(" "):
            inside = line.rstrip() == field
        elif inside and (found := _FILE_LINE.fullmatch(line)):
            yield found[1], found[2]
