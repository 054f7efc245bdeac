# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands before a message in the forms in which logs reach people: one entry for each form.

A prefix is known by its form alone, and forms are cut off one after another until none fits: a CI's date, then a
daemon's date and host, then the kernel's stamp. What follows the kernel's own mark is its text, or that of a program
that wrote to /dev/kmsg: there only what printk itself may have added is cut off.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

# No line has more prefixes one after another, none of which is longer; what a form must have in it is near.
MOST_FORMS = 12
LONGEST = 600
NEAR = 160
# syslog's number of a message is its facility times eight plus its level; the kernel's facility is 0.
LEVELS = 8
LEVEL_WIDTH = len("<191>")
KERNEL_TAG = re.compile(r"kernel|vmunix")
KERNEL_FACILITY = "kern"


class Author(Enum):
    """Who wrote a line, as far as what stands before its text tells."""

    UNKNOWN = auto()
    KERNEL = auto()
    PROGRAM = auto()


class LinePart(Enum):
    """What was cut off before a form: it decides which forms may come next."""

    BARE = auto()
    DATED = auto()  # a host and a program's name may come next
    MARKED = auto()  # as the kernel's


@dataclass(slots=True)
class Prefix:
    """What stands before a message, and what it tells."""

    end: int  # where the message begins
    place: LinePart = LinePart.BARE
    author: Author = Author.UNKNOWN
    stamped: bool = False  # by printk itself
    tagged: bool = False  # with its author's name by a log daemon
    record: bool = False  # of /dev/kmsg, where \xNN stands for what is not printable
    host: str = ""
    caller: str = ""
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """One form of a prefix. Groups tell: seconds, micros, caller, level, facility, host, tag; tag and program, who."""

    line: re.Pattern[str]
    first: str = "a"  # what it begins with: signs, "0" for any digit, "a" for anything that is not listed elsewhere
    word: str = ""  # plain text that it has in it: quick to search for
    after: frozenset[LinePart] = frozenset({LinePart.BARE, LinePart.DATED})
    then: LinePart | None = None  # where its match leads to
    stamp: bool = False
    record: bool = False


# A word of a date in any language has no digits and none of the signs that programs put around their names.
WORD = r"[^\s\d\[\](){}<>:;=/|\"'+*#@\\]{1,16}"
DAY = r"\d{1,2}[.,]?"
CLOCK = r"\d{1,2}[:.]\d\d[:.]\d\d(?:[.,]\d{1,9})?(?: [AaPp]\.?[Mm]\b\.?)?"
ISO_DAY = r"\d{4}[-/.]\d\d[-/.]\d\d"
ISO = rf"{ISO_DAY}(?:[T_-]| {{1,2}})\d\d:\d\d:\d\d(?:[.,]\d{{1,9}})?(?: ?(?:Z|UTC\b|[+-]\d\d:?\d\d))?"
ZONE = r"(?:[A-Z]{2,5}|[+-]\d\d(?::?\d\d)?)"
# East Asia numbers its months, and so does Vietnam, behind a word.
MONTH_AND_DAY = (
    rf"(?:{WORD} +(?:\d{{1,2}} +)?{DAY}|{DAY} +(?:de +)?{WORD}"
    r"|(?:\d{4} ?[年년] ?)?\d{1,2} ?[月월] *\d{1,2} ?[日일]?)"
)
DATE = rf"(?:{WORD} +)?{MONTH_AND_DAY}(?:,? +\d{{4}})?,? +{CLOCK}(?:(?: {ZONE})? \d{{4}}\b)?"
FULL_DATE = rf"{WORD} {ISO_DAY} {CLOCK}(?: {ZONE}\b)?"
SLASHED = rf"\d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}},? +{CLOCK}"
DATE_END = r"(?:: ?|[ \t]|$)"
STAMP_SECONDS = r"(?P<seconds>\d{1,10}\.\d{6})"
# "T123@C4": kernels that tell the CPU, too.
CALLER = r"\[ *(?P<caller>[TC]\d+)(?:@C\d+)?\]"
HOST = r"(?P<host>[^\s\[\]{}()<>=\"]{0,63}[^\s\[\]{}()<>=\":,;])"
FACILITY = r"(?P<facility>[a-z]{3,8}\d?)\.(?:emerg|alert|crit|err|error|warn|warning|notice|info|debug|panic)"
DAEMONS = r"kern|user|mail|daemon|auth|authpriv|syslog|lpr|news|uucp|cron|ftp|local[0-7]|res\d?"

# printk.time=1 writes the first bracket; CONFIG_PRINTK_CALLER (since v5.1) the second, which dmesg sets apart. Vendors'
# kernels have the task's name in a third.
STAMP = re.compile(
    rf"(?:<(?P<level>\d{{1,3}})>)?\[ *{STAMP_SECONDS}\]"
    rf"(?:(?P<apart> )?{CALLER}(?(apart)(?: \[[^\s\[\]<>]{{1,15}}\](?= ))?))? ?"
)
# The same, quick to search for in much text.
SECONDS = re.compile(r"\[ *(\d{1,10}\.\d{6})\]")

BARE, DATED, MARKED = LinePart.BARE, LinePart.DATED, LinePart.MARKED
ANYWHERE = frozenset(LinePart)
NOT_FIRST = frozenset({DATED, MARKED})
AFTER_DATE = frozenset({DATED})

KERNELS = (
    Form(line=STAMP, first="[<", after=ANYWHERE, then=MARKED, stamp=True),
    # Its first sign is lost where a copy begins behind it.
    Form(line=re.compile(rf"{STAMP_SECONDS}\](?:{CALLER})? ?"), first="0", then=MARKED, stamp=True),
    # The terminal of a mainframe shows other signs in place of the brackets.
    Form(
        line=re.compile(rf"(?:\u00a2|=C2=A2|\u00dd|=C3=9D) *{STAMP_SECONDS}(?:!|\u00a8|=C2=A8) ?"),
        first="\u00a2\u00dd=",
        then=MARKED,
        stamp=True,
    ),
    # RFC 3164's and /proc/kmsg's number, before or behind what a daemon adds.
    Form(line=re.compile(r"<(?P<level>\d{1,3})>"), first="<", after=ANYWHERE),
    # Where printk.time=0 leaves the caller alone, or dmesg wrote another stamp before it.
    Form(line=re.compile(rf"{CALLER} ?"), first="[", after=ANYWHERE),
    # /dev/kmsg, and netconsole's extended form of it, with the release where it is asked for.
    Form(
        line=re.compile(
            r"(?:\d+\.\d[\w.+-]{0,60},)?(?P<level>\d{1,3}),\d{1,12},(?P<micros>\d{1,16}),[-c+]"
            r"(?:,(?:caller=(?P<caller>[TC]\d+)|[a-z_]{1,20}=[^,;\s]{1,40}|-)){0,6};"
        ),
        first="0",
        then=MARKED,
        record=True,
    ),
    # A log daemon's name for the kernel. Only behind a date it proves anything: programs write it, too.
    Form(
        line=re.compile(rf"(?:{HOST} +)?(?:{FACILITY} +)?(?P<tag>{KERNEL_TAG.pattern})(?:\[[^\]\s]{{0,20}}\])?:[ \t]?"),
        first="a0",
        word=":",
        after=NOT_FIRST,
        then=MARKED,
    ),
    Form(line=re.compile(rf"(?:{FACILITY} +)?kernel(?:\[[^\]\s]{{0,20}}\])?: ?"), word="kernel", then=MARKED),
    # Talos: node, facility and level with colons, the date in brackets.
    Form(
        line=re.compile(
            rf"(?:{HOST}: +)?(?P<facility>{DAEMONS}): +(?:emerg|alert|crit|err|warning|notice|info|debug): \[{ISO}\]: ?"
        ),
        first="a0",
        word=": [",
        then=MARKED,
    ),
    # dmesg --decode
    Form(
        line=re.compile(rf"(?P<facility>{DAEMONS}) *:(?:emerg|alert|crit|err|warn|notice|info|debug) *: ?"),
        word=":",
    ),
    Form(line=re.compile(r"\((?:XEN|d\d{1,5}(?:v\d{1,4})?)\) ?"), first="("),
    # Where a mail leaves the stamp out.
    Form(line=re.compile(r"\.{3} "), first=".", after=NOT_FIRST),
)

# Stamps of dmesg's other formats, of vendors' kernels and of tools that read a serial line.
OTHER_STAMPS = (
    Form(line=re.compile(r"\[ *(?P<seconds>\d{1,10}\.\d{1,9})@\d{1,3}\] {0,2}"), first="[", then=DATED),
    Form(line=re.compile(r"\[ *(?P<seconds>\d{1,10}\.\d{0,9})(?![\d.])[^\[\]]{0,48}\] ?"), first="[", then=DATED),
    Form(line=re.compile(r"\[ *[+<-] *-?\d{1,10}[.,]\d{1,9} *>?\] ?|\[ *\d{1,10},\d{6}\] ?"), first="[", then=DATED),
    Form(
        line=re.compile(
            r"\[[^\[\]<>{}]{0,40}?(?:(?<=\dT)|(?<![\w/:.]))\d{1,2}(?::\d\d(?::\d\d(?:[.,]\d{1,9})?)?|\.\d\d\.\d\d)"
            r"(?![\d:])[^\[\]]{0,24}\] ?"
        ),
        first="[",
        then=DATED,
    ),
    # The CPU, or the CPU and the task.
    Form(
        line=re.compile(r" ?(?:[A-Z](?=\[\d))?\[(?:[Cc]|[Cc][Pp][Uu])?\d{1,3}(?:: *[^\[\]]{1,32})?\] ?"),
        first="[ a",
        after=NOT_FIRST,
    ),
    Form(
        line=re.compile(r"[-. ]?\(\d{1,3}\)(?:\[\d[^\[\]]{0,32}\](?:\[name:[^\[\]]{1,48}\])?)? ?"),
        first="-(. ",
        after=NOT_FIRST,
    ),
    Form(line=re.compile(r"\[pid:\d{1,10},cpu\d{1,3}[^\[\]]{0,32}\] ?"), first="[", after=NOT_FIRST),
    Form(line=re.compile(r" ?\(CPU:\d{1,3}-pid:\d{1,10}:[^()]{1,32}\) ?"), first="( ", after=NOT_FIRST),
    Form(line=re.compile(r"\([^()]{0,24}\d\d:\d\d:\d\d[^()]{0,16}\) ?"), first="(", then=DATED),
    Form(line=re.compile(r"[cC]\d{1,2} +\d{1,7} "), after=NOT_FIRST),
)

DATES = (
    # RFC 5424: the program's name is a field of its own.
    Form(
        line=re.compile(
            rf"\d{{1,2}} (?:{ISO}|-) {HOST} (?P<tag>\S{{1,48}}) \S{{1,128}} \S{{1,32}} "
            r"(?:-|(?:\[(?:[^\]\\]|\\.){0,400}\]){1,4})(?: (?:\ufeff|BOM)?|$)"
        ),
        first="0",
        then=DATED,
    ),
    Form(line=re.compile(ISO + DATE_END), first="0", then=DATED),
    Form(line=re.compile(rf"(?:{FULL_DATE}|{DATE}|{SLASHED}){DATE_END}"), first="a0", word=":", then=DATED),
    # Finnish and Indonesian clocks have dots.
    Form(line=re.compile(rf"{DATE}{DATE_END}"), first="a0", word=".", then=DATED),
    # Android's logcat: process 0 is the kernel.
    Form(
        line=re.compile(rf"\d\d-\d\d {CLOCK}(?:(?: +root)? +0 +0 [VDIWEFS] (?:(?:KERNEL|kernel)? *: )?| )"),
        first="0",
        then=DATED,
    ),
    Form(line=re.compile(rf"\d{{1,2}}:\d\d:\d\d(?:[.,]\d{{1,9}})?{DATE_END}"), first="0", then=DATED),
    Form(line=re.compile(rf"(?:\d{{1,10}}\.\d{{3,9}}|\d{{10}}){DATE_END}"), first="0", then=DATED),
)

# What daemons and container engines put between a date and the text.
DAEMONS_FIELDS = (
    Form(line=re.compile(r"(?:stdout|stderr) [FP] "), after=AFTER_DATE),
    Form(line=re.compile(r"\d\d[OE][+ ]"), first="0", after=AFTER_DATE),
    Form(
        line=re.compile(rf"(?:{HOST} +)?(?:{FACILITY} +)?(?P<tag>[^\s:\[\]]{{1,48}})\[[\w./-]{{0,20}}\]: ?"),
        first="a0",
        word="]:",
        after=AFTER_DATE,
    ),
    # A program's name without a number counts where the program has a stamp of its own.
    Form(
        line=re.compile(rf"{HOST} +(?P<tag>[^\s:\[\]]{{1,48}}): (?=\[ *\d{{1,10}}\.\d)"),
        first="a0",
        word=": [",
        after=AFTER_DATE,
    ),
    Form(line=re.compile(rf"(?:{HOST} +)?{FACILITY} +"), first="a0", word=".", after=AFTER_DATE),
    # Some write the facility before the date, even twice: "kern: kern.err: Jan 13 02:49:23 kernel:".
    Form(line=re.compile(rf"(?:(?:{DAEMONS}): +)?{FACILITY}: +(?={DATE} |{ISO} )"), word=".", after=frozenset({BARE})),
    # netconsole's lines, which a syslog daemon received: no program's name.
    Form(
        line=re.compile(
            rf"{HOST} +(?=\[ *\d{{1,10}}\.\d|<\d{{1,3}}>|(?:\d+\.\d[\w.+-]{{0,60}},)?\d{{1,3}},\d{{1,12}},\d{{1,16}},)"
        ),
        first="a0",
        after=AFTER_DATE,
    ),
    Form(
        line=re.compile(r"(?P<host>(?:\d{1,3}\.){3}\d{1,3}|[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}) +"),
        first="a0:",
        after=AFTER_DATE,
    ),
)

# Mails, terminals and CI.
WRAPPINGS = (
    # What wall writes above the text that it was given.
    Form(line=re.compile(r"(?P<tag>Message|Broadcast message) from \S{1,64}@\S{1,64} .*$"), word="@"),
    Form(line=re.compile(r"(?:>+ ?|\| ?)+"), first=">|"),
    # The line that a viewer draws, behind its number of the text's line.
    Form(line=re.compile(r"(?: {0,8}\d{1,7} {1,4})?\u2502 ?"), first="\u25020 ", word="\u2502"),
    Form(
        line=re.compile(
            r"[ \t]{1,16}(?=\[ *\d{1,10}\.\d|\d{1,10}\.\d{6}: +<\d|<\d{1,3}>|\(\d\d-\d\d \d\d:"
            r"|kernel(?:\[[^\]\s]{0,20}\])?:|[>|] |\d{4}-\d\d-\d\d[T ]|\d{1,2}[月월]|\(XEN\)"
            r"|[a-z]{3,8}\d?: +[a-z]{3,7}: \[\d{4}-)"
        ),
        first=" \t",
    ),
    # A footnote of a mail, or a stamp that it leaves out.
    Form(line=re.compile(r"\[(?:\d{1,2}|\.{0,3})\] (?=[A-Za-z\[])"), first="["),
    # A colour whose escape was lost when it was copied.
    Form(line=re.compile(r"(?:\[\d{1,3}(?:;\d{1,3}){0,4}m)+"), first="[", after=ANYWHERE),
    Form(line=re.compile(r"\[pod/[^\]\s]{1,128}\] ?"), first="["),
    Form(line=re.compile(r"##\[\w{1,16}\]"), first="#"),
    Form(line=re.compile("\ufeff"), first="\ufeff", after=ANYWHERE),
    Form(line=re.compile(r"[^\t]{1,100}\t[^\t]{1,100}\t(?=\ufeff?\d{4}-\d\d-)"), first="a0", word="\t"),
    Form(line=re.compile(r"[\w.-]{1,40} +\| "), first="a0", word=" | "),
    Form(line=re.compile(r"\S{1,64} login: "), word=" login: "),
    # grep's name of the file, and the number of the line.
    Form(line=re.compile(r"[\w./+-]{0,100}\.(?:log|txt|out|dmesg)[:-](?:\d{1,9}[:-])?"), first="a0", word="."),
    Form(line=re.compile(r"[\w.-]{1,32}@[\w.-]{1,64}:[^\s#$]{0,64}[#$] "), word="@"),
)

FORMS = (*KERNELS, *OTHER_STAMPS, *DATES, *DAEMONS_FIELDS, *WRAPPINGS)
_SIGNS = "".join(sorted({sign for form in FORMS for sign in form.first} - {"a", "0"}))


def _by_place_and_sign() -> dict[tuple[LinePart, str], tuple[Form, ...]]:
    """(what was cut off, sign or "0" or "a") -> the forms that may come next."""
    return {
        (place, sign): tuple(form for form in FORMS if sign in form.first and place in form.after)
        for place in LinePart
        for sign in (*_SIGNS, "0", "a")
    }


_NEXT = _by_place_and_sign()
# How the forms begin that come after a stamp, besides the kernel's name.
_GOES_ON = re.compile(r" ?\[|[A-Z]\[|<\d|[-. ]?\((?:\d|CPU:)|[cC]\d|\ufeff")


def prefix_of(text: str, at: int = 0) -> Prefix:
    """What stands before the message that begins at `at` or later in a line."""
    prefix = Prefix(end=at)
    for _ in range(MOST_FORMS):
        if (prefix.tagged and prefix.author is Author.PROGRAM) or not _cut(prefix, text):
            break
    return prefix


def prefix_from(text: str, stamp: re.Match[str]) -> Prefix:
    """The same for a stamp in the middle of a line."""
    if not _ends_with(text, stamp):
        return prefix_of(text, stamp.start())
    return Prefix(
        end=stamp.end(),
        place=MARKED,
        author=Author.KERNEL,
        stamped=True,
        caller=stamp["caller"] or "",
        seconds=float(stamp["seconds"]),
    )


def next_stamp(text: str, at: int) -> re.Match[str] | None:
    """printk's next stamp in a line; quick where there is none."""
    found = SECONDS.search(text, at)
    if found is None:
        return None
    level = text.rfind("<", max(at, found.start() - LEVEL_WIDTH), found.start())
    return (STAMP.match(text, level) if level >= 0 else None) or STAMP.match(text, found.start())


def stamp_alone(text: str) -> re.Match[str] | None:
    """printk's stamp, if a line has no other prefix: nearly every line of a guest's console. None: look closer."""
    stamp = STAMP.match(text)
    if stamp is None or SECONDS.search(text, stamp.end()) or not _ends_with(text, stamp):
        return None
    return stamp


def _ends_with(text: str, stamp: re.Match[str]) -> bool:
    """Whether a prefix surely ends with this stamp."""
    end = stamp.end()
    return not (_GOES_ON.match(text, end) or text.find("kernel", end, end + NEAR) >= 0 or stamp["level"])


def _cut(prefix: Prefix, text: str) -> bool:
    """Cut one form off; False where none fits."""
    at = prefix.end
    sign = text[at : at + 1]
    if not sign:
        return False
    if sign not in _SIGNS:
        sign = "0" if sign.isdigit() else "a"
    for form in _NEXT[prefix.place, sign]:
        if form.word and text.find(form.word, at, at + NEAR) < 0:
            continue
        found = form.line.match(text, at, at + LONGEST)
        if found and found.end() > at:
            _apply(prefix, form, found)
            return True
    return False


def _apply(prefix: Prefix, form: Form, found: re.Match[str]) -> None:
    fields = {name: value for name, value in found.groupdict().items() if value}
    if form.stamp or form.record:
        prefix.stamped = True
        prefix.record = form.record
        if prefix.author is Author.UNKNOWN:
            prefix.author = Author.KERNEL
    _who(prefix, fields)
    prefix.host = fields.get("host", prefix.host)
    prefix.caller = fields.get("caller", prefix.caller)
    if "seconds" in fields:
        prefix.seconds = float(fields["seconds"])
    elif "micros" in fields:
        prefix.seconds = int(fields["micros"]) / 1e6
    prefix.place = form.then or prefix.place
    prefix.end = found.end()


def _who(prefix: Prefix, fields: dict[str, str]) -> None:
    """A program's name decides; else what is not of the kernel's facility is a program's."""
    tag = fields.get("tag", "-")
    if tag != "-":
        prefix.tagged = True
        prefix.author = Author.KERNEL if KERNEL_TAG.fullmatch(tag) else Author.PROGRAM
    elif int(fields.get("level", "0")) >= LEVELS or fields.get("facility", KERNEL_FACILITY) != KERNEL_FACILITY:
        prefix.author = Author.PROGRAM
