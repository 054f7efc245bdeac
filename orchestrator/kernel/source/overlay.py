# SPDX-License-Identifier: GPL-2.0-or-later
"""Code that a flavour adds to a kernel, kept apart from the series under test.

An overlay is a folder in kernels/overlays/: `files/` has what is new in the tree, `appended/` what is put at the end of
files that are there. No line of the kernel or of the series is changed.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from orchestrator.host.errors import UserError
from orchestrator.kernel.series.load import BASELINE, Series
from orchestrator.model.blocks import Partner

# Included by the overlay's own makefile lines: which objects are compiled with the callback.
OBJECTS = "lib/patchrig/objects.mk"
# Part of the key of an image: to be raised when coverage maps are put together, or partners are chosen, in another way.
FORMAT = "4"
# The names come from a series, and the line is also part of trusted builds.
_PLAIN_NAME = re.compile(r"[\w./+-]+")


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """An overlay's files, and the series that it is laid on top of or, in a baseline kernel, that it is aimed at."""

    name: str
    files: Mapping[str, bytes]
    appended: Mapping[str, bytes]
    aimed_at: Series
    sources: tuple[str, ...]  # the C files whose objects are instrumented
    folders: tuple[str, ...] = ()  # "mm/": those whose objects all are, whatever the series touches
    whole: bool = False  # aimed at all functions of `sources`, and at no series
    partners: tuple[
        Partner, ...
    ] = ()  # of the series; known once its source is there, and a function of that and the series

    def with_partners(self, partners: tuple[Partner, ...]) -> "Overlay":
        """The same one, with the files of these functions instrumented as well."""
        sources = tuple(dict.fromkeys((*self.sources, *(one.file for one in partners))))
        files = {**self.files, OBJECTS: objects_text(sources).encode()}
        return replace(self, partners=partners, sources=sources, files=files)

    @property
    def touched(self) -> tuple[str, ...]:
        return tuple(sorted({*self.files, *self.appended}))

    @cached_property
    def sha256(self) -> str:
        aim = "all functions" if self.whole else self.aimed_at.sha256
        digest = hashlib.sha256(f"{FORMAT} {aim}".encode())
        for kind in (self.files, self.appended):
            for path in sorted(kind):
                digest.update(b"\n%s %d\n" % (path.encode(), len(kind[path])) + kind[path])
        return digest.hexdigest()


def load_overlay(folder: Path, aimed_at: Series, reached: Collection[str] = ()) -> Overlay:
    """The overlay in a folder, aimed at a series; `reached` are the files that workloads are meant for."""
    own = _files_below(folder / "files")
    sources = instrumented(aimed_at, reached)
    return Overlay(
        name=folder.name,
        files={**own, OBJECTS: objects_text(sources).encode()},
        appended=_files_below(folder / "appended"),
        aimed_at=aimed_at,
        sources=sources,
    )


def load_files_overlay(folder: Path, sources: Collection[str]) -> Overlay:
    """The overlay in a folder, aimed at all functions of some C files of the kernel, and at no series."""
    return Overlay(
        name=folder.name,
        files={**_files_below(folder / "files"), OBJECTS: objects_text(sources).encode()},
        appended=_files_below(folder / "appended"),
        aimed_at=BASELINE,
        sources=tuple(sources),
        whole=True,
    )


def load_folder_overlay(folder: Path, folders: Collection[str]) -> Overlay:
    """The overlay in a folder, aimed at all code below some folders of the kernel, and at no series."""
    return Overlay(
        name=folder.name,
        files={**_files_below(folder / "files"), OBJECTS: folders_text(folders).encode()},
        appended=_files_below(folder / "appended"),
        aimed_at=BASELINE,
        sources=(),
        folders=tuple(folders),
    )


def instrumented(series: Series, reached: Collection[str]) -> tuple[str, ...]:
    """The C files that a series touches; for one that changes headers alone, those that workloads are meant for."""
    own = tuple(str(file) for file in series.touched if file.suffix == ".c")
    headers = any(file.suffix == ".h" for file in series.touched)
    return own or (tuple(sorted(path for path in reached if path.endswith(".c"))) if headers else ())


def objects_text(sources: Iterable[str]) -> str:
    """The makefile line that names the objects of C files, those left out that make would read as more than a name."""
    names = [str(PurePosixPath(source).with_suffix(".o")) for source in sources if _PLAIN_NAME.fullmatch(source)]
    return f"patchrig-objects := {' '.join(names)}\n"


def folders_text(folders: Iterable[str]) -> str:
    """The same line for all objects below some folders; "mm/" or "mm"."""
    names = [f"{folder.rstrip('/')}/%" for folder in folders if _PLAIN_NAME.fullmatch(folder)]
    return f"patchrig-objects := {' '.join(names)}\n"


def lay(overlay: Overlay, folder: Path) -> None:
    """Put the overlay on a folder of files that is ours, with those that it appends to. Raises UserError."""
    for path, content in overlay.files.items():
        place = folder / path
        if place.exists():
            raise UserError(
                f"{path} is in this tree already, or the series brings it: the overlay {overlay.name} can't"
            )
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    for path, content in overlay.appended.items():
        place = folder / path
        if not place.is_file() or place.is_symlink():
            raise UserError(f"{path} is not in this tree, and the overlay {overlay.name} needs it: not a kernel's?")
        with place.open("ab") as file:
            file.write(content)


def added_files(folder: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """What an overlay's folder adds to a tree: new files, and what goes to the end of others."""
    return _files_below(folder / "files"), _files_below(folder / "appended")


def _files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
