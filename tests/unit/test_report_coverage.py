"""Which changed lines ran: the figures, and every form they are shown in."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner
from conftest import GOLDEN, Golden
from samples import cell, cell_report, guest_run, image, result, run_report

from orchestrator.cli.coverage import coverage
from orchestrator.coverage import (
    Block,
    BlockCount,
    ChangedFile,
    ChangedLine,
    CoverageMap,
    DiffLine,
    Executed,
    LineState,
    Piece,
)
from orchestrator.model import Build, CellReport, KernelImage, RunReport, Variant
from orchestrator.report.coverage import (
    added,
    annotated_patch,
    cobertura_text,
    coverage_of,
    headline,
    lcov_text,
    line_counts,
    not_run,
    target_counts,
)
from orchestrator.report.store import open_run
from orchestrator.report.summary import summary_text

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


def widened_image() -> KernelImage:
    return replace(image(), build=BUILD, coverage=MAP)


def widened_cell(executed: Executed | None, *, workload: str = "mincore") -> CellReport:
    known = cell(workload=workload)
    sites = known.workload.model_copy(update={"sites": {"mincore": ("mincore_swap",)}})
    run = replace(guest_run(result=result(counters=COUNTERS)), executed=executed)
    return cell_report(of=replace(known, build=BUILD, workload=sites), run=run)


def report(*executed: Executed | None) -> RunReport:
    cells = [widened_cell(one, workload=name) for one, name in zip(executed, ("mincore", "shmem"), strict=False)]
    return run_report(*cells, builds=(image(), widened_image()))


def test_only_instrumented_builds_have_coverage() -> None:
    (one,) = coverage_of(report(FIRST))

    assert one.build == "patched.widened.x86_64"
    assert coverage_of(run_report(builds=(image(),))) == ()


def test_a_lines_count_is_that_of_its_copies_over_all_workloads() -> None:
    (one,) = coverage_of(report(FIRST, {**SECOND, 0x30: BlockCount(hits=4)}))

    counts = {counted.line.line: (counted.count, counted.workloads) for counted in line_counts(one)}

    assert counts[82] == (45, ("mincore", "shmem"))
    assert counts[83] == (2, ("mincore",))
    assert counts[84] == (8, ("shmem",))
    assert counts[81] == (0, ())


def test_what_no_workload_reached_is_named_and_what_has_no_code_is_not() -> None:
    (one,) = coverage_of(report(FIRST, SECOND))

    assert [missed.line.line for missed in not_run(one)] == [84]
    assert headline(one) == (
        "2 of 3 changed lines with code ran, 2 of 3 blocks; 2 have no code; 1 are not instrumented; 1 are not built"
    )
    assert "NOT RUN by any workload: mm/mincore.c:84: put_swap_entry(entry, si);" in summary_text(report(FIRST))


def test_a_cell_that_could_not_say_is_told_and_proves_nothing() -> None:
    (one,) = coverage_of(report(None))

    assert len(not_run(one)) == 3
    assert "1 cells could not say" in headline(one)


def test_a_series_without_c_code_says_so() -> None:
    empty = replace(widened_image(), coverage=CoverageMap(side="new", diff=(), lines=(), blocks=()))

    (one,) = coverage_of(run_report(builds=(empty,)))

    assert headline(one) == "the series changes no C code: nothing to count or to widen"


def test_a_functions_blocks_and_delays_add_up() -> None:
    (one,) = coverage_of(report(FIRST, SECOND))

    mincore, put = target_counts(one)

    assert (mincore.name, mincore.ran, mincore.blocks) == ("mincore_swap", 2, 2)
    assert mincore.total == BlockCount(hits=88, sleeps=4, spins=1, refused=2)
    assert (put.ran, put.blocks) == (0, 1)


def test_a_site_has_its_calls_failed_trygets_and_sleeps() -> None:
    (one,) = coverage_of(report(FIRST))

    (site,) = one.sites

    assert (site.workload, site.calls, site.failed, site.delays.sleeps) == ("mincore", 45, 2, 3)


def test_the_annotated_patch_is_the_golden_one(golden: Golden) -> None:
    (one,) = coverage_of(report(FIRST, SECOND))

    golden.text(GOLDEN / "coverage" / "patch.txt", "".join(f"{line.text}\n" for line in annotated_patch(one)))


def test_the_lcov_tracefile_is_the_golden_one(golden: Golden) -> None:
    golden.text(GOLDEN / "coverage" / "changed.info", lcov_text(coverage_of(report(FIRST, SECOND))))


def test_the_cobertura_file_is_the_golden_one(golden: Golden) -> None:
    text = cobertura_text(coverage_of(report(FIRST, SECOND)), timestamp=1_763_838_062)

    golden.text(GOLDEN / "coverage" / "cobertura.xml", text)
    root = ET.fromstring(text)
    assert root.get("line-rate") == "0.6667"
    assert len(root.findall(".//class/lines/line")) == 3


def test_the_baselines_counts_stand_before_the_lines_that_go() -> None:
    gone = ChangedLine(
        file="mm/mincore.c", line=81, text=HUNK[1].text, state=LineState.CODE,
        pieces=(Piece(inside="mincore_swap", terms=((0x10, 1),)),),
    )  # fmt: skip
    old = replace(widened_image(), coverage=replace(MAP, side="old", lines=(gone,)))
    (one,) = coverage_of(run_report(widened_cell(FIRST), builds=(old,)))

    shown = [line for line in annotated_patch(one) if line.mark]

    assert [line.text.split() for line in shown] == [["40", "-", "si", "=", "get_swap_device(entry);"]]


def test_counts_of_blocks_add_up() -> None:
    assert added((FIRST, SECOND))[0x10] == BlockCount(hits=45, sleeps=4)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    with open_run(tmp_path, argv=("patchrig",), matrix_path="m.yaml", matrix=report().matrix, versions={}) as store:
        store.add_build(widened_image())
        store.add_cell(widened_cell(FIRST))
        store.add_cell(widened_cell({**SECOND, 0x30: BlockCount(hits=4)}, workload="shmem"))
    return tmp_path


def shown(stored: Path, *words: str) -> str:
    done = CliRunner().invoke(coverage, ["latest", "--results", str(stored), *words])
    assert done.exception is None, done.output
    return done.output


def test_the_table_of_a_stored_run_is_the_golden_one(stored: Path, golden: Golden) -> None:
    golden.text(GOLDEN / "coverage" / "table.txt", shown(stored))


def test_a_file_is_written_where_it_was_asked_for(stored: Path, tmp_path: Path) -> None:
    assert shown(stored, "--format", "lcov", "--output", str(tmp_path / "x.info")) == ""

    assert "DA:84,8" in (tmp_path / "x.info").read_text()


def test_a_run_without_an_instrumented_build_says_how_to_get_one(stored: Path) -> None:
    done = CliRunner().invoke(coverage, ["latest", "--results", str(stored), "--build", "arm64"])

    assert "no instrumented build called 'arm64'; its instrumented builds: patched.widened.x86_64" in str(
        done.exception
    )
