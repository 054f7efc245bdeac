# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's folder or report -> what a history needs of it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from math import isfinite
from pathlib import Path
from typing import Any

from orchestrator.model.configuration import Variant
from orchestrator.model.crashes import Severity
from orchestrator.model.history import CellIdentity, PastCell, PastRun, delays_text, release_line
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.model.subtests import Change
from orchestrator.report.stored import cell_values, run_values

# `patchrig repro` runs a cell because it failed, and --until-fail stops when it does: no sample of anything.
COUNTED = ("run",)
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)
_LONGEST = 1000


def past_run(report: RunReport) -> PastRun:
    """Of a report in memory."""
    return PastRun(
        id=report.folder.name,
        started=report.started,
        matrix_path=report.matrix_path,
        command=_command(report.argv),
        seconds=report.seconds,
        cells=tuple(_past_cell(cell, report.series_title) for cell in report.cells),
        regressed=tuple(f"{suite.name} {one.path}" for suite in report.suites for one in suite.of(Change.REGRESSED)),
        series_files=_files_text(report.series),
        finished=_finished(report.interrupted, report.seconds),
    )


def as_read(report: RunReport) -> PastRun | None:
    """past_run() as read_past_run() has it of the folder, but for the order of the cells; None where that differs."""
    known: dict[CellIdentity, CellIdentity] = {}
    with suppress(ValueError):
        cells = tuple(_as_read(_past_cell(cell, report.series_title), known) for cell in report.cells)
        if all(_text(word) == word for identity in known for word in identity):
            return past_run(replace(report, cells=()))._replace(cells=cells)
    return None


def _as_read(cell: PastCell, known: dict[CellIdentity, CellIdentity]) -> PastCell:
    """`known`: the identities so far, which repeats share."""
    return cell._replace(
        identity=known.setdefault(cell.identity, cell.identity),
        title=_text(cell.title),
        splats=tuple(map(_text, cell.splats)),
        seconds=_number(cell.seconds),
        load_seconds=_number(cell.load_seconds),
    )


def read_past_run(folder: Path) -> PastRun | None:
    """Of a run's folder; None where run.json can't be read. A cell whose line can't be read is left out."""
    values = run_values(folder)
    with suppress(*_UNREADABLE):
        if values is not None:
            title = _text(values.get("series_title", ""))
            return PastRun(
                id=folder.name,
                started=_text(values["started"]),
                matrix_path=_text(values["matrix_path"]),
                command=_command([_text(word) for word in values["argv"]]),
                seconds=_number(values["seconds"]),
                cells=tuple(_read_cells(folder, title)),
                regressed=tuple(_regressed(values)),
                series_files=_files_text(values.get("series")),
                finished=_finished(values.get("interrupted"), values["seconds"]),
            )
    return None


def _finished(interrupted: object, seconds: float) -> bool:
    # Of a run that is under way, or was killed, run.json does not have the time that it took.
    return interrupted is False and seconds > 0


def _command(argv: Any) -> str:
    return argv[1] if len(argv) > 1 else ""


def _files_text(files: Any) -> str:
    return json.dumps(dict(files), sort_keys=True) if isinstance(files, Mapping) else ""


def _past_cell(report: CellReport, series_title: str) -> PastCell:
    cell = report.cell
    fatal = (crash for crash in report.crashes if crash.fails)
    return PastCell(
        identity=CellIdentity(
            kernel=release_line(report.kernel.get("release", "")),
            series=series_title if cell.build.variant is Variant.PATCHED else "",
            variant=cell.build.variant.value,
            flavour=cell.build.flavour,
            arch=cell.build.arch,
            workload=cell.workload.name,
            delays=delays_text(asdict(cell.widening) if cell.widening else None),
        ),
        name=cell.name,
        outcome=report.verdict.outcome,
        title=report.verdict.title,
        splats=tuple(dict.fromkeys(crash.title for crash in fatal)),
        seconds=report.seconds,
        load_seconds=cell.seconds,
    )


def _read_cells(folder: Path, series_title: str) -> Iterator[PastCell]:
    known: dict[CellIdentity, CellIdentity] = {}
    for values in cell_values(folder):
        with suppress(*_UNREADABLE):
            cell = _read_cell(values, series_title)
            # Repeats share it.
            yield cell._replace(identity=known.setdefault(cell.identity, cell.identity))


def _read_cell(values: Mapping[str, Any], series_title: str) -> PastCell:
    """The same as _past_cell(), of what is stored."""
    cell, verdict = values["cell"], values["verdict"]
    build = cell["build"]
    variant = Variant(build["variant"])
    fatal = (one for one in values["crashes"] if one["severity"] == Severity.FATAL and not one["allowed"])
    identity = CellIdentity(
        kernel=release_line(_text(values["kernel"].get("release", ""))),
        series=series_title if variant is Variant.PATCHED else "",
        variant=variant.value,
        flavour=_text(build["flavour"]),
        arch=_text(build["arch"]),
        workload=_text(cell["workload"]["name"]),
        delays=delays_text(cell["widening"]),
    )
    return PastCell(
        identity=identity,
        # Cell.name, of the cell as it is stored.
        name=identity.name + (f".{int(cell['repeat'])}" if cell["repeats"] > 1 else ""),
        outcome=Outcome(verdict["outcome"]),
        title=_text(verdict["title"]),
        splats=tuple(dict.fromkeys(_text(one["title"]) for one in fatal)),
        seconds=_number(values["seconds"]),
        load_seconds=_number(cell["seconds"]),
    )


def _regressed(values: Mapping[str, Any]) -> Iterator[str]:
    for suite in values.get("suites", ()):
        name = f"{suite['flavour']}.{suite['arch']}.{suite['suite']}"
        for one in suite["changes"]:
            if one["change"] == Change.REGRESSED:
                yield f"{name} {_text(one['path'])}"


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise ValueError(f"no text of a run: {value!r:.80}")
    # Half of a surrogate pair, as a console may hold it, is no text for a database. Text in ASCII is in memory once.
    return value if value.isascii() else value.encode("utf-8", errors="backslashreplace").decode()


def _number(value: object) -> float:
    found = float(value)  # type: ignore[arg-type]  # What is none raises.
    if not isfinite(found):
        raise ValueError("no number of a run")
    return found
