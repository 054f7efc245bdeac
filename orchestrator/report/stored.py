# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's folder, read back: a file that came from elsewhere, or from a disk that lost some of it.

Each line of cells.jsonl, and run.json, ends with the SHA-256 of the text before it; older files have none.
A line that can't be read costs its own cell, which then is `lost`, with the reason; never silence.
"""

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from orchestrator.host.errors import UserError
from orchestrator.host.text import json_text
from orchestrator.model.cells import Build, Cell
from orchestrator.model.configuration import DeviceKind, SwapDevice, Variant, Workload
from orchestrator.model.guests import Observation, WorkloadResult
from orchestrator.model.outcomes import Outcome, Verdict
from orchestrator.model.reports import CellReport, RunReport

T = TypeVar("T")

RUN_FILE = "run.json"
CELLS_FILE = "cells.jsonl"
CELL_COUNT = "cell_count"

RUN = TypeAdapter(RunReport)
CELL = TypeAdapter(CellReport)
_ONLY_CELL = TypeAdapter(Cell)
_OBSERVATION = TypeAdapter(Observation)
_RESULT = TypeAdapter(WorkloadResult)
# As with_sum() writes it, to the byte: what is behind the checksum is covered by nothing else.
_SUM = re.compile(rb', "sha256": "([0-9a-f]{64})"\n?\}\n?\Z')
_HUGE_NUMBER = re.compile(rb"[0-9]{%d}" % (sys.int_info.default_max_str_digits + 1))
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

    def line(self, report: CellReport) -> str:
        """The cell's line."""
        # In the order of the fields: build and workload are the first of a cell, and the cell that of a report.
        cell = joined(self._text(report.cell), dumped(_ONLY_CELL, report.cell, exclude={"build", "workload"}))
        others = dumped(CELL, report, exclude={"cell"})
        return with_sum(joined(f'{{"cell": {cell}}}', others)) + "\n"

    def _text(self, cell: Cell) -> str:
        place, workload = (cell.build, cell.workload.name), cell.workload
        known = self._workloads.get(place)
        if known is None or known[0] is not workload:
            text = dumped(_ONLY_CELL, cell, include={"build", "workload"})
            known = self._workloads[place] = workload, text
        return known[1]


def dumped(adapter: TypeAdapter[T], value: T, **how: Any) -> str:
    """What json_text() makes of a value, but for its spaces, in a quarter of the time; `how` as for pydantic."""
    # pydantic writes UTF-8, which json_text() escapes, and numbers that Python can't read, for which it raises.
    with suppress(PydanticSerializationError):
        text = adapter.dump_json(value, **how)
        if text.isascii() and b"\x7f" not in text and not _HUGE_NUMBER.search(text):
            return text.decode()
    indent = how.pop("indent", None)
    return json_text(adapter.dump_python(value, mode="json", **how), indent=indent)


def joined(one: str, other: str) -> str:
    """An object with the members of two JSON objects that have members, and are indented in the same way or not."""
    return f"{one[:-1].rstrip()},{other[1:]}"


def result_text(run: Observation, result: WorkloadResult) -> str:
    """The result of a cell's workload for people: with the sites that it reached, and the functions that ran."""
    proof = dumped(_OBSERVATION, run, include={"sites", "changed"}, indent=2)
    return joined(dumped(_RESULT, result, exclude={"changed"}, indent=2), proof)


def cell_lines(cells: Iterable[CellReport]) -> Iterator[str]:
    """The lines of cells.jsonl for these cells."""
    writer = LineWriter()
    return map(writer.line, cells)


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
