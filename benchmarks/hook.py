# SPDX-License-Identifier: GPL-2.0-or-later
"""What the hook of the widened flavour costs: the same load on a kernel without it, with it switched off, and counting.

The guests are those of repro.sh, QEMU alone: one image with other arguments is all that differs.
"""

import json
import re
import shlex
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.runs import REPEATS, Figure, Row, run

WORKLOAD = "swapin"
SECONDS = 10
GUEST_SECONDS = 300
# What run-workload is told of the delays. Without it nothing is switched on; with a chance of 0 nothing waits.
_WIDEN = re.compile(r"--widen \d+:(\S+) ")


def hook(results: Path) -> Iterator[Figure]:
    """Operations of a load with the hook switched off, and with it only counting, against the kernel without it."""
    options = ("--arch", "x86_64", "--workload", WORKLOAD, "--seconds", str(SECONDS))
    _, cells, summary = run(results, "--flavour", "plain", "--flavour", "widened", *options)
    folder = Path(summary["folder"])
    scripts = {cell["cell"]["build"]["flavour"]: folder / "cells" / name_of(cell) / "repro.sh" for cell in cells}
    kinds = {"plain": scripts["plain"], "off": scripts["widened"], "counting": scripts["widened"]}
    done: dict[str, list[int]] = {kind: [] for kind in kinds}
    for _ in range(REPEATS):
        for kind, script in kinds.items():
            done[kind].append(operations(booted(script, kind)))
    yield from figures(done)


def name_of(cell: Mapping[str, Any]) -> str:
    build = cell["cell"]["build"]
    return f"{build['variant']}.{build['flavour']}.{build['arch']}.{cell['cell']['workload']['name']}"


def figures(done: Mapping[str, Sequence[int]]) -> Iterator[Figure]:
    plain = statistics.median(done["plain"])
    for kind in ("off", "counting"):
        what = f"{WORKLOAD}, {SECONDS} s, the hook {kind}; without it, medians of {len(done[kind])}"
        yield Figure(what=what, measured=statistics.median(done[kind]), peer=plain, reach=None, unit="ops")


def as_kind(script: str, kind: str) -> str:
    """The reproducer of a cell with its delays taken out, or with the hook not even switched on."""
    return _WIDEN.sub("" if kind == "off" else r"--widen 0:\1 ", script)


def booted(script: Path, kind: str) -> str:
    """The console of a guest that runs a reproducer."""
    edited = script.with_name(f"repro-{kind}.sh")
    edited.write_text(as_kind(script.read_text(), kind))
    argv = ["timeout", str(GUEST_SECONDS), "sh", str(edited)]
    said = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return said.stdout.decode(errors="replace")


def operations(console: str) -> int:
    """What the workload's result says it did."""
    for line in reversed(console.splitlines()):
        at = line.find('{"type": "result"')
        if at >= 0:
            return int(json.loads(line[at:])["operations"])
    last = "\n".join(console.splitlines()[-20:])
    sys.exit(f"{shlex.quote('repro.sh')}: the workload printed no result\n{last}")


ROWS: dict[str, Row] = {"hook": hook}
