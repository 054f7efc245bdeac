# SPDX-License-Identifier: GPL-2.0-or-later
"""A log as it was sent -> its text: unpacked and decoded by what it holds, or refused by name."""

import bz2
import codecs
import lzma
import re
import shlex
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO, Protocol

from orchestrator.host.errors import UserError
from orchestrator.host.text import one_line

STANDARD_INPUT = "-"
CHUNK = 1 << 18
# So much of a log says what it is.
HEAD = 4096
MOST_UNPACKED = 2 << 30
# xz asks for as much memory as the file says; `xz -9` needs 65 MiB.
MOST_MEMORY = 1 << 28
# An archive in an archive is somebody's mistake, more of them a trap.
MOST_LAYERS = 3
# Of text without NULs: a serial line has its noise, a program has far more of it.
LEAST_TEXT = 0.7
LEAST_TO_TELL = 64
# Of the bytes at even or odd places: English in UTF-16 has a zero at every second one.
MANY_ZEROS, FEW_ZEROS = 0.4, 0.05

# Not among them: tab, line ends, form feed, escape, and what a terminal's bell and backspace are.
_CONTROLS = bytes({*range(32), 127} - {*range(7, 14), 27})
_NO_TEXT = re.compile(rb"[^\t-\r\x1b -~]")


class _Decoder(Protocol):
    """What bz2's and lzma's decompressors have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """zlib's decompressor with the face of the other two."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        out = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        # Full output may mean that there is more of it, with nothing left of the input.
        self.needs_input = not self._zlib.unconsumed_tail and len(out) < max_length
        return out


@dataclass(frozen=True, kw_only=True, slots=True)
class _Packing:
    name: str
    magic: bytes
    new: Callable[[], _Decoder]
    tool: str  # writes the text to standard output


PACKINGS = (
    _Packing(name="gzip", magic=b"\x1f\x8b\x08", new=_Gzip, tool="zcat"),
    _Packing(
        name="xz",
        magic=b"\xfd7zXZ\x00",
        new=lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=MOST_MEMORY),
        tool="xzcat",
    ),
    _Packing(name="bzip2", magic=b"BZh", new=bz2.BZ2Decompressor, tool="bzcat"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _NoLog:
    """Something that is no text of a console, and the command that gets it."""

    what: str
    magic: re.Pattern[bytes]
    hint: str = ""  # {file} is its name


NO_LOGS = (
    _NoLog(
        what="an ELF core (a dump of memory)",
        magic=re.compile(rb"\x7fELF[\x01\x02](?:\x01.{10}\x04\x00|\x02.{10}\x00\x04)", re.DOTALL),
        hint="makedumpfile --dump-dmesg {file} dmesg.txt",
    ),
    _NoLog(what="an ELF file (a program or a kernel)", magic=re.compile(rb"\x7fELF")),
    _NoLog(
        what="a kdump of a kernel's memory",
        magic=re.compile(rb"KDUMP   |makedumpfile\x00|DISKDUMP"),
        hint="makedumpfile --dump-dmesg {file} dmesg.txt",
    ),
    _NoLog(
        what="a journal of systemd's",
        magic=re.compile(rb"LPKSHHRH"),
        hint="journalctl --file {file} -k -o short-monotonic | patchrig judge",
    ),
    # One record is many lines there, and which program wrote it stands anywhere among them.
    _NoLog(
        what="an export of systemd's journal, with each field on a line of its own",
        magic=re.compile(
            rb'(?:[A-Z_]{1,64}=[^\n]*\n){0,64}?__(?:CURSOR|REALTIME_TIMESTAMP)='
            rb'|\{\s*\n(?:\s*"\w{1,64}" : [^\n]*\n){0,64}?\s*"__(?:CURSOR|REALTIME_TIMESTAMP)" :'
            rb'|[^\n]{0,80}\[s=[0-9a-f]{8,64};i='
        ),
        hint="journalctl -k -o short-monotonic | patchrig judge",
    ),
    _NoLog(what="zstd data", magic=re.compile(rb"\x28\xb5\x2f\xfd"), hint="zstd -dc {file} | patchrig judge"),
    _NoLog(what="lz4 data", magic=re.compile(rb"\x04\x22\x4d\x18"), hint="lz4 -dc {file} | patchrig judge"),
    _NoLog(what="lzip data", magic=re.compile(rb"LZIP"), hint="lzip -dc {file} | patchrig judge"),
    _NoLog(
        what="a tar archive", magic=re.compile(rb".{257}ustar", re.DOTALL), hint="tar -xaOf {file} | patchrig judge"
    ),
    _NoLog(what="a zip archive", magic=re.compile(rb"PK\x03\x04|PK\x05\x06"), hint="unzip -p {file} | patchrig judge"),
    _NoLog(what="a 7-Zip archive", magic=re.compile(rb"7z\xbc\xaf\x27\x1c"), hint="7z x -so {file} | patchrig judge"),
    _NoLog(what="a RAR archive", magic=re.compile(rb"Rar!\x1a\x07")),
    _NoLog(
        what="a picture",
        magic=re.compile(rb"\x89PNG\r|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP|BM.{4}\0\0\0\0|II\*\0|MM\0\*|....ftyp(?:avif|heic)",
                         re.DOTALL),
        hint="the text of the console, not a picture of it",
    ),
    _NoLog(what="a film", magic=re.compile(rb"....ftyp|\x1aE\xdf\xa3", re.DOTALL)),
    _NoLog(what="a PDF", magic=re.compile(rb"%PDF-"), hint="pdftotext -layout {file} - | patchrig judge"),
    _NoLog(what="a database of SQLite's", magic=re.compile(rb"SQLite format 3\0")),
    _NoLog(what="a recording of perf's", magic=re.compile(rb"PERFILE2")),
    _NoLog(what="a recording of trace-cmd's", magic=re.compile(rb"\x17\x08\x44tracing")),
    _NoLog(what="a recording of packets", magic=re.compile(rb"\xd4\xc3\xb2\xa1|\xa1\xb2\xc3\xd4|\x0a\x0d\x0d\x0a")),
    _NoLog(what="a disk of QEMU's", magic=re.compile(rb"QFI\xfb")),
)  # fmt: skip

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)


def text_of(name: str, file: BinaryIO, *, most: int = MOST_UNPACKED) -> Iterator[bytes]:
    """The text of a log in pieces: ASCII, or what its writer took for text. Nothing at all of an empty one.

    Raises UserError where it is packed in a way that we don't know, damaged, larger than `most` when it is unpacked,
    or no text; pieces may have come before.
    """
    chunks = _chunks(file)
    for _ in range(MOST_LAYERS + 1):
        head, chunks = _head(chunks)
        packing = next((packing for packing in PACKINGS if head.startswith(packing.magic)), None)
        if packing is None:
            _refuse(name, head)
            return _decoded(head, chunks)
        chunks = _unpacked(name, packing, chunks, most)
    raise UserError(f"{shown(name)}: is packed more than {MOST_LAYERS} times", hint=f"file {_typed(name)}")


def shown(name: str) -> str:
    """A log's name for people."""
    return "standard input" if name == STANDARD_INPUT else one_line(name)


def _typed(name: str) -> str:
    return shlex.quote(one_line(name))


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    # What is there of a pipe, and not a full chunk: a splat is shown when it is complete.
    read = getattr(file, "read1", file.read)
    while chunk := read(CHUNK):
        yield chunk


def _head(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes, and all of them."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= HEAD or (b"\n" in head and len(head) >= LEAST_TO_TELL and _is_plain(head)):
            break
    return head, chain([head], chunks) if head else chunks


def _is_plain(head: bytes) -> bool:
    """Whether a pipe's first lines may go on at once."""
    return not _NO_TEXT.search(head)


def _unpacked(name: str, packing: _Packing, chunks: Iterator[bytes], most: int) -> Iterator[bytes]:
    size = 0
    try:
        for piece in _pieces(packing, chunks):
            size += len(piece)
            if size > most:
                raise UserError(
                    f"{shown(name)}: unpacks to more than {most >> 20} MiB; what came before that was judged",
                    hint=f"{packing.tool} {_typed(name)} | patchrig judge  # without a limit",
                )
            yield piece
    except EOFError as e:
        raise UserError(
            f"{shown(name)}: its {packing.name} data is cut off; what came before that was judged",
            hint="copy the file anew",
        ) from e
    except (zlib.error, lzma.LZMAError, OSError, ValueError) as e:
        if isinstance(e, OSError) and e.errno:
            raise  # The file can't be read; what bz2 finds has no number.
        raise UserError(f"{shown(name)}: its {packing.name} data is damaged: {e}", hint="copy the file anew") from e


def _pieces(packing: _Packing, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Raises EOFError, and what the decoders raise."""
    decoder = packing.new()
    for chunk in chunks:
        data = chunk
        while data:
            if decoder.eof:
                data = data.lstrip(b"\0")  # A tape's, or a card's: what is after the end.
                if not data:
                    break
                decoder = packing.new()
            yield from _output(decoder, data)
            data = decoder.unused_data if decoder.eof else b""
    if not decoder.eof:
        raise EOFError


def _output(decoder: _Decoder, data: bytes) -> Iterator[bytes]:
    while True:
        piece = decoder.decompress(data, CHUNK)
        if piece:
            yield piece
        if decoder.eof or decoder.needs_input:
            return
        data = b""


def _refuse(name: str, head: bytes) -> None:
    """Raise UserError if this is something else than text, and say what."""
    for other in NO_LOGS:
        if other.magic.match(head):
            raise UserError(
                f"{shown(name)}: is {other.what}, and no text of a console",
                hint=(other.hint or "file {file}").replace("{file}", _typed(name)),
            )
    if not _encoding(head) and not _is_text(head):
        raise UserError(f"{shown(name)}: is binary data, and no text of a console", hint=f"file {_typed(name)}")


def _is_text(head: bytes) -> bool:
    """Whether most of it can be read.

    NULs don't count, which a crash leaves in files and a reset on serial lines, nor does 0xff, which is erased flash.
    """
    sample = head.translate(None, b"\0\xff")
    if len(sample) < LEAST_TO_TELL:
        return len(sample) * 2 >= len(head)
    # A character of several bytes counts as one that can be read.
    legible = sample.decode(errors="ignore").encode().translate(None, _CONTROLS)
    return len(legible) >= LEAST_TEXT * len(sample)


def _encoding(head: bytes) -> str:
    """The name of the encoding if it is none of those that have ASCII in them, else ""."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding
    if len(head) < LEAST_TO_TELL:
        return ""
    even, odd = (head[at::2].count(0) / len(head[at::2]) for at in (0, 1))
    if odd > MANY_ZEROS and even < FEW_ZEROS:
        return "utf-16-le"
    return "utf-16-be" if even > MANY_ZEROS and odd < FEW_ZEROS else ""


def _decoded(head: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    encoding = _encoding(head)
    if not encoding:
        return chunks
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    return (text.encode(errors="replace") for chunk in chunks if (text := decoder.decode(chunk)))
