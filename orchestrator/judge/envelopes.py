# SPDX-License-Identifier: GPL-2.0-or-later
"""Log lines with a message in another notation: JSON of container engines, LAVA, dmesg and journalctl, and \\xNN."""

import json
import re
from collections.abc import Sequence

# The key that has the message, in the order in which they are tried: docker, journalctl, LAVA and dmesg, others.
TEXT_KEYS = ("log", "MESSAGE", "msg", "message")
# What journalctl says of the author.
AUTHOR_KEYS = ("SYSLOG_IDENTIFIER", "_TRANSPORT")
KERNEL = "kernel"
# Longer ones are data of programs.
LONGEST_OBJECT = 1 << 16
STARTS = ("{", "- {")

# One member of an object that is written over several lines, as `dmesg --json` does.
MEMBER = re.compile(r'\s{0,32}"(?:msg|log)" ?: {0,8}("(?:[^"\\]|\\.)*"),?\s*$')
# The same in YAML, as LAVA wrote it until 2019.
YAML = re.compile(r"- \{dt: .*, lvl: \w+, msg: (?:'(?P<quoted>(?:[^']|'')*)'|(?P<plain>[^'\"].*))\}\s*$")
BYTES = re.compile(r"(?:\\x[0-9a-f]{2})+")


def opened(text: str) -> Sequence[str] | None:
    """The messages in a line that holds an object; none if a program wrote it. None: this is a line of plain text."""
    if text.startswith("- {dt: ") and (found := YAML.match(text[:LONGEST_OBJECT])):
        return [(found["quoted"] or found["plain"] or "").replace("''", "'")]
    if text.startswith(STARTS):
        return _of_object(text[text.index("{") : LONGEST_OBJECT].rstrip())
    if '"' in text[:48] and (found := MEMBER.match(text[:LONGEST_OBJECT])):
        return _value(f'{{"msg": {found[1]}}}')
    return None


def unescaped(text: str) -> str:
    """The text of a record of /dev/kmsg, which has each byte that is not printable ASCII as \\xNN."""
    if "\\x" not in text:
        return text
    return BYTES.sub(lambda found: bytes.fromhex(found[0].replace("\\x", "")).decode(errors="replace"), text)


def _of_object(text: str) -> Sequence[str] | None:
    if not text.endswith("}"):
        return None
    return _value(text)


def _value(text: str) -> Sequence[str] | None:
    try:
        record = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    author = next((record[key] for key in AUTHOR_KEYS if key in record), KERNEL)
    said = next((record[key] for key in TEXT_KEYS if key in record), None)
    if isinstance(said, list):  # journalctl's form of text with control characters
        said = bytes(byte for byte in said if isinstance(byte, int) and 0 <= byte < 256).decode(errors="replace")
    if not isinstance(said, str):
        return None
    return said.rstrip("\n").split("\n") if author == KERNEL else ()
