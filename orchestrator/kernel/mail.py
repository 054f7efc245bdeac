"""A patch file, a mail or a mailbox -> the unified diffs in it, byte for byte as they were sent. Pure."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as mime

# What git and mail programs write between two mails of a mailbox; prose that begins with "From " has no time in it.
_MBOX_SEPARATOR = re.compile(rb"^From \S+ .*\d\d:\d\d(:\d\d)? .*\d{4}.*$", re.MULTILINE)
_HEADER = re.compile(rb"[A-Za-z][A-Za-z0-9-]*:[ \t]")
_DIFF_START = re.compile(rb"^(?:diff --git |--- [^\n]+\n\+\+\+ )", re.MULTILINE)
_NUMBER = re.compile(r"^\s*(?:\w+:\s*)*\[[^\]]*?\b(\d+)/(\d+)[^\]]*\]")
_PREFIX = re.compile(r"^\s*\[[^\]]*\]\s*")
_HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_FILE_HEADERS = (
    b"diff --git ", b"index ", b"--- ", b"+++ ", b"old mode ", b"new mode ", b"new file mode ", b"deleted file mode ",
    b"rename ", b"copy ", b"similarity index ", b"dissimilarity index ", b"\\",
)  # fmt: skip
# What a line of a hunk takes off the counts in its header: of the old file, of the new file.
_TAKES = {b" ": (1, 1), b"\n": (1, 1), b"-": (1, 0), b"+": (0, 1), b"\\": (0, 0)}


@dataclass(frozen=True, kw_only=True, slots=True)
class MailedPatch:
    """One diff with the subject and the place in its series that the mail gave it."""

    subject: str
    number: int | None
    total: int | None
    diff: bytes


def mailed_patches(raw: bytes) -> Iterator[MailedPatch]:
    """Each diff in the file, in the file's order; mails without one (cover letters, replies) are passed over."""
    for message in split_mailbox(raw):
        subject, body = _decoded(message)
        if diff := find_diff(body):
            numbered = _NUMBER.match(subject)
            yield MailedPatch(
                subject=_PREFIX.sub("", subject),
                number=int(numbered[1]) if numbered else None,
                total=int(numbered[2]) if numbered else None,
                diff=diff,
            )


def split_mailbox(raw: bytes) -> tuple[bytes, ...]:
    """The mails of a mailbox; anything else is one piece."""
    normal = normal_line_ends(raw)
    if not _MBOX_SEPARATOR.match(normal):
        return (raw,)
    starts = [m.start() for m in _MBOX_SEPARATOR.finditer(normal) if _begins_mail(normal, m)]
    return tuple(normal[start:end].partition(b"\n")[2] for start, end in zip(starts, [*starts[1:], None], strict=True))


def normal_line_ends(text: bytes) -> bytes:
    r"""LF for CRLF, when all lines end so. A few CRLF among LF are content: a patch to a file that has them."""
    lines = text.count(b"\n")
    return text.replace(b"\r\n", b"\n") if lines and lines == text.count(b"\r\n") else text


def find_diff(body: bytes) -> bytes:
    """The diff in a text, from its first header to the end of its last hunk; b"" when there is none."""
    text = normal_line_ends(body)
    start = _DIFF_START.search(text)
    if not start:
        return b""
    lines = list(io.BytesIO(text[start.start() :]))  # At \n only: a lone \r is content.
    diff = b"".join(lines[: _end_of_diff(lines)])
    return diff if diff.endswith(b"\n") else diff + b"\n"


def _end_of_diff(lines: list[bytes]) -> int:
    # By counting: a signature's "-- " looks like a removed line, and a removed line may look like a signature.
    end = old = new = 0
    for number, line in enumerate(lines, start=1):
        if old > 0 or new > 0:
            if line[:1] not in _TAKES:
                return len(lines)  # A broken hunk. All of it goes to git, which says so.
            old, new = old - _TAKES[line[:1]][0], new - _TAKES[line[:1]][1]
            end = number
        elif hunk := _HUNK.match(line):
            old, new = (int(count or 1) for count in hunk.groups())
            end = number
        elif line.startswith(_FILE_HEADERS):
            end = number
        elif line.startswith(b"GIT binary patch"):
            return len(lines)
    return end


def _begins_mail(text: bytes, separator: re.Match[bytes]) -> bool:
    follows_gap = separator.start() == 0 or text[: separator.start()].endswith(b"\n\n")
    return follows_gap and bool(_HEADER.match(text, separator.end() + 1))


def _decoded(message: bytes) -> tuple[str, bytes]:
    if not _HEADER.match(message):
        return "", message
    mail = message_from_bytes(message, policy=mime)
    subject = " ".join(str(mail.get("Subject", "")).split())
    bodies = [body for part in mail.walk() if (body := _text_of(part))]
    return subject, b"\n".join(body for body in bodies if find_diff(body))


def _text_of(part: EmailMessage) -> bytes:
    if part.is_multipart():
        return b""
    # An HTML copy of the mail is no patch, while attached patches come as text/x-patch, text/x-diff or octet-stream.
    if part.get_content_type() == "text/html":
        return b""
    payload = part.get_payload(decode=True)
    return normal_line_ends(payload) if isinstance(payload, bytes) else b""
