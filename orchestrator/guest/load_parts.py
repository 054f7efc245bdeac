# SPDX-License-Identifier: GPL-2.0-or-later
"""What the load of a workload consists of, from its progress lines (pure)."""

import re
from collections.abc import Iterable

from orchestrator.guest.protocol import parsed, whole
from orchestrator.model.minimised import Parts

# As many as --without can name.
_MOST_THREADS = 64
# It becomes a word of the guest's command line.
_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")


def parts_in(lines: Iterable[str]) -> Parts:
    """From the last line that says it; empty where none does, or what it says makes no sense."""
    parts = Parts()
    for line in lines:
        if line.startswith("{"):
            parts = _said(line) or parts
    return parts


def _said(line: str) -> Parts | None:
    try:
        said = parsed(line)
        options = said["options"]
        if not isinstance(options, dict) or not all(map(_NAME.fullmatch, options)):
            return None
        numbers = {name: whole(options, name) for name in options}
        return Parts(threads=min(whole(said, "threads"), _MOST_THREADS), options=numbers)
    except (ValueError, KeyError):
        return None
