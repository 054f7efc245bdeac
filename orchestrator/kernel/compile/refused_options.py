# SPDX-License-Identifier: GPL-2.0-or-later
"""What a user is told whose kernel option did not stay as it was asked for. Pure."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from orchestrator.host.errors import UserError
from orchestrator.kernel.compile.kconfig import NotGranted
from orchestrator.kernel.compile.kconfig_dependencies import Definition, missing_symbols, why_not


def refused_by_hand(
    refused: Sequence[NotGranted], found: Sequence[Definition], config: Mapping[str, str], build: str
) -> UserError:
    """The error, with the options that would help; `found`: all that the tree defines."""
    lines = [f"--config: {one.title} in {build}: {why_not(one.symbol, found, config)}" for one in refused]
    helpful = dict.fromkeys(name for one in refused for name in missing_symbols(one.symbol, found, config))
    more = " ".join(f"--config CONFIG_{name}=y" for name in helpful)
    if more:
        return UserError("\n".join(lines), hint=f"the same with {more}")
    defined = [definition.symbol for definition in found]
    near = dict.fromkeys(name for one in refused if one.symbol not in defined
                         for name in get_close_matches(one.symbol, defined, n=2))  # fmt: skip
    return UserError("\n".join(lines), hint=" or ".join(f"--config CONFIG_{name}=y" for name in near))
