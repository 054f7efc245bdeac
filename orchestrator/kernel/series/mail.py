# SPDX-License-Identifier: GPL-2.0-or-later
"""A mail, a mailbox or a plain diff -> the pieces in it, each with the diff that it brings.

Mailboxes are split by git mailsplit, MIME is read by Python's email package. git mailinfo is not used: it appends the
HTML copy of a mail, and each attached patch, to the one patch that it makes. What it does with format=flowed, and
Python does not, is done here, and compared with git by a test.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.policy import compat32

from orchestrator.host.errors import InfraError, UserError
from orchestrator.host.process import last_lines
from orchestrator.kernel.series.diff_paths import GitScratch
from orchestrator.kernel.series.diff_text import DiffText, find_diff, has_diff, normal_line_ends
from orchestrator.kernel.series.no_diff import HTML, NoDiff, no_diff_in
from orchestrator.kernel.series.subject import Subject, bare_line, parse_subject
from orchestrator.kernel.source.git import git_on_files

MOST_MAILS = 50_000
_MOST_PARTS = 200
_HEADER = re.compile(rb"[A-Za-z][A-Za-z0-9-]*:(?:[ \t]|\r?\n)")
# Some header that only a mail has: the notes at the top of a patch ("Class: A") are none.
_MAIL_HEADER = re.compile(
    rb"^(?:From|Subject|Date|Message-ID|Received|Return-Path):[ \t]", re.MULTILINE | re.IGNORECASE
)
_MESSAGE_ID = re.compile(r"<[^<>\s]+>")
# git and b4 write the whole hash; people write a shorter one, a release's tag, or the subject behind it.
_BASE_COMMIT = re.compile(
    rb"^base-commit:[ \t]+([0-9a-f]{7,64}|v\d+\.\d+(?:\.\d+)?(?:-rc\d+)?|next-\d{8})(?:[ \t(].*)?$",
    re.MULTILINE | re.IGNORECASE,
)
_CHANGE_ID = re.compile(rb"^change-id: (\S{1,200})[ \t]*$", re.MULTILINE)
_PREREQUISITE = re.compile(rb"^prerequisite-patch-id: [0-9a-f]{40,64}\s*$", re.MULTILINE)
_STAT = re.compile(rb"^ (\d+) files? changed(?:, (\d+) insertions?\(\+\))?(?:, (\d+) deletions?\(-\))?$", re.MULTILINE)
# The headers that a patch has below its mail's own: at the top of the text, or below a scissors line.
_IN_BODY = re.compile(r"\s*((?:(?:From|Subject|Date): .+\n(?:[ \t]+\S.*\n)*)+)\s*\n")
_SCISSORS = re.compile(
    rb"^(?=.*-)(?:[-\s]|>8|8<|>%|%<|cut here)*(?:>8|8<|>%|%<)(?:[-\s]|>8|8<|>%|%<|cut here)*$", re.MULTILINE
)
# A text in one of these is no superset of ASCII: what a diff looks like can be seen in the decoded text alone.
_NO_ASCII = frozenset({"utf-7", "utf-16", "utf-16le", "utf-16be", "utf-32", "utf-32le", "utf-32be"})
# RFC 9580, 7: lines that begin with a dash are signed with "- " before them.
_CLEAR_SIGNED = re.compile(
    rb"^-----BEGIN PGP SIGNED MESSAGE-----\n(?:[A-Za-z-]+: [^\n]*\n)*\n(?P<text>.*?\n)"
    rb"-----BEGIN PGP SIGNATURE-----\n.*?^-----END PGP SIGNATURE-----$",
    re.MULTILINE | re.DOTALL,
)
_NO_PATCH_PART = frozenset({"text/html", "application/pgp-signature", "application/pgp-keys", "text/calendar"})


@dataclass(frozen=True, kw_only=True, slots=True)
class NotedBase:
    """What a mail says of the tree that its author built on, as git format-patch --base and b4 write it."""

    commit: str = ""  # a hash, maybe a short one, or a release's tag; "" where the mail does not say
    prerequisites: int = 0  # patches that the author had below the series
    change_id: str = ""  # b4's name of the series, the same for all its versions
    place: str = ""  # where it stands: "the cover letter", "patch 1/2"


NOTHING_NOTED = NotedBase()


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """One mail, one attached patch or one plain diff: where it stands, and the diff in it (empty: none)."""

    name: str  # of the file that it came in
    subject: Subject
    diff: DiffText
    author: str = ""
    message_id: str = ""
    answers: tuple[str, ...] = ()  # the Message-IDs that it refers to
    is_mail: bool = False
    noted: NotedBase = NOTHING_NOTED
    stat: tuple[int, int, int] | None = None  # files, lines added and removed, as the mail itself says
    instead: NoDiff | None = None  # what it is, where it has no diff

    @property
    def what(self) -> str:
        """How a person would call it: its subject, or the file's name."""
        version = f"v{self.subject.version} " * (self.subject.version != "1")
        place = f"[{version}{self.subject.place}] ".replace(" ] ", "] ") if self.subject.place or version else ""
        return f"{'Re: ' * self.subject.reply}{place}{self.subject.title}".strip() or self.name


def pieces_in(raw: bytes, name: str, place: GitScratch) -> tuple[Piece, ...]:
    """The mails in a file's content, or the one diff that is no mail. `place` is for git. Raises UserError."""
    return tuple(piece for message in split_mailbox(raw, name, place) for piece in _pieces_of(message, name))


def split_mailbox(raw: bytes, name: str, place: GitScratch) -> tuple[bytes, ...]:
    """The mails of a mailbox; anything else is one piece."""
    normal = normal_line_ends(raw)
    if not normal.lstrip().startswith(b"From "):
        return (normal,)
    box, folder = place.folder / "mbox", place.folder / "mails"
    folder.mkdir(parents=True)
    box.write_bytes(normal.lstrip())
    # Carriage returns inside of a mail that has others are content: a patch to a file that has them.
    argv = ["mailsplit", "-b", "-d8", "--keep-cr", "--mboxrd", f"-o{folder.name}", box.name]
    done = git_on_files(argv, place.folder, log=place.log, until=place.until, writable=(place.folder,))
    if done.status != 0:
        raise UserError(f"{name} is no mailbox that git can read: {last_lines(done.output, 1)}")
    files = sorted(folder.iterdir())
    if len(files) > MOST_MAILS:
        raise UserError(f"{name} has {len(files)} mails; at most {MOST_MAILS} are read")
    if not files:
        raise InfraError(f"git mailsplit found no mail in {name}", hint="git --version")
    mails: list[bytes] = []
    for file in files:
        line, _, rest = file.read_bytes().partition(b"\n")
        file.unlink()
        if mails and not _HEADER.match(rest):
            # Prose that looks like the line between two mails.
            mails[-1] += line + b"\n" + rest
        else:
            mails.append(rest)
    box.unlink()
    folder.rmdir()
    return tuple(mails)


def _pieces_of(message: bytes, name: str) -> Iterator[Piece]:
    if not _is_mail(message):
        diff = find_diff(message, prose=False)
        instead = None if diff.text else no_diff_in(message)
        yield Piece(name=name, subject=Subject(title=""), diff=diff, noted=_base(message, name), instead=instead)
        return
    if message.count(b"\nContent-Type:") > _MOST_PARTS:
        raise UserError(f"{name} has a mail of more than {_MOST_PARTS} parts")
    yield from _pieces_of_mail(message_from_bytes(message, policy=compat32), name)


def _is_mail(text: bytes) -> bool:
    return bool(_HEADER.match(text) and _MAIL_HEADER.search(text.split(b"\n\n", 1)[0]))


def _pieces_of_mail(mail: Message, name: str) -> Iterator[Piece]:
    parts, forwarded = _own_parts(mail)
    bodies = [body for part in parts if (body := _text_of(part))]
    # Files of git format-patch, attached: each is a patch with a place of its own.
    files = [body for body in bodies if has_diff(body) and _is_mail(_without_separator(body))]
    outer = _piece(mail, bodies, name)
    if not outer.diff.text:
        html = not b"".join(bodies).strip() and any(part.get_content_type() == "text/html" for part in parts)
        outer = replace(outer, instead=HTML if html else no_diff_in(b"\n".join(bodies)))
    if files and not (outer.subject.patch and len(files) == 1):
        yield _piece(mail, [body for body in bodies if body not in files], name)
        for body in files:
            for inner in _pieces_of(_without_separator(body), name):
                reply = replace(inner.subject, reply=inner.subject.reply or outer.subject.reply)
                yield replace(inner, subject=reply, answers=inner.answers or outer.answers)
    else:
        yield outer
    for one in forwarded:
        yield from _pieces_of_mail(one, name)


def _own_parts(mail: Message) -> tuple[list[Message], list[Message]]:
    """The parts of a mail, and the mails that are attached to it."""
    parts: list[Message] = []
    forwarded: list[Message] = []
    waiting = [mail]
    while waiting:
        part = waiting.pop(0)
        inside = part.get_payload() if part.is_multipart() else None
        if not isinstance(inside, list):
            parts.append(part)
        elif part.get_content_type() == "message/rfc822":
            forwarded += [one for one in inside if isinstance(one, Message)]
        else:
            waiting[:0] = [one for one in inside if isinstance(one, Message)]
    return parts, forwarded


def _piece(mail: Message, bodies: list[bytes], name: str) -> Piece:
    subject = parse_subject(_decoded(mail, "Subject"))
    if mail["X-Patchwork-Id"] and not subject.reply:
        subject = replace(subject, patch=True)
    own = _own_headers(bodies)
    if (inner := parse_subject(own.get("Subject", ""))).title and not subject.reply:
        subject = replace(subject, title=inner.title) if subject.patch else inner
    return Piece(
        name=name,
        subject=subject,
        diff=_diff_of(bodies),
        author=bare_line(own.get("From", "") or _decoded(mail, "From")),
        message_id=next(iter(_ids(mail, "Message-ID")), ""),
        answers=tuple(dict.fromkeys([*_ids(mail, "In-Reply-To"), *_ids(mail, "References")])),
        is_mail=True,
        noted=_base(b"\n".join(bodies), _place(subject, name)),
        stat=_stat(bodies),
    )


def _stat(bodies: list[bytes]) -> tuple[int, int, int] | None:
    """The last line of the diffstat that stands before the diff."""
    before = b"\n".join(body.split(b"\ndiff --git ", 1)[0] for body in bodies)
    found = list(_STAT.finditer(before))
    return (int(found[-1][1]), int(found[-1][2] or 0), int(found[-1][3] or 0)) if found else None


def _diff_of(bodies: list[bytes]) -> DiffText:
    found = [diff for body in bodies if (diff := find_diff(body)).text]
    # The patch may be in the text and once more beside it.
    distinct = list({diff.text: diff for diff in found}.values())
    if len(distinct) == 1:
        return distinct[0]
    diff = find_diff(b"".join(one.text for one in distinct))
    diff.strays[:0] = [stray for one in distinct for stray in one.strays]
    return diff


def _without_separator(body: bytes) -> bytes:
    return body.partition(b"\n")[2] if body.startswith(b"From ") else body


def _text_of(part: Message) -> bytes:
    # An HTML copy of the mail is no patch; attached patches come as text/x-patch, text/x-diff or octet-stream.
    if part.get_content_type() in _NO_PATCH_PART:
        return b""
    payload = part.get_payload(decode=True)
    charset = str(part.get_content_charset("")).lower()
    if isinstance(payload, bytes) and charset in _NO_ASCII:
        payload = payload.decode(charset, "replace").encode()
    text = _unsigned(normal_line_ends(payload)) if isinstance(payload, bytes) else b""
    if str(part.get_param("format", "")).lower() == "flowed":
        return unflowed(text, delete_space=str(part.get_param("delsp", "")).lower() == "yes")
    return text


def _unsigned(text: bytes) -> bytes:
    return _CLEAR_SIGNED.sub(lambda found: re.sub(rb"^- ", b"", found["text"], flags=re.MULTILINE), text)


def unflowed(text: bytes, *, delete_space: bool) -> bytes:
    """The lines of a format=flowed text (RFC 3676), put together again as git mailinfo does it."""
    done: list[bytes] = []
    begun = b""
    for line in text.split(b"\n"):
        if line == b"-- ":
            # What separates the signature flows on into nothing.
            done.append(begun + line)
            begun = b""
            continue
        stuffed = line[1:] if line.startswith(b" ") else line
        if stuffed.endswith(b" "):
            begun += stuffed[:-1] if delete_space else stuffed
        else:
            done.append(begun + stuffed)
            begun = b""
    return b"\n".join([*done, begun] if begun else done)


def _base(text: bytes, place: str) -> NotedBase:
    commit, change = _BASE_COMMIT.search(text), _CHANGE_ID.search(text)
    return NotedBase(
        commit=commit[1].decode().lower() if commit else "",
        prerequisites=len(_PREREQUISITE.findall(text)),
        change_id=bare_line(change[1].decode("utf-8", "replace")) if change else "",
        place=place,
    )


def _place(subject: Subject, name: str) -> str:
    if subject.number == 0:
        return "the cover letter"
    return f"patch {subject.place}" if subject.place else name


def _own_headers(bodies: list[bytes]) -> dict[str, str]:
    """The headers that the patch itself has in the text of its mail, as git am --scissors reads them."""
    first = bodies[0].split(b"\ndiff --git ", 1)[0] if bodies else b""
    cut = list(_SCISSORS.finditer(first))
    found = _IN_BODY.match(first[cut[-1].end() if cut else 0 :].decode("utf-8", "replace"))
    lines = re.sub(r"\n[ \t]+", " ", found[1]).splitlines() if found else []
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _ids(mail: Message, name: str) -> list[str]:
    return _MESSAGE_ID.findall(_raw(mail, name))


def _decoded(mail: Message, name: str) -> str:
    raw = " ".join(_raw(mail, name).split())
    try:
        return str(make_header(decode_header(raw)))
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        return raw


def _raw(mail: Message, name: str) -> str:
    found = next((str(value) for key, value in mail.raw_items() if key.lower() == name.lower()), "")
    return found.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
