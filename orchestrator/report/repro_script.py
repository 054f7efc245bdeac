# SPDX-License-Identifier: GPL-2.0-or-later
"""repro.sh: a cell's guest by hand, with nothing but QEMU installed."""

import re
import shlex
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import chain, zip_longest

# What looks like a shell variable in a kernel command line is the guest's.
QUOTING = "# shellcheck disable=SC2016"
_DISK = re.compile(r"@DISK(\d+)@")


def repro_script(argv: Iterable[str], *, disks: Mapping[int, int], note: str) -> str:
    """A shell script that boots a QEMU command line.

    `argv` names disk files by "@DISKn@" and everything else relative to the script's folder; `disks` has the size
    in MiB of each disk n, which the script makes anew, empty, in a folder that it removes. `note` becomes comments.
    """
    command = tuple(argv)
    comments = [f"# {line}".rstrip() for line in note.splitlines()]
    return "\n".join(
        (
            "#!/bin/sh",
            *comments,
            QUOTING,
            "set -eu",
            'cd "$(dirname "$0")"',
            *_making(disks),
            *_running(command, disks),
            "",
        )
    )


def _making(disks: Mapping[int, int]) -> list[str]:
    if not disks:
        return []
    return [
        "dir=$(mktemp -d)",
        # QEMU wants a comma of a path twice.
        "disks=$(printf '%s' \"$dir\" | sed 's/,/,,/g')",
        "trap 'rm -rf \"$dir\"' EXIT",
        "trap 'exit 130' INT TERM",
        *(f'truncate -s {size}M "$dir/disk{number}.raw"' for number, size in sorted(disks.items())),
    ]


def _running(argv: tuple[str, ...], disks: Mapping[int, int]) -> list[str]:
    # exec would drop the trap that removes the disks.
    start = "" if disks else "exec "
    return [start + " \\\n  ".join(_lines(argv))]


def _lines(argv: tuple[str, ...]) -> list[str]:
    # An option and its value share a line.
    lines: list[str] = []
    for word in argv:
        if lines and lines[-1].startswith("-") and " " not in lines[-1] and not word.startswith("-"):
            lines[-1] += f" {_quoted(word)}"
        else:
            lines.append(_quoted(word))
    return lines


@lru_cache(maxsize=4096)  # most words are those of the last cell
def _quoted(word: str) -> str:
    parts = _DISK.split(word)
    if len(parts) == 1:
        return shlex.quote(word)
    # Text and disk numbers take turns.
    texts = (shlex.quote(text) if text else "" for text in parts[::2])
    disks = (f'"$disks/disk{number}.raw"' for number in parts[1::2])
    return "".join(chain.from_iterable(zip_longest(texts, disks, fillvalue="")))
