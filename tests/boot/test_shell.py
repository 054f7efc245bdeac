# SPDX-License-Identifier: GPL-2.0-or-later
"""A person in a guest: `patchrig shell`, the workload started by hand, and once more."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pexpect
import pytest

from tests.boot.boot_runs import PATCHRIG, PROJECT

pytestmark = [pytest.mark.boot, pytest.mark.timeout(5400)]

# Site and branch are counted by probes of their own.
WORKLOAD, COUNTERS = "willneed", ("site.read_swap_cache_async.calls", "empty_handed")
PROMPT = "patchrig# "


@pytest.fixture(params=["x86_64", "arm64"])
def session(request: pytest.FixtureRequest) -> Iterator[tuple["pexpect.spawn[str]", str]]:
    """A guest's shell, and the command that it names."""
    argv = ["shell", f"plain.{request.param}.{WORKLOAD}"]
    with pexpect.spawn(str(PATCHRIG), argv, cwd=PROJECT, encoding="utf-8", timeout=1800, dimensions=(50, 1000)) as told:
        told.expect(r"started by:\r?\n\s*(.*?)\r?\n")
        command = told.match.group(1)
        told.expect_exact(PROMPT)
        yield told, command
        told.sendline("exit")
        told.expect(pexpect.EOF)


def answer(session: "pexpect.spawn[str]", command: str) -> str:
    # The echo of the command does not hold the word.
    session.sendline(f'{command}; echo EN""DED')
    session.expect_exact("ENDED")
    return str(session.before)


def result_of(output: str) -> dict[str, Any]:
    lines = [line.strip() for line in output.splitlines() if line.lstrip().startswith('{"type"')]
    assert lines, output
    return dict(json.loads(lines[-1]))


def test_a_workload_can_be_run_again_in_the_same_guest_and_takes_no_probe_out(
    session: tuple["pexpect.spawn[str]", str],
) -> None:
    """A probe that is taken out while others run into it leaves QEMU with a breakpoint that belongs to nobody: what
    the kernel then says is `Oops: int3`, and once it ended a good run so."""
    told, command = session

    for _ in range(2):
        result = result_of(answer(told, re.sub(r"--seconds \d+", "--seconds 8", command)))
        assert [result.get("missing"), result.get("errors"), result.get("mismatch_count")] == ["", [], 0], result
        after = result["counters"]["after"]
        assert min(after[name] for name in COUNTERS) > 0, after
        assert "get_swap_device+0x0" in answer(told, "cat /sys/kernel/debug/kprobes/list")
