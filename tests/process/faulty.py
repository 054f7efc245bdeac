# SPDX-License-Identifier: GPL-2.0-or-later
"""A child process of ours in which one system call fails, or at which it is killed: strace injects it."""

import os
import subprocess
import sys

import pytest

from orchestrator.host.paths import PROJECT
from orchestrator.host.process import find_tool

needs_strace = pytest.mark.skipif(find_tool("strace") is None, reason="strace is not installed")
KILLED = "signal=KILL"


def run_with(code: str, *arguments: object, call: str, what: str, number: int) -> subprocess.CompletedProcess[str]:
    """Run Python code; the `number`th `call` ends as `what` says: KILLED, or error=ENOSPC."""
    inject = ("-e", f"trace={call}", "-e", f"inject={call}:{what}:when={number}")
    return traced(code, *arguments, options=(*inject, "-o", os.devnull))


def traced(code: str, *arguments: object, options: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run Python code under strace; skips the test where nothing may be traced."""
    argv = ["strace", "-f", *options, sys.executable, "-c", code, *map(str, arguments)]
    # Python itself would rename what it compiles.
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROJECT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=120)
    if "PTRACE" in done.stderr:
        pytest.skip("strace may not trace here")
    return done
