# SPDX-License-Identifier: GPL-2.0-or-later
"""A workload of the user's own: a C program beside the matrix, compiled with the library, judged like any other."""

import json

import pytest

from tests.boot.boot_runs import SERIES, Ran, run_command

pytestmark = [pytest.mark.boot, pytest.mark.timeout(5400)]

SECONDS = 1200
# Finds something at once and would go on until its time is over.
PROGRAM = """
#include <errno.h>

#include "run.h"

static void nothing(void)
{
}

static void load(void)
{
	run_error("open", ENOTBLK);
	while (!run_over()) {
		operations_add(1);
		sleep_us(10000);
	}
}

int main(int argc, char **argv)
{
	static const struct workload workload = { .setup = nothing, .load = load, .verify = nothing };

	return run_workload(&workload, argc, argv);
}
"""
WORKLOAD = """
name: finder
summary: an error that the kernel must not give
program: finder.c
memory_mib: 256
cpus: 2
devices:
  - {kind: zram, size_mib: 8}
exercised:
  swapoffs: 1
"""


@pytest.fixture(scope="module", params=["x86_64", "arm64"])
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("own")
    (folder / "finder.c").write_text(PROGRAM)
    (folder / "finder.yaml").write_text(WORKLOAD)
    matrix = {"kernel": "6.19", "series": [str(SERIES)], "arches": [request.param], "workloads": ["./finder.yaml"]}
    (folder / "matrix.yaml").write_text(json.dumps(matrix | {"seconds": SECONDS}))
    return run_command("run", str(folder / "matrix.yaml"), "--results", str(folder / "results"), "--json")


def test_what_it_finds_fails_the_cell_by_its_name(ran: Ran) -> None:
    assert list(ran.titles().values()) == ["failed: open failed with ENOTBLK"]


def test_nobody_waits_for_the_rest_of_a_load_that_has_failed(ran: Ran) -> None:
    (cell,) = ran.cells.values()

    assert cell["run"]["guest_seconds"] < SECONDS / 10
