# SPDX-License-Identifier: GPL-2.0-or-later
"""The patches under test, read from whatever form they came in: all of the series, and nothing else."""

import hashlib
import io
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError, UserError
from orchestrator.host.paths import scratch_folder
from orchestrator.kernel.series.arrange import Arranged, LeftOut, arrange, check_versions, groups_of, lacking
from orchestrator.kernel.series.commits import is_commit, read_range
from orchestrator.kernel.series.diff_paths import FileChange, GitScratch, reading_of, reversed_names, strip_of
from orchestrator.kernel.series.diff_text import DiffText, done_in, find_diff
from orchestrator.kernel.series.mail import NOTHING_NOTED, NotedBase, Piece, pieces_in
from orchestrator.kernel.series.packed import LARGEST, MIB, read_packed
from orchestrator.kernel.series.quilt import FORMS, read_folder
from orchestrator.kernel.series.subject import parse_subject
from orchestrator.model.series_diff import ChangedFile, DiffLine

_PARSE_SECONDS = 300.0
_LINK = re.compile(r"(https?):/+(.+)")
_LIKE_A_COMMIT = re.compile(r"[0-9a-f]{7,40}|HEAD(?:[~^]\d*)*|v\d+\.\d+(?:\.\d+)?(?:-rc\d+)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Patch:
    """One patch: the diff with LF line ends as git apply takes it, and the files that it reads or writes."""

    name: str
    subject: str
    diff: bytes
    files: tuple[PurePosixPath, ...]
    changes: tuple[FileChange, ...] = ()  # each file that is written, in the diff's order
    author: str = ""
    strip: int = 1  # leading folders of the diff's names that are no part of them
    reverse: bool = False  # quilt's -R: what the diff adds is taken away
    problem: str = ""  # why it is not applied, whatever the tree
    commit: str = ""  # of a git range


@dataclass(frozen=True, kw_only=True)
class Series:
    """Patches in the order in which they apply; none for the baseline."""

    patches: tuple[Patch, ...] = ()
    base: str = ""
    """The commit of --tree that a git range starts from: the source it has to be built on. "" for other forms."""
    version: str = ""  # of its subjects, as "2"; "" where they have none
    noted: NotedBase = NOTHING_NOTED  # what the author built on, by the series' own word
    left_out: tuple[LeftOut, ...] = ()
    remarks: tuple[str, ...] = ()
    origin: str = ""
    """Where the patches come from, who wrote the first one, and its subject; "" where that is not known."""
    below: tuple[str, ...] = ()
    """The origins of what is left of the series without its last paths: its longest beginning first."""

    @cached_property
    def sha256(self) -> str:
        digest = hashlib.sha256()
        for patch in self.patches:
            digest.update(b"%d\n" % len(patch.diff) + patch.diff)
            if (patch.strip, patch.reverse) != (1, False):
                digest.update(b"-p%d -R%d\n" % (patch.strip, patch.reverse))
        return digest.hexdigest()

    @cached_property
    def identity(self) -> str:
        """SHA-256 of what stays the same while a series is edited or gets a new version; its content where that is all.

        Builds of one identity share a layer: where the patches lie, who wrote the first one, and how it is called.
        """
        return _identity(self.origin) if self.origin else self.sha256

    @property
    def title(self) -> str:
        """How it is called in all its versions: its first patch's subject, without what is in brackets."""
        return parse_subject(self.patches[0].subject).title if self.patches else ""

    @property
    def identities_below(self) -> tuple[str, ...]:
        """The identities of the beginnings of the series, the longest first."""
        return tuple(map(_identity, self.below))

    @cached_property
    def touched(self) -> tuple[PurePosixPath, ...]:
        return tuple(sorted({file for patch in self.patches for file in patch.files}))

    @cached_property
    def by_file(self) -> dict[str, str]:
        """Each touched file -> SHA-256 of what is done to it, all patches together and line numbers left out.

        Between two versions of a series the files whose digests differ are those that somebody edited.
        """
        digests = {str(file): hashlib.sha256() for file in self.touched}
        for patch in self.patches:
            for file, done in _done_by_file(patch):
                digests[file].update(b"-R\n" * patch.reverse + done)
        return {file: digest.hexdigest() for file, digest in digests.items()}

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user must not miss of how the series was read."""
        left = (f"not part of the series: {one.what!r}: {one.why}" for one in self.left_out if one.diff)
        return (*left, *self.remarks)


def _identity(origin: str) -> str:
    return hashlib.sha256(origin.encode("utf-8", "surrogateescape")).hexdigest()


BASELINE = Series()


def load_series(paths: Sequence[Path], *, tree: Path | None, log: Path, until: Deadline, version: str = "") -> Series:
    """Read the patches of all paths, in order; `version` chooses among several versions of a series.

    A path that does not exist and looks like A..B is a range of commits of `tree`. Raises UserError for what is no
    patch, and where it is not clear which patches are the series, or one of them is missing.
    """
    with scratch_folder() as scratch:
        loader = _Loader(GitScratch(folder=Path(scratch) / "git", log=log, until=until), tree, version)
        for path in paths:
            loader.add(path)
        return loader.series()


def parse_series(raw: bytes, name: str) -> Series:
    """The series in one file's content; `name` is for messages."""
    with scratch_folder() as scratch:
        until = Deadline.after(_PARSE_SECONDS, f"reading {name}")
        loader = _Loader(GitScratch(folder=Path(scratch) / "git", log=Path(scratch) / "log", until=until), None, "")
        loader.add_content(raw, name, shown=name)
        return loader.series()


class _Loader:
    """Collects the patches of one path after the other."""

    def __init__(self, place: GitScratch, tree: Path | None, version: str) -> None:
        place.folder.mkdir()
        self.place, self.tree, self.version = place, tree, version
        self.patches: list[Patch] = []
        self.pieces: list[Piece] = []
        self.seen: set[tuple[str, bytes]] = set()
        self.found: list[Arranged] = []
        self.left_out: list[LeftOut] = []
        self.remarks: list[str] = []
        self.base = ""
        self.sources: list[str] = []
        self.size = 0
        # Single numbered mails, which the command line names one after the other: one series.
        self.singles: list[Piece] = []

    def series(self) -> Series:
        self._end_singles()
        check_versions(self.pieces)
        noted = [one.noted for one in self.found if one.noted != NOTHING_NOTED]
        versions = {one.version for one in self.found if one.version}
        return Series(
            patches=tuple(self.patches),
            base=self.base,
            version=versions.pop() if len(versions) == 1 else "",
            noted=next((one for one in noted if one.commit), noted[0] if noted else NOTHING_NOTED),
            left_out=tuple(self.left_out),
            remarks=tuple(self.remarks),
            origin=self._origin(len(self.sources)),
            below=tuple(self._origin(count) for count in range(len(self.sources) - 1, 0, -1)),
        )

    def _origin(self, count: int) -> str:
        """Of the series in the first `count` paths."""
        if not self.patches or not count:
            return ""
        first = self.patches[0]
        return "\0".join((*self.sources[:count], str(self.tree or ""), first.author, first.subject))

    def add(self, path: Path) -> None:
        try:
            self._add(path)
        except UserError as error:
            if (error.hint and path.name != "series") or not path.exists():
                raise
            raise UserError(str(error), hint=_look_at(path)) from error

    def _add(self, path: Path) -> None:
        self.sources.append(str(path.resolve() if path.exists() else path))
        if path.is_dir():
            self._end_singles()
            self._add_folder(path)
        elif path.exists():
            self.add_content(self._read(path), path.name, shown=str(path))
        elif ".." in str(path):
            self._end_singles()
            self._add_range(str(path))
        elif self.tree and is_commit(str(path), self.tree, log=self.place.log, until=self.place.until):
            raise _one_commit(str(path), self.tree)
        else:
            raise UserError(f"{path} does not exist; a series is {FORMS}", hint=_look_around(path))

    def add_content(self, raw: bytes, name: str, *, shown: str) -> None:
        pieces = self._pieces(raw, name, shown)
        if len(pieces) == 1 and pieces[0].subject.number is not None and not pieces[0].subject.reply:
            self.singles.append(pieces[0])
            return
        self._end_singles()
        self._take(arrange(pieces, shown, version=self.version))

    def _add_folder(self, folder: Path) -> None:
        found = read_folder(folder)
        if found.ordered:
            for listed in found.files:
                pieces = self._pieces(self._read(listed.path), listed.path.name, str(listed.path))
                arranged = arrange(pieces, str(listed.path), version=self.version)
                # The order was written down: that a number is missing in it, its writer knows.
                self._take(replace(arranged, notices=()), listed.strip, reverse=listed.reverse)
            return
        pieces = tuple(
            piece
            for one in found.files
            for piece in self._pieces(self._read(one.path), one.path.name, str(one.path), empty=True)
        )
        # One file of a folder was not chosen by its name.
        self._take(arrange(pieces, str(folder), version=self.version, alone=False))
        self.left_out += [LeftOut(what=name, why="not named like a patch") for name in found.others]

    def _add_range(self, text: str) -> None:
        number = sum(1 for _ in self.place.folder.glob("range*"))
        folder = self.place.folder / f"range{number}"
        found = read_range(text, self.tree, folder=folder, log=self.place.log, until=self.place.until)
        if self.base and found.base != self.base:
            raise UserError(
                f"{text} starts from {found.base[:12]}, another range from {self.base[:12]}: give one range",
                hint=f"--patch {self.base[:12]}..{shlex.quote(text.rpartition('..')[2].lstrip('.') or 'HEAD')}",
            )
        self.base = found.base
        for at, commit in enumerate(found.commits, start=1):
            name = f"{text} {at}/{len(found.commits)}" if len(found.commits) > 1 else text
            diff = find_diff(commit.diff, prose=False)
            self._patch(diff, name, commit.subject or name, commit.author, 1)
            self.patches[-1] = replace(self.patches[-1], commit=commit.id)

    def _read(self, path: Path) -> bytes:
        raw = read_packed(path)
        self.size += len(raw)
        if self.size > LARGEST:
            raise UserError(f"the series holds more than {LARGEST // MIB} MiB")
        return raw

    def _pieces(self, raw: bytes, name: str, shown: str, *, empty: bool = False) -> tuple[Piece, ...]:
        pieces = pieces_in(raw, name, self.place)
        if not empty and not any(piece.diff.text or piece.is_mail for piece in pieces):
            raise lacking(shown, pieces, FORMS)
        return pieces

    def _end_singles(self) -> None:
        for group in groups_of(self.singles):
            names = group[0].name if len(group) == 1 else f"{group[0].name} to {group[-1].name}"
            self._take(arrange(group, names, version=self.version))
        self.singles = []

    def _take(self, arranged: Arranged, strip: int | None = None, *, reverse: bool = False) -> None:
        self.found.append(arranged)
        self.left_out += arranged.left_out
        self.remarks += arranged.notices
        for piece in arranged.pieces:
            several = len(arranged.pieces) > 1 and piece.subject.number and self._same_file(arranged)
            name = f"{piece.name} {piece.subject.place}" if several else piece.name
            if piece.is_mail and (piece.subject.title, piece.diff.text) in self.seen:
                self.left_out.append(LeftOut(what=piece.what, why="the same patch once more"))
                continue
            self.seen.add((piece.subject.title, piece.diff.text))
            self.pieces.append(piece)
            title = piece.subject.title or piece.name
            self._patch(piece.diff, name, title, piece.author, strip, reverse=reverse)
            self.remarks += _stat_remark(piece, self.patches[-1])

    def _same_file(self, arranged: Arranged) -> bool:
        return len({piece.name for piece in arranged.pieces}) == 1

    def _patch(
        self, diff: DiffText, name: str, title: str, author: str, strip: int | None, *, reverse: bool = False
    ) -> None:
        given, strip = strip, strip_of(diff, name) if strip is None else strip
        if given is None and strip == 0:
            self.remarks.append(f"{name}: its names have no prefix (diff.noprefix): applied with -p0")
        reading = reading_of(diff, name, self.place, strip=strip)
        self.size += reading.unpacked
        if self.size > LARGEST:
            raise UserError(f"the series holds more than {LARGEST // MIB} MiB, with what its binary patches unpack to")
        swapped = reversed_names(diff)
        problem = f"it goes backwards, as git diff -R writes it ({swapped}); git diff A B makes one that does not"
        self.patches.append(
            Patch(
                name=name,
                subject=title,
                diff=diff.text,
                files=reading.files,
                changes=reading.changes,
                author=author,
                strip=strip,
                reverse=reverse,
                problem=problem if swapped and not reverse else "",
            )
        )


def _one_commit(name: str, tree: Path) -> UserError:
    last = name.removesuffix("^!")
    one = shlex.join(["--patch", f"{last}^..{last}", "--tree", str(tree)])
    return UserError(
        f"{name} is a commit of {tree}, and a series is a range of commits",
        hint=f"{one}  # this commit alone; --patch BASE..{shlex.quote(last)}: all since BASE",
    )


def _look_at(path: Path) -> str:
    """What to type where a path is there, and is no series."""
    if path.name == "series" and path.is_file():
        return shlex.join(["--patch", str(path.parent)])
    return shlex.join([*(["less"] if path.is_file() else ["ls", "-l"]), str(path)])


def _look_around(path: Path) -> str:
    """The command that lists the folder in which the user may find what was meant, or that names a commit."""
    if link := _LINK.match(str(path)):
        # A Path has only one of the slashes behind the colon.
        return f"curl -fLo series.patch {shlex.quote(f'{link[1]}://{link[2]}')}; --patch series.patch"
    if _LIKE_A_COMMIT.fullmatch(name := str(path)):
        return f"--patch {name}^..{name} --tree DIR  # if it is a commit"
    return shlex.join(["ls", str(next(folder for folder in path.parents if folder.is_dir()))])


def _stat_remark(piece: Piece, patch: Patch) -> Iterator[str]:
    """A mail that was cut off between two hunks applies; its diffstat says that there was more."""
    has = (
        len(patch.changes),
        sum(change.added or 0 for change in patch.changes),
        sum(change.removed or 0 for change in patch.changes),
    )
    if piece.stat and patch.changes and piece.stat != has:
        said, found = ("{} files +{} -{}".format(*numbers) for numbers in (piece.stat, has))
        yield f"{patch.name}: its diffstat says {said}, its diff has {found}: cut off, or edited?"


def _done_by_file(patch: Patch) -> Iterator[tuple[str, bytes]]:
    """The files of a patch, each with what the patch does there."""
    diff = find_diff(patch.diff, prose=False)
    if len(diff.segments) != len(patch.changes):
        # Which lines are whose is for git to say.
        yield from ((str(file), patch.diff) for file in patch.files)
        return
    written = {change.path for change in patch.changes}
    for change, segment in zip(patch.changes, diff.segments, strict=True):
        done = done_in(diff, segment)
        yield str(change.path), done
        if b"rename from " in done or b"copy from " in done:
            yield from ((str(file), done) for file in patch.files if file not in written)


def changed_files(text: str) -> Iterator[ChangedFile]:
    """Each file that a diff of ours (correct line counts) changes; no hunks: a binary file.

    Raises InfraError where it is no diff.
    """
    try:
        files = list(PatchSet(io.StringIO(text)))
    except UnidiffParseError as error:
        raise InfraError(f"git printed a diff that can't be read: {error}") from error
    for file in files:
        path = file.source_file if file.target_file == "/dev/null" else file.target_file
        hunks = (tuple(_diff_line(line) for line in hunk if line.line_type in "+- ") for hunk in file)
        yield ChangedFile(path=path, hunks=tuple(hunks))


def _diff_line(line: Any) -> DiffLine:
    text = line.value.rstrip("\n")
    return DiffLine(kind=line.line_type, old=line.source_line_no or 0, new=line.target_line_no or 0, text=text)
