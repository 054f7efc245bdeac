# SPDX-License-Identifier: GPL-2.0-or-later
"""A thread of a mailing list, which b4 fetches from lore: the mails, as any mailbox has them.

Sources: b4 0.16, b4.mbox and b4.parse_msgid; lore's help page for its links.
"""

import hashlib
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError, UserError
from orchestrator.host.paths import scratch_folder
from orchestrator.host.process import find_tool, last_lines, run
from orchestrator.kernel.series.packed import read_packed

# stash@{0} is a commit.
_ID = re.compile(r"[^\s<>@]+@(?!\{)[^\s<>@]+")
# A Path has only one of the slashes after the colon.
_LINK = re.compile(r"https?:/+[^/\s]+/([^\s?#]+)")
_UNKNOWN = re.compile(r"No messages found|Could not find|error: 404\b|\b404 Not Found")


def message_id_in(text: str) -> str:
    """The Message-ID that a user gave, bare, in angle brackets or as a link to lore; "" where it is none."""
    if link := _LINK.match(text):
        names = [unquote(name) for name in link[1].split("/")]
        return next((name for name in names if _ID.fullmatch(name)), "")
    bare = text.removeprefix("<").removesuffix(">")
    # v6.19..topic@{1} is a range.
    return bare if _ID.fullmatch(bare) and (bare != text or ".." not in bare) else ""


def b4(words: Sequence[str], *, cwd: Path, log: Path, until: Deadline) -> str:
    """What b4 prints. Raises InfraError where it fails, as without a network or outside of its branches."""
    argv = [str(_program()), *words]
    done = run(argv, cwd=cwd, log=log, until=until)
    if done.status != 0:
        raise InfraError(f"b4 {words[0]} failed: {last_lines(done.output, 1)}", hint=shlex.join(["b4", *words]))
    return done.output


def fetched_thread(ident: str, *, log: Path, until: Deadline) -> bytes:
    """The mails of the thread that the Message-ID belongs to.

    Raises UserError where lore has no such mail, InfraError where b4 can't fetch it.
    """
    with scratch_folder() as scratch:
        folder = Path(scratch)
        # Not in a tree, whose configuration may belong to somebody else.
        argv = [str(_program()), "mbox", "--outdir", scratch, "--mbox-name", "thread", "--", ident]
        done = run(argv, cwd=folder, log=log, until=until)
        if done.status != 0:
            raise _not_fetched(ident, done.output)
        files = [path for path in folder.iterdir() if path.is_file()]
        if len(files) != 1:
            raise UserError(f"b4 mbox {ident} wrote {len(files)} files, not one")
        return read_packed(files[0])


def folder_name(text: str) -> str:
    """A folder's name for any text."""
    words = re.sub(r"[^A-Za-z0-9_+-]+", "-", text.rpartition("/")[2]).strip("-")[:40]
    return f"{words or 'series'}-{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def _program() -> Path:
    """That of the PATH, or the one beside our Python, which `make setup` installs. Raises InfraError."""
    beside = Path(sys.executable).with_name("b4")
    found = find_tool("b4") or (beside if beside.is_file() else None)
    if found is None:
        raise InfraError("b4 is not installed: it fetches series by their Message-ID", hint="apt-get install b4")
    return found


def _not_fetched(ident: str, said: str) -> UserError | InfraError:
    if _UNKNOWN.search(said):
        return UserError(f"b4 finds no mail with the Message-ID {ident}", hint=shlex.join(["b4", "mbox", ident]))
    hint = f"{shlex.join(['b4', 'mbox', ident])}  # where there is a network; then --patch FILE"
    return InfraError(f"b4 can't fetch the thread of {ident}: {last_lines(said, 1)}", hint=hint)
