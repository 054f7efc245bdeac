"""Applying a series to a folder of files that is ours, and saying exactly what does not apply."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from orchestrator.deadline import Deadline
from orchestrator.kernel.git import git_on_files
from orchestrator.kernel.series import Patch, Series
from orchestrator.process import Finished, last_lines

_APPLY = ("apply", "-p1", "--verbose", "--whitespace=nowarn")
_FAILED_AT = re.compile(r"^error: patch failed: (.+):(\d+)$", re.MULTILINE)
_FAILED_FILE = re.compile(r"^error: (.+?): (.+)$", re.MULTILINE)
_CORRUPT = re.compile(
    r"^error: (?:corrupt patch at (?:.*:)?(?:line )?\d+|.*patch fragment without header.*)$", re.MULTILINE
)
_REJECTING = re.compile(r"^Applying patch (.+) with \d+ rejects?\.\.\.$")
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

    @property
    def title(self) -> str:
        place = f"{self.file}: hunk #{self.hunk}" if self.hunk else self.file
        return f"{self.patch}: {place}: {self.reason}" if place else f"{self.patch}: {self.reason}"


def apply_series(series: Series, folder: Path, *, log_dir: Path, until: Deadline) -> NotApplied | None:
    """Apply each patch to the files in `folder`, which is ours; None when all of it applies.

    No fuzz: git accepts a moved hunk, and says by how many lines in log_dir/apply.log, but no changed context.
    On failure the rejects are in log_dir/rejects/, and the folder holds what did apply.
    """
    for number, patch in enumerate(series.patches, start=1):
        kept = log_dir / "series" / f"{number:04}.patch"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(patch.diff)
        done = _git_apply(kept, folder, log_dir, until)
        if done.status != 0:
            return _what_failed(patch, kept, done, folder=folder, log_dir=log_dir, until=until)
    return None


def _git_apply(patch: Path, folder: Path, log_dir: Path, until: Deadline, *more: str) -> Finished:
    log = log_dir / "apply.log"
    argv = [*_APPLY, *more, str(patch.resolve())]
    return git_on_files(argv, folder, log=log, until=until, readable=(patch,), writable=(folder,))


def _what_failed(
    patch: Patch, kept: Path, done: Finished, *, folder: Path, log_dir: Path, until: Deadline
) -> NotApplied:
    again = _git_apply(kept, folder, log_dir, until, "--reject")
    rejects = _keep_rejects(folder, log_dir / "rejects")
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
    """File and reason from git's complaint, for what it does not even try hunk by hunk."""
    if m := _CORRUPT.search(output):
        # Not mended with --recount: a mail that was cut off would then be tested as if it were whole.
        return "", f"{m[0].removeprefix('error: ')}: edited by hand, or cut off?"
    if m := _FAILED_AT.search(output):
        return m[1], f"does not apply at line {m[2]}"
    if m := _FAILED_FILE.search(output):
        return m[1], m[2]
    return "", last_lines(output, 1) or "git apply failed and did not say why"


def _keep_rejects(folder: Path, target: Path) -> list[str]:
    kept = []
    for reject in sorted(folder.rglob("*.rej")):
        place = target / reject.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(reject, place)
        kept.append(str(place))
    return kept
