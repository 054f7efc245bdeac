"""What a build log says: objects done, the first error, new warnings, and when this host is to blame. Pure."""

import re
from collections.abc import Sequence
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

# Patterns of a host that lacks something, with what to do. None of them can be a series' fault.
_HOST = (
    (
        re.compile(r"gelf\.h: No such file|install libelf-dev"),
        "the headers of libelf are missing",
        "apt install libelf-dev",
    ),
    (re.compile(r"openssl/\S+: No such file"), "the headers of OpenSSL are missing", "apt install libssl-dev"),
    (
        re.compile(r"^.*(?:No space left on device|Disk quota exceeded).*$", re.MULTILINE),
        "the disk is full",
        "patchrig clean",
    ),
    (re.compile(r"\bbc: (?:not found|command not found)"), "bc is not installed", "apt install bc"),
    (re.compile(r"^bwrap: .*$", re.MULTILINE), "the sandbox could not be set up", "patchrig doctor  # or --no-sandbox"),
    (
        re.compile(r"Killed signal terminated program|virtual memory exhausted"),
        "the compiler ran out of memory",
        "free -h",
    ),
)

_WARNING = re.compile(r"^(\S+?):\d+(?::\d+)?: warning: .*$", re.MULTILINE)


def first_error(log: str, src: str) -> str:
    """The line that says best why make failed, with paths relative to the source tree."""
    for pattern in _ERRORS:
        if m := pattern.search(log):
            return without_source_path(m[0], src).strip()
    lines = [line for line in log.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "make failed and printed nothing"


def host_trouble(log: str) -> tuple[str, str] | None:
    """What this host lacks and the command that mends it; None when the log has nothing of that kind."""
    for pattern, trouble, hint in _HOST:
        if pattern.search(log):
            return trouble, hint
    return None


def warnings_in(log: str, src: str, touched: Sequence[PurePosixPath]) -> tuple[str, ...]:
    """The warnings about files that the series touches, each once."""
    names = {str(path) for path in touched}
    found = (without_source_path(m[0], src) for m in _WARNING.finditer(log))
    return tuple(dict.fromkeys(line for line in found if line.partition(":")[0] in names))


def without_source_path(line: str, src: str) -> str:
    """The line as it would read for somebody in the top folder of the source tree."""
    return line.replace(f"{src}/", "").removeprefix("./").removeprefix("../")
