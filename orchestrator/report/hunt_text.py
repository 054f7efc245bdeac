# SPDX-License-Identifier: GPL-2.0-or-later
"""A hunt as text that can be pasted into a mail, and as JSON for scripts (pure)."""

import shlex
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from orchestrator.host.text import printable
from orchestrator.model.hunts import BuildSilence, CellPlace, Hunt, HuntSummary, Rate, RatedFinding
from orchestrator.report.hunt_files import ROUNDS

_WIDTH = 78
_HOUR = 3600.0
_MOST_NAMED = 12
_MORE_HOURS = "8"


def hunt_text(hunt: Hunt, summary: HuntSummary, results: str = "") -> str:
    """`results`: the folder of the results, where commands need to be told of it."""
    blocks = (
        _head(hunt),
        *(_finding(hunt, one, "NEW", results) for one in summary.new),
        *(_finding(hunt, one, "KNOWN", results) for one in summary.known),
        _later(hunt, summary, results),
        *(_silence(build) for build in summary.builds),
        _not_hunted(hunt),
        _foot(hunt, results),
    )
    return "\n\n".join("\n".join(lines) for block in blocks if (lines := list(block))) + "\n"


def hunt_json(hunt: Hunt, summary: HuntSummary) -> dict[str, Any]:
    """What scripts read: all findings with their rates, and what the cells without a finding prove for each build."""
    task = hunt.task
    return {
        "hunt": hunt.id,
        "folder": str(hunt.folder),
        "kernel": task.matrix.kernel,
        "source": task.source,
        "seed": task.matrix.seed,
        "seconds": round(hunt.seconds, 1),
        "hours": hunt.hours,
        "ended": hunt.ended,
        "files": list(task.files),
        "workloads": [load.name for load in task.workloads],
        "order": task.order,
        "findings": [_finding_json(hunt, one) for one in (*summary.new, *summary.known)],
        "only_after_another": [
            {"title": title, "cells": splat.cells, "repro": repro_words(hunt, splat.first)}
            for title, splat in summary.later.items()
        ],
        "builds": [_silence_json(build) for build in summary.builds],
        "not_built": dict(hunt.hunted.unbuilt),
        "dropped": _dropped(hunt),
        "left_out": list(task.left_out),
    }


def repro_words(hunt: Hunt, at: CellPlace, results: str = "") -> list[str]:
    """The command that runs a cell of a hunt again; that of a deterministic hunt does the same again."""
    more = ["--results", results] if results else []
    return [
        "patchrig",
        "replay" if hunt.task.deterministic else "repro",
        f"{hunt.id}/{ROUNDS}/{at.round}",
        at.cell,
        *more,
    ]


def resume_words(hunt: Hunt, results: str = "") -> list[str]:
    """The command that goes on with a hunt, for another night where its time is up."""
    more = ["--results", results] if results else []
    more += ["--hours", _MORE_HOURS] if hunt.seconds >= hunt.hours * _HOUR else []
    return ["patchrig", "hunt", "--resume", hunt.id, *more]


def rate_text(rate: Rate) -> str:
    """ "3 of 41 cells (1.5 to 19.9 %)"."""
    return f"{rate.seen} of {rate.cells} {_cells(rate.cells)} ({100 * rate.low:.1f} to {100 * rate.high:.1f} %)"


def _head(hunt: Hunt) -> Iterator[str]:
    task, hunted = hunt.task, hunt.hunted
    new = sum(not finding.known for finding in hunted.findings.values())
    yield from _wrapped(f"patchrig {hunt.versions.get('patchrig', '')}, {hunt.id}: {task.matrix_path or 'a hunt'}")
    yield from _wrapped(
        f"{new} new and {len(hunted.findings) - new} known findings in {hunted.guest_seconds / _HOUR:.2f} guest hours, "
        f"{hunt.seconds / _HOUR:.2f} hours here; {hunt.ended or 'not ended'}"
    )
    for line in task.choices.base.lines() if task.choices else ():
        yield from _wrapped(line)
    yield from _wrapped(f"workloads: {', '.join(load.name for load in task.workloads)}: {task.order}")
    if task.files:
        yield from _wrapped(f"delays, in widened kernels, in all functions of {', '.join(task.files)}")


def _finding(hunt: Hunt, one: RatedFinding, mark: str, results: str) -> Iterator[str]:
    finding = one.finding
    yield from _wrapped(f"{mark}: {finding.outcome.upper()}: {finding.title}")
    if finding.known:
        yield from _wrapped(finding.known, "  ")
    yield from _wrapped(rate_text(one.rate), "  ")
    if len(one.places) > 1:
        for place, rate in one.places.items():
            yield from _wrapped(f"{place}: {rate_text(rate)}", "    ")
    at = finding.first
    yield from _wrapped(
        f"first: {at.cell}, number {at.number}, seed {at.seed}, after {at.guest_seconds / _HOUR:.2f} guest hours", "  "
    )
    yield from _command(repro_words(hunt, at, results))


def _later(hunt: Hunt, summary: HuntSummary, results: str) -> Iterator[str]:
    if not summary.later:
        return
    yield from _wrapped("Seen only after another splat in the same guest: what follows from it, or bugs of their own:")
    for title, splat in list(summary.later.items())[:_MOST_NAMED]:
        yield from _wrapped(f"{title} ({splat.cells} {_cells(splat.cells)})", "  ")
        yield from _command(repro_words(hunt, splat.first, results), "    ")
    if len(summary.later) > _MOST_NAMED:
        yield f"  and {len(summary.later) - _MOST_NAMED} more, in {hunt.folder / 'hunt.json'}"


def _silence(one: BuildSilence) -> Iterator[str]:
    yield from _wrapped(
        f"{one.build}: {one.quiet} of {one.cells} cells passed, each with a seed of its own, in "
        f"{one.quiet_hours:.2f} of {one.guest_hours:.2f} guest hours; "
        f"{one.thin} did less than they are meant to, {one.bad} were bad, "
        f"{one.lost} lost"
    )
    if one.least_silent:
        yield from _wrapped(
            f"each of {one.workloads} workloads has {one.least_silent} {_cells(one.least_silent)} or more without a "
            "finding: with 95 % confidence, a bug that was missed shows in less than "
            f"{100 * one.most_missed:.0f} % of a workload's cells",
            "  ",
        )
    elif one.workloads:
        yield from _wrapped("not every workload has a cell without a finding: this gives no bound", "  ")
    if one.delayed:
        yield from _wrapped(f"{one.ran} of the {one.delayed} functions that delays are injected into ran", "  ")
        more = f" and {len(one.not_run) - _MOST_NAMED} more" if len(one.not_run) > _MOST_NAMED else ""
        if one.not_run:
            yield from _wrapped(f"never ran: {', '.join(one.not_run[:_MOST_NAMED])}{more}", "  ")
    if one.no_code:
        yield from _wrapped(f"not compiled in this configuration: {', '.join(one.no_code)}", "  ")


def _not_hunted(hunt: Hunt) -> Iterator[str]:
    for build, why in hunt.hunted.unbuilt.items():
        yield from _wrapped(f"{build} was never run: {why}")
    for place, why in _dropped(hunt).items():
        yield from _wrapped(f"{place} was run once: {why}")
    for text in hunt.task.left_out:
        yield from _wrapped(f"left out: {text}")


def _dropped(hunt: Hunt) -> dict[str, str]:
    return {place: tally.dropped for place, tally in hunt.hunted.tallies.items() if tally.dropped}


def _foot(hunt: Hunt, results: str) -> Iterator[str]:
    versions: Mapping[str, str] = hunt.versions
    yield from _wrapped(f"seed {hunt.task.matrix.seed}; source {hunt.task.source[:12]}")
    yield from _wrapped(", ".join(f"{name} {version}" for name, version in versions.items() if name != "patchrig"))
    yield "To go on:"
    yield from _command(resume_words(hunt, results))


def _finding_json(hunt: Hunt, one: RatedFinding) -> dict[str, Any]:
    finding = one.finding
    return {
        "outcome": str(finding.outcome),
        "title": finding.title,
        "known": finding.known or None,
        "rate": _rate_json(one.rate),
        "places": {place: _rate_json(rate) for place, rate in one.places.items()},
        "first": {
            "cell": finding.first.cell,
            "number": finding.first.number,
            "seed": finding.first.seed,
            "guest_seconds": finding.first.guest_seconds,
            "folder": str(PurePath(ROUNDS) / finding.first.round / "cells" / finding.first.cell),
        },
        "repro": repro_words(hunt, finding.first),
    }


def _rate_json(rate: Rate) -> dict[str, Any]:
    return {"seen": rate.seen, "cells": rate.cells, "low": round(rate.low, 4), "high": round(rate.high, 4)}


def _silence_json(one: BuildSilence) -> dict[str, Any]:
    return {
        "build": one.build,
        "workloads": one.workloads,
        "cells": one.cells,
        "seeds": one.cells,
        "passed": one.quiet,
        "not_exercised": one.thin,
        "bad": one.bad,
        "lost": one.lost,
        "quiet_guest_hours": round(one.quiet_hours, 3),
        "guest_hours": round(one.guest_hours, 3),
        "least_silent": one.least_silent,
        "most_missed": round(one.most_missed, 4),
        "functions": one.delayed,
        "functions_run": one.ran,
        "not_run": list(one.not_run),
        "not_compiled": list(one.no_code),
    }


def _cells(count: int) -> str:
    return "cell" if count == 1 else "cells"


def _command(words: list[str], indent: str = "  ") -> Iterator[str]:
    # A command stays on one line, so that it can be pasted.
    yield f"{indent}{printable(shlex.join(words))}"


def _wrapped(text: str, indent: str = "") -> Iterator[str]:
    yield from textwrap.wrap(
        printable(text),
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_on_hyphens=False,
        break_long_words=False,
    )
