# SPDX-License-Identifier: GPL-2.0-or-later
"""What the cells of a run prove together about the functions that a series changes (pure)."""

from collections.abc import Iterable, Mapping, Sequence

from orchestrator.model.configuration import Variant
from orchestrator.model.outcomes import Outcome
from orchestrator.model.probes import ChangedSeen
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.report.proof_text import names_text, reach_by_arch


def excused(report: RunReport) -> Mapping[str, str]:
    """Cells that are not good and do not fail the run, and why: others ran what they should, or earlier runs had it."""
    return {**reached_by_others(report.cells), **(report.news.known if report.news else {})}


def is_excused(report: RunReport, cells: Sequence[CellReport]) -> bool:
    """Whether none of these cells fails the run."""
    known = report.news.known if report.news else {}
    # Most findings are neither: no look at all cells for them.
    if not all(cell.cell.name in known or cell.verdict.unreached for cell in cells):
        return False
    names = excused(report)
    return all(cell.cell.name in names for cell in cells)


def reached_by_others(cells: Iterable[CellReport]) -> dict[str, str]:
    """Cells that ran none of the changed functions that they are meant to reach, where other cells of their arch did.

    A file has many functions, and a workload that is meant for the file need not run each of them.
    """
    every = list(cells)
    unreached = [cell for cell in every if cell.verdict.unreached]
    arches = {cell.cell.build.arch for cell in unreached}
    others = (cell for cell in every if cell.cell.build.arch in arches)
    ran = {reach.arch: frozenset(reach.changed.ran) for reach in reach_by_arch(others)}
    found = {}
    for cell in unreached:
        meant = cell.run.changed.meant if cell.run and cell.run.changed else ()
        if names := [name for name in meant if name in ran.get(cell.cell.build.arch, ())]:
            found[cell.cell.name] = f"does not fail the run, as other cells ran {names_text(names)}"
    return found


def unproved(report: RunReport) -> str:
    """Why a run without a bad cell says nothing of its series: no cell ran anything of it. "" where one did.

    Only what was observed is claimed: where a function or a cell could not be observed, it may have run.
    """
    patched = [cell for cell in report.cells if cell.cell.build.variant is Variant.PATCHED]
    if report.shard or report.interrupted or not all(map(_was_observed, patched)):
        return ""
    changed = [reach.changed for reach in reach_by_arch(report.cells)]
    if any(one.ran or one.early or one.unknown for one in changed):
        return ""
    if not any(one.not_reached for one in changed):
        return _left_out(changed)
    return "No cell was seen to run a function that the series changes: this run proves nothing about it."


def _left_out(changed: Sequence[ChangedSeen]) -> str:
    """Only where an option is known for each function: the compiler drops some that are inlined, and they count."""
    if not changed or not all(one.no_code and set(one.no_code) <= one.left_out.keys() for one in changed):
        return ""
    options = names_text(list(dict.fromkeys(why for one in changed for why in one.left_out.values())))
    return f"These kernels have no function that the series changes ({options}): this run proves nothing about it."


def _was_observed(cell: CellReport) -> bool:
    return cell.run is not None and cell.run.changed is not None and cell.verdict.outcome is not Outcome.LOST
