# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig run --patch`, and no matrix: base, workloads and arches are chosen, and the run says which and why."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.host.process import find_tool
from orchestrator.plan.config import load_matrix
from orchestrator.run.chosen_plan import SHIPPED
from orchestrator.run.reach_maps import keep_map
from tests.process import fake_host
from tests.process.fake_host import PATCHRIG, Host, passing
from tests.process.toy_kernel import SWAP_C, ToyKernel, patch
from tests.unit.plan.test_reach_order import reach_map

host = fake_host.host

pytestmark = pytest.mark.skipif(find_tool("ccache") is None, reason="ccache is not installed")
NOT_THIS = patch("slots = 9;", "slots = 3;")


@pytest.fixture
def kernel(host: Host) -> ToyKernel:
    kernel = ToyKernel(host)
    kernel.write("mine/mincore.yaml", (kernel.folder / "workloads/mincore.yaml").read_text())
    kernel.write("mine/load.sh", "#!/bin/sh\n")
    host.scenario(passing())
    return kernel


def run(kernel: ToyKernel, *words: str) -> subprocess.CompletedProcess[str]:
    """A run of the one workload that a toy kernel's fake guest knows. The toy has nothing to widen."""
    own = ["--no-sandbox", "--arch", "x86_64", "--workload", str(kernel.folder / "mine/mincore.yaml")]
    argv = [str(PATCHRIG), "run", *own, "--flavour", "plain", "--results", str(kernel.host.results), *words]
    return subprocess.run(argv, env=kernel.host.environment, capture_output=True, text=True, check=False, timeout=300)


def git(folder: Path, *words: str) -> str:
    own = ["git", "-C", str(folder), "-c", "user.name=A", "-c", "user.email=a@localhost"]
    return subprocess.run([*own, *words], check=True, capture_output=True, text=True).stdout.strip()


def mail(kernel: ToyKernel, diff: str, noted: str = "") -> str:
    cover = f"From a@b Sat Nov  1 10:00:00 2025\nFrom: A <a@b>\nSubject: [PATCH 0/1] swap\n\n{noted}\n"
    one = f"From a@b Sat Nov  1 10:00:00 2025\nFrom: A <a@b>\nSubject: [PATCH 1/1] swap: three\n\nwhy\n---\n{diff}\n"
    kernel.write("t.mbox", cover + one)
    return str(kernel.folder / "t.mbox")


def summary(kernel: ToyKernel) -> str:
    return " ".join((kernel.host.results / "latest/summary.txt").read_text().split())


def base_of(kernel: ToyKernel) -> dict[str, object]:
    stored = json.loads((kernel.host.results / "latest/run.json").read_text())
    base: dict[str, object] = stored["choices"]["base"]
    return base


def test_a_plain_tree_is_the_base_and_everything_says_so(kernel: ToyKernel) -> None:
    tree = kernel.folder / "linux"

    done = run(kernel, "--tree", str(tree), "--patch", mail(kernel, patch("slots = 2;", "slots = 3;")))

    assert done.returncode == 0, done.stderr
    assert (tree / "swap.c").read_text() == SWAP_C
    text = f"base: {tree} (6.19.6): --tree, as it lies there"
    assert text in done.stderr.replace("\n", "")
    assert text in summary(kernel)
    assert base_of(kernel)["fits"] is True
    assert f"patchrig reach mm --tree {tree} makes one" in summary(kernel)
    (cell,) = kernel.host.cells()
    assert (cell["cell"]["build"]["variant"], cell["cell"]["build"]["flavour"]) == ("patched", "plain")


@pytest.mark.parametrize(
    ("more", "flavours"),
    [
        ([], {"plain", "widened"}),
        (["--flavour", "kasan"], {"kasan"}),
        (["--suite", "stress-ng:vm"], {"plain"}),
    ],
)
def test_a_series_gets_a_kernel_that_delays_tasks_in_what_it_changes(
    kernel: ToyKernel, more: list[str], flavours: set[str]
) -> None:
    series = mail(kernel, patch("slots = 2;", "slots = 3;"))
    argv = [str(PATCHRIG), "list", "--arch", "x86_64", "--tree", str(kernel.folder / "linux"), "--patch", series]

    done = subprocess.run([*argv, "--json", *more], env=kernel.host.environment, capture_output=True, check=True)

    cells = json.loads(done.stdout)
    assert {cell["name"].split(".")[1] for cell in cells} == flavours
    # As in configs/mm.yaml, from which the workloads are.
    assert {cell["seconds"] for cell in cells} == {10}


def test_the_suites_that_the_trees_maintainers_list_for_the_changed_files_are_named(kernel: ToyKernel) -> None:
    kernel.write("linux/MAINTAINERS", "SLOTS\nF:\tswap.c\nF:\ttools/testing/selftests/slots/\n")

    done = run(
        kernel, "--patch", mail(kernel, patch("slots = 2;", "slots = 3;")), "--tree", str(kernel.folder / "linux")
    )

    assert done.returncode == 0, done.stderr
    assert "with --suite kselftest:slots (SLOTS)" in summary(kernel)


def listed(kernel: ToyKernel, *more: str) -> tuple[set[tuple[str, str]], str]:
    """Flavour and workload of each cell of a run, and what was said of the choice."""
    series = mail(kernel, patch("slots = 2;", "slots = 3;"))
    argv = [str(PATCHRIG), "list", "--arch", "x86_64", "--tree", str(kernel.folder / "linux"), "--patch", series]
    environment = kernel.host.environment | {"COLUMNS": "1000"}
    done = subprocess.run([*argv, "--json", *more], env=environment, capture_output=True, text=True, check=True)
    cells = {(cell["flavour"], cell["workload"]["name"]) for cell in json.loads(done.stdout)}
    return cells, " ".join(done.stderr.split())


def keep_suite(kernel: ToyKernel, seconds: float) -> None:
    """A map of a kernel near to the toy, in which a suite alone runs what the series changes."""
    loads = {name: ["swap.c:other"] for name in load_matrix(SHIPPED).workloads}
    map_ = reach_map({**loads, "kunit-mm": ["swap.c:_start"]}, source="7" * 64, folders=("",))
    *others, suite = map_.workloads
    suite = replace(suite, suite="kunit:mm", outcome="subtests-failed", guest_seconds=seconds)
    keep_map(Path(kernel.host.environment["PATCHRIG_CACHE"]), replace(map_, workloads=(*others, suite)))


def test_a_suite_that_alone_runs_what_the_series_changes_is_chosen_and_is_not_delayed(kernel: ToyKernel) -> None:
    keep_suite(kernel, 90)

    cells, said = listed(kernel)

    assert {flavour for flavour, load in cells if load == "kunit-mm"} == {"plain+kunit"}
    assert {("plain", "swapin"), ("widened", "swapin")} <= cells
    reason = "runs 1 of 1 changed functions, 1 of which no workload of this run runs"
    assert f"suites that run what no workload of this run does: kunit:mm ({reason})" in said
    assert "left out: kunit-mm: not with widened: the results of a suite don't depend on delays" in said


@pytest.mark.parametrize("more", [["--workload", "swapin"], ["--flavour", "plain"], ["--suite", "stress-ng:vm"]])
def test_options_that_say_what_is_run_add_no_suite(kernel: ToyKernel, more: list[str]) -> None:
    keep_suite(kernel, 90)

    cells, said = listed(kernel, *more)

    assert "kunit-mm" not in {load for _, load in cells}
    assert "suites that run what" not in said


def test_a_suite_that_takes_long_is_only_named(kernel: ToyKernel) -> None:
    keep_suite(kernel, 1500)

    cells, said = listed(kernel)

    assert "kunit-mm" not in {load for _, load in cells}
    assert "run with --suite kunit:mm (runs 1 of 1 changed functions, 1 of" in said
    assert "; took 25 min when it was recorded)" in said


def test_a_tree_without_a_series_is_a_baseline(kernel: ToyKernel) -> None:
    done = run(kernel, "--tree", str(kernel.folder / "linux"))

    assert done.returncode == 0, done.stderr
    (cell,) = kernel.host.cells()
    assert cell["cell"]["build"]["variant"] == "baseline"


def test_the_commit_that_the_mail_names_is_built_where_head_does_not_take_the_series(kernel: ToyKernel) -> None:
    tree = kernel.folder / "linux"
    git(tree, "init", "-q")
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "the base")
    base = git(tree, "rev-parse", "HEAD")
    kernel.write("linux/swap.c", SWAP_C.replace("slots = 2;", "slots = 7;"))
    git(tree, "commit", "-qam", "later")
    before = sorted((path, path.stat().st_mtime_ns) for path in tree.rglob("*"))
    series = mail(kernel, patch("slots = 2;", "slots = 3;"), f"base-commit: {base}")

    done = run(kernel, "--tree", str(tree), "--patch", series)

    assert done.returncode == 0, done.stderr
    assert f"base: commit {base[:12]} of {tree}: base-commit {base[:12]} in the cover letter" in summary(kernel)
    assert f"{tree} as it lies there: it does not apply in swap.c" in summary(kernel)
    assert sorted((path, path.stat().st_mtime_ns) for path in tree.rglob("*")) == before


def test_head_is_built_where_it_takes_the_series_whatever_the_mail_names(kernel: ToyKernel) -> None:
    tree = kernel.folder / "linux"
    git(tree, "init", "-q")
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "the base")
    base = git(tree, "rev-parse", "HEAD")
    kernel.write("linux/Kconfig", "# another file\n")
    git(tree, "commit", "-qam", "later")
    series = mail(kernel, patch("slots = 2;", "slots = 3;"), f"base-commit: {base}")

    assert run(kernel, "--tree", str(tree), "--patch", series).returncode == 0

    assert f"base: {tree} (6.19.6): --tree, as it lies there at {git(tree, 'rev-parse', 'HEAD')[:12]}" in summary(
        kernel
    )


def test_what_applies_nowhere_is_not_applied_and_the_next_command_is_named(kernel: ToyKernel) -> None:
    tree = kernel.folder / "linux"

    done = run(kernel, "--tree", str(tree), "--patch", mail(kernel, NOT_THIS, "base-commit: " + "ab" * 20))

    assert done.returncode == 1, done.stderr
    assert kernel.host.outcomes() == ["not-applied"]
    assert base_of(kernel)["fits"] is False
    text = summary(kernel)
    assert "--tree, as it lies there, but it does not apply in swap.c" in text
    assert f"next: patchrig run --patch {kernel.folder / 't.mbox'}" in text


def test_without_matrix_series_tree_and_kernel_it_is_swapoff(kernel: ToyKernel) -> None:
    argv = [str(PATCHRIG), "list", "--arch", "x86_64"]
    listed = subprocess.run(argv, env=kernel.host.environment, capture_output=True, text=True, check=True)

    assert "patched.plain.x86_64.swapin " in listed.stdout
    assert listed.stderr == ""
