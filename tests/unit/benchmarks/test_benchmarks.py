# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmarks change the series as a developer would, compare like with like, and say only what was measured."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import hook
import many_cells
import measure
import peers
import pytest
import quick_answers
import runs
import vng
from reach import repeats
from reach_measured import SITES, Lines, Measured, Run, Watch, failed_trygets, latest_bugs, run_of
from reach_table import Expected, all_rows, best_run, exit_code, notes, table_lines

from orchestrator.host.deadline import Deadline
from orchestrator.kernel.build.kconfig import parse_fragment
from orchestrator.kernel.code.changes import ChangedFunction, Changes, save_changes
from orchestrator.model.arch import ARCHES
from orchestrator.model.blocks import BlockCount, ChangedLine, CoverageMap, LineState, Piece
from orchestrator.model.bugs import Attempt, BugReport, BugStatus, Control, SeededBug, Sensitivity
from orchestrator.model.cells import Build
from orchestrator.model.configuration import Variant
from orchestrator.model.outcomes import Outcome
from orchestrator.report.bugs_report import as_json
from orchestrator.report.coverage.figures import LineCount
from orchestrator.report.store import open_run
from tests.unit.samples import cell, cell_report, guest_run, image, run_report

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


def guest(arch: str, *, virtiofs: bool = False) -> vng.Guest:
    return vng.Guest(
        arch=ARCHES[arch], image=Path("/k/Image"), root=Path("/r"), cpus=2, memory_mib=512, virtiofs=virtiofs
    )


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_rows_are_listed() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "measure.py"), "--list"], capture_output=True, text=True, check=True
    )

    assert [text.split()[0] for text in done.stdout.splitlines()] == [
        *("boot", "cells", "edit", "matrix", "answers", "own-tree", "hook"),
        *("vng-boot-x86_64", "vng-boot-arm64", "vng-build", "rebuild"),
    ]


def test_an_edited_series_differs_in_one_line_of_one_patch(tmp_path: Path) -> None:
    file = runs.edited_series(tmp_path / "edited", "edit 7")

    changed = [
        (patch.name, old, new)
        for patch in sorted(runs.SERIES.iterdir())
        for old, new in zip(
            patch.read_text().splitlines(), (tmp_path / "edited" / patch.name).read_text().splitlines(), strict=True
        )
        if old != new
    ]

    ((patch_name, old, new),) = changed
    assert new == f"{old} /* edit 7 */"
    assert file.endswith(".c")
    assert f"+++ b/{file}\n" in (runs.SERIES / patch_name).read_text()


def test_an_edit_is_no_other_ones_so_that_no_cache_has_its_image() -> None:
    assert runs.mark_of(1) != runs.mark_of(1)


def test_a_line_without_a_peer_has_the_ratio_to_what_is_to_be_reached() -> None:
    words = measure.line(runs.Figure(what="start", measured=1.5, reach=2.0)).split()

    assert words == ["start", "1.50", "s", "2.00", "s", "0.75"]


def test_a_line_with_a_peer_has_the_ratio_to_the_peer() -> None:
    words = measure.line(runs.Figure(what="start", measured=1.5, peer=10.0, reach=0.2)).split()

    assert words == ["start", "1.50", "s", "10.00", "s", "0.20", "0.15"]


def test_the_columns_stay_below_their_heads() -> None:
    head = measure.HEADER
    plain = measure.line(runs.Figure(what="start", measured=1.5, reach=2.0))
    beside = measure.line(runs.Figure(what="start", measured=1.5, peer=10.0, reach=0.2))
    shown = measure.line(runs.Figure(what="start", measured=1.5, peer=10.0, reach=None))

    assert {len(line) for line in (head, plain, beside, shown)} == {len(head)}


def test_vng_is_told_to_emulate_and_to_take_9p_where_there_is_no_virtiofsd_for_it() -> None:
    argv = vng.vng_argv(Path("/v/bin/vng"), guest("arm64"), qemu=Path("/s/qemu"))

    assert argv == [
        *("/v/bin/vng", "--run", "/k/Image", "--arch", "arm64", "--root", "/r", "--disable-kvm", "--force-9p"),
        *("--cpus", "2", "--memory", "512M", "--qemu", "/s/qemu", "--exec", "echo vng-$((40 + 2))"),
    ]
    assert "--force-9p" not in vng.vng_argv(Path("vng"), guest("x86_64", virtiofs=True), qemu=Path("qemu"))


def test_the_command_does_not_hold_what_is_waited_for() -> None:
    said = subprocess.run(["sh", "-c", vng.COMMAND], capture_output=True, check=True)

    assert vng.SAID in said.stdout
    assert vng.SAID not in vng.COMMAND.encode()


def test_a_start_counts_from_qemus_own_and_from_vngs(tmp_path: Path) -> None:
    stamp = tmp_path / "stamp"
    qemu = script(tmp_path / "qemu", "")
    qemu.write_text(vng.stamping_qemu(str(script(tmp_path / "real", 'echo "$*"')), stamp))
    program = script(tmp_path / "vng", f"{qemu} --version; {qemu} 'vng-'42")

    start = vng.start([str(program)], stamp=stamp, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"})

    assert 0 <= start.of_qemu <= start.of_vng


def test_a_guest_that_says_nothing_is_told_with_what_vng_said(tmp_path: Path) -> None:
    program = script(tmp_path / "vng", "echo no such kernel; exit 1")

    with pytest.raises(vng.GuestSilent, match="no such kernel"):
        vng.start([str(program)], stamp=tmp_path / "stamp", cwd=tmp_path, env={"PATH": "/usr/bin:/bin"})


def test_vngs_environment_has_its_programs_first_and_nothing_of_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKEFLAGS", "-j")

    env = vng.vng_env(Path("/v/bin/vng"), tmp_path / "home")

    assert env["PATH"].startswith("/v/bin:")
    assert set(env) == {"PATH", "HOME", "LC_ALL", "CCACHE_DISABLE"}


def test_the_root_of_vngs_guests_is_unpacked_and_not_configured() -> None:
    argv = vng.root_argv(ARCHES["arm64"], archive=Path("/p/root.tar"), sources=Path("/p/root.list"))

    assert argv[:3] == ["mmdebstrap", "--variant=extract", "--architectures=arm64"]
    assert {"udev", "bash", "mount", "iproute2"} <= set(argv[3].removeprefix("--include=").split(","))
    assert argv[-3:] == ["bookworm", "/p/root.tar", "/p/root.list"]


def test_a_root_gets_what_its_packages_scripts_would_have_made(tmp_path: Path) -> None:
    for name in ("usr/share/base-passwd", "etc", "sbin"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("passwd", "group"):
        (tmp_path / f"usr/share/base-passwd/{name}.master").write_text(f"root of {name}")

    vng.complete_root(tmp_path)

    assert (tmp_path / "etc/passwd").read_text() == "root of passwd"
    assert {path.name for path in (tmp_path / "etc").iterdir()} == {"passwd", "group", "fstab", "hosts", "shadow"}
    assert (tmp_path / "dev").is_dir()


@pytest.mark.parametrize("arch", ARCHES)
def test_vngs_kernel_is_patchrigs_with_vngs_fragments_on_top(arch: str) -> None:
    fragments = peers.vng_fragments(ARCHES[arch])

    asked = parse_fragment(fragments[3].read_text(), fragments[3].name)
    assert [path.name for path in fragments[:4]] == ["base.config", f"{arch}.config", "plain.config", "vng.config"]
    assert {"9P_FS", "OVERLAY_FS", "VIRTIO_CONSOLE"} <= set(asked)


def test_vngs_fragments_take_nothing_of_patchrigs_away() -> None:
    for file in BENCHMARKS.glob("vng*.config"):
        assert set(parse_fragment(file.read_text(), file.name).values()) == {"y"}


def test_figures_of_starts_leave_the_first_round_out_and_take_vngs_time_from_qemus_start() -> None:
    ours = {"booted": [90.0, 1.0, 2.0, 3.0], "restored": [90.0, 0.1, 0.2, 0.3]}
    theirs = [vng.Start(of_qemu=seconds, of_vng=seconds + 1) for seconds in (99.0, 8.0, 10.0, 12.0)]

    figures = list(peers.boot_figures("arm64", "Image", ours, theirs, {"booted": 0.25, "restored": None}))

    assert [(one.measured, one.peer, one.reach) for one in figures] == [
        (2.0, 10.0, 0.25),
        (0.2, 10.0, None),
        (2.0, 11.0, None),
    ]


def gone(stat: Path) -> bool:
    """Whether the process is, or only waits for somebody to ask how it ended."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_command_that_takes_longer_than_its_limit_is_ended_with_what_it_started(tmp_path: Path) -> None:
    slow = script(tmp_path / "slow", f"sleep 600 & echo $! >{tmp_path}/child; wait")

    seconds = runs.timed([str(slow)], limit=0.5)

    assert seconds >= 0.5
    child = Path("/proc", (tmp_path / "child").read_text().strip(), "stat")
    # A kill is carried out when the kernel comes to it.
    Deadline.after(60, "the end of what the command started").until(lambda: gone(child))


def test_a_command_that_fails_ends_the_benchmark_with_what_it_said(tmp_path: Path) -> None:
    broken = script(tmp_path / "broken", "echo no such target; exit 2")

    with pytest.raises(SystemExit, match=r"(?s)status 2.*no such target"):
        runs.timed([str(broken)], limit=60)


def test_as_many_cells_are_recorded_as_the_matrix_has(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(many_cells, "CELLS", 40)

    many_cells.main()

    figures = json.loads(capsys.readouterr().out)
    assert figures["cells"] >= 40


def test_make_by_hand_is_patchrigs_without_the_compiler_cache() -> None:
    argv = ["make", "-C", "/src", "CC=ccache x86_64-linux-gnu-gcc", "-j2", "vmlinux"]

    assert peers.by_hand(argv) == ["make", "-C", "/src", "CC=x86_64-linux-gnu-gcc", "-j2", "vmlinux"]


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
    argv = [sys.executable, str(BENCHMARKS / "time_to_find.py"), *(str(tmp_path / name) for name in reports)]

    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    assert "| C | 2 of 3, 25.0 s (of 2) | 3 of 3, 3.0 s (of 2) |" in said.splitlines()


# --- reach ---------------------------------------------------------------------------------------

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


def lines(**changes: object) -> Lines:
    fields: dict[str, object] = {"ran": 28, "coded": 28, "not_run": (), "failed": FULL, "headline": "28 of 28"}
    return Lines(**(fields | changes))  # type: ignore[arg-type]  # The fields have all types.


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


def test_failed_try_gets_are_those_that_no_put_of_the_same_function_answers() -> None:
    counts = (
        counted(60, "\tif (!tryget_swap_entry(entry, &si))", 1000),
        counted(80, "\t * See tryget_swap_entry().", 0, LineState.NO_CODE),
        counted(85, "\tif (!tryget_swap_entry(entry, &si))", 300),
        counted(88, "\t\tput_swap_entry(entry, si);", 40),
        counted(90, "\tput_swap_entry(entry, si);", 235),
    )

    assert failed_trygets(counts, [MINCORE]) == 25


@pytest.mark.parametrize(
    "counts",
    [
        (counted(85, "\tif (!tryget_swap_entry(entry, &si))", 300),),
        (counted(90, "\tput_swap_entry(entry, si);", 300),),
        (
            counted(85, "\tif (!tryget_swap_entry(entry, &si))", 300),
            counted(90, "\tput_swap_entry(entry, si);", 0, LineState.NOT_INSTRUMENTED),
        ),
    ],
)
def test_failed_try_gets_are_not_known_where_a_line_is_missing_or_not_counted(counts: tuple[LineCount, ...]) -> None:
    assert failed_trygets(counts, [MINCORE]) is None


def test_try_gets_of_which_fewer_are_counted_than_puts_did_not_fail() -> None:
    counts = (counted(85, "tryget_swap_entry(entry, &si);", 5), counted(90, "put_swap_entry(entry, si);", 6))

    assert failed_trygets(counts, [MINCORE]) == 0


def test_all_is_reached_when_every_row_is() -> None:
    rows = all_rows(everything(), EXPECTED)

    assert [row.what for row in rows if row.reached is not True] == []
    assert exit_code(rows) == 0
    assert notes(everything(), EXPECTED) == {"Coverage is of r1": ["x86_64: 28 of 28", "arm64: 28 of 28"]}


def test_nothing_measured_is_nothing_reached_and_nothing_missed() -> None:
    rows = all_rows(Measured(), EXPECTED)

    assert {row.reached for row in rows} == {None}
    assert exit_code(rows) == 3
    assert notes(Measured(), EXPECTED) == {}


def test_one_thing_that_is_missed_outweighs_what_was_not_measured() -> None:
    assert exit_code(all_rows(Measured(runs=(run(x86_64=lines(ran=27)),)), EXPECTED)) == 1


def test_coverage_is_that_of_one_run_and_is_never_put_together_from_two() -> None:
    runs = (
        run("r1", x86_64=lines(), arm64=lines(ran=20, failed={**FULL, "mincore_swap": 3})),
        run("r2", x86_64=lines(failed={**FULL, "mincore_swap": 19}), arm64=lines()),
        run("r3", arm64=lines()),
    )

    best = best_run(runs)

    assert best == runs[1]
    assert marked(Measured(runs=runs), "failed try-gets, mincore_swap") == ("19", False)


def test_a_run_that_has_not_ended_has_no_time_yet() -> None:
    assert marked(Measured(runs=(run(seconds=0.0, x86_64=lines()),)), "seconds of") == ("not measured", None)
    assert marked(Measured(runs=(run(seconds=900.0, x86_64=lines()),)), "seconds of") == ("900", False)


def test_a_site_that_the_counts_do_not_tell_is_not_measured() -> None:
    unknown = lines(failed={**FULL, "zswap_writeback_entry": None})

    assert marked(Measured(runs=(run(x86_64=unknown),)), "failed try-gets, zswap") == ("not measured", None)


def test_changed_lines_that_never_ran_are_listed_with_their_arch() -> None:
    missed = lines(ran=27, not_run=("mm/shmem.c:2333: put_swap_entry(index_entry, si);",))

    told = notes(Measured(runs=(run(arm64=missed),)), EXPECTED)

    assert told["Changed lines that never ran"] == ["arm64: mm/shmem.c:2333: put_swap_entry(index_entry, si);"]


def test_a_later_report_replaces_a_bug_of_the_same_build_unless_it_found_out_nothing() -> None:
    reports = (
        bug_report(seeded("a", "lost"), seeded("b", "survived", 130.0), seeded("c1", seconds=2.0), started="2"),
        bug_report(seeded("a", seconds=4.0), seeded("b"), seeded("a", arch="arm64", seconds=5.0), started="1"),
    )

    found = latest_bugs(reports, EXPECTED.classes)

    assert {id_: bug["guest_seconds"] for id_, bug in found["widened", "x86_64"].items()} == {
        "a": 4.0,
        "b": 130.0,
        "c1": 2.0,
    }
    assert found["widened", "arm64"]["a"]["guest_seconds"] == 5.0


def test_a_bug_that_is_not_in_the_folder_any_more_counts_for_nothing() -> None:
    assert latest_bugs((bug_report(seeded("gone")),), EXPECTED.classes) == {}


def test_a_bug_that_was_found_too_late_is_missed_and_named() -> None:
    measured = Measured(reports=(bug_report(seeded("a", seconds=31.0), seeded("b", "survived", 125.4)),))

    assert marked(measured, "class A") == ("0 of 1, 1 at all", False)
    assert marked(measured, "class B") == ("0 of 1, 0 at all", False)
    assert notes(measured, EXPECTED)["Bugs that missed their limit"] == [
        "a x86_64 (class A): found, 31.0 guest s of 30, swapin",
        "b x86_64 (class B): survived, 125.4 guest s of 120, swapin shmem",
    ]


def test_of_class_c_three_quarters_are_enough() -> None:
    def measured(*bugs: dict[str, object]) -> Measured:
        return Measured(reports=(bug_report(*bugs),))

    two = (seeded("c1"), seeded("c2"))

    assert marked(measured(*two, seeded("c3"), seeded("c4", "survived")), "class C")[1] is True
    assert marked(measured(*two, seeded("c3")), "class C") == ("3 of 3, 3 at all; 1 not tried", True)
    assert marked(measured(*two, seeded("c3", "survived"), seeded("c4", "survived")), "class C")[1] is False


def test_a_bug_that_was_not_tried_is_neither_found_nor_missed() -> None:
    measured = Measured(reports=(bug_report(seeded("c1"), seeded("c2", "lost"), seeded("a"), seeded("b")),))

    assert marked(measured, "class C") == ("1 of 1, 1 at all; 3 not tried", None)
    assert notes(measured, EXPECTED)["Bugs that were not tried"] == ["widened.x86_64: c2 (lost), c3, c4"]


def test_class_c_is_shown_and_not_asked_for_on_arm64() -> None:
    missed = [seeded(id_, "survived", 301.0, arch="arm64") for id_ in ("c1", "c2", "c3", "c4")]
    good = everything()
    measured = Measured(runs=good.runs, reports=(*good.reports, bug_report(*missed)))

    assert marked(measured, "class C", "arm64") == ("0 of 4, 0 at all", False)
    assert exit_code(all_rows(measured, EXPECTED)) == 0
    assert notes(measured, EXPECTED)["Bugs that missed their limit"][0] == (
        "c1 arm64 (class C): survived, 301.0 guest s of 300, swapin shmem; not asked for on this arch"
    )


def test_medians_stand_side_by_side_and_are_of_the_bugs_that_both_found() -> None:
    plain = [seeded("c1", seconds=40.0), seeded("c2", "survived", 300.0), seeded("c3", seconds=20.0), seeded("c4")]
    widened = [seeded("c1", seconds=4.0), seeded("c2", seconds=9.0), seeded("c3", seconds=2.0), seeded("c4", "lost")]
    reports = (bug_report(*({**bug, "flavour": "plain"} for bug in plain)), bug_report(*widened))

    assert marked(Measured(reports=reports), f"{MEDIAN}, class C") == ("30.0 / 3.0 (of 2)", None)
    assert marked(Measured(reports=reports[1:]), f"{MEDIAN}, class C") == ("- / 4.0 (of 3)", None)
    assert marked(everything(), f"{MEDIAN}, all") == ("9.0 / 9.0 (of 6)", True)


def test_the_minutes_of_control_add_up_over_runs_and_the_controls_of_reports() -> None:
    control = {"arch": "x86_64", "flavour": "widened", "workload": "swapin", "title": "", "cell": "x"}
    report = bug_report(
        control=(
            {**control, "outcome": "passed", "guest_seconds": 600.0},
            {**control, "outcome": "lost", "guest_seconds": 600.0},
            {**control, "outcome": "passed", "guest_seconds": 600.0, "flavour": "plain"},
        )
    )
    runs = (run("r1", watches=(watch(),)), run("r2", watches=(watch(minutes=14.0),)))

    assert marked(Measured(runs=runs, reports=(report,)), "control: guest minutes") == ("49.0 of 3 guests", False)


def test_control_without_the_baseline_is_not_complete() -> None:
    measured = Measured(runs=(run(watches=(watch(minutes=60.0),)),))

    assert marked(measured, "control: guest minutes") == ("60.0 of 1 guests", True)
    assert marked(measured, "control: variants x workloads") == ("1 of 2", None)


def test_a_red_cell_of_a_correct_kernel_is_a_false_alarm_and_a_lost_one_is_nothing() -> None:
    cells = [
        cell_report(outcome, f"it {outcome}", of=replace(cell(), build=build), run=guest_run())
        for outcome, build in (
            (Outcome.PASSED, WIDENED),
            (Outcome.NOT_EXERCISED, WIDENED),
            (Outcome.HUNG, WIDENED),
            (Outcome.LOST, WIDENED),
            (Outcome.HUNG, cell().build),
        )
    ]

    watches = run_of(run_report(*cells), {}).watches

    assert [one.seconds for one in watches] == [20.0, 20.0, 20.0]
    assert [one.alarm for one in watches if one.alarm] == [
        "patched.widened.x86_64.mincore: hung: it hung (2026-11-22T190102Z-7f3a)"
    ]
    assert marked(Measured(runs=(run(watches=watches),)), "control: false alarms") == ("1", False)


def test_the_table_is_markdown_with_a_column_for_each_arch() -> None:
    head, rule, first, *_ = table_lines(all_rows(everything(), EXPECTED))

    assert [text.strip() for text in head.strip("|").split("|")] == [
        *("requirement", "x86_64", "arm64", "to reach", "reached"),
    ]
    assert set(rule) == set("|- ")
    assert [text.strip() for text in first.strip("|").split("|")][1:] == ["28 of 28", "28 of 28", "all", "yes"]


def test_control_is_repeated_until_its_minutes_are_full() -> None:
    assert repeats(3000.0, seconds=60, cells=18) == 3
    assert repeats(1.0, seconds=60, cells=18) == 1


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
        store.add_cell(cell_report(of=replace(cell(), build=WIDENED), run=replace(guest_run(), executed=executed)))
        save_changes(Changes(functions=(MINCORE,), texts={}), store.build_folder(WIDENED))
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
    argv = [sys.executable, str(BENCHMARKS / "reach.py"), "--read", *map(str, folders), str(tmp_path / "latest")]

    done = subprocess.run(argv, capture_output=True, text=True, check=False)

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
    argv = [sys.executable, str(BENCHMARKS / "reach.py"), "--read", str(tmp_path)]

    assert subprocess.run(argv, capture_output=True, check=False).returncode == 2


def test_the_hook_is_not_switched_on_or_only_counts() -> None:
    script = 'patchrig.run="--device zram:4:20 --widen 20000:30000:1000:500000:10:7: -- swapin --seconds 10"'

    assert hook.as_kind(script, "off") == 'patchrig.run="--device zram:4:20 -- swapin --seconds 10"'
    assert "--widen 0:30000:1000:500000:10:7: -- swapin" in hook.as_kind(script, "counting")


def test_what_a_load_did_is_read_from_the_console() -> None:
    console = '[    1.0][    T1] up\n{"type": "progress", "operations": 3}\n{"type": "result", "operations": 40}\r\n'

    assert hook.operations(console) == 40


def test_the_tree_of_a_benchmark_is_a_kernel_tree_of_that_many_files(tmp_path: Path) -> None:
    quick_answers.make_tree(tmp_path / "linux", 50)

    assert len([path for path in (tmp_path / "linux").rglob("*") if path.is_file()]) == 50
    quick_answers.look_at(tmp_path / "linux", tmp_path)
    (copy,) = tmp_path.glob("cache/trees/*/src")
    assert len([path for path in copy.rglob("*") if path.is_file()]) == 50


def test_the_cpu_of_a_command_is_that_of_its_own_process() -> None:
    busy = "import time\nwhile time.process_time() < 0.2: pass"

    assert quick_answers.cpu_of([sys.executable, "-c", busy]) >= 0.2
    assert quick_answers.cpu_of([sys.executable, "-c", "import time; time.sleep(0.2)"]) < 0.2
