# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as plain text that can be pasted into a mail."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from orchestrator.host.text import printable
from orchestrator.model.configuration import Variant
from orchestrator.model.crashes import Comparison, Crash, CrashEntry, Severity
from orchestrator.model.guests import WorkloadResult
from orchestrator.model.history import NOT_BUILT
from orchestrator.model.images import BuildFailure
from orchestrator.model.outcomes import Outcome
from orchestrator.model.probes import SiteState
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.report.changed_reach import reach_lines
from orchestrator.report.coverage.figures import PAGE_FILE, BuildCoverage, could_not_say, coverage_of, headline, not_run
from orchestrator.report.coverage.partner_counts import partners_text
from orchestrator.report.crash_entries import Comparisons, compared_text, crash_entries, tally_text
from orchestrator.report.crash_text import short_crash_lines
from orchestrator.report.news_text import finding_news, news_lines
from orchestrator.report.next_command import again_lines, baseline_command, pasteable
from orchestrator.report.proof_text import (
    changed_text,
    interface_lines,
    ran_anywhere,
    reach_by_arch,
    reach_text,
    site_text,
    together,
)
from orchestrator.report.suite_text import suite_lines

WIDTH = 78
_MOST_CELLS = 4
_MOST_REASONS = 8
_MOST_FRAMES = 8
_MOST_ENTRIES = 12
_ONE_VARIANT = "--variant baseline --variant patched tells"
_OLD_BUG = "also in the baseline: the series did not bring it in"
# What a kernel did; the other outcomes say what could not be found out.
COMPARED = (Outcome.FAILED, Outcome.HUNG, Outcome.CORRUPTED, Outcome.CRASHED, Outcome.BOOT_FAILED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """All repeats of one workload on one build."""

    workload: str
    outcome: str  # "passed", or "hung 1, passed 9"
    figures: tuple[str, str, str]  # operations, verified pages, swapoffs; "-" where no guest reported any
    proof: tuple[str, ...]  # "mincore 8123": each counter that had to grow, and how much it did
    states: tuple[str, ...]  # sites that this kernel does not have, and which changed functions ran; of the last cell
    cells: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that went wrong, however many cells show it."""

    outcome: Outcome
    title: str
    cells: tuple[CellReport, ...]


def summary_text(report: RunReport) -> str:
    """At most 78 columns wide, ASCII, without anything that only this machine understands."""
    compared = Comparisons(report.cells)
    blocks = [
        _head(report),
        _news(report),
        *(_table(name, cells, report) for name, cells in by_build(report.cells).items()),
        *_suites(report),
        *_failed_builds(report),
        *(_finding(report, finding, compared) for finding in findings(report.cells)),
        *_not_run(report.cells),
        _left_out(report),
        _others(report),
        _beside_passes(report),
        _reach(report),
        *_coverages(coverage_of(report)),
        _known_reach(report),
        _foot(report),
    ]
    text = printable("\n\n".join(block for block in blocks if block))
    return text.encode("ascii", errors="backslashreplace").decode() + "\n"


def by_build(cells: Iterable[CellReport]) -> dict[str, list[CellReport]]:
    """Cells in order, below the name of their build."""
    groups: dict[str, list[CellReport]] = {}
    for cell in cells:
        groups.setdefault(cell.cell.build.name, []).append(cell)
    return groups


def rows(cells: Iterable[CellReport]) -> tuple[Row, ...]:
    """One row for each workload of one build's cells; a single one where there is no kernel to run them on."""
    groups: dict[str, list[CellReport]] = {}
    for cell in cells:
        groups.setdefault(cell.cell.workload.name, []).append(cell)
    every = [cell for group in groups.values() for cell in group]
    if len(groups) > 1 and all(cell.verdict.outcome in NOT_BUILT for cell in every):
        return (_row(f"all {len(groups)}", every),)
    return tuple(_row(name, group) for name, group in groups.items())


def findings(cells: Iterable[CellReport]) -> tuple[Finding, ...]:
    """What was not good, worst first, each title once."""
    groups: dict[tuple[Outcome, str], list[CellReport]] = {}
    for cell in cells:
        if not cell.verdict.outcome.good:
            groups.setdefault((cell.verdict.outcome, cell.verdict.title), []).append(cell)
    worst_first = sorted(groups.items(), key=lambda group: list(Outcome).index(group[0][0]), reverse=True)
    return tuple(Finding(outcome=outcome, title=title, cells=tuple(group)) for (outcome, title), group in worst_first)


def outcome_counts(cells: Iterable[CellReport]) -> str:
    """ "1 hung, 13 passed", worst first."""
    outcomes = [cell.verdict.outcome for cell in cells]
    counts = [(outcomes.count(outcome), outcome.value) for outcome in reversed(Outcome) if outcome in outcomes]
    return ", ".join(f"{count} {name}" for count, name in counts) or "no cell finished"


def _row(name: str, cells: Sequence[CellReport]) -> Row:
    results = [cell.run.result for cell in cells if cell.run is not None and cell.run.result is not None]
    outcomes = {cell.verdict.outcome for cell in cells}
    return Row(
        workload=name,
        outcome=outcomes.pop().value if len(outcomes) == 1 else outcome_counts(cells),
        figures=_figures(results),
        proof=_proof(cells[0], results),
        states=_states(cells),
        cells=len(cells),
    )


def _figures(results: Sequence[WorkloadResult]) -> tuple[str, str, str]:
    if not results:
        return ("-", "-", "-")
    return (
        str(sum(result.operations for result in results)),
        str(sum(result.verified for result in results)),
        str(sum(result.swapoffs for result in results)),
    )


def _proof(cell: CellReport, results: Sequence[WorkloadResult]) -> tuple[str, ...]:
    if not results:
        return ()
    return tuple(
        text
        for name in cell.cell.workload.exercised
        if name not in ("operations", "verified", "swapoffs")
        for text in _proof_of(name, cell, results)
    )


def _states(cells: Sequence[CellReport]) -> tuple[str, ...]:
    """Each site that was not reached, and what of the series ran; of repeats, what any of them says."""
    runs = [cell.run for cell in cells if cell.run is not None]
    sites = dict.fromkeys(site_text(s) for run in runs for s in run.sites if s.state is not SiteState.REACHED)
    changed = together([run.changed for run in runs if run.changed is not None])
    return (*sites, *([changed_text(changed)] if changed else []), *interface_lines(runs))


def _proof_of(name: str, cell: CellReport, results: Sequence[WorkloadResult]) -> Iterator[str]:
    """A counter, or those that stand for it where the kernel lacks it."""
    lacking = any(name in result.lacking for result in results)
    if lacking:
        yield f"{name} lacking"
    for shown in cell.cell.workload.instead.get(name, {}) if lacking else (name,):
        yield f"{shown} {sum(result.counters.get(shown, 0) for result in results)}"


def _head(report: RunReport) -> str:
    lines = [
        f"patchrig {report.versions.get('patchrig', '')}, run {report.id}, {report.seconds:.0f} s",
        outcome_counts(report.cells),
    ]
    if report.interrupted:
        lines.append("INTERRUPTED: only what had finished is listed.")
    if report.shard:
        lines.append(f"Shard {report.shard}: the other cells of the matrix are in other runs; see patchrig merge.")
    if report.merged:
        lines.append(f"Merged from {', '.join(report.merged)}.")
    if report.matrix.config:
        lines.append(f"Kernel options beside those of the flavours: {' '.join(report.matrix.config)}.")
    lines += report.choices.lines() if report.choices else ()
    return "\n".join(_wrapped(line) for line in lines)


def _news(report: RunReport) -> str:
    return "\n".join(_wrapped(line.strip(), indent="  " * line.startswith("  ")) for line in news_lines(report))


def _table(name: str, cells: Sequence[CellReport], report: RunReport) -> str:
    release = next((cell.kernel["release"] for cell in cells if "release" in cell.kernel), "")
    accelerators = sorted({cell.run.accelerator for cell in cells if cell.run is not None and cell.run.accelerator})
    seconds = f"{report.matrix.seconds} s each"
    title = ", ".join(part for part in (name, release, *accelerators, seconds) if part)
    lines = [_wrapped(title), f"  {'workload':<18}{'outcome':<20}{'operations':>12}{'verified':>12}{'swapoffs':>10}"]
    for row in rows(cells):
        lines += _row_lines(row)
    return "\n".join(lines)


def _row_lines(row: Row) -> Iterator[str]:
    operations, verified, swapoffs = row.figures
    name = f"{row.workload} x{row.cells}" if row.cells > 1 else row.workload
    yield f"  {name[:17]:<18}{row.outcome[:19]:<20}{operations:>12}{verified:>12}{swapoffs:>10}"
    if row.proof:
        yield _wrapped(", ".join(row.proof), indent="      ")
    yield from (_wrapped(text, indent="      ") for text in row.states)


def _suites(report: RunReport) -> Iterator[str]:
    for suite in report.suites:
        head, *lines = suite_lines(suite)
        yield "\n".join((_wrapped(head), *(_wrapped(line, indent="  ") for line in lines)))


def _failed_builds(report: RunReport) -> Iterator[str]:
    seen = {cell.cell.build for cell in report.cells}
    for build in report.builds:
        if isinstance(build, BuildFailure) and build.build not in seen:
            yield _wrapped(f"{build.outcome}: {build.build.name}: {build.title}")


def _finding(report: RunReport, finding: Finding, compared: Comparisons) -> str:
    count = len(finding.cells)
    lines = [_wrapped(f"{finding.outcome.upper()} ({count} {'cell' if count == 1 else 'cells'}): {finding.title}")]
    lines += [_wrapped(text, indent="  ") for text in finding_news(report, finding.cells)]
    lines += [_wrapped(text, indent="  ") for text in whose(finding, compared)]
    lines += without_baseline(report, finding, compared)
    lines += [_wrapped(reason, indent="  ") for reason in finding.cells[0].verdict.reasons[:_MOST_REASONS]]
    lines += list(_crash(finding))
    lines += [f"  {cell.cell.name}" for cell in finding.cells[:_MOST_CELLS]]
    if count > _MOST_CELLS:
        lines.append(f"  and {count - _MOST_CELLS} more")
    return "\n".join((*lines, *again_lines(report, finding.cells[0], width=WIDTH)))


def whose(finding: Finding, compared: Comparisons) -> Iterator[str]:
    """Whether the series is to blame, as far as cells with and without it tell."""
    if finding.outcome in COMPARED:
        shown = [*finding.cells, *compared.with_splat(finding.title)]
        found = compared.of({cell.cell.name: cell for cell in shown}.values())
        if text := compared_text(*found):
            yield text
        if found[0] is Comparison.BOTH:
            yield _OLD_BUG


def without_baseline(report: RunReport, finding: Finding, compared: Comparisons) -> Iterator[str]:
    """Where only the series ran: how to learn whether it is to blame, as lines that can be pasted."""
    if finding.outcome not in COMPARED or compared.variants != {Variant.PATCHED}:
        return
    command = baseline_command(report, finding.cells[0])
    yield _wrapped("an old bug or a new one? " + ("Without the series:" if command else _ONE_VARIANT), indent="  ")
    yield from pasteable(command, width=WIDTH)


def crash_of(finding: Finding) -> Crash | None:
    """The splat that gave the finding its name, or else the first that fails the cell."""
    fatal = [crash for crash in finding.cells[0].crashes if crash.fails]
    named = [crash for crash in fatal if crash.title == finding.title]
    return next(iter(named or fatal), None)


def _crash(finding: Finding) -> Iterator[str]:
    if crash := crash_of(finding):
        for line in short_crash_lines(crash, finding.cells[0].cell.build.variant, frames=_MOST_FRAMES):
            # What is indented is a stack or source, whose columns mean something.
            yield (
                _wrapped(line, indent="  ")
                if line[:1].strip() and line[:1] != ">"
                else f"  {printable(line)}"[:WIDTH].rstrip()
            )


def _not_run(cells: Iterable[CellReport]) -> Iterator[str]:
    """The cells of which nothing is known as they were never begun, or ended before their time, and why."""
    groups: dict[str, list[CellReport]] = {}
    for cell in cells:
        if cell.verdict.outcome is Outcome.SKIPPED:
            groups.setdefault(cell.verdict.title, []).append(cell)
    for why, group in groups.items():
        count = f"{len(group)} {'cell' if len(group) == 1 else 'cells'}"
        lines = [_wrapped(f"SKIPPED ({count}): {why}"), *(f"  {cell.cell.name}" for cell in group[:_MOST_CELLS])]
        lines += [f"  and {len(group) - _MOST_CELLS} more"] if len(group) > _MOST_CELLS else []
        yield "\n".join(lines)


def _left_out(report: RunReport) -> str:
    lines = (_wrapped(text, indent="  ") for text in report.left_out)
    return "\n".join(("LEFT OUT of the matrix:", *lines)) if report.left_out else ""


def _others(report: RunReport) -> str:
    """The splats that gave no finding its name, each once."""
    named = {cell.verdict.title for cell in report.cells}
    entries = [entry for entry in crash_entries(report.cells) if entry.title not in named]
    lines = [_wrapped(entry_text(entry), indent="  ") for entry in entries[:_MOST_ENTRIES]]
    if len(entries) > _MOST_ENTRIES:
        lines.append(f"  and {len(entries) - _MOST_ENTRIES} more, in run.json")
    return "\n".join(("What else the kernels said:", *lines)) if lines else ""


def entry_text(entry: CrashEntry) -> str:
    """A splat's title, in how many cells it is, and what is to be known of it."""
    marks = ["noted only"] if entry.severity is Severity.NOTE else []
    marks += [f"allowed: {entry.allowed}"] if entry.allowed else []
    marks += ["only after another"] if entry.follow_up else []
    marks += [tally] if (tally := tally_text(entry)) else []
    count = f"{entry.count} {'cell' if entry.count == 1 else 'cells'}"
    return f"{entry.title} ({'; '.join((count, *marks))})"


def _coverages(builds: Sequence[BuildCoverage]) -> Iterator[str]:
    yield from (_coverage(coverage) for coverage in builds)
    if builds:
        yield _wrapped(f"{PAGE_FILE} in the run's folder has the series, line by line, with these counts.")


def _coverage(coverage: BuildCoverage) -> str:
    lines = [_wrapped(f"{coverage.build}: {headline(coverage)}")]
    if partners := partners_text(coverage):
        lines.append(_wrapped(partners, indent="  "))
    said = f"NOT SEEN TO RUN, {could_not_say(coverage.unknown)}" if coverage.unknown else "NOT RUN by any workload"
    for one in not_run(coverage):
        lines.append(_wrapped(f"{said}: {one.line.file}:{one.line.line}: {one.line.text.strip()}", indent="  "))
    for site in coverage.sites:
        least = "at least " if site.sampled else ""
        counts = [f"{least}{site.calls} calls"] + ([f"{site.failed} failed"] if site.failed is not None else [])
        counts = [str(site.state)] if site.state is not SiteState.REACHED else counts
        counts += [f"{site.delays.sleeps} sleeps"] if site.delays else []
        lines.append(_wrapped(f"{site.workload}: {site.site}: {', '.join(counts)}", indent="  "))
    return "\n".join(lines)


def _reach(report: RunReport) -> str:
    """What the series changed and no cell ran: the reader's first question about a green run."""
    lines = [_wrapped(reach_text(reach), indent="  ") for reach in reach_by_arch(report.cells)]
    return "\n".join(("What the series changes:", *lines)) if lines else ""


def _known_reach(report: RunReport) -> str:
    """What was known before the run of what the workloads reach of the series."""
    lines = reach_lines(report.reach, ran_anywhere(report.cells)) if report.reach else ()
    return "\n".join(_wrapped(line.strip(), indent="  " * line.startswith("  ")) for line in lines)


def _beside_passes(report: RunReport) -> str:
    """What a green row does not show: crashes that the matrix allows, coverage that was lost."""
    counts: dict[str, int] = {}
    for cell in report.cells:
        if cell.verdict.outcome is Outcome.PASSED:
            for reason in cell.verdict.reasons:
                counts[reason] = counts.get(reason, 0) + 1
    lines = [f"{reason} ({count} passed {'cell' if count == 1 else 'cells'})" for reason, count in counts.items()]
    return "\n".join(_wrapped(line) for line in lines)


def _foot(report: RunReport) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items() if name != "patchrig")
    hashes = sorted(
        {
            f"{key} {value[:12]}"
            for cell in report.cells
            for key, value in cell.kernel.items()
            if key in ("source", "series")
        }
    )
    lines = [
        "A cell passes only when its counters grew as much as its workload asks for.",
        f"seed {report.matrix.seed}; {'; '.join(hashes)}" if hashes else f"seed {report.matrix.seed}",
        versions,
    ]
    return "\n".join(_wrapped(line) for line in lines if line)


def _wrapped(text: str, *, indent: str = "") -> str:
    further = indent + ("  " if indent else "    ")
    return textwrap.fill(
        printable(text),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=further,
        # A path or a command is there to be copied: it stays whole, however long it is.
        break_on_hyphens=False,
        break_long_words=False,
    )
