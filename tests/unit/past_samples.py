# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs of the past, for tests of the history."""

from collections.abc import Iterable

from orchestrator.model.history import CellIdentity, PastCell, PastRun
from orchestrator.model.outcomes import Outcome

SPLAT = "KASAN: use-after-free Read in f"


def identity(workload: str = "swapin", *, arch: str = "x86_64", variant: str = "patched") -> CellIdentity:
    series = "swap: hold the device" if variant == "patched" else ""
    return CellIdentity(
        kernel="6.19", series=series, variant=variant, flavour="plain", arch=arch, workload=workload, delays=""
    )


def past_cell(
    outcome: Outcome = Outcome.PASSED,
    title: str = "81230 operations",
    *,
    of: CellIdentity | None = None,
    repeat: int = 0,
    splats: tuple[str, ...] = (),
) -> PastCell:
    where = of or identity()
    name = f"{where.name}.{repeat}" if repeat else where.name
    return PastCell(where, name, outcome, title, splats, 24.5, 20.0)


def splat_cell(title: str = SPLAT, *, of: CellIdentity | None = None, repeat: int = 0) -> PastCell:
    return past_cell(Outcome.CRASHED, title, of=of, repeat=repeat, splats=(title,))


def hung_cell(*, of: CellIdentity | None = None, repeat: int = 0) -> PastCell:
    return past_cell(Outcome.HUNG, "a swapoff never returned", of=of, repeat=repeat)


def night(number: int, *cells: PastCell, regressed: tuple[str, ...] = ()) -> PastRun:
    return PastRun(
        id=f"2026-{number:04}",
        started="2026-11-22T19:01:02+00:00",
        matrix_path="m.yaml",
        command="run",
        seconds=300.0,
        cells=cells,
        regressed=regressed,
    )


def nights(each: Iterable[Iterable[PastCell]]) -> list[PastRun]:
    """One run for each, in order."""
    return [night(number, *cells) for number, cells in enumerate(each, start=1)]
