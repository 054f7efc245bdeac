# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: what is refused at once, with which words; and what `clean` may touch."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from orchestrator.cli.main import cli
from orchestrator.cli.options import Choice
from orchestrator.cli.request import request_of
from orchestrator.host.errors import UserError
from orchestrator.host.paths import CONFIGS, FOUND, PROJECT

MATRIX = f"kernel: 6.19\nseries: [{PROJECT}/kernels/patches/swapoff-lockout]\nworkloads: [swapin]\nseconds: 5\n"


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(one) for one in arguments], standalone_mode=False)


def refusal(*arguments: object) -> UserError:
    done = invoke(*arguments)
    assert isinstance(done.exception, UserError), done.exception or done.output
    return done.exception


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("command", ["run", "list", "build"])
@pytest.mark.parametrize("name", ["swapof", "SwapOff", "nowhere/some.yaml"])
def test_a_matrix_that_is_not_there_is_told_with_those_that_are(
    command: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    error = refusal(command, name)

    meant = ", did you mean 'swapoff'?" if "/" not in name else ""
    allowed = ", ".join(sorted(path.stem for folder in (CONFIGS, FOUND) for path in folder.glob("*.yaml")))
    assert f"unknown matrix {name!r}{meant}; allowed: {allowed}" in str(error)
    assert str(CONFIGS) in error.hint


def test_a_matrix_that_is_not_beside_others_is_told_with_one_of_those(tmp_path: Path) -> None:
    own = write(tmp_path / "mine.yaml", MATRIX)

    assert str(own) in refusal("list", tmp_path / "mein.yaml").hint


def test_clean_all_takes_nothing_but_what_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATCHRIG_CACHE", str(tmp_path / "big"))
    photo = write(tmp_path / "big" / "photos" / "one", "precious")
    ours = [write(tmp_path / "big" / name, "") for name in ("images/a/image", "trees/b/src", "accelerators.json.lock")]

    done = invoke("clean", "--all")

    assert done.exception is None
    assert photo.read_text() == "precious"
    assert not any(file.exists() for file in ours)


def test_clean_all_leaves_no_empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATCHRIG_CACHE", str(tmp_path / "cache"))
    write(tmp_path / "cache" / "ccache" / "x", "")

    invoke("clean", "--all")

    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "command",
    [
        ["run", CONFIGS / "swapoff.yaml", "--junit"],
        ["sensitivity", CONFIGS / "swapoff.yaml", "--junit"],
        ["coverage", "latest", "--output"],
    ],
    ids=lambda command: str(command[0]),
)
def test_a_file_that_can_not_be_written_is_refused_before_anything_runs(command: list[object], tmp_path: Path) -> None:
    done = invoke(*command, tmp_path / "nowhere" / "file")

    assert isinstance(done.exception, click.BadParameter)
    assert f"{tmp_path / 'nowhere'} is no folder that can be written to" in done.exception.message


def test_a_mistake_in_a_file_names_the_command_that_has_its_keys(tmp_path: Path) -> None:
    bad = write(tmp_path / "bad.yaml", MATRIX + "flavor: [plain]\n")

    assert refusal("list", bad).hint.startswith("patchrig schema matrix ")


def test_a_matrix_that_widens_can_be_run_with_its_plain_flavour(tmp_path: Path) -> None:
    both = write(tmp_path / "both.yaml", MATRIX + "flavours: [plain, widened]\nwiden: chance=3%\n")

    done = invoke("list", both, "--flavour", "plain", "--arch", "x86_64")

    assert done.output.startswith("patched.plain.x86_64.swapin"), done.exception


def test_a_matrix_that_widens_nothing_says_so_with_its_line(tmp_path: Path) -> None:
    none = write(tmp_path / "none.yaml", MATRIX + "widen: chance=3%\n")

    assert f"{none}:5: widen: no flavour of the matrix is widened" in str(refusal("list", none))


def test_widen_on_the_command_line_wants_a_widened_flavour(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.yaml", MATRIX)

    assert refusal("list", plain, "--widen", "chance=3%").hint == "--flavour widened"


def test_a_workload_file_is_where_the_user_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (CONFIGS / "workloads" / "swapin.yaml").read_text().replace("name: swapin", "name: mine")
    write(tmp_path / "mine.yaml", text)
    monkeypatch.chdir(tmp_path)

    done = invoke("list", CONFIGS / "swapoff.yaml", "--workload", "mine.yaml", "--arch", "x86_64")

    assert done.output.startswith("patched.plain.x86_64.mine"), done.exception


def test_repro_wants_both_a_run_and_a_cell() -> None:
    assert isinstance(invoke("repro", "swapin").exception, click.MissingParameter)


def test_the_series_and_the_tree_of_the_command_line_are_what_reports_name(tmp_path: Path) -> None:
    matrix = write(tmp_path / "m.yaml", MATRIX)
    fix = write(tmp_path / "my-fix.patch", "")
    choice = Choice(
        patch=(fix,),
        series_version="",
        tree=tmp_path,
        kernel=None,
        arch=(),
        flavour=(),
        workload=(),
        suite=(),
        variant=(),
        seconds=None,
        seed=None,
        repeat=None,
        widen=None,
        sandbox=True,
    )

    request = request_of(matrix, choice)

    assert request.plan.matrix.series == request.series == (fix,)
    assert request.plan.matrix.kernel == str(tmp_path)


def test_the_list_names_what_it_leaves_out_beside_the_cells(tmp_path: Path) -> None:
    matrix = write(tmp_path / "m.yaml", f"{MATRIX}flavours: [plain, 64k]\narches: [x86_64, arm64]\n")

    done = CliRunner().invoke(cli, ["list", str(matrix)], standalone_mode=False)

    assert len(done.stdout.splitlines()) == 3
    assert done.stderr == "left out: 64k on x86_64 (64k: arm64 only)\n"


def test_a_flavour_that_the_arch_does_not_have_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    matrix = write(tmp_path / "m.yaml", MATRIX)

    why = refusal("run", matrix, "--arch", "x86_64", "--flavour", "64k")

    assert "no cell is left: 64k on x86_64 (64k: arm64 only)" in str(why)
    assert "patchrig list" in why.hint
    assert "16k can't be joined with 64k" in str(refusal("list", matrix, "--flavour", "16k+64k"))


def test_a_workload_can_not_exclude_a_flavour_that_there_is_not(tmp_path: Path) -> None:
    program = write(tmp_path / "mine.c", "int main(void) { return 0; }")
    load = f"name: mine\nsummary: s\nprogram: {program.name}\ndevices: [{{kind: zram, size_mib: 4}}]\n"
    write(tmp_path / "workloads" / "mine.yaml", f"{load}exercised: {{x: 1}}\nnot_with: {{65k: it counts bytes}}\n")
    matrix = write(tmp_path / "m.yaml", MATRIX.replace("swapin", "mine"))

    why = str(refusal("list", matrix))

    assert "mine.yaml" in why
    assert "65k" in why
    assert "64k" in why


def test_a_hunt_by_passes_is_one_by_rounds_and_is_told_the_new_name() -> None:
    done = CliRunner().invoke(cli, ["hunt", "--passes", "3"], standalone_mode=False)

    assert "--passes is now --rounds" in done.stderr
    assert isinstance(done.exception, UserError)
    assert "which kernel" in str(done.exception)
