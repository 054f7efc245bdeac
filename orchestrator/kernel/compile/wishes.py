# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel options that test suites or a series would like: taken where kconfig grants them, and no error where not."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from orchestrator.host.errors import InfraError, UserError
from orchestrator.host.untrusted import BadFile, read_plain_text
from orchestrator.kernel.code.not_compiled import new_options
from orchestrator.kernel.compile.kconfig import NotGranted, parse_fragment
from orchestrator.kernel.series.load import Series, changed_files
from orchestrator.model.series_diff import ChangedFile

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
        wished |= {symbol: "y" for symbol, value in found.items() if value == "m" and not runs_at_boot(symbol)}
    return wished


def added_options(series: Series) -> tuple[str, ...]:
    """The options that a series adds. Its kernels have them where kconfig grants that: else nothing would run it."""
    diffs = (patch.diff for patch in series.patches if b"Kconfig" in patch.diff and not patch.problem)
    files = (file for diff in diffs for file in _files_of(diff.decode("utf-8", "replace")))
    return tuple(name for name in new_options(files) if not runs_at_boot(name))


def _files_of(diff: str) -> Sequence[ChangedFile]:
    """One that can't be read does not apply either."""
    try:
        return tuple(changed_files(diff))
    except InfraError:
        return ()


def note_refused(log: Path, refused: Iterable[NotGranted]) -> None:
    """Say in a build's log which wishes were not granted."""
    lines = "".join(f"patchrig: not granted: {symbol.title}\n" for symbol in refused)
    if lines:
        with log.open("a", encoding="utf-8") as file:
            file.write(lines)


def runs_at_boot(symbol: str) -> bool:
    """A test module, built in, runs its tests while the kernel boots, for as long as it likes."""
    return symbol.startswith("TEST_") or "_TEST_" in symbol or symbol.endswith("_TEST")
