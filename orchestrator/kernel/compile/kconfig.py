# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel configuration as text: what is asked for, and what became of it. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from orchestrator.host.errors import UserError

# A kernel without such a symbol need not grant it. Any other symbol that is not defined is a mistake in a fragment.
OF_SOME_KERNELS = frozenset(
    {
        "ARM64_USE_LSE_ATOMICS",  # none in Linux 7.1
        "NUMA_MIGRATION",  # since Linux 7.1 NUMA_BALANCING depends on it
        "ZRAM_BACKEND_LZO",  # since Linux 6.12; before, zram takes what the crypto API has
    }
)
# What an older kernel needs, too: asked for where a symbol is not granted without it.
_IN_OLDER_KERNELS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        # Until Linux 6.9 kprobes depend on modules, and without BASE_FULL nodes of an XArray are too small for a huge
        # page (a WARN() in xas_split_alloc()).
        "KPROBES": {"MODULES": "y", "BASE_FULL": "y"},
    }
)
_SET = re.compile(r"^CONFIG_(\w+)=(\S.*)$")
_UNSET = re.compile(r"^# CONFIG_(\w+) is not set$")


@dataclass(frozen=True, kw_only=True, slots=True)
class NotGranted:
    """A symbol that was asked for and came out otherwise."""

    symbol: str
    asked: str
    got: str

    @property
    def title(self) -> str:
        return f"CONFIG_{self.symbol}: asked for {self.asked}, became {self.got}"


def parse_fragment(text: str, name: str) -> dict[str, str]:
    """Symbol (without CONFIG_) to value; "n" for what is off. Raises UserError that names file and line."""
    values: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        asked = _setting(line)
        if not asked:
            if line and not line.startswith("#"):
                raise UserError(
                    f"{name}:{number}: {line!r} is no kconfig line; allowed: CONFIG_NAME=value and comments"
                )
            continue
        symbol, value = asked
        if values.setdefault(symbol, value) != value:
            raise UserError(f"{name}:{number}: CONFIG_{symbol}={value}, but it is {values[symbol]} further up")
    return values


def merge(fragments: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """All fragments as one: a later one wins."""
    merged: dict[str, str] = {}
    for fragment in fragments:
        merged |= fragment
    return merged


def config_text(values: Mapping[str, str]) -> str:
    """The file that KCONFIG_ALLCONFIG takes; sorted, so that the same request is the same text."""
    lines = (
        f"# CONFIG_{symbol} is not set" if value == "n" else f"CONFIG_{symbol}={value}"
        for symbol, value in sorted(values.items())
    )
    return "".join(f"{line}\n" for line in lines)


def parse_config(text: str) -> dict[str, str]:
    """A .config; a symbol that is not in it is off."""
    return dict(setting for line in text.splitlines() if (setting := _setting(line)))


def not_granted(requested: Mapping[str, str], config: Mapping[str, str]) -> tuple[NotGranted, ...]:
    """Each requested symbol that has another value in the config."""
    return tuple(
        NotGranted(symbol=symbol, asked=asked, got=config.get(symbol, "n"))
        for symbol, asked in sorted(requested.items())
        if not _same(asked, config.get(symbol, "n"))
    )


def asked_for_too(refused: Iterable[NotGranted]) -> dict[str, str]:
    """What an older kernel has to be asked for, too, so that it grants what it refused."""
    return merge(_IN_OLDER_KERNELS.get(one.symbol, {}) for one in refused)


def _setting(line: str) -> tuple[str, str] | None:
    if m := _SET.match(line):
        return m[1], m[2].strip()
    if m := _UNSET.match(line):
        return m[1], "n"
    return None


def _same(asked: str, got: str) -> bool:
    return asked == got or _number(asked) == _number(got) is not None


def _number(value: str) -> int | None:
    # 0x0100 and 0x100 are the same answer.
    try:
        return int(value, 0)
    except ValueError:
        return None
