# SPDX-License-Identifier: GPL-2.0-or-later
"""A bug that nobody seeded: the released kernel fails, with the fix it passes. docs/found/zswap-zero.md tells it."""

from pathlib import Path

import pytest

from tests.boot.boot_runs import PROJECT, Ran, run_command

pytestmark = [pytest.mark.boot, pytest.mark.timeout(5400)]

MATRIX = PROJECT / "configs" / "zswap-zero.yaml"
ARCHES = ("x86_64", "arm64")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    results: Path = tmp_path_factory.mktemp("found")
    return run_command("run", str(MATRIX), "--results", str(results), "--json")


@pytest.mark.parametrize("arch", ARCHES)
def test_zeros_over_what_zswap_has_are_lost_in_the_released_kernel(ran: Ran, arch: str) -> None:
    cell = ran.cells[f"baseline.plain.{arch}.zswap-zero"]

    assert cell["verdict"]["outcome"] == "corrupted", ran.titles()
    assert "(stale)" in cell["verdict"]["title"]


@pytest.mark.parametrize("arch", ARCHES)
def test_they_are_not_with_the_fix(ran: Ran, arch: str) -> None:
    assert ran.outcomes()[f"patched.plain.{arch}.zswap-zero"] == "passed", ran.titles()


def test_the_summary_says_that_the_fix_makes_the_difference(ran: Ran) -> None:
    # One finding or two: the title has the number of pages, which may be the same on both arches.
    assert "only without: 0 of " in (ran.folder / "summary.txt").read_text()
