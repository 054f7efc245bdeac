# SPDX-License-Identifier: GPL-2.0-or-later
"""Console text -> what printk said: no escape codes, no prefixes, and nothing that a program wrote."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from orchestrator.judge.envelopes import opened, unescaped
from orchestrator.judge.halves import HALF, MARKED_HALF, PLACE, completes, joined, soft_break
from orchestrator.judge.prefixes import (
    SECONDS,
    Author,
    LinePart,
    Prefix,
    next_stamp,
    prefix_from,
    prefix_of,
    stamp_alone,
)

# A longer message is not a kernel's (LOG_LINE_MAX is 1 KiB); a workload may write any amount without a newline.
LONGEST = 4096
# Objects in objects: a container's log of a CI's log.
DEEPEST = 5

# A terminal's: CSI, the strings that end in BEL or ST, and the rest.
ESCAPE = re.compile(r"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)|[@-Z\\-_])")
# Colours, as `cat -v` and syslog daemons write them.
COLOUR = re.compile(r"(?:\^\[|#033|\\x1b|\\033)\[[0-9;]{0,20}m")
# What is left of them where the escape itself was lost.
BARE_COLOUR = re.compile(r"\[\d{1,3}(?:;\d{1,3}){0,4}m")
COLOUR_SIGNS = ("^[[", "#033[", "\\x1b[", "\\033[")
PAGE_SIGNS = (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#x27;", "'"), ("&#39;", "'"), ("&amp;", "&"))
# What ends before a stamp that is a program's own: its name and number, or a call in its source.
PROGRAM = re.compile(r"\S\[\d{1,10}\]: $|\w\([bfr]{0,2}[\"']$")
PROGRAM_WIDTH = 16
# The word behind a date, which is a host's name if the line before has it, too.
# But a level is a program's.
FIRST_WORD = re.compile(
    r"(?!(?i:trace|debug|info|notice|warn(?:ing)?|err(?:or)?|crit(?:ical)?|fatal) )([^\s\[\]:]{1,64}) "
)
# What else a log may have before each of its lines: counts only where the line before has the same. A program's name
# and a colon don't.
MARGIN = re.compile(
    r"[ \t]{0,64}(?:\[ ?[\w.-]{1,24} ?\][ \t]{0,4}|\d{1,7}(?::[ \t]?|[ \t]{1,4})|[*:\u2022+-] ?|\w{1,16}[>|] ?)"
    r"|[ \t]{1,64}"
)
_DIGITS = re.compile(r"\d+")
# Mail programs break lines, most often before the place of a lock: what follows has no stamp of its own.
UNFINISHED = " at:"


@dataclass(slots=True)  # Not frozen: there is one for each line of a console, and that would double what it costs.
class Line:
    """A piece of one console line that printk can have said; two messages may share a line number."""

    number: int  # of the console text, from 1
    text: str
    caller: str  # "T123", "C0", or "" where the kernel does not tell
    seconds: float | None  # None: this log has no time stamps
    named: bool = True  # the line itself says that the kernel wrote it
    kept: bool = False  # by a log daemon, which named the author


class Reader:
    """Takes raw console lines one by one and tells what printk can have said in each.

    A log whose kernel writes time stamps is known by the first of them. From there on, text without a stamp comes
    from user space, whatever it looks like, unless a log daemon names the kernel as its author. A log that has no
    stamp at all is taken as it is, without the lines that a log daemon has from programs.
    """

    def __init__(self) -> None:
        self.stamps_seen = False
        self._daemon = False  # has named authors
        # Of the line before:
        self._word = ""  # behind its date
        self._margin = ""
        self._unfinished = False
        self._half: Line | None = None  # held back: the next line may complete it
        self._soft = False  # it goes on without a blank

    @property
    def half(self) -> bool:
        """Whether the next line may complete the one before."""
        return self._half is not None

    def end(self) -> Sequence[Line]:
        """What was held back when the log ended."""
        return (self._half,) if self._half else ()

    def skip(self, text: str, start: int, end: int) -> None:
        """Pass over lines that nobody wants to see; a stamp among them still tells what kind of log this is."""
        while not self.stamps_seen and (found := SECONDS.search(text, start, end)):
            first = text.rfind("\n", start, found.start()) + 1 or start
            last = text.find("\n", found.end(), end)
            start = end if last < 0 else last + 1
            self.read(0, text[first : end if last < 0 else last])
            self._half = None

    def read(self, number: int, text: str) -> Sequence[Line]:
        """What printk can have said in a line that is clean()."""
        if stamp := stamp_alone(text):
            self.stamps_seen = True
            said = text[stamp.end() : stamp.end() + LONGEST].rstrip()
            self._unfinished = said.endswith(UNFINISHED)
            line = Line(number, said, stamp["caller"] or "", float(stamp["seconds"]))
            broken = said.endswith("=") or MARKED_HALF.match(said)
            return tuple(self._held_back(line, text)) if self._half or broken else (line,)
        return tuple(self._closely(number, text))

    def _closely(self, number: int, raw: str) -> Iterator[Line]:
        for prefix, text in _pieces(raw):
            said = text
            self._daemon = self._daemon or prefix.tagged
            if prefix.place is LinePart.DATED:
                said = self._after_host(text)
            elif prefix.host:
                self._word = prefix.host
            # journalctl indents the further lines of what a program said.
            if not (prefix.stamped or (self._daemon and prefix.place is LinePart.BARE)):
                said = self._after_margin(said)
            bare = prefix.author is Author.UNKNOWN and prefix.place is LinePart.BARE and not prefix.stamped
            if self._half and bare and (self._soft or completes(said, self._half.text)):
                rest = raw if self._soft and not prefix.end else said
                whole = joined(self._half.text, rest.rstrip(), soft=self._soft)[:LONGEST]
                line, self._half = replace(self._half, text=whole), None
                yield from self._held_back(line, raw)
                continue
            goes_on = self._unfinished and PLACE.match(said)
            unknown = prefix.author is Author.UNKNOWN and not ((self.stamps_seen and not goes_on) or prefix.stamped)
            if prefix.author is Author.KERNEL or unknown:
                for part in _texts(prefix, said):
                    line = Line(number, part, prefix.caller, prefix.seconds, named=not unknown, kept=prefix.tagged)
                    yield from self._held_back(line, raw)
            self.stamps_seen = self.stamps_seen or prefix.stamped
            self._unfinished = said.rstrip().endswith(UNFINISHED)

    def _held_back(self, line: Line, raw: str) -> Iterator[Line]:
        """A line, unless it is the first half of one; before it what was held back and is whole, as it shows."""
        half, self._half = self._half, None
        if half:
            yield half
        self._soft = soft_break(raw)
        if self._soft or (MARKED_HALF if line.named else HALF).match(line.text):
            self._half = line
        else:
            yield line

    def _after_host(self, text: str) -> str:
        found = FIRST_WORD.match(text)
        before, self._word = self._word, found[1] if found else ""
        return text[found.end() :] if found and found[1] == before else text

    def _after_margin(self, text: str) -> str:
        found = MARGIN.match(text)
        before, self._margin = self._margin, found[0] if found else ""
        return text[found.end() :] if found and _same_margin(before, found[0]) else text


def _same_margin(before: str, margin: str) -> bool:
    # People indent a report that they quote.
    if margin.isspace():
        return True
    return _DIGITS.sub("0", before).strip() == _DIGITS.sub("0", margin).strip()


def kernel_lines(lines: Iterable[str]) -> Iterator[Line]:
    """Clean the lines of a console log and leave out those that printk cannot have said."""
    reader = Reader()
    for number, raw in enumerate(lines, start=1):
        yield from reader.read(number, clean(raw))
    yield from reader.end()


def possible_messages(raw: str) -> Iterator[str]:
    """What the kernel may have said in a console line without escape codes, whatever came before it."""
    if stamp := stamp_alone(raw):
        yield raw[stamp.end() : stamp.end() + LONGEST]
        return
    for prefix, text in _pieces(raw):
        yield from _texts(prefix, text)
        if prefix.stamped:
            continue
        said = [text]
        if prefix.place is LinePart.DATED and (found := FIRST_WORD.match(text)):
            said.append(text[found.end() :])
            yield said[-1]
        yield from (text[found.end() :] for text in said if (found := MARGIN.match(text)))


def _pieces(raw: str, deep: int = 0) -> Iterator[tuple[Prefix, str]]:
    """The messages of one line and what stands before each.

    There are several where two CPUs share a serial port, behind a prompt without a newline, and in an object.
    """
    prefix = prefix_of(raw)
    inner = opened(raw[prefix.end :]) if deep < DEEPEST else None
    if inner is not None:
        for message in inner:
            yield from _pieces(without_codes(message), deep + 1)
        return
    while True:
        if prefix.tagged and prefix.author is Author.PROGRAM:
            yield prefix, ""
            return
        stamp = next_stamp(raw, prefix.end)
        end = stamp.start() if stamp else len(raw)
        yield prefix, raw[prefix.end : min(end, prefix.end + LONGEST)]
        if stamp is None or PROGRAM.search(raw, max(prefix.end, end - PROGRAM_WIDTH), end):
            return
        prefix = prefix_from(raw, stamp)


def _texts(prefix: Prefix, text: str) -> Sequence[str]:
    """The lines of one message."""
    if not prefix.record:
        return (text.rstrip(),)
    return [part.rstrip() for part in without_codes(unescaped(text)).split("\n")]


def clean(raw: str) -> str:
    """Text without escape codes, carriage returns, NULs and its last newline."""
    return without_codes(raw).rstrip("\n")


def without_codes(text: str) -> str:
    """Text of many lines without escape codes, carriage returns and NULs."""
    if "\x1b" in text:
        text = ESCAPE.sub("", text)
    if any(sign in text for sign in COLOUR_SIGNS):
        text = COLOUR.sub("", text)
    if "[0m" in text:
        text = BARE_COLOUR.sub("", text)
    # Text that was copied out of a page's source.
    if "&lt;" in text or "&gt;" in text:
        for sign, plain in PAGE_SIGNS:
            text = text.replace(sign, plain)
    # A terminal would show only what follows the last carriage return; the serial log keeps all of it.
    text = text.replace("\r", "").replace("\0", "")
    # Web pages and East Asian mails have other spaces, and pages that mind their looks make a sign of the x in 0x12.
    return text.replace("\xa0", " ").replace("\u3000", " ").replace("0\xd7", "0x")


def blocks(chunks: Iterable[bytes]) -> Iterator[str]:
    """Chunks of any size -> text that ends where a line does, so that no message is torn.

    A line longer than a chunk comes in pieces, the next of which begins at a time stamp where there is one, as a
    kernel message may follow any amount of text that a workload wrote without a newline.
    """
    rest = b""
    for chunk in chunks:
        rest += chunk
        end = rest.rfind(b"\n") + 1
        if not end and len(rest) > 4 * LONGEST:
            end = _last_stamp(rest)
        if end:
            yield without_codes(rest[:end].decode(errors="replace"))
            rest = rest[end:]
    if rest:
        yield without_codes(rest.decode(errors="replace"))


def _last_stamp(line: bytes) -> int:
    """Where to cut a line that does not end: at its last stamp, else so that none is cut in two."""
    found = line.rfind(b"[", LONGEST)
    stamp = line.rfind(b"[", LONGEST, found) if found > 0 else -1
    # The second bracket of a stamp is the caller's.
    start = stamp if stamp >= 0 and found - stamp < _STAMP_WIDTH else found
    return start if start >= len(line) - LONGEST else len(line) - _STAMP_WIDTH


_STAMP_WIDTH = 40
