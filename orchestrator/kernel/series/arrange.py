# SPDX-License-Identifier: GPL-2.0-or-later
"""Which mails of a mailbox or folder are the series, and in which order: all of one version, and nothing else. Pure."""

import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from orchestrator.host.errors import UserError
from orchestrator.kernel.series.mail import NOTHING_NOTED, NotedBase, Piece

# The longest that were sent, a stable kernel's review, have 1,200.
MOST_PATCHES = 4000
_MOST_NAMED = 8
_BESIDE = "it answers the series and has no number in it; its diff is not taken"
SPLIT = "give each series, or each patch, by a --patch of its own"


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """What lay beside the series and is not tested, and why."""

    what: str
    why: str
    diff: bool = False  # it has one: the user must be told


@dataclass(frozen=True, kw_only=True, slots=True)
class Arranged:
    """The patches in the order in which they apply, and what was said beside them."""

    pieces: tuple[Piece, ...]
    left_out: tuple[LeftOut, ...] = ()
    notices: tuple[str, ...] = ()
    version: str = ""  # "" where no subject tells
    noted: NotedBase = NOTHING_NOTED


def arrange(pieces: Sequence[Piece], shown: str, *, version: str = "", alone: bool = True) -> Arranged:
    """Find the one series in the pieces; `version` chooses where there are several.

    Raises UserError when there is none, when there are several, or when a part of it is missing. One piece alone is
    taken whatever its number, unless `alone` is false: the user chose it.
    """
    left_out: list[LeftOut] = []
    patches = _patches(pieces, left_out)
    if not patches:
        raise _nothing(shown, left_out, pieces)
    wanted = _one_version(patches, shown, version, left_out)
    patches = _without_copies([one for one in patches if _version(one) in ("", wanted)], left_out)
    patches = _numbered_alone(patches, shown, left_out)
    beside = [one for one in pieces if not one.diff.text and _version(one) in ("", wanted)]
    notices: tuple[str, ...] = ()
    if patches[0].subject.number is not None:
        if alone and len(pieces) == 1:
            notices = _one_of_many(patches[0])
        else:
            _check_complete(patches, beside, shown)
        patches.sort(key=lambda one: one.subject.number or 0)
    said = [one.noted for one in (*beside, *patches) if not one.subject.reply]
    return Arranged(
        pieces=tuple(patches),
        left_out=tuple(left_out),
        notices=notices,
        version=wanted,
        noted=_noted(said),
    )


def _noted(mails: Iterable[NotedBase]) -> NotedBase:
    """The first that names a commit, or else the series."""
    named = [one for one in mails if one.commit or one.change_id]
    return next((one for one in named if one.commit), named[0] if named else NOTHING_NOTED)


def groups_of(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Single mails in the order of the command line -> those of each series; a number seen before begins a new one."""
    group: list[Piece] = []
    for piece in pieces:
        same = [one for one in group if one.subject.number == piece.subject.number and one.diff.text != piece.diff.text]
        if group and (same or group[0].subject.total != piece.subject.total):
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def check_versions(pieces: Iterable[Piece]) -> None:
    """Raise UserError where two versions of one patch came in different files."""
    seen: dict[str, Piece] = {}
    for piece in pieces:
        title = piece.subject.title.casefold()
        if not title or not piece.subject.patch:
            continue
        other = seen.setdefault(title, piece)
        if other.subject.version != piece.subject.version:
            raise UserError(
                f"{other.name} and {piece.name} are two versions of one patch, v{other.subject.version} and "
                f"v{piece.subject.version}: {piece.subject.title}",
                hint="give the one to be tested",
            )


def _patches(pieces: Sequence[Piece], left_out: list[LeftOut]) -> list[Piece]:
    marked = any(_is_marked(one) for one in pieces)
    numbered = {one.message_id for one in pieces if one.subject.number is not None and not one.subject.reply}
    patches = []
    for piece in pieces:
        if why := _why_not(piece, marked) or _fix_up(piece, numbered):
            left_out.append(LeftOut(what=piece.what, why=why, diff=bool(piece.diff.text)))
        else:
            patches.append(piece)
    return patches


def _is_marked(piece: Piece) -> bool:
    return piece.subject.patch and not piece.subject.reply and bool(piece.diff.text) and piece.subject.number != 0


def _why_not(piece: Piece, marked: bool) -> str:
    subject = piece.subject
    if subject.reply:
        return "a reply; its diff is not taken" if piece.diff.text else "a reply"
    if subject.number == 0:
        return "the cover letter; its diff is not taken" if piece.diff.text else "the cover letter"
    if not piece.diff.text:
        return "no diff in it"
    if piece.is_mail and not subject.patch and piece.answers:
        return "an answer without [PATCH]; its diff is not taken"
    if piece.is_mail and not subject.patch and marked:
        return "no [PATCH] in its subject, which the others have; its diff is not taken"
    return ""


def _fix_up(piece: Piece, numbered: set[str]) -> str:
    # [PATCH v2] in the thread of a numbered v1 is not one: it may be all of the next version.
    if piece.subject.number is None and piece.subject.version == "1" and numbered.intersection(piece.answers):
        return _BESIDE
    return ""


def _nothing(shown: str, left_out: Sequence[LeftOut], pieces: Sequence[Piece]) -> UserError:
    diffs = [one for one in left_out if one.diff]
    if diffs:
        return UserError(
            f"{shown} has no patch: {diffs[0].what!r} is {diffs[0].why}",
            hint="to test such a diff, save it by itself: a file that begins with its line `diff --git`",
        )
    return lacking(shown, pieces)


def lacking(shown: str, pieces: Iterable[Piece], forms: str = "") -> UserError:
    """The error for something without any diff; `forms`: what would be a series."""
    found = next((piece.instead for piece in pieces if piece.instead and not piece.subject.reply), None)
    if found:
        return UserError(f"{shown} is no patch: it is {found.what}", hint=found.command.format(path=shlex.quote(shown)))
    text = f"{shown} is no patch: no diff in it" + (f"; a series is {forms}" if forms else "")
    return UserError(text, hint=f"less {shlex.quote(shown)}")


def _version(piece: Piece) -> str:
    return piece.subject.version if piece.subject.patch else ""


def _one_version(patches: Sequence[Piece], shown: str, version: str, left_out: list[LeftOut]) -> str:
    found = Counter(one for patch in patches if (one := _version(patch)))
    listed = ", ".join(f"v{one} ({count} patches)" for one, count in sorted(found.items(), key=_by_version))
    if version and found:
        if version not in found:
            newest = max(found, key=lambda one: _by_version((one, 0)))
            raise UserError(f"{shown} has no v{version}; it has {listed}", hint=f"--series-version {newest}")
        left_out += [
            LeftOut(what=one.what, why=f"v{_version(one)} of the series")
            for one in patches
            if _version(one) not in ("", version)
        ]
        return version
    if len(found) > 1:
        newest = max(found.items(), key=_by_version)[0]
        raise UserError(
            f"{shown} has several versions of a series: {listed}",
            hint=f"--series-version {newest}, or the mails of one version: b4 am -v {newest} MESSAGE-ID",
        )
    return next(iter(found), "")


def _by_version(entry: tuple[str, int]) -> tuple[int, ...]:
    return tuple(int(part) for part in entry[0].split("."))


def _without_copies(patches: Sequence[Piece], left_out: list[LeftOut]) -> list[Piece]:
    kept: dict[tuple[object, ...], Piece] = {}
    for patch in patches:
        subject = patch.subject
        key = (subject.number, subject.total, subject.title if subject.number is None else "", patch.diff.text)
        if key in kept:
            left_out.append(LeftOut(what=patch.what, why="the same patch once more"))
        else:
            kept[key] = patch
    return list(kept.values())


def _numbered_alone(patches: list[Piece], shown: str, left_out: list[LeftOut]) -> list[Piece]:
    """Only the numbered patches, where there are any: nothing else has a place in the order."""
    numbered = [one for one in patches if one.subject.number is not None]
    if not numbered:
        return patches
    for one in patches:
        if one.subject.number is not None:
            continue
        if not one.answers:
            raise UserError(
                f"{shown}: {one.what!r} has no number, and the other patches have: where does it belong?", hint=SPLIT
            )
        left_out.append(LeftOut(what=one.what, why=_BESIDE, diff=True))
    return numbered


def _one_of_many(patch: Piece) -> tuple[str, ...]:
    subject = patch.subject
    if (subject.total or 0) <= 1:
        return ()
    return (f"{patch.name} is {subject.place}; the other patches of that series were not given, and are not tested",)


def _check_complete(patches: Sequence[Piece], beside: Sequence[Piece], shown: str) -> None:
    totals = sorted({one.subject.total or 0 for one in patches})
    if len(totals) > 1:
        raise UserError(f"{shown} has several series: of {' and of '.join(map(str, totals))} patches", hint=SPLIT)
    if totals[0] > MOST_PATCHES:
        raise UserError(f"{shown} is a series of {totals[0]} patches; at most {MOST_PATCHES} are taken")
    by_number: dict[int, list[Piece]] = defaultdict(list)
    for one in patches:
        by_number[one.subject.number or 0].append(one)
    for number, same in sorted(by_number.items()):
        if len(same) > 1:
            raise UserError(
                f"{shown} has patch {number}/{totals[0]} more than once, and they differ: "
                f"{same[0].subject.title!r} and {same[1].subject.title!r}",
                hint=SPLIT,
            )
        if number > totals[0]:
            raise UserError(
                f"{shown}: {number}/{totals[0]} ({same[0].subject.title!r}) is none of the series", hint=SPLIT
            )
    missing = [number for number in range(1, totals[0] + 1) if number not in by_number]
    if missing:
        raise _missing(missing, totals[0], beside, shown)


def _missing(missing: Sequence[int], total: int, beside: Sequence[Piece], shown: str) -> UserError:
    named = ", ".join(f"{number}/{total}" for number in missing[:_MOST_NAMED])
    more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
    empty = [one for one in beside if one.subject.number in missing and not one.subject.reply]
    if empty:
        what = empty[0].instead.what if empty[0].instead else "cut off?"
        return UserError(
            f"{shown}: {empty[0].what!r} has no diff in it: {what}",
            hint=f"less {shlex.quote(shown)}; b4 am MESSAGE-ID fetches the whole series",
        )
    return UserError(
        f"{shown}: {named}{more} {'is' if len(missing) == 1 else 'are'} missing",
        hint="b4 am MESSAGE-ID fetches the whole series; to test a part, name its files in a file `series` beside them",
    )
