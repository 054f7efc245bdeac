# SPDX-License-Identifier: GPL-2.0-or-later
"""The partners of a series, and what ran and was delayed of them. Pure."""

from dataclasses import dataclass

from orchestrator.model.blocks import NOTHING, BlockCount, Partner, summed
from orchestrator.report.coverage.figures import BuildCoverage, by_target

_NAMED = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class PartnerCount:
    """A partner, and what ran and was delayed of it."""

    partner: Partner
    total: BlockCount

    @property
    def shares(self) -> str:
        return ", ".join(self.partner.shares)


def partner_counts(coverage: BuildCoverage) -> tuple[PartnerCount, ...]:
    """Each partner, the best first."""
    executed = coverage.executed
    groups = by_target(block for block in coverage.map.blocks if block.partner)
    return tuple(
        PartnerCount(
            partner=one,
            total=summed(executed.get(block.offset, NOTHING) for block in groups.get(one.function, ())),
        )
        for one in coverage.map.partners
    )


def partners_text(coverage: BuildCoverage) -> str:
    """The first few and why they are partners, in a sentence; "" for none."""
    partners = partner_counts(coverage)
    if not partners:
        return ""
    names = ", ".join(f"{one.partner.function} ({one.shares})" for one in partners[:_NAMED])
    more = f" and {len(partners) - _NAMED} more" if len(partners) > _NAMED else ""
    ran = sum(one.total.hits > 0 for one in partners)
    return f"partner functions, which work on the same state: {names}{more}; {ran} of {len(partners)} ran"
