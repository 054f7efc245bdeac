# SPDX-License-Identifier: GPL-2.0-or-later
"""What was measured of the suite's reach: runs, reports of seeded bugs, and all there is to reach."""

from collections.abc import Mapping

from benchmarks.reach_measured import SITES, Lines, Measured, Run, Watch
from benchmarks.reach_table import Expected, all_rows
from orchestrator.model.blocks import ChangedLine, LineState
from orchestrator.model.cells import Build
from orchestrator.model.configuration import Variant
from orchestrator.model.series_diff import ChangedFunction
from orchestrator.report.coverage.figures import LineCount

WIDENED = Build(variant=Variant.PATCHED, flavour="widened", arch="x86_64")
MINCORE = ChangedFunction(file="mm/mincore.c", name="mincore_swap", first=70, last=99)
EXPECTED = Expected(
    classes={"a": "A", "b": "B", "c1": "C", "c2": "C", "c3": "C", "c4": "C"},
    pairs=frozenset({("patched", "swapin"), ("baseline", "swapin")}),
)
FULL = dict.fromkeys(SITES, 20)
MEDIAN = "median guest s to find, plain / widened"


def counted(number: int, text: str, count: int, state: LineState = LineState.CODE) -> LineCount:
    line = ChangedLine(file="mm/mincore.c", line=number, text=text, state=state)
    return LineCount(line=line, count=count, by_workload={})


def lines(*, ran: int = 28, not_run: tuple[str, ...] = (), failed: Mapping[str, int | None] = FULL) -> Lines:
    return Lines(ran=ran, coded=28, not_run=not_run, failed=failed, headline="28 of 28")


def run(name: str = "r1", *, seconds: float = 400.0, watches: tuple[Watch, ...] = (), **by_arch: Lines) -> Run:
    return Run(id=name, started=name, seconds=seconds, build_seconds=0.0, lines=by_arch, watches=watches)


def seeded(id_: str, status: str = "found", seconds: float = 9.0, **more: object) -> dict[str, object]:
    found = status == "found"
    known = {"id": id_, "status": status, "found": found, "guest_seconds": seconds}
    build = {"arch": "x86_64", "flavour": "widened", "workload": "swapin" if found else None}
    return {**known, **build, "attempts": [{"workload": "swapin"}, {"workload": "shmem"}], **more}


def bug_report(*bugs: dict[str, object], started: str = "1", **more: object) -> dict[str, object]:
    return {"id": f"sensitivity-{started}", "started": started, "bugs": bugs, "control": (), **more}


def watch(arch: str = "x86_64", *, variant: str = "patched", minutes: float = 25.0, alarm: str = "") -> Watch:
    return Watch(arch=arch, pair=(variant, "swapin"), seconds=60 * minutes, alarm=alarm)


def marked(measured: Measured, what: str, arch: str = "x86_64") -> tuple[str, bool | None]:
    (row,) = (row for row in all_rows(measured, EXPECTED) if row.what.startswith(what))
    return row.marks[arch].text, row.marks[arch].reached


def everything() -> Measured:
    """All there is to reach, reached."""
    bugs = [
        seeded(id_, arch=arch, flavour=flavour)
        for arch in ("x86_64", "arm64")
        for flavour in ("plain", "widened")
        for id_, one in EXPECTED.classes.items()
        if arch == "x86_64" or one != "C"
    ]
    watches = tuple(watch(arch, variant=one) for arch in ("x86_64", "arm64") for one in ("patched", "baseline"))
    return Measured(runs=(run(watches=watches, x86_64=lines(), arm64=lines()),), reports=(bug_report(*bugs),))
