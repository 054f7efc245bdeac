# SPDX-License-Identifier: GPL-2.0-or-later
"""Built images, kept by what went into them: the second run builds nothing.

An entry is a folder of files and a marker, which has the SHA-256 of each of them and of itself. The marker is written
last, all is brought to the disk, and then the folder gets its name. Each time an entry is used all of it is checked
(0.1 s for a kernel of 100 MB): one that is not what was stored counts as none, and is removed.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError
from orchestrator.host.files import flush, settle_folder, sha256_of, trouble_named
from orchestrator.host.lock import locked
from orchestrator.host.removal import TRASH, move_aside, remove_tree
from orchestrator.host.sealed import read_sealed, write_sealed
from orchestrator.host.untrusted import copy_plain
from orchestrator.model.blocks import CoverageMap
from orchestrator.model.cells import Build
from orchestrator.model.events import Event, Notice
from orchestrator.model.images import KernelImage
from orchestrator.model.reach import RecordedCode

# To be raised when the way of building changes what comes out: images of an older recipe are then not found.
RECIPE = "2"

IMAGES = "images"
MARKER = "image.sealed"
COVERAGE = "coverage.json"
RECORDED = "recorded.json"
OBJECTS = "objects.json"
_FILES = ("image", "vmlinux", "config", "build.log")
_LOCK_SECONDS = 600.0
_MOST_BYTES = 4 << 30

_MAP = TypeAdapter(CoverageMap)
_CODE = TypeAdapter(RecordedCode)
_OBJECTS = TypeAdapter(dict[str, tuple[str, ...]])


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """The files of one finished build, still in its output folder."""

    image: Path
    vmlinux: Path
    config: Path
    log: Path
    release: str
    new_warnings: tuple[str, ...]
    coverage: CoverageMap | None = None
    recorded: RecordedCode | None = None
    objects: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of each file of the series


@dataclass(frozen=True, kw_only=True, slots=True)
class _Card:
    """What an entry's marker says."""

    release: str
    hashes: Mapping[str, str]  # of what went in, as in image_key(), and of the image
    new_warnings: tuple[str, ...]
    files: Mapping[str, str]  # name -> SHA-256 of the content


_CARD = TypeAdapter(_Card)


class _Damaged(Exception):
    """An entry is not what was stored; the text says what is wrong with it."""


def image_key(hashes: Mapping[str, str], arch: str) -> str:
    """One hash for all that decides what an image is: source, series, config, toolchain, arch and our recipe."""
    inputs = {name: hashes[name] for name in ("source", "series", "config", "toolchain")}
    # An overlay, and options that a suite of the tree asks for, are in few of them.
    inputs |= {name: hashes[name] for name in ("overlay", "wished") if name in hashes}
    text = json.dumps({**inputs, "arch": arch, "recipe": RECIPE}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def find_image(
    cache: Path, key: str, build: Build, on_event: Callable[[Event], None] = lambda _: None
) -> KernelImage | None:
    """The image of an earlier build, checked; None when there is none.

    An entry whose files are not what was stored is removed, with a Notice, and counts as none.
    """
    folder = _folder(cache, key)
    with trouble_named(folder):
        if not folder.exists():
            return None
    with suppress(_Damaged):
        return _checked(folder, key, build)
    with _alone(cache):
        # Somebody may have been replacing it meanwhile.
        try:
            return _checked(folder, key, build) if folder.exists() else None
        except _Damaged as why:
            on_event(Notice(text=f"{folder} is not what was stored ({why}): removed, to be built again"))
            _remove(folder)
    return None


def store_image(cache: Path, key: str, build: Build, *, built: Built, hashes: Mapping[str, str]) -> KernelImage:
    """Copy a finished build into the cache, whole or not at all, durably.

    To be called while the lock of the tree is held in which it was built: without it another run may already be
    building something else in the folder that is copied. What lies under the key and is whole stays, and is returned:
    another run may be using it. Raises InfraError where the disk is full or refuses, BadFile where the build left no
    plain file.
    """
    folder = _folder(cache, key)
    with _alone(cache):
        try:
            return _checked(folder, key, build)
        except _Damaged:
            _remove(folder)
        fresh = folder.with_name(f".new-{key}")
        remove_tree(fresh)
        fresh.mkdir()
        _fill(fresh, built, hashes)
        settle_folder(fresh, folder)
        try:
            return _checked(folder, key, build)
        except _Damaged as why:
            raise InfraError(f"{folder} can't be read back as it was written: {why}", hint="sudo dmesg | tail") from why


def recorded_of(image: KernelImage) -> RecordedCode | None:
    """What the kernel records; None for one of a flavour that records nothing.

    Beside the image, and no part of its value: thousands of functions that a run's report has no use for.
    """
    try:
        return _CODE.validate_json((image.vmlinux.parent / RECORDED).read_bytes())
    except (OSError, ValueError):
        return None


def objects_of(image: KernelImage, file: str) -> tuple[str, ...]:
    """What is compiled from a file of the series, below the build folder; () where nothing tells."""
    try:
        return _OBJECTS.validate_json((image.vmlinux.parent / OBJECTS).read_bytes()).get(file, ())
    except (OSError, ValueError):
        return ()


def kept_configs(cache: Path) -> Iterator[tuple[str, str]]:
    """The release and the .config of each kernel that was built, as it was stored."""
    for folder in sorted((cache / IMAGES).glob("*/")):
        with suppress(_Damaged, OSError):
            card = _card_of(folder)
            content = (folder / "config").read_bytes()
            if hashlib.sha256(content).hexdigest() == card.files.get("config"):
                yield card.release, content.decode(errors="replace")


def prune(cache: Path, keep_bytes: int) -> tuple[Path, ...]:
    """Remove the images that were used longest ago until the rest fits; returns the folders that went.

    What a killed run left behind goes, too. Raises InfraError.
    """
    if not (cache / IMAGES).is_dir():
        return ()
    kept, gone = 0, []
    with _alone(cache):
        for folder in sorted((cache / IMAGES).glob("*/"), key=_last_used, reverse=True):
            if folder.name.startswith(TRASH):
                continue
            kept += sum(file.lstat().st_size for file in folder.iterdir())
            if kept > keep_bytes or not (folder / MARKER).exists():
                _remove(folder)
                gone.append(folder)
    return tuple(gone)


def damaged_images(cache: Path) -> Iterator[tuple[Path, str]]:
    """The entries whose files are not what was stored, and what is wrong with them."""
    for folder in sorted((cache / IMAGES).glob("[0-9a-f]*/")):
        try:
            _check_files(folder, _card_of(folder))
        except _Damaged as why:
            if folder.exists():
                yield folder, str(why)


def _folder(cache: Path, key: str) -> Path:
    return cache / IMAGES / key


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Entries come and go under this lock, so that what is looked at in it stays."""
    images = cache / IMAGES
    with (
        trouble_named(images),
        locked(images / ".lock", Deadline.after(_LOCK_SECONDS, f"another run to be through with {images}")),
    ):
        yield


def _checked(folder: Path, key: str, build: Build) -> KernelImage:
    card = _card_of(folder)
    try:
        its_key = image_key(card.hashes, build.arch)
    except KeyError:
        its_key = ""
    if its_key != key:
        raise _Damaged("it is the entry of another kernel")
    _check_files(folder, card)
    image = KernelImage(
        build=build,
        image=folder / "image",
        vmlinux=folder / "vmlinux",
        config=folder / "config",
        log=folder / "build.log",
        release=card.release,
        hashes=card.hashes,
        seconds=0.0,
        new_warnings=card.new_warnings,
        coverage=_coverage(folder) if COVERAGE in card.files else None,
    )
    # prune() goes by when an image was last used; where that can't be noted, it is used all the same.
    with suppress(OSError):
        os.utime(folder / MARKER)
    return image


def _card_of(folder: Path) -> _Card:
    content = read_sealed(folder / MARKER)
    if content is None:
        raise _Damaged(f"{MARKER} is missing or damaged")
    try:
        return _CARD.validate_json(content)
    except ValidationError as error:
        raise _Damaged(f"{MARKER} was written by another version") from error


def _check_files(folder: Path, card: _Card) -> None:
    if not card.files.keys() >= set(_FILES):
        raise _Damaged("a file is missing")
    for name, sha256 in card.files.items():
        try:
            found = sha256_of(folder / name)
        except OSError as error:
            raise _Damaged(f"{name}: {error.strerror}") from error
        if found != sha256:
            raise _Damaged(f"{name} has changed")


def _coverage(folder: Path) -> CoverageMap:
    try:
        return _MAP.validate_json((folder / COVERAGE).read_bytes())
    except (OSError, ValueError) as error:
        raise _Damaged(f"{COVERAGE} was written by another version") from error


def _fill(fresh: Path, built: Built, hashes: Mapping[str, str]) -> None:
    for name, path in zip(_FILES, (built.image, built.vmlinux, built.config, built.log), strict=True):
        copy_plain(path.parent, path.name, fresh / name, most_bytes=_MOST_BYTES)
    if built.coverage:
        (fresh / COVERAGE).write_bytes(_MAP.dump_json(built.coverage))
    if built.recorded:
        (fresh / RECORDED).write_bytes(_CODE.dump_json(built.recorded))
    if built.objects:
        (fresh / OBJECTS).write_bytes(_OBJECTS.dump_json(dict(built.objects)))
    files = {file.name: sha256_of(file) for file in sorted(fresh.iterdir())}
    for name in files:
        flush(fresh / name)
    card = _Card(
        release=built.release,
        hashes={**hashes, "image": files["image"]},
        new_warnings=built.new_warnings,
        files=files,
    )
    write_sealed(fresh / MARKER, _CARD.dump_json(card, indent=1))


def _remove(folder: Path) -> None:
    if folder.exists():
        remove_tree(move_aside(folder, folder.parent))


def _last_used(folder: Path) -> float:
    marker = folder / MARKER
    return marker.stat().st_mtime if marker.exists() else 0.0
