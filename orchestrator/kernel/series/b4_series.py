# SPDX-License-Identifier: GPL-2.0-or-later
"""The series that b4 asks about. b4 pipes in one mail, a cover letter or a patch; its branch or lore has the rest.

Sources: b4 0.16, b4.review.checks and b4.review_tui (B4_TRACKING_FILE), b4.ez.check (`b4 prep --check`).
"""

import json
import re
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default as policy
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import UserError
from orchestrator.host.paths import scratch_folder
from orchestrator.host.process import last_lines
from orchestrator.kernel.series.b4_thread import b4, fetched_thread, folder_name
from orchestrator.kernel.series.subject import Subject, parse_subject
from orchestrator.kernel.source.git import git

_RANGE = re.compile(r"^series-range: ([0-9a-f]{40,64})\.\.([0-9a-f]{40,64})\s*$", re.MULTILINE)
_CHANGE = re.compile(r"^change-id: (\S+)\s*$", re.MULTILINE)
_HASH = re.compile(r"[0-9a-f]{7,64}")
_FORMAT = (
    *("format-patch", "--no-attach", "--no-cover-letter", "--no-signature", "--numbered", "--subject-prefix=PATCH"),
    *("--no-renames", "--full-index", "--binary", "--no-ext-diff", "--no-textconv", "--no-notes", "--no-base"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class B4Series:
    """The patches that b4 asks about: always as mails, and as a range of commits where b4 has them in a branch."""

    name: str  # the same for all versions, for a folder's name
    mails: bytes
    commits: str = ""  # "A..B"


@dataclass(frozen=True, kw_only=True, slots=True)
class B4Place:
    """Where b4 runs a check: the top of a git checkout."""

    top: Path
    log: Path
    until: Deadline

    def commit(self, name: str) -> str:
        """The full hash. Raises UserError."""
        return self._git("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}").split()[-1]

    def commits(self, first: str, last: str) -> tuple[str, ...]:
        """The commits after `first` up to `last`, in order."""
        words = ("rev-list", "--reverse", "--topo-order", "--no-merges", f"{first}..{last}")
        return tuple(self._git(*words).split())

    def mails(self, first: str, last: str) -> bytes:
        """The commits after `first` up to `last` as mails."""
        with scratch_folder() as scratch:
            target = Path(scratch) / "series.mbox"
            words = [*_FORMAT, f"--output={target}", f"{first}..{last}"]
            done = git(words, self.top, log=self.log, until=self.until, writable=(Path(scratch),))
            if done.status != 0 or not target.is_file():
                raise UserError(f"git format-patch {first[:12]}..{last[:12]}:\n{last_lines(done.output, 3)}")
            return target.read_bytes()

    def b4(self, *words: str) -> str:
        """What `b4` prints. Raises InfraError where it fails, as without a network or outside of its branches."""
        return b4(words, cwd=self.top, log=self.log, until=self.until)

    def _git(self, *words: str) -> str:
        done = git(words, self.top, log=self.log, until=self.until)
        if done.status != 0:
            raise UserError(f"git {words[0]} in {self.top}:\n{last_lines(done.output, 3)}")
        return done.output


def prepared_series(raw: bytes, place: B4Place) -> B4Series:
    """`b4 prep --check`: the series in the branch that is checked out, up to the patch in `raw`. Raises UserError."""
    subject = _subject(_mail(raw))
    branch = place.b4("prep", "--show-info")
    found, ident = _RANGE.search(branch), _CHANGE.search(branch)
    if not found:
        raise UserError("b4 prep --show-info printed no series-range", hint="b4 prep --show-info")
    first, last = found.groups()
    commits = place.commits(first, last)
    number, total = (subject.number, subject.total) if subject.number else (1, 1)
    if total != len(commits) or number > len(commits):
        raise UserError(f"the patch is {number}/{total}, and the branch has {len(commits)} commits: {first}..{last}")
    end = commits[number - 1]
    name = folder_name(ident[1] if ident else str(place.top))
    return B4Series(name=name, mails=place.mails(first, end), commits=f"{first}..{end}")


def reviewed_series(raw: bytes, tracking: Path | None, place: B4Place) -> B4Series:
    """`b4 review`: the series that the mail in `raw` belongs to; `tracking`: the file of B4_TRACKING_FILE.

    Its patches are those of b4's review branch, else the mail itself where it is all of the series, else the thread,
    which b4 fetches. Raises UserError, and InfraError where b4 can't.
    """
    mail = _mail(raw)
    if tracking and (found := _in_branch(tracking, place)):
        return found
    subject, ident = _subject(mail), _message_id(mail)
    alone = subject.number is None or subject.total == 1
    if alone and subject.number != 0:
        return B4Series(name=folder_name(ident or subject.title), mails=raw)
    if not ident:
        raise UserError("the mail has no Message-ID, so the other patches of its series can't be found")
    return B4Series(name=folder_name(ident), mails=fetched_thread(ident, log=place.log, until=place.until))


def _in_branch(tracking: Path, place: B4Place) -> B4Series | None:
    """The patches of the review branch; None where the file names none."""
    try:
        series = json.loads(tracking.read_bytes())["series"]
        first, ident = str(series.get("first-patch-commit") or ""), str(series.get("change-id") or "")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as why:
        raise UserError(f"B4_TRACKING_FILE={tracking} can't be read: {why}") from why
    if not ident or not _HASH.fullmatch(first):
        return None
    # The branch's last commit has b4's notes, and no patch.
    start, end = place.commit(f"{first}^"), place.commit(f"refs/heads/b4/review/{ident}^")
    return B4Series(name=folder_name(ident), mails=place.mails(start, end), commits=f"{start}..{end}")


def _mail(raw: bytes) -> EmailMessage:
    mail = BytesParser(policy=policy).parsebytes(raw, headersonly=True)
    if not mail["Subject"]:
        raise UserError("standard input has no mail: b4 pipes one in", hint="patchrig b4-check --patch series.mbox")
    return mail


def _subject(mail: EmailMessage) -> Subject:
    return parse_subject(str(mail["Subject"]))


def _message_id(mail: EmailMessage) -> str:
    return "".join(str(mail["Message-ID"] or "").split()).strip("<>")
