# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig explain`: of cells that have nothing to explain, and kernels that can't be read; with a fake QEMU."""

import subprocess

import pytest

from tests.process import fake_host
from tests.process.cli.test_minimise import RED
from tests.process.cli.test_replay import deterministic_run
from tests.process.fake_host import PATCHRIG, Host

host = fake_host.host


def explain(host: Host, *words: str) -> subprocess.CompletedProcess[str]:
    (host.programs / "gdb-multiarch").symlink_to("/bin/true")
    argv = [str(PATCHRIG), "explain", "latest", "mincore", "--no-sandbox", "--results", str(host.results), *words]
    return subprocess.run(argv, env=host.environment, capture_output=True, text=True, check=False, timeout=300)


def test_a_green_cell_has_nothing_to_explain(host: Host) -> None:
    deterministic_run(host)

    done = explain(host)

    assert done.returncode == 2, done.stdout + done.stderr
    assert "has no splat to stop before" in done.stderr


def test_the_cell_of_an_ordinary_run_can_not_be_explained(host: Host) -> None:
    host.earlier_run("x86_64")
    (host.results / "earlier").rename(host.results / "latest")

    done = explain(host)

    assert done.returncode == 2, done.stdout + done.stderr
    assert "its guest was not deterministic" in done.stderr


def test_a_kernel_that_is_gone_is_named(host: Host) -> None:
    deterministic_run(host, RED)
    (host.folder / "kernel" / "vmlinux").unlink()

    done = explain(host)

    assert done.returncode == 3, done.stdout + done.stderr
    assert f"{host.folder / 'kernel' / 'vmlinux'} is gone" in done.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [(("--trials", "3"), "--trials is for --when"), (("--when", "--all"), "--when prints another one")],
)
def test_options_that_do_not_fit_each_other(host: Host, words: tuple[str, ...], why: str) -> None:
    done = explain(host, *words)

    assert done.returncode == 2
    assert why in done.stderr


def test_when_is_asked_of_cells_that_crashed(host: Host) -> None:
    deterministic_run(host)

    done = explain(host, "--when")

    assert done.returncode == 2, done.stdout + done.stderr
    assert "has no splat to stop before" in done.stderr
