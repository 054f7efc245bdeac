# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig settle` and `explain` on real guests: a true claim on a kernel whose bug a race shows, and a false one."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.boot.boot_runs import BUGS, MATRIX, PATCHRIG, SERIES, with_patches
from tests.boot.test_replay import NEEDS_GDB

pytestmark = [pytest.mark.boot, pytest.mark.timeout(7200)]

# do_swap_page() uses a swap device without a reference, so swapoff may free what it looks at.
RACE = "do_swap_page | mm/swapfile.c:swapoff"
# Of the same files. Without the bug no race can be found by chance.
NO_RACE = "wp_page_copy | mm/swapfile.c:swapon"


def said_by(results: Path, command: str, *words: str) -> tuple[int, Mapping[str, Any]]:
    """Exit code and JSON of a command."""
    argv = [str(PATCHRIG), command, *words, "--results", str(results), "--json"]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=5400)
    assert done.stdout, done.stderr[-3000:]
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """What came of the true claim."""
    patches = with_patches(SERIES, BUGS / "swapin-no-reference.patch")
    chosen = ("--workload", "swapin", "--seconds", "4", "--schedules", "16")
    status, said = said_by(tmp_path_factory.mktemp("true"), "settle", RACE, str(MATRIX), *patches, *chosen)
    assert status == 1, said
    return said


def test_a_true_claim_is_shown_after_the_places_have_met(shown: Mapping[str, Any]) -> None:
    assert shown["decision"] == "shown"
    assert shown["cell"]
    assert shown["title"]
    assert any(place["met"] for place in shown["meetings_of_cell"])


@NEEDS_GDB
def test_the_race_is_explained_from_the_same_execution(shown: Mapping[str, Any]) -> None:
    run = Path(shown["folder"])

    status, said = said_by(run.parent, "explain", run.name, shown["cell"], "--last", "0.2")

    assert status == 0, said
    assert said["identical"] is True
    assert said["splat"] == shown["title"]
    assert said["acts"]


def test_a_false_claim_is_not_shown_although_the_places_met(tmp_path: Path) -> None:
    chosen = ("--workload", "swapin", "--seconds", "2", "--schedules", "2")
    status, said = said_by(tmp_path, "settle", NO_RACE, str(MATRIX), *chosen)

    assert status == 0, said
    assert said["decision"] == "not shown"
    assert any(place["met"] for place in said["meetings"])
