# SPDX-License-Identifier: GPL-2.0-or-later
"""What a hunt runs unless the user says."""

from orchestrator.cli.hunt_runs import default_workloads
from orchestrator.host import paths
from orchestrator.plan.checks import known_workloads


def test_a_hunt_leaves_out_what_only_shows_a_known_bug() -> None:
    hunted, all_of_them = default_workloads(), known_workloads()

    left_out = all_of_them - set(hunted)

    assert left_out == {
        *(
            "collapse-dirty",
            "free-forked",
            "huge-zero-move",
            "lru-gen-switch",
            "memory-max",
            "scan-dropped",
            "split-read",
            "unmap-dirty",
            "zswap-first-use",
            "zswap-zero",
        )
    }
    # Each of the bugs has a matrix of its own, with the kernel that has the bug and the fix.
    assert all((paths.CONFIGS / f"{name}.yaml").is_file() for name in left_out)
    assert len(hunted) == len(set(hunted))


def test_a_hunt_begins_with_the_workloads_of_the_default_matrix() -> None:
    assert default_workloads()[:2] == ("swapin", "mincore")
