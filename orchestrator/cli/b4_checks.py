# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig b4-check` does: find b4's series, check it, and print that as b4 reads it."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click

from orchestrator.cli.fetched_series import with_threads
from orchestrator.cli.options import Choice
from orchestrator.cli.reported_runs import new_run
from orchestrator.cli.request import request_for
from orchestrator.cli.selection import cells_of, selection_of, wanted_of
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import ExitCode, InfraError, OrchestratorError, UserError
from orchestrator.host.files import replace_whole
from orchestrator.host.paths import scratch_folder
from orchestrator.kernel.series.b4_series import B4Place, B4Series, prepared_series, reviewed_series
from orchestrator.kernel.series.load import load_series
from orchestrator.kernel.series.packed import LARGEST
from orchestrator.model.check_results import SeriesCheck, Status, worst_of
from orchestrator.model.events import Event
from orchestrator.report.b4_results import prep_lines, review_text
from orchestrator.report.run_files import writing
from orchestrator.run.buildable import buildable_arches
from orchestrator.run.chosen_plan import chosen_plan
from orchestrator.run.kernels import Request
from orchestrator.run.matrix import run_matrix
from orchestrator.run.series_checks import APPLY, BUILD, RUN, apply_check, build_check, run_check, workloads_check

_SECONDS = 600.0
_CODES = {Status.PASS: ExitCode.OK, Status.WARN: ExitCode.OK, Status.FAIL: ExitCode.BAD_KERNEL}


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """The command line."""

    choice: Choice
    prep: bool
    build: bool
    runs: bool
    results: Path


def check_for_b4(asked: Asked) -> ExitCode:
    """Print the checks as b4 reads them, and nothing else: to `b4 prep`, each line is a warning or an error."""
    checks = tuple(_checks(asked))
    if asked.prep:
        for line in prep_lines(checks):
            click.echo(line)
    else:
        click.echo(review_text(checks))
    return _CODES[worst_of(checks)]


def _checks(asked: Asked) -> Iterator[SeriesCheck]:
    folder = asked.results / "b4"
    try:
        choice = asked.choice
        if not choice.patch:
            found = _piped_series(asked)
            folder = folder / found.name
            choice = replace(choice, patch=(_kept(found, folder, choice),))
        choice = replace(choice, patch=with_threads(choice.patch))
        notices = _notices(choice)
        wanted = replace(wanted_of(choice, selection_of(_one_arch(choice))), downloads=False)
        chosen = chosen_plan(wanted, _silent)
    except OrchestratorError as error:
        yield _not_done(APPLY, error)
        return
    base = chosen.choices.base
    yield apply_check(base, notices)
    yield workloads_check(chosen.choices)
    if not base.fits:
        return
    request = request_for(cells_of(chosen, choice), choice)
    if asked.build:
        yield _tried(BUILD, lambda: build_check(request, folder / "builds", _silent))
    if asked.runs:
        yield _tried(RUN, lambda: _run(request, asked.results))


def _piped_series(asked: Asked) -> B4Series:
    if sys.stdin.isatty():
        raise click.UsageError("b4 pipes a mail into this command; without b4: --patch PATH")
    raw = sys.stdin.buffer.read(LARGEST + 1)  # what is larger is refused as any series is
    tracking = os.environ.get("B4_TRACKING_FILE")
    with scratch_folder() as scratch:
        until = Deadline.after(_SECONDS, "reading the series")
        place = B4Place(top=Path.cwd(), log=Path(scratch) / "log", until=until)
        if asked.prep:
            return prepared_series(raw, place)
        return reviewed_series(raw, Path(tracking) if tracking else None, place)


def _kept(found: B4Series, folder: Path, choice: Choice) -> Path:
    """The series as --patch takes it: commits of the tree where both are the same repository, else a file of mails.

    The file's name stays the same, so a new version of the series is built on top of the last one's build.
    """
    file = folder / "series.mbox"
    with writing(file):
        folder.mkdir(parents=True, exist_ok=True)
        replace_whole(file, found.mails)
    if choice.tree and found.commits and choice.tree.resolve() == Path.cwd().resolve():
        return Path(found.commits)
    return file


def _notices(choice: Choice) -> tuple[str, ...]:
    """What the user must not miss of how the series was read. Raises UserError for what is no series."""
    with scratch_folder() as scratch:
        until, version = Deadline.after(_SECONDS, "reading the series"), choice.series_version
        return load_series(
            choice.patch, tree=choice.tree, log=Path(scratch) / "log", until=until, version=version
        ).notices


def _one_arch(choice: Choice) -> Choice:
    """The first arch that this host can build; b4 waits for the check."""
    arches, _ = buildable_arches()
    return choice if choice.arch or not arches else replace(choice, arch=arches[:1])


def _run(request: Request, results: Path) -> SeriesCheck:
    with new_run(request, results) as store:
        run_matrix(request, store, _silent)
    return run_check(store.report())


def _tried(name: str, check: Callable[[], SeriesCheck]) -> SeriesCheck:
    try:
        return check()
    except (UserError, InfraError) as error:
        return _not_done(name, error)


def _not_done(name: str, error: OrchestratorError) -> SeriesCheck:
    """A series that can't be read is the user's; what this machine could not do says nothing of the series."""
    if not isinstance(error, UserError | InfraError):
        raise error
    status = Status.FAIL if isinstance(error, UserError) else Status.WARN
    first, *rest = str(error).splitlines() or [""]
    summary = first if status is Status.FAIL else f"not checked: {first}"
    return SeriesCheck(
        name=name, status=status, summary=summary, details=(*rest, *([error.hint] if error.hint else []))
    )


def _silent(_event: Event) -> None:
    """b4 shows what is printed as a finding."""
