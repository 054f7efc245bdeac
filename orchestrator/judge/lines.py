"""Console text -> what printk said: no escape codes, no time stamps, and nothing that a workload echoed."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# A line longer than this is not a kernel's (LOG_LINE_MAX is 1 KiB); a workload may write any amount without a newline.
LONGEST = 4096

ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
# printk.time=1 writes the first bracket; CONFIG_PRINTK_CALLER (since v5.1) the second: a task or a CPU.
STAMP = re.compile(r"(?:<\d{1,3}>)?\[ *(?P<seconds>\d+\.\d{6})\](?:\[ *(?P<caller>[TC]\d+)\])? ?")
# What stands before the kernel's text where a console has no stamps: a getty's prompt, the date of a log daemon.
UNSTAMPED_PREFIX = re.compile(r"(?:<\d{1,3}>)?(?:\S+ login: |\d{4}/\d\d/\d\d \d\d:\d\d:\d\d )?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A piece of one console line that printk can have said; two messages may share a line number."""

    number: int  # of the console text, from 1
    text: str
    caller: str  # "T123", "C0", or "" where the kernel does not tell
    seconds: float | None  # None: this log has no time stamps


def kernel_lines(lines: Iterable[str]) -> Iterator[Line]:
    """Clean the lines of a console log and leave out those that printk cannot have said.

    A log whose kernel writes time stamps is known by the first of them. From there on, text without a stamp comes
    from user space, whatever it looks like. A log that has no stamp at all is taken as it is.
    """
    stamps_seen = False
    for number, raw in enumerate(lines, start=1):
        text = clean(raw)
        stamps = tuple(STAMP.finditer(text)) if "[" in text else ()
        if not stamps:
            if not stamps_seen:
                yield _unstamped(number, text)
            continue
        if not stamps_seen and stamps[0].start() > 0:
            yield _unstamped(number, text[: stamps[0].start()])
        stamps_seen = True
        yield from _stamped(number, text, stamps)


def clean(raw: str) -> str:
    """One line without escape codes, carriage returns, NULs and its newline, cut where no kernel line is as long."""
    text = raw[:LONGEST].rstrip("\r\n")
    if "\x1b" in text:
        text = ESCAPE.sub("", text)
    # A terminal would show only what follows the last carriage return; the serial log keeps all of it.
    return text.replace("\r", "").replace("\0", "")


def _unstamped(number: int, text: str) -> Line:
    prefix = UNSTAMPED_PREFIX.match(text)
    return Line(number=number, text=text[prefix.end() if prefix else 0 :], caller="", seconds=None)


def _stamped(number: int, text: str, stamps: tuple[re.Match[str], ...]) -> Iterator[Line]:
    # Two CPUs on one serial port, or a prompt without a newline: one line then holds the starts of several messages.
    ends = [stamp.start() for stamp in stamps[1:]] + [len(text)]
    for stamp, end in zip(stamps, ends, strict=True):
        yield Line(
            number=number,
            text=text[stamp.end() : end].rstrip(),
            caller=stamp["caller"] or "",
            seconds=float(stamp["seconds"]),
        )
