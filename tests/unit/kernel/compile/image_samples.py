# SPDX-License-Identifier: GPL-2.0-or-later
"""A built kernel of a few bytes, stored in a cache below a test's folder and looked for there."""

from pathlib import Path

from orchestrator.kernel.compile.image_cache import Built, find_image, image_key, store_image
from orchestrator.model.blocks import CoverageMap
from orchestrator.model.cells import Build
from orchestrator.model.configuration import Variant
from orchestrator.model.events import Event
from orchestrator.model.images import KernelImage

BUILD = Build(variant=Variant.PATCHED, flavour="plain", arch="x86_64")
HASHES = {name: name * 2 for name in ("source", "series", "config", "toolchain")}
KEY = image_key(HASHES, "x86_64")
FILES = {"vmlinux": b"\x7fELF with DWARF", "image": b"\x7fELF", "config": b"CONFIG_SWAP=y\n", "log": b"  CC x.o\n"}


def built(
    folder: Path, *, image: bytes = FILES["image"], vmlinux: bytes = FILES["vmlinux"], coverage: bool = False
) -> Built:
    folder.mkdir(exist_ok=True)
    for name, content in {**FILES, "image": image, "vmlinux": vmlinux}.items():
        (folder / name).write_bytes(content)
    return Built(
        image=folder / "image",
        vmlinux=folder / "vmlinux",
        config=folder / "config",
        log=folder / "log",
        release="6.19.6",
        new_warnings=("x.c:1: warning",),
        coverage=CoverageMap(side="new", diff=(), lines=(), blocks=()) if coverage else None,
    )


def stored(tmp_path: Path, image: bytes = FILES["image"]) -> KernelImage:
    return store_image(tmp_path / "cache", KEY, BUILD, built=built(tmp_path / "out", image=image), hashes=HASHES)


def found(tmp_path: Path, events: list[Event] | None = None) -> KernelImage | None:
    seen: list[Event] = [] if events is None else events
    return find_image(tmp_path / "cache", KEY, BUILD, seen.append)
