# SPDX-License-Identifier: GPL-2.0-or-later
"""Bugs that nobody seeded: the released kernel fails, with the fix it passes. docs/found/NAME.md tells each."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.host import paths
from tests.boot.boot_runs import Ran, run_command

pytestmark = [pytest.mark.boot, pytest.mark.timeout(5400)]

ARCHES = ("x86_64", "arm64")


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the released kernel shows in each cell of configs/found/NAME.yaml, whose workload has the same name."""

    name: str
    outcome: str
    title: str  # a part of it


FOUND = (
    Found(name="zswap-zero", outcome="corrupted", title="(stale)"),
    Found(name="unmap-dirty", outcome="corrupted", title="the wrong data"),
    Found(name="memory-max", outcome="failed", title="goes on although the limit was raised"),
)


@pytest.fixture(scope="module", params=FOUND, ids=lambda bug: bug.name)
def bug(request: pytest.FixtureRequest) -> Found:
    found: Found = request.param
    return found


@pytest.fixture(scope="module")
def ran(bug: Found, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    results: Path = tmp_path_factory.mktemp(bug.name)
    return run_command("run", str(paths.FOUND / f"{bug.name}.yaml"), "--results", str(results), "--json")


@pytest.mark.parametrize("arch", ARCHES)
def test_the_released_kernel_has_the_bug(bug: Found, ran: Ran, arch: str) -> None:
    cell = ran.cells[f"baseline.plain.{arch}.{bug.name}"]

    assert cell["verdict"]["outcome"] == bug.outcome, ran.titles()
    assert bug.title in cell["verdict"]["title"]


@pytest.mark.parametrize("arch", ARCHES)
def test_the_kernel_with_the_fix_does_not(bug: Found, ran: Ran, arch: str) -> None:
    assert ran.outcomes()[f"patched.plain.{arch}.{bug.name}"] == "passed", ran.titles()


def test_the_summary_says_that_the_fix_makes_the_difference(ran: Ran) -> None:
    # One finding or two: a title with the number of pages may be another one on the other arch.
    assert "only without: 0 of " in (ran.folder / "summary.txt").read_text()
