# SPDX-License-Identifier: GPL-2.0-or-later
"""Which of the kernel's own suites belong to what a series changes, by the tree's MAINTAINERS. Pure.

A section lists the files of a subsystem (F:, X: for exceptions), its selftests among them. The first folder of a path,
mm of mm/swapfile.c, has selftests of the same name where some section lists them.
"""

import re
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath

from orchestrator.model.matrix_choices import ChosenSuite

_SELFTESTS = "tools/testing/selftests/"
_CODE = frozenset({".c", ".h", ".S", ".rs"})
_FIELD = re.compile(r"(?P<letter>[A-Z]):\s+(?P<value>\S.*?)\s*$")
_WILD = re.compile(r"[*?\[]")
_LONGEST = 512


def suites_for(maintainers: str, changed_files: Collection[str]) -> tuple[ChosenSuite, ...]:
    """The suites of the subsystems that a series changes code of, those of most of its files first."""
    code = [file for file in changed_files if PurePosixPath(file).suffix in _CODE]
    known: set[str] = set()
    shares: dict[str, set[str]] = {}
    reasons: dict[str, str] = {}
    for title, kept, left_out in _sections(maintainers):
        folders = [folder for pattern in kept if (folder := _folder(pattern))]
        known.update(folders)
        mine = {file for file in code if _covers(kept, file) and not _covers(left_out, file)}
        for folder in folders if mine else ():
            shares.setdefault(folder, set()).update(mine)
            reasons.setdefault(folder, title)
    for file in code:
        top = file.split("/", 1)[0]
        if top in known and f"{top}/" in file:
            shares.setdefault(top, set()).add(file)
            reasons.setdefault(top, f"the series changes {top}/")
    order = sorted(shares, key=lambda folder: (-len(shares[folder]), folder))
    return tuple(ChosenSuite(name=f"kselftest:{folder}", reason=reasons[folder]) for folder in order)


def _sections(text: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Title, F: and X: of each section but those that have everything, such as THE REST."""
    for block in re.split(r"\n\s*\n", text):
        lines = [line[:_LONGEST] for line in block.strip("\n").splitlines()]
        fields = [found for line in lines if (found := _FIELD.match(line))]
        kept = [field["value"] for field in fields if field["letter"] == "F"]
        if kept and not any(pattern in ("*", "*/") for pattern in kept):
            yield lines[0], kept, [field["value"] for field in fields if field["letter"] == "X"]


def _covers(patterns: list[str], file: str) -> bool:
    """As scripts/get_maintainer.pl reads them: a folder covers all below it, and * stops at a slash."""
    parts = file.split("/")
    for pattern in filter(lambda one: one.strip("/"), patterns):
        depth = pattern.count("/") + (not pattern.endswith("/"))
        whole = len(parts) > depth if pattern.endswith("/") else len(parts) == depth
        if whole and PurePosixPath(*parts[:depth]).match(pattern.rstrip("/")):
            return True
    return False


def _folder(pattern: str) -> str:
    """The folder of selftests that a pattern is about, as kselftest names it; "" for another pattern, and for all."""
    if not pattern.startswith(_SELFTESTS):
        return ""
    path = pattern.removeprefix(_SELFTESTS)
    if wild := _WILD.search(path):
        path = path[: path.rfind("/", 0, wild.start()) + 1]
    return path.rstrip("/") if path.endswith("/") else path.rpartition("/")[0]
