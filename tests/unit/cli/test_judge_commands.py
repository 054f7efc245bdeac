# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig judge`: files and standard input, for people and for scripts."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from junitparser import JUnitXml

from orchestrator.cli.judge_commands import judge
from orchestrator.host.errors import ExitCode
from orchestrator.judge.scan import crashes_in
from tests.unit.report_texts import junit_text
from tests.unit.samples import cell_report, run_report

BAD = "[    1.000000][   T77] BUG: Bad rss-counter state mm:00000000a1b2c3d4 type:MM_SWAPENTS val:1\n"
NOTED = "[    1.000000][   T77] Memory cgroup out of memory: Killed process 77 (swapin) total-vm:1kB\n"
GOOD = "[    1.000000][   T77] all is well\n"
KEYS = {"kind", "title", "function", "line", "severity", "frames", "corrupted"}


def run(*arguments: str, text: str | bytes | None = None) -> tuple[int, str]:
    # Outside of main(), what a command returns is its exit code only for us.
    done = CliRunner().invoke(judge, arguments, input=text, standalone_mode=False)
    if isinstance(done.exception, Exception):
        raise done.exception
    return int(done.return_value), done.output


@pytest.fixture
def console(tmp_path: Path) -> Path:
    file = tmp_path / "console.log"
    file.write_text(GOOD + BAD + NOTED)
    return file


def test_json_maps_each_name_as_it_was_given(console: Path, tmp_path: Path) -> None:
    quiet = tmp_path / "sub" / ".." / "quiet.log"
    (tmp_path / "sub").mkdir()
    quiet.write_text(GOOD)

    code, output = run(str(console), str(quiet), "--json")
    said = json.loads(output)

    assert code == ExitCode.BAD_KERNEL
    assert list(said) == [str(console), str(quiet)]
    assert said[str(quiet)] == []
    first, second = said[str(console)]
    assert set(first) >= KEYS
    assert (first["kind"], first["title"], first["line"], first["severity"]) == (
        "memory", "BUG: Bad rss-counter state", 2, "fatal",
    )  # fmt: skip
    assert (second["severity"], second["line"]) == ("note", 3)


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_standard_input_is_read(arguments: tuple[str, ...]) -> None:
    code, output = run(*arguments, "--json", text=BAD)

    assert code == ExitCode.BAD_KERNEL
    assert [crash["line"] for crash in json.loads(output)["-"]] == [1]


@pytest.mark.parametrize(("text", "code"), [(GOOD, 0), (NOTED, 0), (BAD, 1), ("", 0)])
def test_only_what_fails_a_cell_counts_for_the_exit_code(text: str, code: int) -> None:
    assert run(text=text)[0] == code


def test_a_person_reads_where_what_and_how_bad(console: Path) -> None:
    _, output = run(str(console))

    assert output.splitlines() == [
        f"{console}:2: BUG: Bad rss-counter state",
        "    fails a cell unless allowed, memory",
        f"{console}:3: Memory cgroup out of memory",
        "    noted only, other, came after a first one",
        "1 that fail a cell unless allowed, 1 noted",
    ]


def test_a_missing_file_is_a_mistake_of_usage(tmp_path: Path) -> None:
    done = CliRunner().invoke(judge, [str(tmp_path / "nothing.log")])

    assert done.exit_code == ExitCode.USAGE


@given(st.binary(max_size=400), st.sampled_from(["", BAD, "[    1.000000] BUG: KASAN: a in b\n", "BUG: "]))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_console_gives_valid_junit(junk: bytes, start: str) -> None:
    crashes = tuple(crashes_in([start.encode(), junk]))

    text = junit_text(run_report(cell_report(crashes=crashes)))

    assert JUnitXml.fromstring(text.encode()) is not None


def test_what_ends_a_check_of_the_kernels_is_told_as_that() -> None:
    code, output = run(text="[    1.000000][   T77] BUG: MAX_LOCKDEP_CHAINS too low!\n")

    assert code == ExitCode.OK
    assert "noted only, and ends a check of the kernel's" in output
    assert "0 that fail a cell unless allowed, 0 noted, 1 that end a check" in output
