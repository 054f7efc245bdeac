# SPDX-License-Identifier: GPL-2.0-or-later
"""What a build log says: objects done, the first error, new warnings, and what this host may lack. Pure."""

import re
from collections.abc import Sequence
from enum import Enum
from pathlib import PurePosixPath

OBJECT = re.compile(rb"^\s+(?:CC|AS)\s", re.MULTILINE)

# In order of what says most: one failure makes make print several of these.
_ERRORS = (
    re.compile(r"^.*:\d+(?::\d+)?: (?:fatal )?error: .*$", re.MULTILINE),
    re.compile(r"^.*(?:undefined reference to|multiple definition of|undefined symbol).*$", re.MULTILINE),
    re.compile(r"^.*\bError: .*$", re.MULTILINE),
    re.compile(r"^ERROR: .*$", re.MULTILINE),
    re.compile(
        r"^.*: (?:syntax error|unknown statement|invalid statement|recursive dependency detected).*$", re.MULTILINE
    ),
    re.compile(r"^.*No rule to make target.*$", re.MULTILINE),
    re.compile(r"^.*\*\*\* .*$", re.MULTILINE),
)


class Suspicion(Enum):
    """What a log makes one look at. Anybody can print the words."""

    LIBELF = re.compile(r"gelf\.h: No such file|install libelf-dev")
    OPENSSL = re.compile(r"openssl/\S+: No such file")
    DISK = re.compile(r"No space left on device|Disk quota exceeded|File too large")
    BC = re.compile(r"\bbc: (?:not found|command not found)")
    SANDBOX = re.compile(r"^bwrap: ", re.MULTILINE)
    KILLED = re.compile(
        r"\bKilled\b|\bTerminated\b|signal terminated program|virtual memory exhausted|Cannot allocate memory"
        r"|[Oo]ut of memory|memory exhausted|internal compiler error|Bus error|Segmentation fault"
    )


_WARNING = re.compile(r"^(\S+?):\d+(?::\d+)?: warning: .*$", re.MULTILINE)


def first_error(log: str, src: str) -> str:
    """The line that says best why make failed, with paths relative to the source tree."""
    for pattern in _ERRORS:
        if m := pattern.search(log):
            return without_source_path(m[0], src).strip()
    lines = [line for line in log.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "make failed and printed nothing"


def suspicions(log: str) -> frozenset[Suspicion]:
    """What of this host may be to blame, by the words of the log: to be looked at, and not to be believed."""
    return frozenset(one for one in Suspicion if one.value.search(log))


def warnings_in(log: str, src: str, touched: Sequence[PurePosixPath]) -> tuple[str, ...]:
    """The warnings about files that the series touches, each once."""
    names = {str(path) for path in touched}
    found = (without_source_path(m[0], src) for m in _WARNING.finditer(log))
    return tuple(dict.fromkeys(line for line in found if line.partition(":")[0] in names))


def without_source_path(line: str, src: str) -> str:
    """The line as it would read for somebody in the top folder of the source tree."""
    return line.replace(f"{src}/", "").removeprefix("./").removeprefix("../")
