# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig coverage`: which of the lines that a series changes ran in a run."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import click

from orchestrator.cli.options import IN_RESULTS, OutputFile
from orchestrator.host.errors import ExitCode, UserError
from orchestrator.host.text import printable
from orchestrator.model.blocks import BlockCount
from orchestrator.model.reports import RunReport
from orchestrator.report.coverage.figures import (
    LEGEND,
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
from orchestrator.report.run_files import writing
from orchestrator.report.store import find_run, load_run
from orchestrator.report.stored import unreadable

_COLOURS = {"ran": "green", "not-run": "red", "": None}


@click.command()
@click.argument("name", metavar="RUN", default="latest")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "patch", "page", "lcov", "cobertura"]),
    default="table",
    show_default=True,
    help="A table, the patch with counts, an HTML page with both, or a file for tools that read coverage.",
)
@click.option("--build", metavar="B", default="", help="Only builds with this in their name: arm64, baseline.")
@click.option("--output", type=OutputFile(), metavar="FILE", help="Write here, not on the terminal.")
@IN_RESULTS
def coverage(name: str, form: str, build: str, output: Path | None, results: Path) -> ExitCode:  # fmt: skip
    """Which of the changed lines ran in RUN, per workload and altogether.

    RUN is an id, the start of one, a path, or "latest"; it must have cells of a widened flavour.

    \b
    patchrig coverage latest
    patchrig coverage latest --format patch --build x86_64
    patchrig coverage latest --format page --output changed.html
    patchrig coverage latest --format lcov --output changed.info
    """
    report = load_run(find_run(results, name))
    for lost in unreadable(report):
        click.echo(f"{lost.cell.name}: nothing of it is counted: {lost.verdict.title}", err=True)
    every = coverage_of(report)
    chosen = [one for one in every if build in one.build]
    if not chosen:
        which = f"; its instrumented builds: {', '.join(one.build for one in every)}" if every else ""
        raise UserError(
            f"{report.id} has no instrumented build{f' called {build!r}' if build else ''}{which}",
            hint=f"patchrig run {report.matrix_path} --flavour widened",
        )
    _write(_text(form, report, chosen), output)
    return ExitCode.OK


def _text(form: str, report: RunReport, chosen: Sequence[BuildCoverage]) -> str:
    match form:
        case "page":
            return page_text(report, chosen)
        case "lcov":
            return lcov_text(chosen)
        case "cobertura":
            started = datetime.fromisoformat(report.started)
            return cobertura_text(chosen, timestamp=int(started.timestamp()))
    lines_of = _table if form == "table" else _patch
    return "".join(f"{line}\n" for one in chosen for line in lines_of(one))


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


def _table(one: BuildCoverage) -> Iterator[str]:
    yield f"{one.build}: {headline(one)}"
    yield ""
    yield from _lines(one)
    yield ""
    targets = target_counts(one)
    rows = [(target.name, f"{target.ran}/{target.blocks}", *map(str, target.total)) for target in targets]
    yield from _columns(("changed function", "blocks", "executions", "sleeps", "spins", "refused"), rows)
    yield ""
    missed = [(target.name, " ".join(target.missed)) for target in targets if target.missed]
    if missed:
        yield from _columns(("changed function", "where its blocks begin that did not run"), missed)
        yield ""
    sites = [
        (site.workload, site.site, f"{site.calls}{'+' if site.sampled else ''}",
         f"{site.failed}{'+' if site.sampled else ''}", *_delays(site.delays))
        for site in one.sites
    ]  # fmt: skip
    yield from _columns(("workload", "site", "calls", "failed try-gets", "sleeps", "spins"), sites)
    if any(site.sampled for site in one.sites):
        yield "+ at least: the probe rested, so that it did not slow down what it counts"
    yield ""


def _delays(delays: BlockCount | None) -> tuple[str, str]:
    return (str(delays.sleeps), str(delays.spins)) if delays else ("-", "-")


def _lines(one: BuildCoverage) -> Iterator[str]:
    rows = []
    for counted in line_counts(one):
        line = counted.line
        rows.append(
            (counted.shown, f"{line.file}:{line.line}", ",".join(counted.workloads) or "-", line.text.strip()[:60])
        )
    yield from _columns(("count", "changed line", "run by", "text"), rows)
    if rows:
        yield LEGEND


def _columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        return
    widths = [max(len(printable(row[at])) for row in (head, *rows)) for at in range(len(head))]
    for row in (head, *rows):
        yield "  ".join(printable(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
