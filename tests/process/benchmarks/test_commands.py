# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmarks' commands, run as a developer does."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from orchestrator.host.paths import PROJECT
from orchestrator.model.blocks import BlockCount, ChangedLine, CoverageMap, LineState, Piece
from orchestrator.model.bugs import Attempt, BugReport, BugStatus, Control, SeededBug, Sensitivity
from orchestrator.model.outcomes import Outcome
from orchestrator.model.series_diff import SeriesDiff
from orchestrator.report.bugs_report import as_json
from orchestrator.report.kept_diff import save_diff
from orchestrator.report.store import open_run
from tests.unit.benchmarks.reach_samples import MEDIAN, MINCORE, WIDENED
from tests.unit.samples import cell, cell_report, guest_run, image, run_report


def test_the_rows_are_listed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.measure", "--list"], cwd=PROJECT, capture_output=True, text=True, check=True
    )

    assert [text.split()[0] for text in done.stdout.splitlines()] == [
        *("boot", "cells", "edit", "matrix", "answers", "own-tree", "hook"),
        *("vng-boot-x86_64", "vng-boot-arm64", "vng-build", "rebuild"),
    ]


def test_reports_of_seeded_bugs_are_compared_by_the_bugs_that_both_found(tmp_path: Path) -> None:
    def bug(name: str, seconds: float, status: str = "found") -> dict[str, object]:
        return {"id": name, "class": "C", "status": status, "found": status == "found", "guest_seconds": seconds}

    reports = {
        "plain": [bug("a", 40.0), bug("b", 300.0, "survived"), bug("c", 10.0), bug("d", 0.0, "untried")],
        "widened": [bug("a", 4.0), bug("b", 20.0), bug("c", 2.0)],
    }
    for name, bugs in reports.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "sensitivity.json").write_text(json.dumps({"bugs": bugs}))
    argv = [sys.executable, "-m", "benchmarks.time_to_find", *(str(tmp_path / name) for name in reports)]

    said = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=True).stdout

    assert "| C | 2 of 3, 25.0 s (of 2) | 3 of 3, 3.0 s (of 2) |" in said.splitlines()


def widened_run(root: Path) -> Path:
    """The folder of a run on x86_64: of 40 try-gets 38 were put."""
    kinds = ((82, "\tif (!tryget_swap_entry(entry, &si))", 0x10), (84, "\tput_swap_entry(entry, si);", 0x20))
    changed = tuple(
        ChangedLine(
            file="mm/mincore.c",
            line=number,
            text=text,
            state=LineState.CODE,
            pieces=(Piece(inside="mincore_pte_range", terms=((offset, 1),)),),
        )
        for number, text, offset in kinds
    )
    kernel = replace(image(), build=WIDENED, coverage=CoverageMap(side="new", diff=(), lines=changed, blocks=()))
    executed = {0x10: BlockCount(hits=40), 0x20: BlockCount(hits=38)}
    with open_run(root, argv=(), matrix_path="m.yaml", matrix=run_report().matrix, versions={}) as store:
        store.add_build(kernel)
        store.add_cells([cell_report(of=replace(cell(), build=WIDENED), run=replace(guest_run(), executed=executed))])
        save_diff(SeriesDiff(files=(), functions=(MINCORE,), texts={}), store.folder)
    return store.folder


def seeded_bugs(folder: Path) -> Path:
    """The folder of a report: one of the project's own bugs was found, after a control that was red."""
    attempt = Attempt(
        workload="swapin", seconds=20, outcome=Outcome.HUNG, title="a swapoff never returned", found=True,
        guest_seconds=31.5, cell="patched.widened.x86_64.swapin", folder="",
    )  # fmt: skip
    bug = SeededBug(id="swapin-leak", path=Path("swapin-leak.patch"), diff="", touched=(), bug_class="A")
    report = Sensitivity(
        id="sensitivity-1", folder=folder, argv=(), matrix_path="m.yaml", started="1", versions={},
        control=(Control(build=WIDENED, attempt=attempt),),
        bugs=(BugReport(bug=bug, build=WIDENED, status=BugStatus.FOUND, attempts=(attempt,)),),
    )  # fmt: skip
    folder.mkdir()
    (folder / "sensitivity.json").write_text(json.dumps(as_json(report)))
    return folder


def test_the_command_reads_folders_of_both_kinds_and_says_what_is_missing(tmp_path: Path) -> None:
    folders = [widened_run(tmp_path), seeded_bugs(tmp_path / "bugs")]
    # The same one again by another name.
    argv = [sys.executable, "-m", "benchmarks.reach", "--read", *map(str, folders), str(tmp_path / "latest")]

    done = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (1, "")
    shown = {row[1].strip(): row[2].strip() for line in done.stdout.splitlines() if (row := line.split("|"))[1:]}
    assert shown["changed lines that ran, of those with code"] == "2 of 2"
    assert shown["failed try-gets, mincore_swap"] == "2"
    assert shown["failed try-gets, do_swap_page"] == "not measured"
    assert shown["class A: found in 30 guest s"].startswith("0 of 1, 1 at all; ")
    assert shown[f"{MEDIAN}, class A"] == "- / 31.5 (of 1)"
    assert shown["control: guest minutes"] == "0.9 of 2 guests"
    assert "- swapin-leak x86_64 (class A): found, 31.5 guest s of 30, swapin" in done.stdout
    assert "- patched.widened.x86_64.swapin: hung: a swapoff never returned (sensitivity-1)" in done.stdout


def test_the_command_refuses_what_is_no_folder_of_results(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "benchmarks.reach", "--read", str(tmp_path)]

    assert subprocess.run(argv, cwd=PROJECT, capture_output=True, check=False).returncode == 2
