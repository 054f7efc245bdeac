# SPDX-License-Identifier: GPL-2.0-or-later
"""The help texts say what the commands do: which options repeat, which are refused, and which defaults hold."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from orchestrator.cli.main import COMMANDS, cli
from orchestrator.cli.options import ALL_WORKLOADS
from orchestrator.plan.delays import DEFAULT, parse_delays
from orchestrator.plan.hunting import CHANCE
from orchestrator.run.chosen_plan import SHIPPED


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


def options(name: str) -> dict[str, click.Option]:
    shown = [one for one in command(name).params if isinstance(one, click.Option) and not one.hidden]
    return {one.opts[0]: one for one in shown}


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_that_may_be_given_several_times_says_so(name: str) -> None:
    for option in options(name).values():
        assert ("May be given several times." in (option.help or "")) == option.multiple, option.opts


@pytest.mark.parametrize("name", [name for name in COMMANDS if {"cell"} & {one.name for one in command(name).params}])
def test_a_command_that_takes_a_cell_says_how_it_is_found(name: str) -> None:
    text = " ".join((command(name).help or "").split())

    assert "CELL is a cell's name, its end, or else a part that no other cell has." in text


@pytest.mark.parametrize("name", ["explain", "minimise", "repro"])
def test_a_command_that_builds_nothing_does_not_speak_of_builds(name: str) -> None:
    assert "build" not in (options(name)["--no-sandbox"].help or "").lower()


@pytest.mark.parametrize("name", ["hunt", "mutate", "sensitivity", "settle"])
def test_a_command_that_refuses_suites_does_not_offer_them(name: str) -> None:
    assert "--suite" not in options(name)
    assert "--suite" in {word for one in command(name).params for word in one.opts}


@pytest.mark.parametrize("name", ["hunt", "b4-check"])
def test_a_command_without_a_matrix_does_not_speak_of_one(name: str) -> None:
    for option in ("--patch", "--tree", "--kernel"):
        assert "matrix" not in (options(name)[option].help or "")


@pytest.mark.parametrize("name", ["run", "hunt", "settle"])
def test_the_defaults_of_widen_can_be_copied(name: str) -> None:
    text = options(name)["--widen"].help or ""
    shown = text.partition("The defaults are ")[2].partition(";")[0]

    assert shown.startswith(f"{CHANCE}," if name == "hunt" else "chance=2%,")
    assert parse_delays(shown.replace(CHANCE, "chance=2%")) == DEFAULT


def test_boot_runs_no_cell_and_has_no_options_for_it() -> None:
    assert not {"--seconds", "--repeat", "--seed", "--widen"} & options("boot").keys()


def test_a_map_is_made_of_the_workloads_that_patchrig_chooses_from() -> None:
    (matrix,) = (one for one in command("reach").params if isinstance(one, click.Argument))

    assert matrix.default == ALL_WORKLOADS == SHIPPED


def test_a_suite_of_the_matrix_is_refused_with_what_helps(tmp_path: Path) -> None:
    matrix = tmp_path / "m.yaml"
    matrix.write_text("kernel: 6.19\nworkloads: [kselftest:mm]\nvariants: [patched]\nseries: [x.patch]\n")
    (tmp_path / "x.patch").write_text("--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n")

    done = CliRunner().invoke(cli, ["mutate", str(matrix), "--results", str(tmp_path)], standalone_mode=False)

    assert "--workload" in getattr(done.exception, "hint", "")
