# SPDX-License-Identifier: GPL-2.0-or-later
"""The test suites of a kernel tree: which are asked for, and what their build leaves for a guest."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteFile:
    """One file of a built suite: a path below its folder in the guest, and the content, or where a link leads."""

    path: str
    data: bytes
    executable: bool = False
    link: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteFiles:
    """What a tree has for its suites: KTAP's parser, which is as strange as the suites, and the built tests."""

    parser: Mapping[str, bytes]  # name of a Python file -> its text; empty where the tree has none
    tests: tuple[SuiteFile, ...] = ()
    not_built: tuple[str, ...] = field(default=())  # tests that do not compile here: "mm/soft-dirty"
