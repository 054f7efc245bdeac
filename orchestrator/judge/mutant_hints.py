# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a mutant may have survived: one hint, from what was passed and from what its operator breaks (pure)."""

from collections.abc import Mapping, Sequence

from orchestrator.model.mutants import Mutant, Operator
from orchestrator.model.mutation import MutantTry
from orchestrator.model.outcomes import Outcome

# Operators whose mutant differs only where the branch is taken that they force, or take away.
BRANCH_OPERATORS = frozenset({"never", "ignore-failure", "drop-recheck", "drop-retry"})
_RACE = "race"
# What stands under a condition begins within so many lines.
_NEAR = 3


def hint_of(
    mutant: Mutant, operator: Operator, mutants: Sequence[Mutant], passed: Mapping[int, int], tries: Sequence[MutantTry]
) -> str:
    """`passed`: mutant -> how often all workloads of the control together passed its place."""
    if operator.name in BRANCH_OPERATORS and (line := _never_entered(mutant, mutants, passed)):
        return f"branch never taken: line {line} behind it never ran"
    if operator.invisible:
        return "no check sees this: it may not show under QEMU's TCG"
    if _RACE in operator.detector:
        return "race never won: it shows only in a race (--flavour widened delays tasks there)"
    short = [one.attempt for one in tries if one.attempt.outcome is Outcome.NOT_EXERCISED]
    if short:
        return f"no check sees this, but {short[0].workload} was not-exercised: {short[0].title}"
    return "no check sees this"


def _never_entered(mutant: Mutant, mutants: Sequence[Mutant], passed: Mapping[int, int]) -> int:
    """The line of the nearest mutant behind a condition, where its place was never passed; else 0."""
    behind = [
        one
        for one in mutants
        if (one.file, one.function) == (mutant.file, mutant.function)
        and mutant.line < one.line <= mutant.line + _NEAR
        and not one.own_build
    ]
    if not behind:
        return 0
    first = min(one.line for one in behind)
    return first if not any(passed.get(one.number) for one in behind if one.line == first) else 0
