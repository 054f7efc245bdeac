"""Built images, kept by what went into them: the second run builds nothing."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from orchestrator.coverage import CoverageMap
from orchestrator.errors import InfraError
from orchestrator.kernel.files import full_disk_named, sha256_of, write_json
from orchestrator.model import Build, KernelImage

# To be raised when the way of building changes what comes out: images of an older recipe are then not found.
RECIPE = "1"

_FILES = ("image", "vmlinux", "config", "build.log")
COVERAGE = "coverage.json"

_MAP = TypeAdapter(CoverageMap)


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


def image_key(hashes: Mapping[str, str], arch: str) -> str:
    """One hash for all that decides what an image is: source, series, config, toolchain, arch and our recipe."""
    inputs = {name: hashes[name] for name in ("source", "series", "config", "toolchain")}
    # Only where there is one: images of before there were overlays are still found.
    inputs |= {name: hashes[name] for name in ("overlay",) if name in hashes}
    text = json.dumps({**inputs, "arch": arch, "recipe": RECIPE}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def find_image(cache: Path, key: str, build: Build) -> KernelImage | None:
    """The image of an earlier build; None when there is none, or when its files are not what was stored."""
    folder = _folder(cache, key)
    try:
        card = json.loads((folder / "image.json").read_text())
        if not all((folder / name).is_file() for name in _FILES):
            return None
        if sha256_of(folder / "image") != card["hashes"]["image"]:
            return None
        (folder / "image.json").touch()  # prune() goes by when an image was last used.
        coverage = _MAP.validate_json((folder / COVERAGE).read_bytes()) if "overlay" in card["hashes"] else None
        warnings = tuple(card["new_warnings"])
        return _kernel_image(folder, build, card["release"], card["hashes"], warnings, coverage)
    except (OSError, ValueError, KeyError):
        return None


def store_image(cache: Path, key: str, build: Build, *, built: Built, hashes: Mapping[str, str]) -> KernelImage:
    """Copy a finished build into the cache, whole or not at all. Replaces what lies there under the same key."""
    folder = _folder(cache, key)
    fresh = folder.with_name(f".new-{key}")
    shutil.rmtree(fresh, ignore_errors=True)
    with full_disk_named(folder):
        fresh.mkdir(parents=True)
        for name, path in zip(_FILES, (built.image, built.vmlinux, built.config, built.log), strict=True):
            _copy_plain(path, fresh / name)
        complete = {**hashes, "image": sha256_of(fresh / "image")}
        card = {"release": built.release, "hashes": complete, "new_warnings": built.new_warnings}
        if built.coverage:
            (fresh / COVERAGE).write_bytes(_MAP.dump_json(built.coverage))
        write_json(fresh / "image.json", card)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    return _kernel_image(folder, build, built.release, complete, built.new_warnings, built.coverage)


def prune(cache: Path, keep_bytes: int) -> tuple[Path, ...]:
    """Remove the images that were used longest ago until the rest fits; returns the folders that went."""
    folders = sorted((cache / "images").glob("*/"), key=_last_used, reverse=True)
    kept, gone = 0, []
    for folder in folders:
        # Another run may be pruning, too.
        with suppress(FileNotFoundError):
            kept += sum(file.stat().st_size for file in folder.iterdir())
            if kept > keep_bytes:
                shutil.rmtree(folder)
                gone.append(folder)
    return tuple(gone)


def _folder(cache: Path, key: str) -> Path:
    return cache / "images" / key


def _last_used(folder: Path) -> float:
    card = folder / "image.json"
    return card.stat().st_mtime if card.exists() else 0.0


def _copy_plain(source: Path, target: Path) -> None:
    # A series' Makefile wrote this folder: a link in it may lead to any file that we can read, and it could not.
    if source.is_symlink() or not source.is_file():
        raise InfraError(
            f"the build left no plain file at {source}", hint="a series that replaces its own kernel image?"
        )
    shutil.copyfile(source, target, follow_symlinks=False)


def _kernel_image(  # the parts of an image
    folder: Path,
    build: Build,
    release: str,
    hashes: Mapping[str, str],
    new_warnings: tuple[str, ...],
    coverage: CoverageMap | None,
) -> KernelImage:
    return KernelImage(
        build=build,
        image=folder / "image",
        vmlinux=folder / "vmlinux",
        config=folder / "config",
        log=folder / "build.log",
        release=release,
        hashes=hashes,
        seconds=0.0,
        new_warnings=new_warnings,
        coverage=coverage,
    )
