# SPDX-License-Identifier: GPL-2.0-or-later
"""Which changed lines ran: the figures, and every form they are shown in."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from orchestrator.cli.coverage_commands import coverage
from orchestrator.model.blocks import Block, BlockCount, ChangedLine, CoverageMap, LineState, Partner, Piece, added
from orchestrator.report.coverage.figures import (
    annotated_patch,
    cobertura_text,
    coverage_of,
    headline,
    lcov_text,
    line_counts,
    not_run,
    target_counts,
)
from orchestrator.report.coverage.partner_counts import partner_counts
from orchestrator.report.store import open_run
from orchestrator.report.summary import summary_text
from tests.conftest import GOLDEN, Golden
from tests.unit.coverage_samples import FIRST, MAP, OLD_MAP, SECOND, report, widened_cell, widened_image
from tests.unit.samples import image, run_report


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


def test_what_ran_before_the_load_began_only_has_a_mark_of_its_own() -> None:
    first, second = (widened_cell(one, workload=name) for one, name in ((FIRST, "mincore"), (SECOND, "shmem")))
    assert first.run
    first = replace(first, run=replace(first.run, early={0x10: 3, 0x30: 1}))
    (one,) = coverage_of(run_report(first, second, builds=(widened_image(),)))

    counts = {counted.line.line: (counted.shown, counted.missed) for counted in line_counts(one)}

    assert counts[84] == ("boot", False)
    assert counts[82] == ("45", False)
    assert headline(one).startswith(
        "3 of 3 changed lines with code ran, 2 of 3 blocks; 1 of the lines ran before the load began only; 2 have"
    )
    assert "DA:84,1\n" in lcov_text([one])
    assert not_run(one) == ()


def test_a_cell_that_could_not_say_is_told_and_proves_nothing() -> None:
    (one,) = coverage_of(report(None))

    assert len(not_run(one)) == 3
    assert "1 cell could not say" in headline(one)
    assert "NOT SEEN TO RUN, 1 cell could not say: mm/mincore.c:84" in " ".join(summary_text(report(None)).split())


def test_a_series_without_c_code_says_so() -> None:
    empty = CoverageMap(side="new", diff=(), lines=(), blocks=())

    (one,) = coverage_of(run_report(builds=(widened_image(coverage=empty),)))

    assert headline(one) == "the series changes no C code: nothing to count or to widen"


def test_a_series_that_only_takes_lines_away_has_blocks_of_its_functions() -> None:
    (one,) = coverage_of(report(FIRST, coverage=replace(MAP, lines=())))

    assert headline(one) == "the series adds no line of C code; 2 of 3 blocks of the functions that it changes ran"


def test_where_nothing_is_instrumented_that_is_said_and_no_rate_is_good() -> None:
    (one,) = coverage_of(report(FIRST, coverage=replace(MAP, blocks=())))

    assert headline(one).startswith("nothing that the series changes is instrumented")
    bare = replace(one, map=replace(one.map, lines=one.map.lines[:1]))
    assert ET.fromstring(cobertura_text([bare], timestamp=0)).get("line-rate") == "0.0000"


def test_a_headers_line_that_is_merged_in_some_copies_is_at_least_so_often_run() -> None:
    def line(number: int, text: str, **copies: int) -> ChangedLine:
        pieces = tuple(Piece(inside=inside, terms=((offset, 1),)) for inside, offset in copies.items())
        return ChangedLine(file="swap.h", line=number, text=text, state=LineState.CODE, pieces=pieces)

    lines = (
        line(9, "\tif (!get(si))", do_swap_page=0x10, mincore_swap=0x20),
        line(10, "\t\treturn false;", mincore_swap=0x20),
        line(11, "\treturn true;", do_swap_page=0x40),
        line(12, "}"),
        line(13, "\tother();", mincore_swap=0x30),
        # Two functions of one line each.
        line(15, "static inline bool a(void) { return x(); }", do_swap_page=0x30),
        line(16, "static inline bool b(void) { return y(); }", mincore_swap=0x30),
    )
    (one,) = coverage_of(report(FIRST, coverage=replace(MAP, lines=lines)))

    assert [counted.shown for counted in line_counts(one)] == ["78", "38+", "~", *4 * ["#####"]]
    assert [missed.line.line for missed in not_run(one)] == [12, 13, 15, 16]
    assert "2 of 6 changed lines with code ran" in headline(one)
    assert "; 1 did not run where they can be told from their neighbours" in headline(one)
    assert "DA:11" not in lcov_text([one])


def test_tools_that_read_numbers_of_lines_get_those_of_one_side() -> None:
    (own,) = coverage_of(report(FIRST))
    old = replace(own, build="baseline.widened.x86_64", map=OLD_MAP)

    assert lcov_text([old, own]) == lcov_text([own])
    assert cobertura_text([old, own], timestamp=0) == cobertura_text([own], timestamp=0)
    assert "DA:81,40" in lcov_text([old])


def test_a_functions_blocks_and_delays_add_up() -> None:
    (one,) = coverage_of(report(FIRST, SECOND))

    mincore, put = target_counts(one)

    assert (mincore.name, mincore.ran, mincore.blocks) == ("mincore_swap", 2, 2)
    assert mincore.total == BlockCount(hits=88, sleeps=4, spins=1, refused=2)
    assert (put.ran, put.blocks) == (0, 1)
    assert (mincore.missed, put.missed) == ((), ("mm/mincore.c:10",))


def test_partners_are_no_changed_functions_and_have_figures_of_their_own() -> None:
    block = Block(offset=0x99, target="do_swap_page", inside="do_swap_page", file="mm/memory.c", line=7, partner=True)
    partner = Partner(file="mm/memory.c", function="do_swap_page", shares=("swap_map", "SWAP_HAS_CACHE"))
    silent = Partner(file="mm/memory.c", function="swap_free", shares=("swap_map",))
    found = replace(MAP, blocks=(*MAP.blocks, block), partners=(partner, silent))
    ran = {**FIRST, 0x99: BlockCount(hits=7, sleeps=2)}
    (plain,), (one,) = coverage_of(report(FIRST)), coverage_of(report(ran, coverage=found))

    assert target_counts(one) == target_counts(plain)
    assert headline(one) == headline(plain)
    assert [(each.partner.function, each.total.hits) for each in partner_counts(one)] == [
        ("do_swap_page", 7),
        ("swap_free", 0),
    ]
    said = " ".join(summary_text(report(ran, coverage=found)).split())
    assert (
        "partner functions, which work on the same state: do_swap_page (swap_map, SWAP_HAS_CACHE), swap_free "
        "(swap_map); 1 of 2 ran" in said
    )
    assert "partner functions" not in summary_text(report(FIRST))


def test_a_site_has_its_calls_failed_trygets_and_sleeps() -> None:
    (one,) = coverage_of(report(FIRST))

    (site,) = one.sites

    assert (site.workload, site.calls, site.failed) == ("mincore", 45, 2)
    assert site.delays == BlockCount(hits=78, sleeps=3, spins=1, refused=2)


def test_a_site_without_blocks_of_its_own_does_not_say_that_nobody_slept_there() -> None:
    others = tuple(replace(block, target="elsewhere", inside="elsewhere") for block in MAP.blocks)

    (one,) = coverage_of(report(FIRST, coverage=replace(MAP, blocks=others)))

    (site,) = one.sites
    assert site.delays is None


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
    (one,) = coverage_of(run_report(widened_cell(FIRST), builds=(widened_image(coverage=OLD_MAP),)))

    shown = [line for line in annotated_patch(one) if line.mark]

    assert [line.text.split() for line in shown] == [["40", "-", "si", "=", "get_swap_device(entry);"]]


def test_counts_of_blocks_add_up() -> None:
    assert added((FIRST, SECOND))[0x10] == BlockCount(hits=45, sleeps=4)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    with open_run(tmp_path, argv=("patchrig",), matrix_path="m.yaml", matrix=report().matrix, versions={}) as store:
        store.add_build(widened_image())
        store.add_cells([widened_cell(FIRST)])
        store.add_cells([widened_cell({**SECOND, 0x30: BlockCount(hits=4)}, workload="shmem")])
    return tmp_path


def shown(stored: Path, *words: str) -> str:
    done = CliRunner().invoke(coverage, ["latest", "--results", str(stored), *words])
    assert done.exception is None, done.output
    return done.output


def test_the_table_of_a_stored_run_is_the_golden_one(stored: Path, golden: Golden) -> None:
    golden.text(GOLDEN / "coverage" / "table.txt", shown(stored))
    golden.text(GOLDEN / "coverage" / "table-all.txt", shown(stored, "--all"))


def test_a_file_is_written_where_it_was_asked_for(stored: Path, tmp_path: Path) -> None:
    assert shown(stored, "--format", "lcov", "--output", str(tmp_path / "x.info")) == ""

    assert "DA:84,8" in (tmp_path / "x.info").read_text()


def test_a_run_leaves_the_page_that_the_command_shows_and_its_summary_names_it(stored: Path) -> None:
    folder = stored / "latest"

    assert (folder / "coverage.html").read_text() == shown(stored, "--format", "page")
    assert "coverage.html in the run's folder has the series" in (folder / "summary.txt").read_text()


def test_a_run_without_an_instrumented_build_says_how_to_get_one(stored: Path) -> None:
    done = CliRunner().invoke(coverage, ["latest", "--results", str(stored), "--build", "arm64"])

    assert "no instrumented build called 'arm64'; its instrumented builds: patched.widened.x86_64" in str(
        done.exception
    )
