# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig series` prints: what a run would test, and what it would leave out."""

import json
from collections.abc import Iterator
from pathlib import Path

import click

from orchestrator.cli.fetched_series import with_threads
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import ExitCode, InfraError
from orchestrator.host.paths import scratch_folder
from orchestrator.host.sandbox import sandbox_works
from orchestrator.kernel.series.diff_paths import FileChange
from orchestrator.kernel.series.load import Patch, Series, load_series
from orchestrator.report.terminal import screen, terminal
from orchestrator.run.chosen_plan import Wanted, chosen_base

_SECONDS = 600.0


def print_series(paths: tuple[Path, ...], tree: Path | None, version: str, *, as_json_text: bool) -> ExitCode:
    """Print the patches of a series, and what is left out of it. Raises UserError."""
    if not sandbox_works():
        click.echo("NOTE: NO SANDBOX (patchrig doctor says why): git reads the series with your rights", err=True)
    paths = with_threads(paths)
    with scratch_folder() as scratch:
        until = Deadline.after(_SECONDS, "reading the series")
        found = load_series(paths, tree=tree, log=Path(scratch) / "log", until=until, version=version)
    base = _base(found, paths, tree, until)
    if as_json_text:
        click.echo(json.dumps(as_json(found) | {"built_on": [*base]}, indent=2))
    else:
        click.echo("\n".join((*described(found), *base)))
    return ExitCode.OK


def _base(found: Series, paths: tuple[Path, ...], tree: Path | None, until: Deadline) -> tuple[str, ...]:
    """Which source a run without a matrix would build the series on; of kernels, by those in the cache alone."""
    wanted = Wanted(patches=paths, tree=tree, downloads=False)
    with terminal(screen(beside_output=True)) as listener:
        try:
            return tuple(chosen_base(wanted, found, listener, until).base.lines())
        except InfraError as error:
            return (f"base: not known: {'; '.join(line.strip() for line in str(error).splitlines())}",)


def described(found: Series) -> Iterator[str]:
    """The series for a reader, line by line."""
    for number, patch in enumerate(found.patches, start=1):
        yield f"{number:>3}  {patch.subject}{_options(patch)}"
        yield f"     {patch.name}" + (f", by {patch.author}" if patch.author else "")
        yield from (f"       {_counts(change)} {_shown(change.path)}" for change in patch.changes)
        if not patch.changes:
            yield "       git can't read this diff; a run would say that it is not applied"
    yield f"{_count(len(found.patches), 'patch', 'patches')}, {_count(len(found.touched), 'file', 'files')}" + _origin(
        found
    )
    for one in found.left_out:
        yield f"left out: {one.what!r}: {one.why}"
    for remark in found.remarks:
        yield f"note: {remark}"


def as_json(found: Series) -> dict[str, object]:
    return {
        "version": found.version,
        "base": found.base,
        "base_commit": found.noted.commit,
        "prerequisites": found.noted.prerequisites,
        "change_id": found.noted.change_id,
        "sha256": found.sha256,
        "patches": [
            {
                "name": patch.name,
                "subject": patch.subject,
                "author": patch.author,
                "strip": patch.strip,
                "reverse": patch.reverse,
                "problem": patch.problem,
                "files": [
                    {"path": str(change.path), "added": change.added, "removed": change.removed}
                    for change in patch.changes
                ],
            }
            for patch in found.patches
        ],
        "touched": [str(file) for file in found.touched],
        "left_out": [{"what": one.what, "why": one.why, "diff": one.diff} for one in found.left_out],
        "notices": list(found.notices),
    }


def _options(patch: Patch) -> str:
    options = [f"-p{patch.strip}"] * (patch.strip != 1) + ["-R"] * patch.reverse
    return f"  ({' '.join(options)})" if options else ""


def _counts(change: FileChange) -> str:
    return "binary  " if change.added is None else f"+{change.added} -{change.removed}".ljust(8)


def _shown(path: object) -> str:
    # A right-to-left mark would make another name of it on a terminal.
    return str(path) if str(path).isprintable() else ascii(str(path))


def _origin(found: Series) -> str:
    parts = [f"version {found.version}"] * bool(found.version and found.version != "1")
    parts += [f"on commit {found.base[:12]} of --tree"] * bool(found.base)
    parts += [f"base-commit {found.noted.commit[:12]}"] * bool(found.noted.commit)
    below = found.noted.prerequisites
    parts += [f"made on top of {_count(below, 'other patch', 'other patches')}"] * bool(below)
    parts += [f"change-id {found.noted.change_id}"] * bool(found.noted.change_id)
    return "".join(f", {part}" for part in parts)


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
