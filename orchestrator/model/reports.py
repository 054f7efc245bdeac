# SPDX-License-Identifier: GPL-2.0-or-later
"""A finished cell, and a finished run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

from orchestrator.model.cells import Cell
from orchestrator.model.configuration import Matrix
from orchestrator.model.crashes import Crash, CrashEntry
from orchestrator.model.guests import Observation
from orchestrator.model.history import News
from orchestrator.model.images import BuildFailure, KernelImage
from orchestrator.model.matrix_choices import MatrixChoices
from orchestrator.model.outcomes import Verdict
from orchestrator.model.phases import Span, Timing
from orchestrator.model.reach import ChangedReach
from orchestrator.model.subtests import SuiteComparison

CellFolder = Annotated[str, Field(pattern=r"^(cells/[A-Za-z0-9][A-Za-z0-9_.+-]*)?$")]


@dataclass(frozen=True, kw_only=True, slots=True)
class CellReport:
    """One finished cell: a line in cells.jsonl, a case in junit.xml, a row of the table."""

    cell: Cell
    verdict: Verdict
    run: Observation | None  # None: never booted
    crashes: tuple[Crash, ...] = ()
    seconds: float = 0.0  # on the host, from QEMU's start to the verdict
    kernel: Mapping[str, str] = field(default_factory=dict)  # release and hashes of the image
    folder: CellFolder = ""  # relative to the run's folder; "" where the cell never began
    key: str = ""  # from which anybody can replay it; "": its guest was not deterministic, or there is none
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RunReport:
    """Everything of one invocation; run.json without the cells."""

    id: str  # 2026-11-22T190102Z-7f3a
    folder: Path
    argv: tuple[str, ...]
    matrix_path: str
    matrix: Matrix
    started: str  # ISO 8601, UTC
    seconds: float
    versions: Mapping[str, str]  # patchrig, python, qemu, gcc, host kernel
    builds: tuple[KernelImage | BuildFailure, ...]
    cells: tuple[CellReport, ...]
    interrupted: bool = False
    crashes: tuple[CrashEntry, ...] = ()  # each once, worst first
    suites: tuple[SuiteComparison, ...] = ()
    timings: tuple[Timing, ...] = ()  # of all that is no cell
    choices: MatrixChoices | None = None  # of a run that names no matrix
    reach: ChangedReach | None = (
        None  # what maps told of the series before the run; None: there was no series to ask for
    )
    left_out: tuple[str, ...] = ()  # what the matrix asks for and can't be, each with its reason
    shard: str = ""  # "2/5": the second of five parts of the matrix; "": all of it
    resumed: tuple[str, ...] = ()  # when `patchrig resume` went on with it: ISO 8601, UTC
    merged: tuple[str, ...] = ()  # the runs that `patchrig merge` made it of
    series: Mapping[str, str] | None = None  # what the series does to each file, as Series.by_file; None: not told
    series_title: str = ""  # the subject of its first patch, by which two runs know that they test the same series
    news: News | None = None  # what is new in it, of a run that was compared with those before it
