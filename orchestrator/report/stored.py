# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's folder, read back: a file that came from elsewhere, or from a disk that lost some of it.

Each line of cells.jsonl, and run.json, ends with the SHA-256 of the text before it; older files have none.
A line that can't be read costs its own cell, which then is `lost`, with the reason; never silence.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import TypeAdapter, ValidationError

from orchestrator.host.errors import UserError
from orchestrator.host.text import json_text
from orchestrator.model.cells import Build, Cell
from orchestrator.model.configuration import DeviceKind, SwapDevice, Variant, Workload
from orchestrator.model.outcomes import Outcome, Verdict
from orchestrator.model.reports import CellReport, RunReport

RUN_FILE = "run.json"
CELLS_FILE = "cells.jsonl"
CELL_COUNT = "cell_count"

RUN = TypeAdapter(RunReport)
CELL = TypeAdapter(CellReport)
_ONLY_CELL = TypeAdapter(Cell)
_WORKLOAD = TypeAdapter(Workload)
# As with_sum() writes it, to the byte: what is behind the checksum is covered by nothing else.
_SUM = re.compile(rb', "sha256": "([0-9a-f]{64})"\n?\}\n?\Z')
_UNREADABLE = "unreadable"
_MOST_DIGITS = 55


class _Bad(Exception):
    """A text is not what was written; the words say in what way."""


def with_sum(text: str) -> str:
    """The text of a JSON object, with one more member: the SHA-256 of all that is before it."""
    body = text.removesuffix("}").rstrip()
    end = "\n}" if "\n" in text else "}"
    return f'{body}, "sha256": "{hashlib.sha256(body.encode()).hexdigest()}"{end}'


class LineWriter:
    """Makes the lines of cells.jsonl. Half of a line is its workload, whose text is made once for many cells."""

    def __init__(self) -> None:
        self._workloads: dict[tuple[Build, str], tuple[Workload, str]] = {}

    def values(self, report: CellReport) -> dict[str, Any]:
        """What JSON says of a cell, without its workload."""
        return CELL.dump_python(report, mode="json", exclude={"cell": {"workload"}})  # type: ignore[no-any-return]

    def line(self, report: CellReport, values: Mapping[str, Any]) -> str:
        """The cell's line; `values` as values() gives them."""
        # In the order of the fields: build and workload are the first of a cell, and the cell that of a report.
        build, *rest = values["cell"].items()
        cell = f'{json_text(dict([build]))[:-1]}, "workload": {self._text(report.cell)}, '
        cell += json_text(dict(rest))[1:]
        others = json_text({name: value for name, value in values.items() if name != "cell"})
        return with_sum(f'{{"cell": {cell}, {others[1:]}') + "\n"

    def _text(self, cell: Cell) -> str:
        place, workload = (cell.build, cell.workload.name), cell.workload
        known = self._workloads.get(place)
        if known is None or known[0] is not workload:
            known = self._workloads[place] = workload, json_text(_WORKLOAD.dump_python(workload, mode="json"))
        return known[1]


def cell_lines(cells: Iterable[CellReport]) -> Iterator[str]:
    """The lines of cells.jsonl for these cells."""
    writer = LineWriter()
    return (writer.line(cell, writer.values(cell)) for cell in cells)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object of a file that with_sum() wrote. Raises UserError where it can't be read."""
    try:
        return _object(path.read_bytes())
    except (OSError, _Bad) as why:
        raise UserError(f"{path} can't be read: {why}", hint=f"ls -l {path.parent}") from why


def load_run(folder: Path) -> RunReport:
    """Read a run's folder back, the cells that finished included.

    A cell whose line can't be read is `lost`. Raises UserError where the folder is none of a run, or run.json can't be
    read.
    """
    path = folder / RUN_FILE
    stored = sealed_object(path)
    try:
        lines = (folder / CELLS_FILE).read_bytes() if (folder / CELLS_FILE).exists() else b""
    except OSError as why:
        raise _no_folder(folder, why) from why
    count = stored.pop(CELL_COUNT, 0)
    cells = list(_stored_cells(lines))
    missing = range(len(cells) + 1, (count if isinstance(count, int) else 0) + 1)
    cells += [_lost(_no_cell(number), f"line {number} of {CELLS_FILE} is missing") for number in missing[:_MOST]]
    try:
        return RUN.validate_python(stored | {"folder": str(folder), "cells": tuple(cells)})
    except ValidationError as why:
        raise UserError(f"{path} was written by another version, or by hand: {_first(why)}") from why


def sealed_object(path: Path) -> dict[str, Any]:
    """The JSON object of a file that ends with its checksum. Raises UserError where it can't be read."""
    try:
        return _object(path.read_bytes())
    except OSError as why:
        raise _no_folder(path.parent, why) from why
    except _Bad as why:
        raise UserError(f"{path} can't be read: {why}", hint=f"ls -l {path.parent}") from why


def _no_folder(folder: Path, why: OSError) -> UserError:
    return UserError(f"{folder} is not the folder of a run: {why}", hint="ls results/")


def run_values(folder: Path) -> dict[str, Any] | None:
    """run.json as it was written, without the types of a RunReport; None where it can't be read or has changed."""
    try:
        return _object((folder / RUN_FILE).read_bytes())
    except (OSError, _Bad):
        return None


def cell_values(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines of cells.jsonl that are as they were written, without the types of a CellReport.

    To make a value of each takes ten times as long.
    """
    try:
        with (folder / CELLS_FILE).open("rb") as lines:
            for line in lines:
                with suppress(_Bad):
                    yield _object(line)
    except OSError:
        return


# So many lines that are missing get a cell each.
_MOST = 10_000


def unreadable(report: RunReport) -> tuple[CellReport, ...]:
    """The cells of a run that was read back whose lines can't be read, or are missing."""
    return tuple(cell for cell in report.cells if _UNREADABLE in cell.kernel)


def _stored_cells(content: bytes) -> Iterator[CellReport]:
    *lines, rest = content.split(b"\n")
    # Without its newline the last line was being written when the run was killed.
    if rest and not rest.startswith(b"{"):
        lines.append(rest)
    for number, line in enumerate(lines, start=1):
        try:
            yield _stored_cell(line)
        except _Bad as why:
            yield _lost(_cell_of(line, number), f"line {number} of {CELLS_FILE} can't be read: {why}")


def _stored_cell(line: bytes) -> CellReport:
    try:
        return CELL.validate_python(_object(line))
    except ValidationError as why:
        raise _Bad(f"was written by another version, or by hand: {_first(why)}") from why


def _object(content: bytes) -> dict[str, Any]:
    """The JSON object that was written; raises _Bad."""
    if not content.strip(b"\0 \n"):
        raise _Bad("it is full of zeros" if content else "it is empty")
    found = _SUM.search(content)
    if found and hashlib.sha256(content[: found.start()]).hexdigest().encode() != found[1]:
        raise _Bad("it has changed since it was written: its checksum does not fit")
    if found is None and _had_sum(content):
        raise _Bad("it has changed since it was written: its checksum is damaged")
    value = _parsed(content)
    if not isinstance(value, dict):
        raise _Bad("it is no JSON object")
    value.pop("sha256", None)
    return value


def _had_sum(content: bytes) -> bool:
    """Whether the end is most likely a damaged checksum: older files have none, and end in words and small numbers."""
    return sum(content[-85:].count(digit) for digit in b"0123456789abcdef") > _MOST_DIGITS


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except RecursionError as why:
        raise _Bad("it is nested without end") from why
    except ValueError as why:
        raise _Bad(f"it is not JSON: {why}") from why


def _cell_of(line: bytes, number: int) -> Cell:
    """The cell that a damaged line seems to be of; else one that only has the line's number."""
    try:
        return _ONLY_CELL.validate_python(_parsed(line)["cell"])
    except (_Bad, ValidationError, LookupError, TypeError):
        return _no_cell(number)


def _no_cell(number: int) -> Cell:
    workload = Workload(
        name=f"line-{number}",
        summary=f"a line of {CELLS_FILE} that can't be read",
        program=PurePosixPath(_UNREADABLE),
        devices=(SwapDevice(kind=DeviceKind.ZRAM, size_mib=1),),
        exercised={_UNREADABLE: 1},
    )
    build = Build(variant=Variant.PATCHED, flavour=_UNREADABLE, arch=_UNREADABLE)
    return Cell(build=build, workload=workload, seconds=0, seed=0, repeat=1, repeats=1)


def _lost(cell: Cell, why: str) -> CellReport:
    return CellReport(
        cell=cell, verdict=Verdict(outcome=Outcome.LOST, title=why), run=None, kernel={_UNREADABLE: CELLS_FILE}
    )


def _first(why: ValidationError) -> str:
    error = why.errors()[0]
    return f"{'.'.join(map(str, error['loc']))}: {error['msg']}"
