# SPDX-License-Identifier: GPL-2.0-or-later
"""A bisection as a table for people, and as JSON for scripts (pure)."""

import shlex
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from orchestrator.host.text import printable
from orchestrator.model.bisections import Bisection, BisectTask, Confirmation, Confirming, Ended, Suspects, Tally

_WIDTH = 78
_SUBJECT = 44


class Chances(Protocol):
    """How likely a failure comes with each patch of a series."""

    @property
    def suspects(self) -> tuple[Suspects, ...]: ...

    @property
    def likeliest(self) -> Suspects: ...


def beginning_text(task: BisectTask, count: int) -> str:
    """The kernel with the first `count` patches of a series, or commits of a range."""
    patches = len(task.patches)
    if task.commits:
        good, _, bad = task.commits.partition("..")
        return f"at {good if not count else bad}" if count in (0, patches) else f"at commit {count} of {patches}"
    if not count:
        return "without the series"
    return "with the whole series" if count == patches else f"with the first {count} of {patches} patches"


def patch_text(task: BisectTask, number: int) -> str:
    """ "patch 4 (mm/swap: fix a race)"."""
    return f"{task.noun} {number} ({printable(task.patches[number - 1])})" if number else task.base


def likeliest_text(task: BisectTask, likeliest: Suspects) -> str:
    """ "most likely patch 4 (mm/swap: fix a race), 62.1 %"."""
    chance = f"{100 * likeliest.chance:.1f} %"
    if likeliest.first == likeliest.last:
        return f"most likely {patch_text(task, likeliest.first)}, {chance}"
    if not likeliest.first:
        return f"most likely one of the first {likeliest.last} {_plural(task)} or the kernel without them, {chance}"
    return f"most likely one of {_plural(task)} {likeliest.first} to {likeliest.last}, {chance}"


def _plural(task: BisectTask) -> str:
    return "commits" if task.commits else "patches"


def bisect_text(bisection: Bisection, chances: Chances, results: str = "") -> str:
    """`results`: the folder of the results, where commands need to be told of it."""
    blocks = (
        _head(bisection),
        _table(bisection, chances),
        _closed(bisection),
        _others(bisection),
        _answer(bisection, chances),
        _command(bisection, results),
    )
    return "\n\n".join("\n".join(lines) for block in blocks if (lines := list(block))) + "\n"


def bisect_json(bisection: Bisection, chances: Chances) -> dict[str, Any]:
    """What scripts read: the answer, the probability of each patch, and what the cells told."""
    task, found = bisection.task, chances.likeliest
    return {
        "bisection": bisection.id,
        "folder": str(bisection.folder),
        "run": task.run,
        "cell": task.cell,
        "failure": {"outcome": str(task.outcome), "title": task.title},
        "ended": str(bisection.ended or ""),
        "why": bisection.why,
        "found": found.first if bisection.ended is Ended.FOUND else None,
        "limit": task.limit,
        "cells": bisection.cells,
        "budget": task.budget,
        "range": task.commits,
        "seconds": bisection.seconds,
        "patches": [
            {"number": number, "subject": subject, "probability": round(chance, 6), **_tally_json(tally)}
            for number, subject, chance, tally in _rows(bisection, chances)
        ],
        "others": dict(bisection.others),
        "confirmation": _confirmation_json(bisection.confirmation),
    }


def _rows(bisection: Bisection, chances: Chances) -> Iterator[tuple[int, str, float, Tally]]:
    each = {number: one.chance / len(one.numbers) for one in chances.suspects for number in one.numbers}
    for number, subject in enumerate(("", *bisection.task.patches)):
        # A series that was not run whole yet has none.
        yield number, subject, each.get(number, 0.0), bisection.kernels.get(number, Tally())


def _tally_json(tally: Tally) -> dict[str, Any]:
    counts = {"bad": tally.bad, "good": tally.good, "other": tally.other, "nothing": tally.nothing}
    return {**counts, "not_run": tally.why_closed}


def _confirmation_json(confirmation: Confirmation | None) -> dict[str, Any] | None:
    if confirmation is None:
        return None
    how, tally = str(confirmation.how or ""), _tally_json(confirmation.tally)
    return {"confirmed": confirmation.confirmed, "how": how, "needed": confirmation.needed, "why": confirmation.why} | {
        name: tally[name] for name in ("bad", "good", "other", "nothing")
    }


def _head(bisection: Bisection) -> Iterator[str]:
    task = bisection.task
    yield from _wrapped(f"{bisection.id}: {task.cell} of {task.run}")
    yield from _wrapped(f"{task.outcome}: {task.title}")
    yield f"{bisection.cells} cells of at most {task.budget}, {bisection.seconds / 60:.0f} minutes"


def _table(bisection: Bisection, chances: Chances) -> Iterator[str]:
    noun = bisection.task.noun
    yield f"{noun:>6}  {'chance':>7}  {'bad':>4}  {'good':>4}  {'else':>4}  the kernel ends with this {noun}"
    for number, subject, chance, tally in _rows(bisection, chances):
        name = (
            textwrap.shorten(printable(subject), _SUBJECT, placeholder=" ...") if number else f"({bisection.task.base})"
        )
        useless = tally.other + tally.nothing
        mark = "  not run" if tally.why_closed else ""
        counts = f"{tally.bad:4}  {tally.good:4}  {useless:4}"
        yield f"{number:6}  {100 * chance:5.1f} %  {counts}  {name}{mark}"


def _closed(bisection: Bisection) -> Iterator[str]:
    for count, tally in sorted(bisection.kernels.items()):
        if tally.why_closed:
            yield from _wrapped(f"not run {beginning_text(bisection.task, count)}: {tally.why_closed}")


def _others(bisection: Bisection) -> Iterator[str]:
    for what, cells in bisection.others.items():
        yield from _wrapped(f"another failure, in {cells} cell{'s' if cells > 1 else ''}: {what}")


def _answer(bisection: Bisection, chances: Chances) -> Iterator[str]:
    task, likeliest, ended = bisection.task, chances.likeliest, bisection.ended
    if ended is Ended.FOUND:
        chance = f"{100 * likeliest.chance:.1f} %"
        yield from _wrapped(f"FOUND: {patch_text(task, likeliest.first)}, {chance}")
    elif ended is not None:
        text = f"{str(ended).upper()}: {bisection.why}" if bisection.why else str(ended).upper()
        yield from _wrapped(text)
        yield from _wrapped(likeliest_text(task, likeliest))
    if confirmation := bisection.confirmation:
        yield from _wrapped(_confirmation_text(task, confirmation))


def how_text(task: BisectTask, how: Confirming) -> str:
    """ "reverted on top of the series"."""
    return str(how).replace("the series", task.whole)


def _confirmation_text(task: BisectTask, confirmation: Confirmation) -> str:
    tally, patch = confirmation.tally, f"{task.noun} {confirmation.patch}"
    if confirmation.how is None:
        return f"not confirmed: there is no kernel without {patch} alone: {confirmation.why}"
    word = "confirmed" if confirmation.confirmed else "not confirmed"
    cells = f"{tally.good} good and {tally.bad} bad of {confirmation.needed} cells"
    return f"{word}: with {patch} {how_text(task, confirmation.how)}: {cells}"


def _command(bisection: Bisection, results: str) -> Iterator[str]:
    more = ["--results", results] if results else []
    task = bisection.task
    if bisection.ended is not Ended.FOUND:
        yield from ("to go on:", f"  {shlex.join(['patchrig', 'bisect', '--resume', bisection.id, *more])}")
    yield from ("the cell again:", f"  {shlex.join(['patchrig', 'repro', task.run, task.cell, *more])}")


def _wrapped(text: str) -> Sequence[str]:
    return textwrap.wrap(printable(text), _WIDTH, subsequent_indent="  ", break_long_words=False) or [""]
