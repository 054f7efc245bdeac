# SPDX-License-Identifier: GPL-2.0-or-later
"""What the cells of a widened kernel ran, of a series with every kind of changed line."""

from dataclasses import replace

from orchestrator.model.blocks import (
    Block,
    BlockCount,
    ChangedLine,
    CoverageMap,
    Executed,
    LineState,
    Piece,
)
from orchestrator.model.cells import Build
from orchestrator.model.configuration import Failure, SiteWay, Variant
from orchestrator.model.images import KernelImage
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.model.series_diff import ChangedFile, DiffLine
from tests.unit.samples import cell, cell_report, guest_run, image, result, run_report

HUNK = (
    DiffLine(kind=" ", old=80, new=80, text=""),
    DiffLine(kind="-", old=81, new=0, text="\tsi = get_swap_device(entry);"),
    DiffLine(kind="+", old=0, new=81, text="\t/* Hold swapoff off. */"),
    DiffLine(kind="+", old=0, new=82, text="\tif (!tryget_swap_entry(entry, &si))"),
    DiffLine(kind="+", old=0, new=83, text="\t\treturn 0;"),
    DiffLine(kind="+", old=0, new=84, text="\tput_swap_entry(entry, si);"),
)
HEADER = (
    DiffLine(kind="+", old=0, new=9, text="static inline void put_swap_entry(...)"),
    DiffLine(kind="+", old=0, new=10, text="\tput_swap_device(si);"),
)
OTHER = (DiffLine(kind="+", old=0, new=5, text="\tother();"),)


def lines() -> tuple[ChangedLine, ...]:
    def line(at: DiffLine, state: LineState, *pieces: Piece, file: str = "mm/mincore.c") -> ChangedLine:
        return ChangedLine(file=file, line=at.new, text=at.text, state=state, pieces=pieces)

    def own(*terms: tuple[int, int], inside: str = "mincore_swap") -> Piece:
        return Piece(inside=inside, terms=terms)

    header = "include/linux/swap.h"
    return (
        line(HUNK[2], LineState.NO_CODE),
        line(HUNK[3], LineState.CODE, own((0x10, 1))),
        # What entered and went no further.
        line(HUNK[4], LineState.CODE, own((0x10, 1), (0x20, -1))),
        line(HUNK[5], LineState.CODE, own((0x30, 1)), own((0x30, 1), inside="mincore_pte_range")),
        line(HEADER[0], LineState.NO_CODE, file=header),
        line(HEADER[1], LineState.NOT_INSTRUMENTED, file=header),
        line(OTHER[0], LineState.NOT_BUILT, file="mm/other.c"),
    )


def blocks() -> tuple[Block, ...]:
    places = ((0x10, "mincore_swap", 82), (0x20, "mincore_swap", 84), (0x30, "put_swap_entry", 10))
    return tuple(
        Block(offset=offset, target=target, inside="mincore_swap", file="mm/mincore.c", line=line)
        for offset, target, line in places
    )


MAP = CoverageMap(
    side="new",
    diff=(
        ChangedFile(path="mm/mincore.c", hunks=(HUNK,)),
        ChangedFile(path="include/linux/swap.h", hunks=(HEADER,)),
        ChangedFile(path="mm/other.c", hunks=(OTHER,)),
    ),
    lines=lines(),
    blocks=blocks(),
)
BUILD = Build(variant=Variant.PATCHED, flavour="widened", arch="x86_64")
FIRST = {0x10: BlockCount(hits=40, sleeps=3), 0x20: BlockCount(hits=38, spins=1, refused=2)}
SECOND = {0x10: BlockCount(hits=5, sleeps=1), 0x20: BlockCount(hits=5)}
COUNTERS = {"site.mincore.calls": 45, "site.mincore.failed": 2}

# The baseline's line is the one that the series takes away.
OLD_MAP = replace(
    MAP,
    side="old",
    lines=(
        ChangedLine(
            file="mm/mincore.c", line=81, text=HUNK[1].text, state=LineState.CODE,
            pieces=(Piece(inside="mincore_swap", terms=((0x10, 1),)),),
        ),
    ),
)  # fmt: skip


def widened_image(build: Build = BUILD, coverage: CoverageMap = MAP) -> KernelImage:
    return replace(image(), build=build, coverage=coverage)


def widened_cell(executed: Executed | None, *, workload: str = "mincore", build: Build = BUILD) -> CellReport:
    known = cell(workload=workload)
    way = SiteWay(call="get_swap_device", by=("mincore_swap",), failure=Failure.NULL_POINTER)
    sites = known.workload.model_copy(update={"sites": {"mincore": (way,)}})
    run = replace(guest_run(result=result(counters=COUNTERS)), executed=executed)
    return cell_report(of=replace(known, build=build, workload=sites), run=run)


def report(*executed: Executed | None, coverage: CoverageMap = MAP) -> RunReport:
    cells = [widened_cell(one, workload=name) for one, name in zip(executed, ("mincore", "shmem"), strict=False)]
    return run_report(*cells, builds=(image(), widened_image(coverage=coverage)))
