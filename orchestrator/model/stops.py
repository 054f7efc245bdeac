# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a replay stops for a debugger."""

from dataclasses import dataclass

from orchestrator.model.stacks import StackFrame


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """Before a splat: at the instruction that traps into it, or else at the start of what reports it."""

    functions: tuple[str, ...] = ()  # any of them; those that the kernel lacks are passed over
    frame: StackFrame | None = None  # instead of functions
    passes: int = 0  # earlier splats that stop there too
