# SPDX-License-Identifier: GPL-2.0-or-later
"""A deterministic cell again, and what it called: QEMU tells, and the guest does not notice."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.host.errors import UserError
from orchestrator.host.text import capped_lines
from orchestrator.host.untrusted import BadFile
from orchestrator.judge.traced_calls import CLOCK, SWITCH, calls
from orchestrator.kernel.code.parameter_names import parameter_names
from orchestrator.kernel.code.symbols import Symbols
from orchestrator.model.arch import ARCHES
from orchestrator.model.events import Listener
from orchestrator.model.images import KernelImage
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.model.traced import Call, TracedFunction, Watched
from orchestrator.run.replaying import QEMU_LOG, REPLAY_FOLDER, Replayed, kept_replay, replay, replayable
from orchestrator.vm.execution_log import entries

_ASKED = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(?:\(([\w\s,]*)\))?\s*")
_EXAMPLE = "patchrig replay RUN CELL --trace 'percpu_ref_put_many(ref, nr)'"


def traced_function(text: str) -> TracedFunction:
    """FUNCTION, or FUNCTION(NAME, ...). Raises UserError."""
    asked = _ASKED.fullmatch(text)
    if asked is None:
        raise UserError(f"--trace: {text!r} is no function", hint=_EXAMPLE)
    names = tuple(name.strip() for name in (asked[2] or "").split(",") if name.strip())
    return TracedFunction(name=asked[1], arguments=names)


def trace(
    report: RunReport, found: CellReport, asked: Sequence[TracedFunction], listener: Listener, *, sandbox: bool
) -> tuple[Replayed, tuple[Call, ...]]:
    """The replay, and the calls. Raises UserError for a function that the kernel lacks."""
    kept_replay(report, found)
    kernel = replayable(report, found.cell, sandbox=sandbox).kernel
    symbols = Symbols(vmlinux=kernel.vmlinux, arch=ARCHES[kernel.build.arch], sandbox=sandbox)
    watched = _watched(symbols, _named(kernel, asked, sandbox=sandbox))
    done = replay(report, found, listener, sandbox=sandbox, traced=watched.addresses)
    return done, _calls(report.folder / found.folder / REPLAY_FOLDER / QEMU_LOG, watched)


def _named(kernel: KernelImage, asked: Sequence[TracedFunction], *, sandbox: bool) -> list[TracedFunction]:
    """With the names of the source, where the user gave none. Without debug information they stay without."""
    nameless = {function.name for function in asked if not function.arguments}
    try:
        names = parameter_names(kernel, nameless, sandbox=sandbox) if nameless else {}
    except BadFile:
        names = {}
    return [
        function if function.arguments else replace(function, arguments=names.get(function.name, ()))
        for function in asked
    ]


def _watched(symbols: Symbols, asked: Sequence[TracedFunction]) -> Watched:
    places = {function: symbols.starts_of(function.name) for function in asked}
    for function, starts in places.items():
        if not starts:
            why = f"--trace: this kernel has no function {function.name}(): it may be inlined everywhere"
            raise UserError(why, hint=f"nm {symbols.vmlinux} | grep {function.name}")
    return Watched(
        functions={start: function for function, starts in places.items() for start in starts},
        clocks=frozenset(symbols.starts_of(CLOCK)),
        switches=frozenset(symbols.starts_of(SWITCH)),
    )


def _calls(log: Path, watched: Watched) -> tuple[Call, ...]:
    with log.open("rb") as lines:
        return tuple(calls(entries(capped_lines(lines)), watched))
