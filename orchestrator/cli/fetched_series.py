# SPDX-License-Identifier: GPL-2.0-or-later
"""`--patch MESSAGE-ID`: the thread comes from lore, through b4, and is read as any mailbox is."""

from collections.abc import Sequence
from pathlib import Path

import click

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import UserError
from orchestrator.host.files import link_or_copy, replace_whole
from orchestrator.host.paths import cache_root, scratch_folder
from orchestrator.host.text import printable
from orchestrator.kernel.series.b4_thread import fetched_thread, folder_name, message_id_in
from orchestrator.report.run_files import writing

THREADS = "threads"
_SECONDS = 300.0


def with_threads(patches: Sequence[Path]) -> tuple[Path, ...]:
    """The paths of a series, with the mailbox of its thread for each that is a Message-ID and no file.

    The mailbox has the same path each time, so a new version of a series is built on top of the last one's build.
    Raises UserError, and InfraError where b4 can't fetch it.
    """
    return tuple(_mailbox(path) if not path.exists() and message_id_in(str(path)) else path for path in patches)


def keep_threads(series: Sequence[Path], folder: Path) -> None:
    """Keep in a run's folder what was fetched for it: the thread may grow. Raises InfraError."""
    for path in series:
        if path.parent == cache_root() / THREADS:
            kept = folder / THREADS / path.name
            with writing(kept):
                kept.parent.mkdir(exist_ok=True)
                link_or_copy(path, kept)


def _mailbox(path: Path) -> Path:
    ident = message_id_in(str(path))
    click.echo(f"fetching the thread of {printable(ident)} with b4", err=True)
    with scratch_folder() as scratch:
        until = Deadline.after(_SECONDS, "b4")
        try:
            mails = fetched_thread(ident, log=Path(scratch) / "log", until=until)
        except UserError as error:
            raise UserError(f"{path} is no file, and {error}", hint=error.hint) from error
    target = cache_root() / THREADS / f"{folder_name(ident)}.mbox"
    with writing(target):
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_whole(target, mails)
    return target
