# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig replay KEY`: a cell of one run is built again from its key alone; a toy kernel, and a fake QEMU."""

import html
import json
import subprocess
from pathlib import Path

import pytest

from orchestrator.host.process import find_tool
from orchestrator.model.replay_keys import parse_key
from orchestrator.report.kept_replay import REPLAY_FILE
from tests.process import fake_host
from tests.process.cli.test_replay import STORY, TOLD
from tests.process.fake_host import BOOT, PATCHRIG
from tests.process.toy_kernel import ToyKernel

host = fake_host.host

pytestmark = pytest.mark.skipif(find_tool("ccache") is None, reason="ccache is not installed")


@pytest.fixture
def kernel(host: fake_host.Host) -> ToyKernel:
    made = ToyKernel(host)
    host.scenario([], boot=STORY)
    return made


def key_of_run(kernel: ToyKernel) -> str:
    """The key of the one cell of a deterministic run."""
    done = kernel.run("--deterministic")
    assert done.returncode == 0, done.stdout + done.stderr
    (cell,) = kernel.host.cells()
    record = json.loads(((kernel.host.results / "latest").resolve() / cell["folder"] / REPLAY_FILE).read_text())
    return str(record["key"])


def replay(kernel: ToyKernel, key: str, *words: str) -> subprocess.CompletedProcess[str]:
    own = ["--workload", str(kernel.folder / "workloads/mincore.yaml"), "--tree", str(kernel.folder / "linux")]
    argv = [str(PATCHRIG), "replay", key, *own, "--no-sandbox", "--results", str(kernel.folder / "elsewhere"), *words]
    # Another machine has another cache.
    environment = {**kernel.host.environment, "PATCHRIG_CACHE": str(kernel.folder / "another-cache")}
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=300)


def series(kernel: ToyKernel) -> tuple[str, str]:
    return ("--patch", str(kernel.folder / "series.patch"))


def test_image_and_initramfs_are_built_again_and_the_console_is_the_same(kernel: ToyKernel) -> None:
    key = key_of_run(kernel)

    done = replay(kernel, f"> {key.replace(' seed=', chr(10) + '> seed=')}", *series(kernel))

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("identical\nconsole       SHA-256 ")
    assert "another initramfs" not in done.stdout
    # Without the sandbox, which has the same paths everywhere, that of the cache is in the toy's debug information.
    assert done.stdout.count("although") == done.stdout.count("another image")
    assert "outcome       passed: " in done.stdout
    assert list(Path(kernel.folder / "elsewhere").glob("*/cells/patched.plain.x86_64.mincore/replay.json"))


def test_a_splat_that_the_matrix_allows_is_allowed_in_a_replay_by_key(kernel: ToyKernel) -> None:
    matrix = kernel.folder / "matrix.yaml"
    matrix.write_text(f"{matrix.read_text()}allow: [{{title: WARNING in odd_ref_free, reason: for a test}}]\n")
    warning = "[    1.913000][   T57] WARNING: mm/swapfile.c:1291 at odd_ref_free+0x1/0x20, CPU#1: swapin/57"
    kernel.host.scenario([], boot=[*BOOT, ["console", warning], *STORY[len(BOOT) :]])
    key = key_of_run(kernel)

    done = replay(kernel, key, *series(kernel))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "another initramfs" not in done.stdout
    assert "outcome       passed: " in done.stdout


def test_a_red_cell_shows_its_key_in_summary_and_page(kernel: ToyKernel) -> None:
    warning = "[    1.913000][   T57] WARNING: mm/swapfile.c:1291 at odd_ref_free+0x1/0x20, CPU#1: swapin/57"
    kernel.host.scenario([], boot=[*BOOT, ["console", warning], *STORY[len(BOOT) :]])
    done = kernel.run("--deterministic")
    assert done.returncode == 1, done.stdout + done.stderr
    (cell,) = kernel.host.cells()
    run = (kernel.host.results / "latest").resolve()
    key = parse_key(json.loads((run / cell["folder"] / REPLAY_FILE).read_text())["key"])

    _, _, said = (run / "summary.txt").read_text().partition("its key, for `patchrig replay '...'`")
    _, _, shown = (run / "report.html").read_text().partition('aria-label="Replay key">')

    assert parse_key(said.partition(":\n")[2].partition("\n\n")[0]) == key
    assert parse_key(html.unescape(shown.partition("</pre>")[0])) == key


def test_another_console_is_exit_code_1(kernel: ToyKernel) -> None:
    key = key_of_run(kernel)
    kernel.host.scenario([], boot=[*BOOT, *TOLD, ["die", 0]])

    done = replay(kernel, key, *series(kernel), "--json")

    assert done.returncode == 1, done.stdout + done.stderr
    assert json.loads(done.stdout)["identical"] is False


def test_what_a_key_has_only_the_digest_of_is_asked_for_with_its_option(kernel: ToyKernel) -> None:
    key = key_of_run(kernel)
    kernel.write("other.patch", (kernel.folder / "series.patch").read_text().replace("slots = 3", "slots = 4"))

    none = replay(kernel, key)
    other = replay(kernel, key, "--patch", str(kernel.folder / "other.patch"))
    kernel.write("linux/swap.c", "int slots = 9;\nvoid _start(void)\n{\n\tslots = 2;\n}\n")
    source = replay(kernel, key, *series(kernel))

    assert [done.returncode for done in (none, other, source)] == [2, 2, 2]
    assert "the kernel of the key has a series with the SHA-256 " in none.stderr
    assert "--patch PATH" in none.stderr
    assert "the series is another one" in other.stderr
    assert "the kernel source is another one" in source.stderr
    assert "--tree DIR" in source.stderr


def test_a_key_that_a_mail_has_damaged_is_refused(kernel: ToyKernel) -> None:
    done = replay(kernel, "patchrig-1 patched.plain.x86_64.mincore version=6.19.6")

    assert done.returncode == 2, done.stdout + done.stderr
    assert "this is no whole key: a part of it is missing or has changed" in done.stderr


def test_a_run_without_a_cell_is_no_key(kernel: ToyKernel) -> None:
    done = replay(kernel, "latest")

    assert done.returncode == 2, done.stdout + done.stderr
    assert "Missing argument 'CELL'" in done.stderr
