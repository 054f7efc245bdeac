# SPDX-License-Identifier: GPL-2.0-or-later
"""Folders of patches: quilt's `series` file, a Maildir, or files in the order of their names."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from orchestrator.host.errors import UserError
from orchestrator.kernel.series.packed import read_packed

FORMS = "a patch file, a mail or mbox, a folder of patches, a git range A..B of --tree, or a Message-ID"
PATCH_SUFFIXES = frozenset({".patch", ".diff", ".mbox", ".mbx", ".eml", ".txt"})
_PACKED_SUFFIXES = frozenset({".gz", ".bz2", ".xz"})
_LARGEST_SERIES_FILE = 1 << 20
_STRIP = re.compile(r"-p(\d|ab)$")
# git format-patch writes the cover letter beside the patches.
_COVER = re.compile(r"(?:v[\d.]+-)?0000-")


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """A file of a folder, with what quilt's `series` says beside it."""

    path: Path
    strip: int | None = None  # None: as the diff itself tells
    reverse: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Folder:
    """The files of a folder that are to be read, in order; `ordered`: somebody wrote the order down."""

    files: tuple[Listed, ...]
    ordered: bool = False
    others: tuple[str, ...] = ()  # names of what is not named like a patch


def folder_order(folder: Path) -> tuple[Path, ...]:
    """The patches of a folder: as its quilt `series` file says, or else by name, without the cover letter."""
    found = read_folder(folder)
    return tuple(one.path for one in found.files if found.ordered or not _COVER.match(one.path.name))


def read_folder(folder: Path) -> Folder:
    """What a folder of patches has. Raises UserError where it has none, or where `series` can't be followed."""
    if (folder / "series").is_file():
        return Folder(files=_quilt_order(folder), ordered=True)
    places = (folder / "cur", folder / "new") if _is_maildir(folder) else (folder,)
    files = sorted((one for place in places for one in place.iterdir() if one.is_file()), key=_by_numbers)
    found = [one for one in files if _is_maildir(folder) or _named_like_a_patch(one)]
    if not found:
        names = ", ".join(sorted(PATCH_SUFFIXES))
        raise UserError(f"{folder} has no patches ({names}); a series is {FORMS}", hint=_instead_of(folder, files))
    others = tuple(one.name for one in files if one not in found and not one.name.startswith("."))
    return Folder(files=tuple(Listed(path=one) for one in found), others=others)


def _instead_of(folder: Path, files: Sequence[Path]) -> str:
    """What to type where a folder has no file that is named like a patch."""
    if (folder / "patches" / "series").is_file():
        return shlex.join(["--patch", str(folder / "patches")])
    if files:
        named = shlex.join(["--patch", str(files[0])])
        return f"{named}  # one --patch for each file; or give the files names that end in .patch"
    below = sorted({one.parent for one in folder.glob("*/*") if one.is_file() and _named_like_a_patch(one)})
    return shlex.join(["--patch", str(below[0])] if below else ["ls", "-l", str(folder)])


def _by_numbers(file: Path) -> list[tuple[int, str]]:
    """By name, in which 9 comes before 10."""
    parts = re.split(r"([0-9]+)", file.name)
    return [(int(part), part) if at % 2 else (0, part) for at, part in enumerate(parts)]


def _is_maildir(folder: Path) -> bool:
    return all((folder / name).is_dir() for name in ("cur", "new", "tmp"))


def _named_like_a_patch(file: Path) -> bool:
    name = file.with_suffix("") if file.suffix in _PACKED_SUFFIXES else file
    return name.suffix in PATCH_SUFFIXES and not file.name.startswith(".")


def _quilt_order(folder: Path) -> tuple[Listed, ...]:
    order = folder / "series"
    # Comments are in whatever encoding their writer has; names are bytes.
    text = read_packed(order, largest=_LARGEST_SERIES_FILE).decode("utf-8", "surrogateescape")
    lines = [words for line in text.splitlines() if (words := re.split(r"(?:^|\s)#", line)[0].split())]
    if not lines:
        raise UserError(f"{order} names no patch")
    return tuple(_listed(order, words[0], words[1:]) for words in lines)


def _listed(order: Path, name: str, options: list[str]) -> Listed:
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise UserError(f"{order} names {name!a}, which lies outside of {order.parent}")
    if not (order.parent / name).is_file():
        raise UserError(f"{order} names {name}, which is not in {order.parent}")
    strip: int | None = None
    reverse = False
    # quilt takes "-p 1" as well as "-p1".
    for option in re.sub(r"(^| )-p ", r"\1-p", " ".join(options)).split():
        if found := _STRIP.match(option):
            strip = 1 if found[1] == "ab" else int(found[1])
        elif option in ("-R", "--reverse"):
            reverse = True
        else:
            raise UserError(
                f"{order} gives {name} the option {option!a}, which is not followed here (-p0 to -p9, -pab and -R are)",
                hint=f"take it out of {order}, or refresh the patch so that it applies without it",
            )
    return Listed(path=order.parent / name, strip=strip, reverse=reverse)
