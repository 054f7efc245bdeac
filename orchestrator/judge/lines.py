"""Console text -> what printk said: no escape codes, no time stamps, and nothing that a workload echoed."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

# A longer message is not a kernel's (LOG_LINE_MAX is 1 KiB); a workload may write any amount without a newline.
LONGEST = 4096

ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[@-Z\\-_])")
# printk.time=1 writes the first bracket; CONFIG_PRINTK_CALLER (since v5.1) the second: a task or a CPU.
STAMP = re.compile(r"(?:<\d{1,3}>)?\[ *(?P<seconds>\d{1,10}\.\d{6})\](?:\[ *(?P<caller>[TC]\d+)\])? ?")
# The same, quick to search for in much text.
SECONDS = re.compile(r"\[ *(\d{1,10}\.\d{6})\]")
# What stands before the kernel's text where a console has no stamps: a level, a getty's prompt, what a log daemon adds,
# and the caller, which CONFIG_PRINTK_CALLER writes with printk.time=0, too.
UNSTAMPED_PREFIX = re.compile(
    r"(?:<\d{1,3}>)?(?:\S+ login: |\d{4}/\d\d/\d\d \d\d:\d\d:\d\d |[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ kernel: )?"
    r"(?:\[ *(?P<caller>[TC]\d+)\] )?"
)


@dataclass(slots=True)  # Not frozen: there is one for each line of a console, and that would double what it costs.
class Line:
    """A piece of one console line that printk can have said; two messages may share a line number."""

    number: int  # of the console text, from 1
    text: str
    caller: str  # "T123", "C0", or "" where the kernel does not tell
    seconds: float | None  # None: this log has no time stamps


class Reader:
    """Takes raw console lines one by one and tells what printk can have said in each.

    A log whose kernel writes time stamps is known by the first of them. From there on, text without a stamp comes
    from user space, whatever it looks like. A log that has no stamp at all is taken as it is.
    """

    def __init__(self) -> None:
        self.stamps_seen = False

    def skip(self, text: str, start: int, end: int) -> None:
        """Pass over lines that nobody wants to see; a stamp among them still tells what kind of log this is."""
        if not self.stamps_seen and SECONDS.search(text, start, end):
            self.stamps_seen = True

    def read(self, number: int, text: str) -> Sequence[Line]:
        """What printk can have said in a line that is clean()."""
        stamps = tuple(STAMP.finditer(text)) if "[" in text else ()
        if not stamps:
            return () if self.stamps_seen else (_unstamped(number, text),)
        before: tuple[Line, ...] = ()
        if not self.stamps_seen and stamps[0].start() > 0:
            before = (_unstamped(number, text[: stamps[0].start()]),)
        self.stamps_seen = True
        if len(stamps) == 1:
            return (*before, _stamped(number, text, stamps[0], len(text)))
        # Two CPUs on one serial port, or a prompt without a newline: one line has the starts of several messages.
        ends = [stamp.start() for stamp in stamps[1:]] + [len(text)]
        return (
            *before,
            *(_stamped(number, text, stamp, end) for stamp, end in zip(stamps, ends, strict=True)),
        )


def kernel_lines(lines: Iterable[str]) -> Iterator[Line]:
    """Clean the lines of a console log and leave out those that printk cannot have said."""
    reader = Reader()
    for number, raw in enumerate(lines, start=1):
        yield from reader.read(number, clean(raw))


def starts_of_messages(raw: str) -> Iterator[int]:
    """Where in a console line without escape codes a message of the kernel may begin."""
    prefix = UNSTAMPED_PREFIX.match(raw)
    yield prefix.end() if prefix else 0
    yield from (stamp.end() for stamp in STAMP.finditer(raw))


def clean(raw: str) -> str:
    """Text without escape codes, carriage returns, NULs and its last newline."""
    return without_codes(raw).rstrip("\n")


def without_codes(text: str) -> str:
    """Text of many lines without escape codes, carriage returns and NULs."""
    if "\x1b" in text:
        text = ESCAPE.sub("", text)
    # A terminal would show only what follows the last carriage return; the serial log keeps all of it.
    return text.replace("\r", "").replace("\0", "")


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


def _stamped(number: int, text: str, stamp: re.Match[str], end: int) -> Line:
    seconds, caller = stamp.groups()
    start = stamp.end()
    end = end if end - start <= LONGEST else start + LONGEST
    return Line(number, text[start:end].rstrip(), caller or "", float(seconds))


def _unstamped(number: int, text: str) -> Line:
    prefix = UNSTAMPED_PREFIX.match(text[:LONGEST])
    assert prefix is not None  # It may be empty.
    return Line(number, text[prefix.end() : LONGEST], prefix["caller"] or "", None)
