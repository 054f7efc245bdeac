# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel tarball from the first place that has the right one.

A run that builds nothing does not read the tarball, and hashing 150 MB at each start would be felt: fetch() goes by the
stamps of the file that was hashed once. Who unpacks it reads it through checked() first.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError, ToolMissing
from orchestrator.host.files import flush, settle, sha256_of, trouble_named
from orchestrator.host.lock import locked
from orchestrator.host.process import run
from orchestrator.host.sealed import read_sealed, write_sealed
from orchestrator.kernel.source.content import NotHashable, content_sha256
from orchestrator.kernel.source.download import PlaceFailed, download
from orchestrator.model.configuration import KernelSource, SourceLocation
from orchestrator.model.events import Listener, Step

SCHEMES = ("http", "https")


class NoPlace(InfraError):
    """All places of a kernel's source are gone, or have something else."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tarball:
    """A verified source archive in the cache."""

    path: Path
    sha256: str
    without: tuple[str, ...] = ()  # what is in it and was not verified: not to be unpacked


@dataclass(frozen=True, kw_only=True, slots=True)
class _Candidate:
    url: str
    place: SourceLocation


def fetch(source: KernelSource, *, cache: Path, on_event: Listener, until: Deadline) -> Tarball:
    """Return a verified tarball of the kernel, from the cache or the first place that has it.

    Raises InfraError that names each place and what was wrong with it, or says why the cache can't be written.
    """
    folder = cache / "sources"
    with trouble_named(folder), locked(folder / f".{source.version}.lock", until):
        return _in_cache(source, folder) or _fetch_first(source, folder, on_event, until)


def cached_tarball(source: KernelSource, *, cache: Path, until: Deadline) -> Tarball | None:
    """The verified tarball of the kernel where the cache has it; nothing is downloaded."""
    folder = cache / "sources"
    if not folder.is_dir():
        return None
    with trouble_named(folder), locked(folder / f".{source.version}.lock", until):
        return _in_cache(source, folder)


def _in_cache(source: KernelSource, folder: Path) -> Tarball | None:
    for place in source.places:
        if sha256 := _cached(folder, place):
            return Tarball(path=folder / file_name(place), sha256=sha256, without=place.without)
    return None


def checked(tarball: Tarball) -> Tarball:
    """The tarball, read and found to be what it was: to be called right before it is unpacked.

    Raises InfraError where it is not; it is kept aside then, and the next fetch() gets it again.
    """
    with trouble_named(tarball.path.parent):
        if not tarball.path.is_file():
            raise InfraError(f"{tarball.path} has gone", hint="the same command again  # downloads it")
        found = sha256_of(tarball.path)
        if found != tarball.sha256:
            aside = _keep_aside(tarball.path, tarball.path, found)
            raise InfraError(
                f"{tarball.path} has changed since it was downloaded: its SHA-256 is {found} instead of "
                f"{tarball.sha256}; it is kept as {aside}",
                hint="the same command again  # downloads it",
            )
    return tarball


def damaged_tarballs(cache: Path) -> Iterator[tuple[Path, str]]:
    """The tarballs in the cache that are not what was downloaded, and what is wrong with them."""
    for marker in sorted((cache / "sources").glob(".*.verified")):
        target = marker.with_name(marker.name.removeprefix(".").removesuffix(".verified"))
        sha256 = (read_sealed(marker) or b"").decode().split(" ")[0]
        if sha256 and target.is_file() and sha256_of(target) != sha256:
            yield target, f"its SHA-256 is not {sha256}"


def file_name(place: SourceLocation) -> str:
    """The tarball's name in the cache."""
    return PurePosixPath(urlsplit(place.url or place.debian).path).name


def debian_mirrors(*, log: Path, until: Deadline) -> tuple[str, ...]:
    """The mirrors that apt on this host is configured with, in its order; none where there is no apt."""
    try:
        done = run(["apt-get", "indextargets", "--format", "$(SITE)"], log=log, until=until)
    except ToolMissing:
        return ()
    if done.status != 0:
        return ()
    sites = (line.strip().rstrip("/") for line in done.output.splitlines())
    return tuple(dict.fromkeys(site for site in sites if urlsplit(site).scheme in SCHEMES))


def _fetch_first(source: KernelSource, folder: Path, on_event: Listener, until: Deadline) -> Tarball:
    failures: list[str] = []
    for candidate in _candidates(source, folder, until):
        name = file_name(candidate.place)
        on_event(Step(text=f"downloading {name}"))
        # Named after the hash, so that what one mirror began another may finish.
        part = folder / f"{name}.{_wanted(candidate.place)[:12]}.part"
        try:
            return _obtain(candidate, part, on_event, until)
        except PlaceFailed as failure:
            failures.append(f"{candidate.url}: {failure}")
            on_event(Step(text=failures[-1]))
    for place in source.places:
        if place.debian and not any(place.debian in failure for failure in failures):
            failures.append(f"{place.debian}: apt on this host names no Debian mirror")
    raise NoPlace(
        f"no place has the source of Linux {source.version}:\n" + "\n".join(f"  {failure}" for failure in failures),
        hint=f"--tree DIR; or --kernel VERSION, another one; or put a right file into {folder}/; "
        "or add a place that has it: kernels/README.md",
    )


def _candidates(source: KernelSource, folder: Path, until: Deadline) -> Iterator[_Candidate]:
    for place in source.places:
        if place.url:
            yield _Candidate(url=place.url, place=place)
        else:
            for site in debian_mirrors(log=folder / "apt.log", until=until):
                yield _Candidate(url=f"{site}/{place.debian}", place=place)


def _obtain(candidate: _Candidate, part: Path, on_event: Listener, until: Deadline) -> Tarball:
    resumed = part.exists()
    download(candidate.url, part, on_event=on_event, until=until)
    try:
        return _accept(part, candidate.place)
    except PlaceFailed:
        if not resumed:
            raise
    # The beginning may be the rest of a broken download: this place has not failed before it gave a whole file.
    download(candidate.url, part, on_event=on_event, until=until)
    return _accept(part, candidate.place)


def _accept(part: Path, place: SourceLocation) -> Tarball:
    target = part.with_name(file_name(place))
    found = sha256_of(part)
    if wrong := _what_is_wrong(part, found, place):
        aside = _keep_aside(part, target, found)
        raise PlaceFailed(f"{wrong}; the file is kept as {aside}")
    settle(part, target)
    _mark(target, found, place)
    return Tarball(path=target, sha256=found, without=place.without)


def _what_is_wrong(file: Path, sha256: str, place: SourceLocation) -> str:
    """Why the file is not what the place should have; "" when it is."""
    if place.sha256:
        return "" if sha256 == place.sha256 else f"SHA-256 is {sha256} instead of {place.sha256}"
    try:
        content = content_sha256(file, place.without)
    except NotHashable as error:
        return str(error)
    return "" if content == place.content_sha256 else f"content_sha256 is {content} instead of {place.content_sha256}"


def _wanted(place: SourceLocation) -> str:
    """What is known of the place's archive, as a word: a hash."""
    if place.sha256:
        return place.sha256
    return hashlib.sha256("\n".join((place.content_sha256, *sorted(place.without))).encode()).hexdigest()


def _keep_aside(wrong: Path, target: Path, found: str) -> Path:
    aside = wrong.replace(target.with_name(f"{target.name}.wrong-{found[:12]}"))
    flush(target.parent)
    return aside


def _cached(folder: Path, place: SourceLocation) -> str:
    """The SHA-256 of the place's archive where it is in the cache and right; else ""."""
    target = folder / file_name(place)
    if not target.is_file():
        return ""
    marked = (read_sealed(_marker(target)) or b"").decode()
    sha256 = marked.split(" ")[0]
    if sha256 and marked == _stamp(target, sha256, place).decode():
        return sha256
    found = sha256_of(target)
    if not _what_is_wrong(target, found, place):
        _mark(target, found, place)
        return found
    _keep_aside(target, target, found)
    return ""


def _marker(target: Path) -> Path:
    return target.with_name(f".{target.name}.verified")


def _stamp(target: Path, sha256: str, place: SourceLocation) -> bytes:
    found = target.stat()
    words = [sha256, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
    # By a content hash an archive was found right, and only for as long as that is asked for.
    words += [] if place.sha256 else [_wanted(place)]
    same = not place.sha256 or sha256 == place.sha256
    return " ".join(map(str, words)).encode() if same else b""


def _mark(target: Path, sha256: str, place: SourceLocation) -> None:
    write_sealed(_marker(target), _stamp(target, sha256, place))
