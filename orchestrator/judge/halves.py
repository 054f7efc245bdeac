# SPDX-License-Identifier: GPL-2.0-or-later
"""The first halves of lines that a mail program broke: "WARNING: CPU: 1 PID: 7 at", and any in quoted-printable."""

import re

NUMBER = r"\d+"
WORDS = r"[\w/-]+(?: [\w/-]+){0,4}?"
NAME = r"\S{1,31}"
FILE = r"\S+:\d+"
# How such lines begin, word by word; what comes behind the last word is in the second half or broken again.
BEGINNINGS = (
    ("WARNING:", "CPU:", NUMBER, "PID:", NUMBER, "at", FILE),
    ("WARNING:", r"[\w./+-]+\.[chS]:\d+", "at"),
    ("UBSAN:", "(?:[a-z]+(?:-[a-z]+)+|Undefined behaviour)", "in"),
    ("BUG:", "K[A-Z]+:", WORDS, "in"),
    ("BUG:", "kernel", "NULL", "pointer"),
    ("BUG:", "unable", "to", "handle", "kernel", "NULL", "pointer"),
    ("BUG:", "unable", "to", "handle", "page", "fault", "for"),
    ("BUG:", "sleeping", "function", "called", "from", "invalid"),
    ("BUG:", "scheduling", "while"),
    ("BUG:", "workqueue", "lockup", "-"),
    ("INFO:", "task", NAME, "blocked", "for", "more", "than", NUMBER),
    (r"(?:\[ INFO|WARNING):", "possible", "(?:circular|recursive)", "locking", "dependency"),
    ("WARNING:", r"\S+-safe", "->", r"\S+-unsafe", "lock", "order"),
    ("BUG:", "using", r"\S+\(\)", "in", "preemptible"),
    ("kernel", "BUG", "at"),
    ("PANIC", "at"),
    ("refcount_t:", "[a-z]+;"),
    ("Internal", "error:", WORDS + ":"),
    ("Kernel", "panic", "-", "not", "syncing:", "stack-protector:", "Kernel", "stack", "is", "corrupted", "in:"),
    (r"(?:CPU \d+ )?Unable", "to", "handle", "kernel", "(?:paging|NULL)"),
    ("unregister_netdevice:", "waiting", "for", NAME, "to", "become"),
)
# One word may be anybody's.
FEWEST = 2


def _half(words: tuple[str, ...], fewest: int) -> str:
    """A pattern of the first words, or more of them."""
    further = ""
    for word in reversed(words[fewest:]):
        further = f"(?: {word}{further})?"
    return " ".join(words[:fewest]) + further


# Mails in quoted-printable end the line with a sign.
END = r" *=?$"
PLACE = re.compile(r"[A-Za-z_][\w.]*\+0x[0-9a-f]+/0x[0-9a-f]+\b")
# Behind the file nothing else can come; kernels without symbols have nothing there.
ONLY_PLACE = re.compile(rf".* at {FILE}{END}")
# Their first letters: quick to tell from those of other lines.
FIRST = r"(?=[WUBI\[kPrKCu])"
HALF = re.compile(FIRST + "(?:" + "|".join(_half(words, FEWEST) for words in BEGINNINGS) + ")" + END)
# Behind the kernel's mark one word will do.
MARKED_HALF = re.compile(FIRST + "(?:" + "|".join(_half(words, 1) for words in BEGINNINGS) + ")" + END)
# A line with a stamp of its own, which completes no other.
STAMPED = re.compile(r"\[[ \d]")


# Quoted-printable breaks lines anywhere, and always behind the most letters that a line may have.
SOFT = range(73, 77)


def soft_break(raw: str) -> bool:
    return raw.endswith("=") and len(raw) in SOFT and not raw.endswith("==")


def completes(second: str, first: str) -> bool:
    """Whether this can be the rest of a line."""
    return bool(second.strip()) and (not ONLY_PLACE.match(first) or PLACE.match(second) is not None)


def joined(first: str, second: str, *, soft: bool) -> str:
    """The line that a mail program broke."""
    if soft:
        return first.removesuffix("=") + second
    return f"{first.removesuffix('=').rstrip()} {second.lstrip()}"
