# SPDX-License-Identifier: GPL-2.0-or-later
"""Which files a diff reads and writes, by git's own reading of it, and what no kernel tree can have.

git is asked with `git apply --numstat -z`, which names what is written, and once more with -R where files are renamed
or copied, which names what is read.
"""

import re
import zlib
from base64 import b85decode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError, UserError
from orchestrator.kernel.series.diff_text import DiffText
from orchestrator.kernel.series.packed import LARGEST, MIB
from orchestrator.kernel.source.git import git_on_files

# The kernel's own: 12 folders deep and 100 characters long.
_DEEPEST = 64
_LONGEST_NAME = 255  # bytes, of Linux' file systems
_LONGEST_PATH = 1024
_ENTRY = re.compile(r"(-|\d+)\t(-|\d+)\t(.+)", re.DOTALL)
_RENAMES = re.compile(rb"^(?:rename|copy) from ", re.MULTILINE)
_RENAMED = re.compile(rb"(?:rename|copy) to ")
_SUBMODULE = re.compile(rb"(?:(?:new file|deleted file|old|new) mode 160000|index \S+ 160000)\s*$")
_ABSOLUTE = re.compile(rb'(?:--- |\+\+\+ |diff --git |rename (?:from|to) |copy (?:from|to) )"?(?:[^/\s]+/)?/')
_NULL = re.compile(rb"(?:---|\+\+\+) /dev/null\s")
# Folders at the top of a kernel tree, of today and of old: nobody's prefix has one of these names, except kernel/.
_TOP_FOLDERS = frozenset(
    b"Documentation LICENSES arch block certs crypto drivers fs include init io_uring ipc kernel lib mm net rust "
    b"samples scripts security sound tools usr virt".split()
)
_PAIR = re.compile(rb'(?:diff --git |--- )"?([a-z0-9])/[^\n]* "?([a-z0-9])/')
# Old and new side, as git diff has them: without diff.mnemonicPrefix, and with it.
_SIDES = ((b"a", b"b"), (b"i", b"w"), (b"c", b"i"), (b"c", b"w"), (b"o", b"w"), (b"1", b"2"))
_SWAPPED = frozenset((new, old) for old, new in _SIDES)


@dataclass(frozen=True, kw_only=True, slots=True)
class FileChange:
    """One file that a patch writes, and how many lines were added and removed; None for a binary file."""

    path: PurePosixPath
    added: int | None
    removed: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What git makes of a diff: each file that is written, in the diff's order, and each that is read or written."""

    changes: tuple[FileChange, ...] = ()
    files: tuple[PurePosixPath, ...] = ()
    unpacked: int = 0  # bytes that its binary patches unpack to


@dataclass(frozen=True, kw_only=True, slots=True)
class GitScratch:
    """A folder of our own for what git reads, its log, and how long it may take."""

    folder: Path
    log: Path
    until: Deadline


def reading_of(diff: DiffText, label: str, place: GitScratch, *, strip: int) -> Reading:
    """What the diff reads and writes; nothing where git can't read it: git apply then says why.

    Raises UserError for a name that no kernel tree can have, and for a binary patch that unpacks to too much.
    """
    unpacked = _check_text(diff, label)
    place.folder.mkdir(exist_ok=True)
    (place.folder / "diff").write_bytes(diff.text)
    changes = _numstat(place, f"-p{strip}")
    if changes is None:
        return Reading(unpacked=unpacked)
    names = {str(change.path) for change in changes}
    if _RENAMES.search(b"".join(diff.headers)):
        # Backwards, what is read is written. A new file that is not in git's form is then "dev/null".
        names |= {str(change.path) for change in _numstat(place, f"-p{strip}", "-R") or ()} - {"dev/null"}
    for name in sorted(names):
        check_name(name, label)
    files = tuple(PurePosixPath(name) for name in sorted(names))
    return Reading(changes=tuple(changes), files=files, unpacked=unpacked)


def check_name(name: str, label: str) -> None:
    """Raise UserError for a path that is outside of the tree, or that no kernel tree can have."""
    parts = name.split("/")
    raw = name.encode("utf-8", "surrogateescape")
    why = ""
    if (
        name.startswith("/")
        or ".." in parts
        or any(part.lower().rstrip(" .") == ".git" or part.lower() == "git~1" for part in parts)
    ):
        why = "which lies outside of the tree"
    elif not name.isprintable() or "\N{REPLACEMENT CHARACTER}" in name:
        why = "which has characters that no file of a kernel has"
    elif "" in parts or "." in parts:
        why = "which is no path of a file"
    elif len(raw) > _LONGEST_PATH or len(parts) > _DEEPEST or any(len(part.encode()) > _LONGEST_NAME for part in parts):
        why = "which is longer or deeper than a kernel's files are"
    if why:
        raise UserError(f"{label} is no patch of a kernel tree: it names {name[:200]!a}, {why}")


def strip_of(diff: DiffText, label: str) -> int:
    """How many leading folders of the diff's names are no part of them: 1, or 0 for git's diff.noprefix.

    Raises UserError where some have a prefix and some do not, and where a diff that is not git's leaves it open.
    """
    bare = [_bare_name(diff.lines[slice(*segment)], label) for segment in diff.segments]
    if not any(bare):
        return 1
    if not all(bare):
        raise UserError(
            f"{label} has names with a prefix (a/, b/) and names without one",
            hint="git -c diff.noprefix=false diff  # makes it again",
        )
    if any(b"/" not in name or name.partition(b"/")[0] in _TOP_FOLDERS for name in bare):
        return 0
    raise _unclear(label, bare[0])


def reversed_names(diff: DiffText) -> str:
    """The first header whose prefixes are the wrong way round, as git diff -R writes them; "" where there is none."""
    for start, _ in diff.segments:
        old, new = (*diff.lines[start : start + 2], b"")[:2]
        names = _PAIR.match(old) or _PAIR.match(old.strip() + b" " + new[4:])
        if names and names.groups() in _SWAPPED:
            return old.decode(errors="replace").strip()[:200]
    return ""


def _bare_name(lines: Sequence[bytes], label: str) -> bytes:
    """The name in a file's header, if it has no prefix: git then writes it twice. b"" where it has one."""
    first = lines[0].rstrip(b"\r\n")
    if first.startswith(b"diff --git "):
        names = first.removeprefix(b"diff --git ")
        half = len(names) // 2
        old = next((line.split(b" from ", 1)[1].strip() for line in lines if _RENAMES.match(line)), b"")
        new = next((line.split(b" to ", 1)[1].strip() for line in lines if _RENAMED.match(line)), b"")
        twice = old + b" " + new if old else names[:half] + b" " + names[:half]
        return (old or names[:half]).strip(b'"') if names == twice else b""
    pair = [re.split(rb"[\t\r\n]", line[4:])[0] for line in lines[:2]]
    folders = {name.partition(b"/")[0] for name in pair if b"/" in name and name != b"/dev/null"}
    if len(folders) == 1 and folders <= _TOP_FOLDERS:
        raise _unclear(label, pair[1])
    return b""


def _unclear(label: str, name: bytes) -> UserError:
    return UserError(
        f"{label}: {name.decode(errors='replace')!a}: does that begin with a prefix, as patch -p1 needs it?",
        hint='put it in a folder beside a file `series` that says "NAME.patch -p0" (no prefix) or "NAME.patch -p1"',
    )


def _numstat(place: GitScratch, *options: str) -> list[FileChange] | None:
    argv = ["apply", "--numstat", "-z", "--whitespace=nowarn", *options, "diff"]
    done = git_on_files(argv, place.folder, log=place.log, until=place.until)
    if done.status != 0:
        return None
    changes = []
    for entry in done.output.split("\0")[:-1]:
        found = _ENTRY.fullmatch(entry)
        if not found:
            raise InfraError(f"git apply --numstat printed {entry[:200]!a}", hint="git --version")
        added, removed = (None if number == "-" else int(number) for number in found.groups()[:2])
        # PurePosixPath would hide a // or a /./ from check_name().
        if str(PurePosixPath(found[3])) != found[3]:
            check_name(found[3], "the series")
        changes.append(FileChange(path=PurePosixPath(found[3]), added=added, removed=removed))
    return changes


def _check_text(diff: DiffText, label: str) -> int:
    """Raise UserError for what git must not be given; returns how much the binary patches unpack to."""
    for stray in diff.strays[:1]:
        raise UserError(f"{label}: line {stray.line} of its diff is {stray.why}")
    if b"\0" in diff.text:
        raise UserError(f"{label} has NUL bytes in its diff: damaged, or no text")
    for line in diff.headers:
        if _ABSOLUTE.match(line) and not _NULL.match(line):
            shown = line.decode(errors="replace").strip()[:200]
            raise UserError(
                f"{label} is no patch of a kernel tree: {shown!a} names a file that lies outside of the tree"
            )
        if _SUBMODULE.match(line):
            raise UserError(f"{label} changes a git submodule, which no kernel tree has")
    unpacked = sum(_unpacked_sizes(diff))
    if unpacked > LARGEST:
        raise UserError(
            f"{label}: its binary patches unpack to {unpacked // MIB} MiB; at most {LARGEST // MIB} MiB are taken"
        )
    return unpacked


def _unpacked_sizes(diff: DiffText) -> Iterator[int]:
    """What git would need for each binary hunk: as it says itself, and for a delta what that makes."""
    lines = diff.lines
    for at in diff.binaries:
        kind, _, size = lines[at].partition(b" ")
        yield int(size)
        if kind == b"delta":
            yield _delta_size(lines[at + 1 :])


def _delta_size(lines: Sequence[bytes]) -> int:
    """The size of the file that a delta makes: the second number at its beginning."""
    unpack = zlib.decompressobj()
    head = b""
    for line in lines:
        if not line.strip() or len(head) >= 20:
            break
        try:
            head += unpack.decompress(b85decode(line.strip()[1:]), 32)
        except (ValueError, zlib.error):
            return 0  # damaged: git says so
    numbers = []
    value = shift = 0
    for byte in head:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(value)
            value = shift = 0
    return numbers[1] if len(numbers) > 1 else 0
