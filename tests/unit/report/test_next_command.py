# SPDX-License-Identifier: GPL-2.0-or-later
"""The command that runs a red cell without the series."""

import shlex
from collections.abc import Iterable

import pytest

from orchestrator.model.replay_keys import parse_key
from orchestrator.report.next_command import baseline_command, pasteable, wrapped_key
from tests.unit.model.test_replay_keys import KEY
from tests.unit.samples import cell, cell_report, run_report

CHOSEN = "--variant baseline --arch x86_64 --flavour plain --workload mincore"


def command_after(*argv: str) -> str:
    return shlex.join(baseline_command(run_report(argv=("patchrig", *argv)), cell_report(of=cell())))


def joined(lines: Iterable[str]) -> list[str]:
    """As a shell takes them: a backslash at the end of a line goes, and the newline with it."""
    return shlex.split("\n".join(lines).replace("\\\n", ""))


def test_the_kernel_and_the_series_stay_and_the_cell_is_chosen() -> None:
    seen = command_after("run", "--kernel", "7.1", "swapoff", "--patch", "a series.mbox", "--seconds=40")

    assert seen == f"patchrig run --kernel 7.1 swapoff --patch 'a series.mbox' --seconds=40 {CHOSEN}"


@pytest.mark.parametrize(
    "words",
    [
        ("--variant", "patched", "--arch", "arm64", "--arch", "x86_64"),
        ("--variant=patched", "--workload=shmem", "--workload", "mincore"),
        ("--flavour", "plain", "--flavour=debug", "--junit", "out.xml"),
        ("--junit=--variant",),
        ("--variant",),
    ],
)
def test_what_selected_cells_and_what_would_be_overwritten_goes(words: tuple[str, ...]) -> None:
    assert command_after("run", "swapoff", *words) == f"patchrig run swapoff {CHOSEN}"


def test_a_workload_that_was_given_as_a_path_is_given_so_again() -> None:
    seen = command_after("run", "swapoff", "--workload", "shmem", "--workload", "my/mincore.yaml")

    assert seen.endswith("--workload my/mincore.yaml")


def test_another_command_tells_too_little() -> None:
    assert not command_after("repro", "latest", "mincore")
    assert not command_after()


def test_a_long_command_goes_over_lines_that_a_shell_joins() -> None:
    words = ("patchrig", "run", *(f"--patch=/a/long/path/{number}.patch" for number in range(9)), "an' odd one")

    lines = list(pasteable(words, width=60))

    assert len(lines) > 2
    assert max(map(len, lines)) <= 60
    assert joined(lines) == list(words)


def test_a_word_that_is_wider_than_a_line_has_one_of_its_own() -> None:
    words = ("patchrig", "x" * 100, "y")

    assert joined(pasteable(words, width=60)) == list(words)
    assert list(pasteable((), width=60)) == []


@pytest.mark.parametrize("width", range(20, 100, 3))
def test_a_key_in_lines_is_read_as_it_was(width: int) -> None:
    lines = wrapped_key(KEY.text, width=width)

    assert max(map(len, lines)) <= width
    assert parse_key("\n".join(lines)) == KEY
