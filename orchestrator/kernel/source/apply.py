# SPDX-License-Identifier: GPL-2.0-or-later
"""Applying a series to a folder of files that is ours, and saying exactly what does not apply."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError
from orchestrator.host.process import Finished, last_lines
from orchestrator.host.untrusted import BadFile, read_plain
from orchestrator.kernel.series.load import Patch, Series
from orchestrator.kernel.source.git import git_on_files

_APPLY = ("apply", "--verbose", "--whitespace=nowarn")
_LARGEST_REJECT = 16 << 20
_FAILED_AT = re.compile(r"^error: patch failed: (.+):(\d+)$", re.MULTILINE)
_NO_CONTENT = re.compile(r"^error: cannot apply binary patch to '(.+)' without full index line$", re.MULTILINE)
_FAILED_FILE = re.compile(r"^error: (.+?): (.+)$", re.MULTILINE)
_CORRUPT = re.compile(
    r"^error: (?:corrupt patch at (?:.*:)?(?:line )?\d+|.*patch fragment without header.*)$", re.MULTILINE
)
_REJECTING = re.compile(r"^Applying patch (.+) with \d+ rejects?\.\.\.$")
_REJECTS = re.compile(_REJECTING.pattern, re.MULTILINE)
_REJECTED = re.compile(r"^Rejected hunk #(\d+)\.$")


@dataclass(frozen=True, kw_only=True, slots=True)
class NotApplied:
    """The series does not fit this tree: which patch, file and hunk."""

    patch: str
    file: str
    hunk: int | None  # None: the whole file (missing, or there already)
    reason: str
    detail: str
    log: Path
    number: int = 0  # which of the series' patches, from 1
    total: int = 0

    @property
    def brief(self) -> str:
        """Without the patch's name, for a list of several trees."""
        which = f"patch {self.number}/{self.total}" if self.total > 1 else "it"
        if self.hunk or self.reason.startswith("does not apply"):
            return f"{which} does not apply" + (f" in {self.file}" if self.file else "")
        return f"{which} does not apply: " + ": ".join(part for part in (self.file, self.reason) if part)

    @property
    def title(self) -> str:
        place = f"{self.file}: hunk #{self.hunk}" if self.hunk else self.file
        return f"{self.patch}: {place}: {self.reason}" if place else f"{self.patch}: {self.reason}"


def apply_series(series: Series, folder: Path, *, log_dir: Path, until: Deadline) -> NotApplied | None:
    """Apply each patch to the files in `folder`, which is ours; None when all of it applies.

    No fuzz: git accepts a moved hunk, and says by how many lines in log_dir/apply.log, but no changed context.
    On failure the rejects are in log_dir/rejects/, and the folder holds what did apply. Raises InfraError where git
    changed a file that the series was not known to touch: it would be missing in the tree.
    """
    before = _stamps(folder)
    for number, patch in enumerate(series.patches, start=1):
        kept = log_dir / "series" / f"{number:04}.patch"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(patch.diff)
        problem = _applied(patch, kept, folder=folder, log_dir=log_dir, until=until)
        if problem:
            return replace(problem, number=number, total=len(series.patches))
    _check_known(series, before, _stamps(folder))
    return None


def _applied(patch: Patch, kept: Path, *, folder: Path, log_dir: Path, until: Deadline) -> NotApplied | None:
    if patch.problem:
        return _refused(patch, log_dir)
    done = _git_apply(patch, kept, folder, log_dir, until)
    if done.status == 0:
        return None
    return _what_failed(patch, kept, done, folder=folder, log_dir=log_dir, until=until)


def _refused(patch: Patch, log_dir: Path) -> NotApplied:
    file = str(patch.changes[0].path) if patch.changes else ""
    log = log_dir / "apply.log"
    return NotApplied(patch=patch.name, file=file, hunk=None, reason=patch.problem, detail=patch.problem, log=log)


def _git_apply(patch: Patch, kept: Path, folder: Path, log_dir: Path, until: Deadline, *more: str) -> Finished:
    argv = [*_APPLY, f"-p{patch.strip}", *(["-R"] if patch.reverse else []), *more, str(kept.resolve())]
    return git_on_files(argv, folder, log=log_dir / "apply.log", until=until, readable=(kept,), writable=(folder,))


def _stamps(folder: Path) -> dict[str, tuple[int, ...]]:
    """Each file below the folder with what changes when it is written; links are not followed."""
    found: dict[str, tuple[int, ...]] = {}
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for path in (Path(place) / name for name in (*files, *links)):
            now = path.lstat()
            found[path.relative_to(folder).as_posix()] = (now.st_ino, now.st_mode, now.st_size, now.st_mtime_ns)
    return found


def _check_known(series: Series, before: dict[str, tuple[int, ...]], after: dict[str, tuple[int, ...]]) -> None:
    changed = {file for file in before.keys() | after.keys() if before.get(file) != after.get(file)}
    unknown = sorted(changed - {str(file) for file in series.touched})
    if unknown:
        raise InfraError(
            f"git changed {unknown[0]!a}, which the series was not known to touch; it is not tested in part",
            hint="patchrig series PATH  # shows which files each patch has",
        )


def _what_failed(
    patch: Patch, kept: Path, done: Finished, *, folder: Path, log_dir: Path, until: Deadline
) -> NotApplied:
    # With the files as they were: --reject leaves those that it could do changed.
    if _git_apply(replace(patch, reverse=not patch.reverse), kept, folder, log_dir, until, "--check").status == 0:
        file = str(patch.changes[0].path) if patch.changes else ""
        reason, log = "what it changes is there already", log_dir / "apply.log"
        return NotApplied(patch=patch.name, file=file, hunk=None, reason=reason, detail=reason, log=log)
    again = _git_apply(patch, kept, folder, log_dir, until, "--reject")
    rejects = list(_keep_rejects(again.output, folder, log_dir / "rejects"))
    file, hunk = first_reject(again.output)
    reason = "does not apply"
    if not hunk:
        file, reason = first_error(done.output)
    kept_note = f"\nrejects kept: {', '.join(rejects)}" if rejects else ""
    return NotApplied(
        patch=patch.name,
        file=file,
        hunk=hunk,
        reason=reason,
        detail=last_lines(done.output) + kept_note,
        log=log_dir / "apply.log",
    )


def first_reject(output: str) -> tuple[str, int | None]:
    """File and number of the first hunk that `git apply --verbose --reject` turned down."""
    file = ""
    for line in output.splitlines():
        if m := _REJECTING.match(line):
            file = m[1]
        elif m := _REJECTED.match(line):
            return file, int(m[1])
    return file, None


def first_error(output: str) -> tuple[str, str]:
    """File and reason from git's message, for what it does not even try hunk by hunk."""
    if m := _CORRUPT.search(output):
        # Not fixed with --recount: a mail that was cut off would then be tested as if it were whole.
        return "", f"{m[0].removeprefix('error: ')}: edited by hand, cut off, or wrapped by a mail program?"
    if m := _NO_CONTENT.search(output):
        return m[1], "the patch does not have its binary content; git format-patch --binary makes one that has it"
    if m := _FAILED_AT.search(output):
        return m[1], f"does not apply at line {m[2]}"
    if m := _FAILED_FILE.search(output):
        return m[1], m[2]
    return "", last_lines(output, 1) or "git apply failed and did not say why"


def _keep_rejects(output: str, folder: Path, target: Path) -> Iterator[str]:
    """Copy what git itself rejected, and nothing that a series calls so: a link of that name may lead anywhere."""
    for file in _REJECTS.findall(output):
        relative = f"{file}.rej"
        with suppress(BadFile):
            content = read_plain(folder, relative, most_bytes=_LARGEST_REJECT)
            place = target / relative
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
            yield str(place)
