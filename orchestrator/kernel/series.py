"""The patches under test, read from whatever form they came in."""

import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from orchestrator.coverage import DiffLine
from orchestrator.deadline import Deadline
from orchestrator.errors import InfraError, UserError
from orchestrator.kernel.git import git, is_git_checkout
from orchestrator.kernel.mail import MailedPatch, mailed_patches
from orchestrator.process import last_lines

FORMS = "a patch file, a mail or mbox, a folder of patches, or a git range A..B of --tree"
PATCH_SUFFIXES = frozenset({".patch", ".diff", ".mbox", ".mbx", ".eml", ".txt"})
C_SUFFIXES = frozenset({".c", ".h", ".S"})

_FILE_LINE = re.compile(r"^(?:--- |\+\+\+ |rename from |rename to |copy from |copy to )([^\t\n]+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Patch:
    """One patch: the diff with LF line ends as git apply takes it, and the files that it names."""

    name: str
    subject: str
    diff: bytes
    files: tuple[PurePosixPath, ...]


@dataclass(frozen=True, kw_only=True)
class Series:
    """Patches in the order in which they apply; none for the baseline."""

    patches: tuple[Patch, ...] = ()
    base: str = ""
    """The commit of --tree that a git range starts from: the source it has to be built on. "" for other forms."""
    origin: str = ""
    """Where the patches come from, who wrote the first one, and its subject; "" where that is not known."""

    @cached_property
    def sha256(self) -> str:
        digest = hashlib.sha256()
        for patch in self.patches:
            digest.update(b"%d\n" % len(patch.diff) + patch.diff)
        return digest.hexdigest()

    @cached_property
    def identity(self) -> str:
        """SHA-256 of what stays the same while a series is edited or gets a new version; its content where that is all.

        Builds of one identity share a layer: where the patches lie, who wrote the first one, and how it is called.
        """
        return (
            hashlib.sha256(self.origin.encode("utf-8", "surrogateescape")).hexdigest() if self.origin else self.sha256
        )

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
                digests[file].update(done.encode("utf-8", "surrogateescape"))
        return {file: digest.hexdigest() for file, digest in digests.items()}

    @property
    def c_files(self) -> tuple[PurePosixPath, ...]:
        """Those of the touched files that a compiler reads."""
        return tuple(file for file in self.touched if file.suffix in C_SUFFIXES)


BASELINE = Series()


def load_series(paths: Sequence[Path], *, tree: Path | None, log: Path, until: Deadline) -> Series:
    """Read the patches of all paths, in order; raises UserError for what is no patch.

    A path that does not exist and looks like A..B is a range of commits of `tree`.
    """
    patches: list[Patch] = []
    base = ""
    for path in paths:
        if path.is_dir():
            patches.extend(patch for file in folder_order(path) for patch in _patches_of(file))
        elif path.exists():
            patches.extend(_patches_of(path))
        elif ".." in str(path):
            commits = _Range.parse(str(path), tree, log, until)
            base = base or commits.base
            patches.extend(_parsed(commits.mbox, str(path)))
        else:
            raise UserError(f"{path} does not exist; a series is {FORMS}")
    return Series(patches=tuple(patches), base=base)


def folder_order(folder: Path) -> tuple[Path, ...]:
    """The patches of a folder: as its quilt `series` file says, or else by name."""
    order = folder / "series"
    if order.is_file():
        names = [words[0] for line in order.read_text().splitlines() if (words := line.split("#")[0].split())]
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise UserError(f"{order} names {missing[0]}, which is not in {folder}")
        return tuple(folder / name for name in names)
    found = sorted(file for file in folder.iterdir() if file.is_file() and file.suffix in PATCH_SUFFIXES)
    if not found:
        raise UserError(f"{folder} has no patches ({', '.join(sorted(PATCH_SUFFIXES))}); a series is {FORMS}")
    # git format-patch writes the cover letter beside the patches.
    return tuple(file for file in found if not file.name.startswith("0000-"))


def parse_series(raw: bytes, name: str) -> Series:
    """The series in one file's content; `name` is for messages."""
    return Series(patches=tuple(_parsed(raw, name)))


def _patches_of(path: Path) -> Iterator[Patch]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}") from error
    return _parsed(raw, path.name, shown=str(path))


def _parsed(raw: bytes, name: str, shown: str = "") -> Iterator[Patch]:
    mails = list(mailed_patches(raw))
    if not mails:
        raise UserError(f"{shown or name} is no patch: no diff in it; a series is {FORMS}")
    for mail in _in_order(mails, shown or name):
        label = f"{name} {mail.number}/{mail.total}" if len(mails) > 1 and mail.number else name
        files = touched_files(mail.diff.decode("utf-8", "surrogateescape"))
        _check_inside(files, label)
        yield Patch(name=label, subject=mail.subject or name, diff=mail.diff, files=files)


def _in_order(mails: Sequence[MailedPatch], shown: str) -> list[MailedPatch]:
    numbers = [(mail.number, mail.total) for mail in mails]
    if any(number is None for number, _ in numbers) or len({total for _, total in numbers}) > 1:
        return list(mails)
    for number in numbers:
        if numbers.count(number) > 1:
            raise UserError(
                f"{shown} has patch {number[0]}/{number[1]} more than once: two versions of one series?",
                hint="keep the mails of one version",
            )
    return sorted(mails, key=lambda mail: mail.number or 0)


def touched_files(diff: str) -> tuple[PurePosixPath, ...]:
    """Each file that the diff reads or writes, below the tree."""
    try:
        names = {name for file in PatchSet(io.StringIO(diff)) for name in (file.source_file, file.target_file)}
    except UnidiffParseError:
        # Wrong line counts: whether that applies is for git to say. A name too many does no harm.
        names = set(_FILE_LINE.findall(diff))
    return tuple(sorted({PurePosixPath(_without_prefix(name)) for name in names if name and name != "/dev/null"}))


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangedLines:
    """What a diff did to one file, in line numbers of the file as it is afterwards."""

    added: tuple[int, ...]
    cuts: tuple[int, ...]  # behind this line something was taken away, and nothing put in its place


def changed_lines(diff: str) -> ChangedLines:
    """The changed lines in a diff without context (git diff -U0) of one file. Raises InfraError where it is none."""
    added: list[int] = []
    cuts: list[int] = []
    try:
        hunks = [hunk for file in PatchSet(io.StringIO(diff)) for hunk in file]
    except UnidiffParseError as error:
        raise InfraError(f"git printed a diff that can't be read: {error}") from error
    for hunk in hunks:
        if hunk.target_length:
            added += range(hunk.target_start, hunk.target_start + hunk.target_length)
        else:
            cuts.append(hunk.target_start)
    return ChangedLines(added=tuple(added), cuts=tuple(cuts))


def diff_lines(text: str) -> Iterator[tuple[str, tuple[tuple[DiffLine, ...], ...]]]:
    """Path and hunks of each file that a diff of ours (correct line counts) changes; no hunks: a binary file."""
    for file in PatchSet(io.StringIO(text)):
        name = file.source_file if file.target_file == "/dev/null" else file.target_file
        yield name, tuple(tuple(_diff_line(line) for line in hunk if line.line_type in "+- ") for hunk in file)


def _diff_line(line: Any) -> DiffLine:
    text = line.value.rstrip("\n")
    return DiffLine(kind=line.line_type, old=line.source_line_no or 0, new=line.target_line_no or 0, text=text)


def _done_by_file(patch: Patch) -> Iterator[tuple[str, str]]:
    """The files of a patch, each with what the patch does there as text."""
    text = patch.diff.decode("utf-8", "surrogateescape")
    try:
        files = list(PatchSet(io.StringIO(text)))
    except UnidiffParseError:
        # Which lines are whose is for git to say.
        yield from ((str(file), text) for file in patch.files)
        return
    for file in files:
        # A file that is renamed, added or removed has its names in what is done.
        lines = (f"{line.line_type}{line.value}" for hunk in file for line in hunk)
        done = "".join((f"{file.source_file} {file.target_file}\n", *lines))
        for name in {file.source_file, file.target_file} - {"/dev/null", None}:
            yield _without_prefix(name), done


def _without_prefix(name: str) -> str:
    plain = name.strip('"')
    return plain[2:] if plain.startswith(("a/", "b/")) else plain


def _check_inside(files: Sequence[PurePosixPath], label: str) -> None:
    for file in files:
        if file.is_absolute() or ".." in file.parts or ".git" in file.parts:
            raise UserError(f"{label} is no patch of a kernel tree: it names {file}, which lies outside")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Range:
    base: str
    mbox: bytes

    @classmethod
    def parse(cls, text: str, tree: Path | None, log: Path, until: Deadline) -> "_Range":
        if tree is None or not is_git_checkout(tree, log=log, until=until):
            raise UserError(
                f"{text} is neither a file nor a range of commits: there is no git checkout to look in",
                hint=f"--tree DIR --patch {text}",
            )
        first, _, last = text.partition("..")
        found = git(["merge-base", first or "HEAD", last.lstrip(".") or "HEAD"], tree, log=log, until=until)
        if found.status != 0:
            raise UserError(f"{text} is no range of commits in {tree}:\n{last_lines(found.output, 3)}")
        # --output keeps the text as bytes in a file: what git prints would go through our log's decoding.
        folder = log.parent / "range"
        folder.mkdir(exist_ok=True)
        target = folder / "range.mbox"
        argv = ["format-patch", "--no-signature", "--no-stat", "--full-index", "--no-ext-diff", f"--output={target}"]
        argv.append(f"{found.output.strip()}..{last.lstrip('.') or 'HEAD'}")
        done = git(argv, tree, log=log, until=until, writable=(folder,))
        if done.status != 0:
            raise UserError(f"git can't write the patches of {text}:\n{last_lines(done.output, 3)}")
        return cls(base=found.output.strip(), mbox=target.read_bytes())
