# SPDX-License-Identifier: GPL-2.0-or-later
"""The story of `patchrig merge`: runs of parts of one matrix, on one machine or many, become one run."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.host.errors import UserError
from orchestrator.host.files import link_or_copy
from orchestrator.judge.suite_comparison import comparisons
from orchestrator.model.cells import Cell
from orchestrator.model.history import PastRun
from orchestrator.model.reports import RunReport
from orchestrator.model.shards import Shard
from orchestrator.plan.division import cells_of, number_of
from orchestrator.report.kept_diff import DIFF_FILE
from orchestrator.report.merging import MergedCell, merged_cells, merged_report
from orchestrator.report.run_files import write_whole, writing
from orchestrator.report.store import Store, load_run
from orchestrator.report.stored import CELLS_FILE, cell_lines
from orchestrator.run.bootable import initramfs_name
from orchestrator.run.kept_plan import (
    KeptPlan,
    keep_plan,
    load_plan_of,
    other_fields,
    other_inputs,
    other_program,
    unplaced,
)
from orchestrator.run.run_history import what_is_new
from orchestrator.run.run_keys import keys_of_run

_GUEST = "guest"
# Of these the digests of what was read tell more than their names, and each machine has paths of its own.
_BY_DIGEST = ("kernel", "series")


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A run that is merged with others."""

    folder: Path
    report: RunReport
    kept: KeptPlan

    @property
    def shard(self) -> Shard | None:
        return self.kept.request.shard


def parts_of(folders: Sequence[Path]) -> tuple[Part, ...]:
    """The runs in these folders, each once. Raises UserError where one is not of the same matrix, series and kernel."""
    parts = tuple(_part(folder) for folder in dict.fromkeys(folders))
    for part in parts[1:]:
        if reasons := list(_differences(parts[0].kept, part.kept)):
            raise UserError(
                f"{parts[0].report.id} and {part.report.id} are not of one matrix: {'; '.join(reasons)}",
                hint="merge runs of the same series, kernel, matrix and patchrig",
            )
    return parts


def _part(folder: Path) -> Part:
    report, kept = load_run(folder), load_plan_of(folder)
    if kept is None or kept.inputs is None:
        why = "not begun by `patchrig run`" if kept is None else "over before its series and source were read"
        raise UserError(f"{report.id} can't be merged: it was {why}", hint="leave it out")
    return Part(folder=folder, report=report, kept=kept)


def _differences(one: KeptPlan, other: KeptPlan) -> Iterator[str]:
    yield from other_program(one.program, other.program)
    yield from other_inputs(one, other.inputs)
    ours, theirs = one.request.plan, other.request.plan
    yield from other_fields("the matrix", ours.matrix, theirs.matrix, beside=(*_BY_DIGEST, "workloads"))
    names = [[load.name for load in plan.workloads] for plan in (ours, theirs)]
    if names[0] != names[1]:
        yield f"the workloads differ: {', '.join(names[0])} and {', '.join(names[1])}"
        return
    for load, beside in zip(ours.workloads, theirs.workloads, strict=True):
        if unplaced(load) != unplaced(beside) or one.workloads[load.name] != other.workloads[load.name]:
            yield f"the workload {load.name} differs"


def merge(parts: Sequence[Part], whole: RunReport, before: tuple[PastRun, ...] | None = None) -> RunReport:
    """Write the run that the parts make up; `whole` has its name, and its folder, which is there and empty.

    `before`: the runs beside which only what is new fails it; None: all failures do.
    Raises UserError where a cell ended twice in different ways, or kernels differ; InfraError where the disk refuses.
    """
    plan = replace(parts[0].kept, request=replace(parts[0].kept.request, shard=None), junit=None)
    planned = plan.request.cells
    cells = list(merged_cells([part.report for part in parts], planned, lambda cell: _why_missing(cell, parts)))
    report = merged_report([part.report for part in parts], cells, whole)
    with writing(report.folder):
        _copy_cells(cells, report.folder)
        _copy_builds(parts, report)
    keep_plan(plan, report.folder)
    kept = tuple(replace(cell, folder=_folder(cell.folder, report.folder)) for cell in report.cells)
    write_whole(report.folder / CELLS_FILE, cell_lines(kept))
    store = Store(replace(report, cells=kept))
    store.order(planned)
    # Over the cells of all parts: none of them had both variants, or all repeats, of a suite.
    store.set_suites(comparisons(store.report().cells))
    if before is not None:
        store.set_news(what_is_new(store.report(), before))
    return store.save(interrupted=report.interrupted)


def _folder(name: str, run: Path) -> str:
    return name if name and (run / name).is_dir() else ""


def _why_missing(cell: Cell, parts: Sequence[Part]) -> str:
    """Where a cell should have come from that no part has."""
    for part in parts:
        if cell in cells_of([cell], part.shard):
            return f"never run: {part.report.id} ended before it; patchrig resume {part.report.id}, and merge again"
    counts = {part.shard.count for part in parts if part.shard}
    shards = " or ".join(Shard(number_of(cell, count), count).text for count in sorted(counts))
    return f"never run: no run of shard {shards} was merged"


def _copy_cells(cells: Sequence[MergedCell], target: Path) -> None:
    for one in cells:
        if one.run and one.report.folder:
            copy_files(one.run.folder / one.report.folder, target / one.report.folder)


def _copy_builds(parts: Sequence[Part], report: RunReport) -> None:
    """What guests start from, for `patchrig repro`: of each build, from a part that has it."""
    guest = report.folder / _GUEST
    guest.mkdir()
    for build in report.builds:
        name, initramfs = f"builds/{build.build.name}", initramfs_name(build.build)
        whose = sorted(parts, key=lambda part: not (part.folder / _GUEST / initramfs).is_file())[0]
        copy_files(whose.folder / name, report.folder / name)
        if (whose.folder / _GUEST / initramfs).is_file():
            link_or_copy(whose.folder / _GUEST / initramfs, guest / initramfs)
    diff = next((part.folder / DIFF_FILE for part in parts if (part.folder / DIFF_FILE).is_file()), None)
    if diff:
        link_or_copy(diff, report.folder / DIFF_FILE)
    # Each part has keys of its own.
    keys_of_run(guest)


def copy_files(source: Path, target: Path) -> None:
    """The plain files below a folder, as hard links where that can be; a link in it leads nowhere we go."""
    for name, _, files in os.walk(source):
        folder = target / Path(name).relative_to(source)
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            path = Path(name) / file
            if path.is_file() and not path.is_symlink():
                link_or_copy(path, folder / file)
