# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig merge` does: its arguments become runs, and the merged run is shown as any other."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.cli.options import Output
from orchestrator.cli.reported_runs import exit_code, refresh_index, show_json, show_report
from orchestrator.host.errors import ExitCode, UserError
from orchestrator.model.reports import RunReport
from orchestrator.report.run_files import writing
from orchestrator.report.store import find_run, new_folder, point_latest
from orchestrator.run.merge import Part, merge, parts_of
from orchestrator.run.run_history import runs_up_to


def merge_runs(names: Sequence[str], folder: Path | None, output: Output) -> ExitCode:
    """Put runs together into a new one, in `folder` or below the results."""
    parts = parts_of([find_run(output.results, name) for name in names])
    before = runs_up_to(output.results, output.since) if output.since else None
    made = _made(folder) if folder else new_folder(output.results, datetime.now(UTC))
    report = merge(parts, _whole(parts[0], made, name=str(folder) if folder else made.name), before)
    if not folder:
        point_latest(output.results, made.name)
        refresh_index(output.results)
    show_report(report, output)
    show_json(report, output)
    return exit_code(report)


def _made(folder: Path) -> Path:
    with writing(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UserError(f"--output {folder}: there are files in it", hint=f"ls {folder}")
    return folder.absolute()


def _whole(part: Part, folder: Path, *, name: str) -> RunReport:
    return RunReport(
        id=name,
        folder=folder,
        argv=(),
        matrix_path=part.report.matrix_path,
        matrix=part.report.matrix,
        started=part.report.started,
        seconds=0.0,
        versions={},
        builds=(),
        cells=(),
    )
