# SPDX-License-Identifier: GPL-2.0-or-later
"""Values of the model for tests: a cell, its guest's run, a report."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from orchestrator.model.cells import Build, Cell
from orchestrator.model.configuration import DeviceKind, Matrix, SwapDevice, Variant, Workload
from orchestrator.model.crashes import Crash, CrashKind, Severity
from orchestrator.model.guests import (
    Accounting,
    Ending,
    Mismatch,
    Observation,
    Standstill,
    StuckTask,
    UnexpectedError,
    WorkloadResult,
)
from orchestrator.model.images import BuildFailure, KernelImage
from orchestrator.model.outcomes import Outcome, Verdict
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.model.stacks import SourceLine, StackFrame

HASHES = {"source": "60f1" * 16, "series": "ab12" * 16, "config": "0c0f" * 16}
VERSIONS = {"patchrig": "0.1.0", "python": "3.11.2", "qemu": "7.2.17"}
COUNTERS = {"operations": 81_230, "swapoffs": 57, "verified": 40_960, "site.mincore": 9_120}
NOTHING: Mapping[str, str] = {}
# The line that a workload ends with.
RESULT: Mapping[str, object] = {
    "type": "result",
    "operations": 1200,
    "verified": 800,
    "mismatch_count": 0,
    "mismatches": [],
    "errors": [],
    "swapoffs": 9,
    "swapoff_longest_ms": 12.5,
    "swapoff_stuck": False,
    "counters": {"before": {}, "after": {"swapoffs": 9}},
}


def cell(
    *,
    workload: str = "mincore",
    arch: str = "x86_64",
    repeat: int = 1,
    repeats: int = 1,
    least: int = 100,
    variant: Variant = Variant.PATCHED,
) -> Cell:
    return Cell(
        build=Build(variant=variant, flavour="plain", arch=arch),
        workload=Workload(
            name=workload,
            summary="mincore over swapped shared memory",
            program=PurePosixPath("mincore.c"),
            devices=(SwapDevice(kind=DeviceKind.VIRTIO_BLK, size_mib=64),),
            exercised={"site.mincore": least, "swapoffs": 5},
        ),
        seconds=20,
        seed=repeat,
        repeat=repeat,
        repeats=repeats,
    )


# Each of the following has parameters for what tests often set. A test sets other fields with dataclasses.replace():
# mypy knows these names, too.


def result(
    *,
    counters: Mapping[str, int] = COUNTERS,
    mismatch_count: int = 0,
    mismatches: tuple[Mismatch, ...] = (),
    errors: tuple[UnexpectedError, ...] = (),
    lacking: Mapping[str, str] = NOTHING,
    missing: str = "",
    accounting: Accounting | None = None,
) -> WorkloadResult:
    return WorkloadResult(
        operations=81_230,
        verified=40_960,
        mismatch_count=mismatch_count,
        mismatches=mismatches,
        errors=errors,
        swapoffs=57,
        swapoff_longest_ms=812.5,
        swapoff_stuck=False,
        counters=dict(counters),
        lacking=lacking,
        missing=missing,
        accounting=accounting,
    )


GOOD_RESULT = result()


def guest_run(
    ending: Ending = Ending.REPORTED,
    *,
    result: WorkloadResult | None = None,
    detail: str = "",
    stuck: tuple[StuckTask, ...] = (),
    standstill: Standstill | None = None,
    starved: float | None = None,
) -> Observation:
    """A guest whose workload reported has a good result, if no other is given, and the exit status 0."""
    reported = ending is Ending.REPORTED
    return Observation(
        ending=ending,
        detail=detail,
        result=result or (GOOD_RESULT if reported else None),
        exit_status=0 if reported else None,
        boot_seconds=2.1,
        guest_seconds=20.0,
        accelerator="tcg",
        starved=starved,
        stuck=stuck,
        standstill=standstill,
    )


def crash(
    kind: CrashKind = CrashKind.KASAN,
    title: str = "KASAN: use-after-free Read in f",
    *,
    line: int = 7,
    severity: Severity = Severity.FATAL,
    follow_up: bool = False,
    allowed: str = "",
    text: str = "[    1.000000] BUG: KASAN: use-after-free in f",
) -> Crash:
    return Crash(
        kind=kind,
        title=title,
        function="f",
        line=line,
        severity=severity,
        follow_up=follow_up,
        allowed=allowed,
        text=text,
    )


def explained_crash() -> Crash:
    """A crash whose frames have places: an inlined call, a function that the series changed, one that nobody knows."""
    put = SourceLine(function="percpu_ref_put", file="include/linux/percpu-refcount.h", line=334, inlined=True)
    use = SourceLine(function="swap_cache_get_folio", file="mm/swap_state.c", line=412, changed=True)
    dump = SourceLine(function="dump_stack_lvl", file="lib/dump_stack.c", line=94)
    fault = SourceLine(function="do_swap_page", file="mm/memory.c", line=4701)
    stack = (
        StackFrame(function="dump_stack_lvl", offset=0x5D, size=0x80, places=(dump,)),
        StackFrame(function="swap_cache_get_folio.isra.0", offset=0x12C, size=0x180, places=(put, use)),
        StackFrame(function="do_swap_page", offset=0x1A8, size=0x1500, places=(fault,)),
        StackFrame(function="zram_submit_bio", offset=0x10, size=0x90, module="zram"),
    )
    return replace(
        crash(title="KASAN: use-after-free Read in swap_cache_get_folio"),
        function="swap_cache_get_folio",
        task="swapin",
        stack=stack,
        first=1,
        excerpt=(
            "mm/swap_state.c:412 in swap_cache_get_folio",
            "   411 if (folio)",
            ">  412         put_swap_entry(entry);",
        ),
    )


def cell_report(
    outcome: Outcome = Outcome.PASSED,
    title: str = "81230 operations, 40960 pages verified, 57 swapoffs",
    *,
    of: Cell | None = None,
    run: Observation | None = None,
    reasons: tuple[str, ...] = (),
    crashes: tuple[Crash, ...] = (),
) -> CellReport:
    return CellReport(
        cell=of or cell(),
        verdict=Verdict(outcome=outcome, title=title, reasons=reasons),
        run=run,
        crashes=crashes,
        seconds=24.5,
        kernel={"release": "6.19.6", **HASHES},
        folder=f"cells/{(of or cell()).name}",
    )


def image(arch: str = "x86_64") -> KernelImage:
    return KernelImage(
        build=Build(variant=Variant.PATCHED, flavour="plain", arch=arch),
        image=Path("/cache/k/Image"),
        vmlinux=Path("/cache/k/vmlinux"),
        config=Path("/cache/k/config"),
        log=Path("/cache/k/build.log"),
        release="6.19.6",
        hashes=HASHES,
        seconds=312.0,
    )


def run_report(
    *cells: CellReport,
    argv: tuple[str, ...] = ("patchrig", "run", "configs/swapoff.yaml"),
    seconds: float = 351.0,
    builds: tuple[KernelImage | BuildFailure, ...] | None = None,
) -> RunReport:
    return RunReport(
        id="2026-11-22T190102Z-7f3a",
        folder=Path("results/2026-11-22T190102Z-7f3a"),
        argv=argv,
        matrix_path="configs/swapoff.yaml",
        matrix=Matrix(kernel="6.19", workloads=("mincore",)),
        started="2026-11-22T19:01:02+00:00",
        seconds=seconds,
        versions=VERSIONS,
        builds=(image(),) if builds is None else builds,
        cells=cells,
    )


def compared_report() -> RunReport:
    """Both variants, three repeats: a crash that only the series brings, one of both, one without any comparison."""
    later = crash(CrashKind.WARNING, "WARNING in swap_free", follow_up=True, line=90)
    common = crash(CrashKind.LOCKDEP, "possible deadlock in swapoff", line=3)
    noted = crash(CrashKind.OTHER, "injected failure", severity=Severity.NOTE, line=2)

    def bad(what: Crash, of: Cell, *more: Crash) -> CellReport:
        return cell_report(Outcome.CRASHED, what.title, of=of, run=guest_run(), crashes=(what, *more))

    cells = [
        bad(explained_crash(), cell(repeat=1, repeats=3), later),
        bad(explained_crash(), cell(repeat=2, repeats=3)),
        cell_report(of=cell(repeat=3, repeats=3), run=guest_run(), crashes=(noted,)),
        bad(common, cell(workload="shmem")),
        bad(replace(explained_crash(), title="KASAN: use-after-free Read in g"), cell(workload="willneed")),
    ]
    for number in (1, 2, 3):
        of = cell(repeat=number, repeats=3, variant=Variant.BASELINE)
        cells.append(cell_report(of=of, run=guest_run()))
    cells.append(bad(common, cell(workload="shmem", variant=Variant.BASELINE)))
    lost = cell(workload="willneed", variant=Variant.BASELINE)
    cells.append(cell_report(Outcome.LOST, "ssh: no route", of=lost))
    return run_report(*cells)


def mixed_report() -> RunReport:
    """Two builds: on one all is well, on the other nearly all that can go wrong did."""
    waiting = guest_run(Ending.SWAPOFF_STUCK)
    stuck = ("waiting in swapoff: wait_for_completion",)
    return run_report(
        cell_report(run=guest_run(), of=cell(workload="swapin")),
        cell_report(run=guest_run()),
        cell_report(Outcome.HUNG, "a swapoff never returned", of=cell(arch="arm64"), run=waiting, reasons=stuck),
        cell_report(
            Outcome.HUNG,
            "a swapoff never returned",
            of=cell(workload="shmem", arch="arm64"),
            run=waiting,
            reasons=stuck,
        ),
        cell_report(
            Outcome.CRASHED,
            "KASAN: use-after-free Read in f",
            of=cell(workload="swapin", arch="arm64"),
            run=guest_run(Ending.GUEST_GONE),
            crashes=(crash(),),
        ),
        cell_report(
            Outcome.NOT_EXERCISED,
            "site.mincore grew by 3, at least 100 expected",
            of=cell(workload="willneed", arch="arm64"),
            run=guest_run(result=result(counters={"site.mincore": 3})),
        ),
        cell_report(Outcome.LOST, "ssh: no route", of=cell(workload="zswap-writeback", arch="arm64")),
        cell_report(Outcome.SKIPPED, "interrupted before it ended", of=cell(workload="uffd-move", arch="arm64")),
        builds=(image(), image("arm64")),
    )
