# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig coverage` prints: which of the lines that a series changes ran in a run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click

from orchestrator.host.errors import ExitCode, UserError
from orchestrator.host.text import printable
from orchestrator.model.blocks import BlockCount, LineState
from orchestrator.model.reports import RunReport
from orchestrator.report.coverage.figures import (
    LEGEND,
    MEANINGS,
    BuildCoverage,
    annotated_patch,
    cobertura_text,
    coverage_of,
    headline,
    lcov_text,
    line_counts,
    target_counts,
)
from orchestrator.report.coverage.page import page_text
from orchestrator.report.coverage.partner_counts import partner_counts
from orchestrator.report.run_files import writing
from orchestrator.report.store import find_run, load_run
from orchestrator.report.stored import unreadable

_COLOURS = {"ran": "green", "not-run": "red", "": None}


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What is to be printed of a run."""

    run: str
    form: str
    every_line: bool
    build: str  # a part of the names of builds
    output: Path | None


def print_coverage(asked: Asked, results: Path) -> ExitCode:
    report = load_run(find_run(results, asked.run))
    for lost in unreadable(report):
        click.echo(f"{lost.cell.name}: nothing of it is counted: {lost.verdict.title}", err=True)
    every = coverage_of(report)
    chosen = [one for one in every if asked.build in one.build]
    if not chosen:
        which = f"; its instrumented builds: {', '.join(one.build for one in every)}" if every else ""
        raise UserError(
            f"{report.id} has no instrumented build{f' called {asked.build!r}' if asked.build else ''}{which}",
            hint=f"patchrig run {report.matrix_path} --flavour widened",
        )
    _write(_text(asked, report, chosen), asked.output)
    return ExitCode.OK


def _text(asked: Asked, report: RunReport, chosen: Sequence[BuildCoverage]) -> str:
    match asked.form:
        case "page":
            return page_text(report, chosen)
        case "lcov":
            return lcov_text(chosen)
        case "cobertura":
            started = datetime.fromisoformat(report.started)
            return cobertura_text(chosen, timestamp=int(started.timestamp()))
        case "patch":
            lines = (line for one in chosen for line in _patch(one))
        case _:
            lines = (line for one in chosen for line in _table(one, every_line=asked.every_line))
    return "".join(f"{line}\n" for line in lines)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
    else:
        with writing(output):
            output.write_text(click.unstyle(text), encoding="utf-8")


def _patch(one: BuildCoverage) -> Iterator[str]:
    yield f"{one.build}: {headline(one)}"
    yield LEGEND
    for line in annotated_patch(one):
        colour = _COLOURS[line.mark]
        yield click.style(line.text, fg=colour) if colour else line.text
    yield ""


def _table(one: BuildCoverage, *, every_line: bool) -> Iterator[str]:
    yield f"{one.build}: {headline(one)}"
    yield ""
    yield from _lines(one, every_line=every_line)
    yield ""
    targets = target_counts(one)
    rows = [(target.name, f"{target.ran}/{target.blocks}", *map(str, target.total)) for target in targets]
    yield from _columns(("changed function", "blocks", "executions", "sleeps", "spins", "refused"), rows)
    yield ""
    missed = [(target.name, " ".join(target.missed)) for target in targets if target.missed]
    if missed:
        yield from _columns(("changed function", "where its blocks begin that did not run"), missed)
        yield ""
    if partners := partner_counts(one):
        own = [
            (each.partner.function, str(each.total.hits), str(each.total.sleeps), str(each.total.spins), each.shares)
            for each in partners
        ]
        yield from _columns(("partner", "executions", "sleeps", "spins", "what it shares with a changed function"), own)
        yield ""
    sites = [
        (site.workload, site.site, str(site.state), f"{site.calls}{'+' if site.sampled else ''}",
         "-" if site.failed is None else f"{site.failed}{'+' if site.sampled else ''}", *_delays(site.delays))
        for site in one.sites
    ]  # fmt: skip
    yield from _columns(("workload", "site", "state", "calls", "failed", "sleeps", "spins"), sites)
    if any(site.sampled for site in one.sites):
        yield "+ at least: the probe rested, so that it did not slow down what it counts"
    yield ""


def _delays(delays: BlockCount | None) -> tuple[str, str]:
    return (str(delays.sleeps), str(delays.spins)) if delays else ("-", "-")


def _lines(one: BuildCoverage, *, every_line: bool) -> Iterator[str]:
    every = line_counts(one)
    chosen = [counted for counted in every if every_line or counted.line.state is LineState.CODE]
    rows = [
        (
            counted.shown,
            f"{counted.line.file}:{counted.line.line}",
            ",".join(counted.workloads) or "-",
            counted.line.text.strip()[:60],
        )
        for counted in chosen
    ]
    yield from _columns(("count", "changed line", "run by", "text"), rows)
    marks = {counted.shown for counted in chosen}
    if meanings := [f"{mark} {meaning}" for mark, meaning in MEANINGS.items() if mark in marks]:
        yield ", ".join(meanings)
    if hidden := len(every) - len(chosen):
        yield f"{hidden} more changed {'line has' if hidden == 1 else 'lines have'} no count: --all lists them too"


def _columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        return
    widths = [max(len(printable(row[at])) for row in (head, *rows)) for at in range(len(head))]
    for row in (head, *rows):
        yield "  ".join(printable(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
