# SPDX-License-Identifier: GPL-2.0-or-later
"""The results folder: what had finished is there, whatever happens."""

import errno
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.host.errors import Cancelled, InfraError, UserError
from orchestrator.model.cells import Build
from orchestrator.model.configuration import Matrix, Variant
from orchestrator.model.images import BuildFailure
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport
from orchestrator.report.store import Store, find_cell, find_run, load_run, open_run
from tests.unit.samples import VERSIONS, cell, cell_report, crash, guest_run, image

MATRIX = Matrix(kernel="6.19", workloads=("mincore",), series=(Path("series.mbox"),))


@contextmanager
def opened(root: Path) -> Iterator[Store]:
    argv = ("patchrig", "run", "a b.yaml")
    with open_run(root, argv=argv, matrix_path="a b.yaml", matrix=MATRIX, versions=VERSIONS) as store:
        yield store


def test_a_run_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    build = BuildFailure(
        build=Build(variant=Variant.BASELINE, flavour="debug", arch="arm64"),
        outcome=Outcome.BUILD_FAILED,
        title="mm/x.c:1: error",
        detail="…",
        log=None,
    )
    with opened(tmp_path) as store:
        store.add_build(image())
        store.add_build(build)
        store.add_cells([cell_report(run=guest_run(), crashes=(crash(text="\x00\x1b\ud800 half a pair"),))])
        store.add_cells([cell_report(Outcome.LOST, "ssh", of=cell(workload="shmem"))])
        finished = store.save()

    assert replace(load_run(store.folder), seconds=0) == replace(finished, seconds=0)


def test_run_json_is_there_from_the_start(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        assert load_run(store.folder).argv == ("patchrig", "run", "a b.yaml")


def test_a_cell_is_on_the_disk_when_it_is_recorded(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.add_cells([cell_report(run=guest_run())])

        assert [found.cell.name for found in load_run(store.folder).cells] == ["patched.plain.x86_64.mincore"]
        result = json.loads((store.cell_folder(cell()) / "workload.json").read_text())
        assert result["swapoffs"] == 57


def test_the_layout_is_the_documented_one(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.build_folder(image().build)
        store.add_cells([cell_report(run=guest_run())])

    files = sorted(str(file.relative_to(store.folder)) for file in store.folder.rglob("*"))
    assert files == [
        "builds",
        "builds/patched.plain.x86_64",
        "cells",
        "cells.jsonl",
        "cells/patched.plain.x86_64.mincore",
        "cells/patched.plain.x86_64.mincore/workload.json",
        "junit.xml",
        "report.html",
        "run.json",
        "summary.txt",
        "timeline.svg",
        "trace.json",
    ]
    assert (tmp_path / "latest").resolve() == store.folder


def test_latest_follows_the_newest_run(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    with opened(tmp_path) as second:
        pass

    assert find_run(tmp_path, "latest") == second.folder


def test_a_mistake_before_the_first_cell_leaves_no_run(tmp_path: Path) -> None:
    def mistaken(*finished: CellReport) -> Path:
        with suppress(UserError), opened(tmp_path) as store:
            for one in finished:
                store.add_cells([one])
            raise UserError("only=f: the series changes no such function")
        return store.folder

    assert not mistaken().exists()
    assert list(tmp_path.iterdir()) == []
    with opened(tmp_path) as good:
        pass
    assert not mistaken().exists()
    assert find_run(tmp_path, "latest") == good.folder
    # What was found out before it is kept.
    kept = mistaken(cell_report(run=guest_run()))
    assert find_run(tmp_path, "latest") == kept
    assert len(load_run(kept).cells) == 1


@pytest.mark.parametrize(
    ("why", "interrupted"), [(Cancelled("x"), True), (KeyboardInterrupt(), True), (InfraError("x"), False)]
)
def test_what_had_finished_is_reported_when_the_run_breaks(
    tmp_path: Path, why: BaseException, interrupted: bool
) -> None:
    def broken() -> None:
        with opened(tmp_path) as store:
            store.add_cells([cell_report(run=guest_run())])
            raise why

    with pytest.raises(type(why)):
        broken()

    report = load_run(find_run(tmp_path, "latest"))
    assert (report.interrupted, len(report.cells)) == (interrupted, 1)
    assert "mincore" in (report.folder / "summary.txt").read_text()


def test_a_line_that_was_cut_off_by_a_kill_is_not_a_cell(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.add_cells([cell_report(run=guest_run())])
    with (store.folder / "cells.jsonl").open("a") as cells:
        cells.write('{"cell": {"build"')

    assert len(load_run(store.folder).cells) == 1


def test_threads_record_side_by_side(tmp_path: Path) -> None:
    cells = [cell_report(run=guest_run(), of=cell(repeat=number, repeats=40)) for number in range(1, 41)]
    with opened(tmp_path) as store, ThreadPoolExecutor(8) as pool:
        list(pool.map(store.add_cells, ([one] for one in cells)))

    assert len(load_run(store.folder).cells) == 40


def test_a_full_disk_says_so_and_keeps_what_is_there(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.add_cells([cell_report(run=guest_run())])
        cells = store.folder / "cells.jsonl"
        kept = cells.read_bytes()
        cells.unlink()
        # Every write to this device fails with ENOSPC, as on a full disk.
        cells.symlink_to("/dev/full")
        with pytest.raises(InfraError, match="the disk is full") as full:
            store.add_cells([cell_report(of=cell(workload="shmem"))])
        cells.unlink()
        cells.write_bytes(kept)

    assert full.value.hint.startswith("df -h ")
    assert isinstance(full.value.__cause__, OSError)
    assert full.value.__cause__.errno == errno.ENOSPC
    assert len(load_run(store.folder).cells) == 1


def test_a_root_that_cannot_be_written_is_our_trouble(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")

    with pytest.raises(InfraError, match="cannot write"), opened(tmp_path / "results"):
        pass


def test_nothing_temporary_is_left(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass

    assert not list(tmp_path.rglob(".*"))


def test_a_cell_is_found_by_its_name_or_a_part_that_no_other_has(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        for workload in ("shmem", "swapin"):
            store.add_cells([cell_report(of=cell(workload=workload))])
        report = store.report()

    assert find_cell(report, "patched.plain.x86_64.shmem").cell.workload.name == "shmem"
    assert find_cell(report, "swapin").cell.workload.name == "swapin"
    with pytest.raises(UserError, match="names of 2 cells"):
        find_cell(report, "plain")
    with pytest.raises(UserError, match=r"the nearest is patched\.plain\.x86_64\.shmem"):
        find_cell(report, "patched.plain.x86_64.shmen")


def test_of_several_cells_a_red_one_is_proposed(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        for repeat in range(1, 9):
            outcome = Outcome.CRASHED if repeat == 3 else Outcome.PASSED
            store.add_cells([cell_report(of=cell(workload="swapin", repeat=repeat, repeats=8), outcome=outcome)])
        report = store.report()

    with pytest.raises(UserError, match=r"names of 8 cells .* and 2 more") as error:
        find_cell(report, "swapin")

    assert "patched.plain.x86_64.swapin.3" in str(error.value.hint)


def test_a_run_is_found_by_the_start_of_its_id(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        pass

    assert find_run(tmp_path, store.folder.name[:10]) == store.folder
    assert find_run(tmp_path, str(store.folder)) == store.folder
    with pytest.raises(UserError, match="no run 'x'"):
        find_run(tmp_path, "x")


def test_a_start_that_several_runs_have_is_told_from_none(tmp_path: Path) -> None:
    for _ in range(2):
        with opened(tmp_path) as store:
            pass

    with pytest.raises(UserError, match=rf"^2 runs in .* begin with '20': .*{store.folder.name}"):
        find_run(tmp_path, "20")


def test_the_folder_of_seeded_bugs_is_no_run_and_says_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "sensitivity-1" / "bugs").mkdir(parents=True)

    with pytest.raises(UserError, match="has a run for each bug"):
        find_run(tmp_path, "sensitivity-1")


def test_a_folder_that_is_no_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not the folder of a run"):
        load_run(tmp_path)


def test_the_report_has_the_order_of_the_plan_whatever_ended_first(tmp_path: Path) -> None:
    planned = [cell(workload=name) for name in ("mincore", "shmem", "swapin")]
    with opened(tmp_path) as store:
        store.plan(planned, {"mm/shmem.c": "ab12"})
        for one in (planned[2], planned[0]):
            store.add_cells([cell_report(of=one)])
        report = store.save()

    assert [one.cell.workload.name for one in report.cells] == ["mincore", "swapin"]
    assert load_run(store.folder).series == {"mm/shmem.c": "ab12"}


def test_cells_that_end_together_are_all_on_the_disk(tmp_path: Path) -> None:
    with opened(tmp_path) as store, ThreadPoolExecutor(16) as pool:
        done = [pool.submit(store.add_cells, [cell_report(of=cell(repeat=n, repeats=200))]) for n in range(1, 201)]
        for one in done:
            one.result()

    assert sorted(one.cell.repeat for one in load_run(store.folder).cells) == list(range(1, 201))
