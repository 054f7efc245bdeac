# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel options that a tree's test suites would like: taken where kconfig grants them, and no error where not."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from orchestrator.host.errors import UserError
from orchestrator.host.untrusted import BadFile, read_plain_text
from orchestrator.kernel.compile.kconfig import NotGranted, parse_fragment

NO_WISHES: Mapping[str, str] = MappingProxyType({})
_BYTES = 1 << 20


def wished_fragments(targets: Iterable[str]) -> tuple[str, ...]:
    """Where kselftest's folders name the options that their tests need."""
    return tuple(f"tools/testing/selftests/{target}/config" for target in targets)


def wishes_hash(fragments: Iterable[str]) -> str:
    """Of which fragments; what is in them is part of the source and of the series."""
    return hashlib.sha256("\n".join(fragments).encode()).hexdigest()


def wished_options(src: Path, fragments: Iterable[str]) -> dict[str, str]:
    """The options in the fragments of a tree, which may be a stranger's; without modules, as our kernels have none.

    A fragment that is missing or no kconfig wishes nothing.
    """
    wished: dict[str, str] = {}
    for fragment in fragments:
        try:
            found = parse_fragment(read_plain_text(src, fragment, most_bytes=_BYTES), fragment)
        except (BadFile, UserError):
            continue
        wished |= {symbol: value for symbol, value in found.items() if value != "m"}
        wished |= {symbol: "y" for symbol, value in found.items() if value == "m" and not _runs_at_boot(symbol)}
    return wished


def note_refused(log: Path, refused: Iterable[NotGranted]) -> None:
    """Say in a build's log which wishes were not granted."""
    lines = "".join(f"patchrig: not granted: {symbol.title}\n" for symbol in refused)
    if lines:
        with log.open("a", encoding="utf-8") as file:
            file.write(lines)


def _runs_at_boot(symbol: str) -> bool:
    """A test module, built in, runs its tests while the kernel boots, for as long as it likes."""
    return symbol.startswith("TEST_") or "_TEST_" in symbol or symbol.endswith("_TEST")
