# SPDX-License-Identifier: GPL-2.0-or-later
"""A line of text from which anybody can build a deterministic cell again (pure)."""

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

MARK = "patchrig-1"
_SHORT = 16
_VALUE = r"[A-Za-z0-9_.,:;/+%=|()~-]+"
_WORD = re.compile(rf"(?P<name>[a-z]+)=(?P<value>{_VALUE})", re.ASCII)
_CELL = re.compile(
    r"(?P<variant>baseline|patched)\.(?P<flavour>[A-Za-z0-9_+-]+)\.(?P<arch>[A-Za-z0-9_]+)\.(?P<workload>[a-z0-9-]+)"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayKey:
    """All that decides what the cell's guest does, and what its console was. "" and () for what it does not have."""

    variant: str
    flavour: str
    arch: str
    workload: str
    version: str  # of the kernel
    source: str  # SHA-256, as those below: the first 16 digits
    seconds: str
    seed: str
    image: str
    initramfs: str
    console: str
    qemu: str  # its version
    programs: tuple[str, ...]  # the workloads whose programs are in the initramfs
    series: str = ""
    delays: str = ""  # as --widen has them
    files: tuple[str, ...] = ()  # C files all of whose functions can be counted: of a hunt, or of a claim
    claim: str = ""
    changes: str = ""  # of the workload, against its YAML file: JSON, packed, in base64
    options: str = ""  # of the kernel, beside those of its flavour, packed in the same way
    allow: str = ""  # the splats that the matrix allows, packed in the same way: at others a guest ends

    @property
    def text(self) -> str:
        """The key: words with blanks between them, the last one a checksum of the others."""
        text = " ".join((MARK, f"{self.variant}.{self.flavour}.{self.arch}.{self.workload}", *self._words()))
        return f"{text} sum={_sum(text)}"

    def _words(self) -> Iterator[str]:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in _IN_CELL and value:
                yield f"{field.name}={'+'.join(value) if isinstance(value, tuple) else value}"


_IN_CELL = ("variant", "flavour", "arch", "workload")
_LISTS = ("programs", "files")
_NEEDED = ("version", "source", "seconds", "seed", "image", "initramfs", "console", "qemu", "programs")


_NAMES = {field.name for field in fields(ReplayKey)} - set(_IN_CELL) | {"sum"}


def short(sha256: str) -> str:
    """As much of a hash as a key has."""
    return sha256[:_SHORT]


def is_key(text: str) -> bool:
    """Whether a text is meant to be a key."""
    return text.lstrip("> \t\r\n").startswith("patchrig-")


def parse_key(text: str) -> ReplayKey:
    """The key in a text, as a mail has it: in lines broken anywhere, and quoted. ValueError says why it is none."""
    words = _whole_words([word for word in text.split() if word.strip(">")])
    if not words or words[0] != MARK:
        raise ValueError(f"it begins with {MARK}, or is of another version of patchrig")
    *body, last = words
    if last != f"sum={_sum(' '.join(body))}":
        raise ValueError("a part of it is missing or has changed: its checksum is another one")
    cell = _CELL.fullmatch(body[1]) if len(body) > 1 else None
    if cell is None:
        raise ValueError("it names no cell")
    found = dict(_pairs(body[2:]))
    if lacking := [name for name in _NEEDED if name not in found]:
        raise ValueError(f"it lacks {', '.join(lacking)}")
    if not found["seconds"].isdigit() or not found["seed"].isdigit():
        raise ValueError("seconds and seed are numbers")
    return _key(cell.groupdict(), found)


def _whole_words(pieces: list[str]) -> list[str]:
    """What does not begin with a name is the rest of the word before it, which was too long for a line."""
    words: list[str] = []
    for piece in pieces:
        name = piece.partition("=")[0]
        if len(words) < len((MARK, "CELL")) or name in _NAMES:
            words.append(piece)
        else:
            words[-1] += piece
    return words


def _pairs(words: list[str]) -> Iterator[tuple[str, str]]:
    for word in words:
        m = _WORD.fullmatch(word)
        if m is None or m["name"] not in _NAMES:
            raise ValueError(f"{word[:40]!r} is no part of a key")
        yield m["name"], m["value"]


def _key(cell: Mapping[str, str], found: Mapping[str, str]) -> ReplayKey:
    texts = {name: value for name, value in found.items() if name not in _LISTS}
    lists = {name: tuple(found[name].split("+")) for name in _LISTS if name in found}
    return ReplayKey(**cell, **texts, **lists)  # type: ignore[arg-type]  # Names and types are those of the fields.


def _sum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"
