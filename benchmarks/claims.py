# SPDX-License-Identifier: GPL-2.0-or-later
"""Claimed races whose answer is known: what `patchrig settle` says of each.

python -m benchmarks.claims                      all twenty, on x86_64
python -m benchmarks.claims --only mincore       those whose name has the word
python -m benchmarks.claims --write              also stores the table for docs/measurements.md

A true claim is about a seeded bug, or about a bug of the unmodified kernel. A false one is about code that the swapoff
lock-out protects, or that needs no protection. Each kernel is built with the delays at the two places.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import measurements
from benchmarks.runs import MATRIX, PATCHRIG, PROJECT, SERIES
from orchestrator.model.arch import ARCHES
from orchestrator.model.claims import Decision

COLUMNS = ("claim", "on", "true", "decision", "cells", "met / holds at A", "met / holds at B", "finding", "seconds")
_SWAPOFF = "mm/swapfile.c:swapoff"
_LIMIT_SECONDS = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A claim, and the workload that runs both places."""

    name: str
    places: str
    workload: str
    bug: str = ""  # a file of kernels/bugs; "": the lock-out alone
    kernel: str = ""  # unmodified; "": that of the lock-out
    true: bool

    @property
    def on(self) -> str:
        return self.kernel or self.bug or "the lock-out"

    @property
    def source(self) -> tuple[str, ...]:
        if self.kernel:
            return ("--kernel", self.kernel)
        bug = PROJECT / "kernels" / "bugs" / f"{self.bug}.patch"
        patches = (SERIES, bug) if self.bug else (SERIES,)
        return (str(MATRIX), *(word for patch in patches for word in ("--patch", str(patch))))


def _with_bug(bug: str, function: str, workload: str) -> Claim:
    return Claim(name=bug, places=f"{function} | {_SWAPOFF}", workload=workload, bug=bug, true=True)


def _false(name: str, places: str, workload: str) -> Claim:
    return Claim(name=name, places=places, workload=workload, true=False)


CLAIMS = (
    _with_bug("swapin-no-reference", "do_swap_page", "swapin"),
    _with_bug("swapin-sigbus", "do_swap_page", "swapin"),
    _with_bug("mincore-no-reference", "mincore_swap", "mincore"),
    _with_bug("swapoff-no-wait", "mincore_swap", "mincore"),
    _with_bug("shmem-no-reference", "shmem_swapin_folio", "shmem"),
    _with_bug("willneed-no-reference", "read_swap_cache_async", "willneed"),
    _with_bug("readahead-no-reference", "swap_vma_readahead", "readahead"),
    _with_bug("uffd-move-no-reference", "move_pages_ptes", "uffd-move"),
    _with_bug("zswap-no-reference", "zswap_writeback_entry", "zswap-writeback"),
    Claim(
        name="huge-zero-shrink",
        places="get_huge_zero_folio | shrink_huge_zero_folio_scan",
        workload="huge-zero",
        kernel="6.19",
        true=True,
    ),
    _false("swapin", f"do_swap_page | {_SWAPOFF}", "swapin"),
    _false("mincore", f"mincore_swap | {_SWAPOFF}", "mincore"),
    _false("shmem", f"shmem_swapin_folio | {_SWAPOFF}", "shmem"),
    _false("willneed", f"read_swap_cache_async | {_SWAPOFF}", "willneed"),
    _false("readahead", f"swap_vma_readahead | {_SWAPOFF}", "readahead"),
    _false("uffd-move", f"move_pages_ptes | {_SWAPOFF}", "uffd-move"),
    _false("zswap-writeback", f"zswap_writeback_entry | {_SWAPOFF}", "zswap-writeback"),
    _false("copy-on-write", "wp_page_copy | mm/swapfile.c:swapon", "swapin"),
    _false("two-faults", "do_swap_page | do_swap_page", "swapin"),
    _false("look-and-fault", "mincore_swap | do_swap_page", "mincore"),
)


def settled(claim: Claim, results: Path, arch: str, schedules: int, seconds: int) -> tuple[str, ...]:
    """One row of the table."""
    argv = [str(PATCHRIG), "settle", claim.places, *claim.source, "--workload", claim.workload, "--arch", arch]
    argv += ["--schedules", str(schedules), "--seconds", str(seconds), "--results", str(results), "--json"]
    begun = time.monotonic()
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_LIMIT_SECONDS)
    took = f"{time.monotonic() - begun:.0f}"
    known = (claim.places.replace("|", "\\|"), claim.on, "yes" if claim.true else "no")
    if not done.stdout:
        sys.stderr.write(f"{claim.name}: {done.stderr}")
        return (*known, "no answer", "", "", "", "", took)
    answer = json.loads(done.stdout)
    met = tuple(f"{one['met']} / {one['holds']}" for one in answer["meetings"])
    return (*known, answer["decision"], str(answer["cells"]), *met, answer["title"] or answer["why"] or "", took)


def _right(row: tuple[str, ...]) -> bool:
    return row[3] == (Decision.SHOWN if row[2] == "yes" else Decision.NOT_SHOWN)


def _note(rows: list[tuple[str, ...]]) -> str:
    false_alarms = sum(row[2] == "no" and row[3] == Decision.SHOWN for row in rows)
    missed = sum(row[2] == "yes" and row[3] == Decision.NOT_SHOWN for row in rows)
    right = sum(map(_right, rows))
    return f"{right} of {len(rows)} right; {false_alarms} false claims shown; {missed} true claims not shown."


def main() -> int:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", choices=sorted(ARCHES), default="x86_64")
    parser.add_argument("--only", default="", help="claims whose name has this word")
    parser.add_argument("--schedules", type=int, default=10, help="of each claim, at most (default: 10)")
    parser.add_argument("--seconds", type=int, default=8, help="of the load in each guest (default: 8)")
    parser.add_argument("--results", type=Path, help="keep the runs in this folder (default: a temporary one)")
    parser.add_argument("--write", action="store_true", help="store the table for docs/measurements.md")
    asked = parser.parse_args()
    results = asked.results or Path(tempfile.mkdtemp(prefix="claims-"))
    rows = []
    for claim in CLAIMS:
        if asked.only in claim.name:
            rows.append(settled(claim, results, asked.arch, asked.schedules, asked.seconds))
            sys.stdout.write("  ".join(rows[-1]) + "\n")
            sys.stdout.flush()
    sys.stdout.write(f"{_note(rows)}\nruns: {results}\n")
    if asked.write:
        command = (
            f"python -m benchmarks.claims --arch {asked.arch} --schedules {asked.schedules} --seconds {asked.seconds}"
        )
        measurements.store(f"claims-{asked.arch}", measurements.Measurement(
            group=measurements.REPLAY,
            title=f"Claims whose answer is known, {asked.arch}",
            date=measurements.today(),
            machine=measurements.machine(),
            command=command,
            columns=COLUMNS,
            rows=tuple(rows),
            notes=(_note(rows),),
        ))  # fmt: skip
        measurements.main()
    return 0 if all(map(_right, rows)) else 1


if __name__ == "__main__":
    sys.exit(main())
