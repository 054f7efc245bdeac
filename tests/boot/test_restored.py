"""Real guests that are restored: each has random numbers and a clock of its own, and the rest of the first."""

import json
import time
from pathlib import Path

import pytest
from boot_runs import SERIES, Ran, run_command

pytestmark = [pytest.mark.boot, pytest.mark.timeout(5400)]

ARCHES = ("x86_64", "arm64")
# Says a random number, the time and how many CPUs there are; a result line then ends it.
PROGRAM = r"""#!/bin/sh
printf '{"type": "said", "random": "%s", "time": %s, "cpus": %s}\n' \
    "$(head -c 16 /dev/urandom | sha256sum | cut -c 1-64)" "$(date +%s)" "$(nproc)"
printf '{"type": "result", "operations": 1, "verified": 0, "mismatch_count": 0, "mismatches": [], "errors": [], '
printf '"swapoffs": 0, "swapoff_longest_ms": 0, "swapoff_stuck": false, '
printf '"counters": {"before": {}, "after": {"turns": 1}}}\n'
"""
WORKLOAD = """
name: turns
summary: a random number and the time
program: turns.sh
memory_mib: 512
cpus: 2
devices:
  - {kind: virtio-blk, size_mib: 16}
exercised:
  turns: 1
"""


@pytest.fixture(scope="module", params=ARCHES)
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Four cells with the same guest."""
    folder = tmp_path_factory.mktemp("restored")
    (folder / "turns.sh").write_text(PROGRAM)
    (folder / "turns.yaml").write_text(WORKLOAD)
    matrix = {"kernel": "6.19", "series": [str(SERIES)], "arches": [request.param], "workloads": ["./turns.yaml"]}
    matrix |= {"seconds": 1, "repeat": 4}
    (folder / "matrix.yaml").write_text(json.dumps(matrix))
    return run_command(
        "run", str(folder / "matrix.yaml"), "--results", str(folder / "results"), "--json", "--jobs", "1"
    )


def said(ran: Ran) -> list[dict[str, object]]:
    """What each guest said, in the order of the cells."""
    logs = [ran.folder / "cells" / name / "workload.log" for name in ran.cells]
    return [json.loads(log.read_text().splitlines()[0]) for log in logs]


def test_the_first_guest_is_booted_and_the_others_are_restored(ran: Ran) -> None:
    assert set(ran.outcomes().values()) == {"passed"}, ran.titles()
    assert [cell["run"]["restored"] for cell in ran.cells.values()] == [False, True, True, True]


def test_no_two_guests_draw_the_same_random_numbers(ran: Ran) -> None:
    drawn = [one["random"] for one in said(ran)]

    assert len(set(drawn)) == len(drawn) == 4


def test_a_restored_guest_has_the_wall_clock_of_now(ran: Ran) -> None:
    # The first boots with what the machine says, which on arm64 is 1970.
    for one in said(ran)[1:]:
        assert abs(float(str(one["time"])) - time.time()) < 600


def test_a_restored_guest_has_the_cpus_that_were_asked_for_and_the_console_of_the_boot(ran: Ran) -> None:
    for name, one in zip(ran.cells, said(ran), strict=True):
        console = Path(ran.folder / "cells" / name / "console.log").read_text(errors="replace")
        assert one["cpus"] == 2
        assert console.count("Linux version") == 1
        assert "patchrig: ready" in console
