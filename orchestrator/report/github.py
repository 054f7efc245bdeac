# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as GitHub Actions shows it: the summary of a step, and annotations (pure).

Source: GitHub's "Workflow commands for GitHub Actions": `::error title=T::MESSAGE`, and $GITHUB_STEP_SUMMARY.
"""

import re
from collections.abc import Iterator, Mapping

from orchestrator.host.text import one_line, printable
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import RunReport
from orchestrator.model.subtests import Change
from orchestrator.report.news_text import is_old_subtest
from orchestrator.report.reached_elsewhere import is_excused
from orchestrator.report.suite_text import change_text
from orchestrator.report.summary import Finding, by_build, findings, outcome_counts, summary_text

# GitHub shows so many of a kind for each step, and drops the rest without a word.
MOST_ANNOTATIONS = 10
_KINDS = ("error", "warning", "notice")
# A summary may have 1 MiB; what is larger is not shown at all.
MOST_BYTES = 1_000_000
_COMMAND = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_COMMAND, ":": "%3A", ",": "%2C"}


def annotations(report: RunReport) -> Iterator[str]:
    """A line for each finding, worst first: errors, warnings for what the host lost, notices for what is old.

    Old is what earlier runs had, where the run was compared with them.
    """
    lines = [*_subtests(report), *(_finding(report, finding) for finding in findings(report.cells))]
    for kind in _KINDS:
        yield from [line for which, line in lines if which == kind][:MOST_ANNOTATIONS]


def _subtests(report: RunReport) -> Iterator[tuple[str, str]]:
    for suite in report.suites:
        for change in suite.changes:
            if change.change is Change.REGRESSED:
                kind = "notice" if is_old_subtest(report.news, f"{suite.name} {change.path}") else "error"
                text = f"{suite.name}: {change.path}: {change_text(suite, change)}"
                yield kind, _command(kind, f"subtest {change.change}", text)


def _finding(report: RunReport, finding: Finding) -> tuple[str, str]:
    kind = "warning" if finding.outcome is Outcome.LOST else "error"
    kind = "notice" if is_excused(report, finding.cells) else kind
    more = f" and {len(finding.cells) - 1} more" if len(finding.cells) > 1 else ""
    return kind, _command(kind, f"{finding.outcome}: {finding.cells[0].cell.name}{more}", finding.title)


def _command(kind: str, title: str, message: str) -> str:
    return f"::{kind} title={_escaped(title, _PROPERTY)}::{_escaped(message, _COMMAND)}"


def _escaped(text: str, table: Mapping[str, str]) -> str:
    return "".join(table.get(char, char) for char in printable(text))


def step_summary(report: RunReport) -> str:
    """Markdown: what came of each build, each finding once, and summary.txt to unfold."""
    head = [f"## patchrig: {_plain(outcome_counts(report.cells))}", ""]
    head += ["**Interrupted:** only what had finished is listed.", ""] if report.interrupted else []
    head += [f"Shard {report.shard} of the matrix.", ""] if report.shard else []
    table = ["| build | outcomes |", "|---|---|"]
    table += [f"| {_code(name)} | {_plain(outcome_counts(cells))} |" for name, cells in by_build(report.cells).items()]
    listed = [
        f"- **{finding.outcome}** {_code(finding.title)}: {_code(finding.cells[0].cell.name)}"
        + (f" and {len(finding.cells) - 1} more" if len(finding.cells) > 1 else "")
        for finding in findings(report.cells)
    ]
    text = "\n".join([*head, *table, "", *listed, "", ""])
    whole = f"{text}<details><summary>summary.txt</summary>\n\n{_fenced(summary_text(report))}\n\n</details>\n"
    if len(whole.encode()) <= MOST_BYTES:
        return whole
    few = "\n".join([*head, *table[:200], "", *listed[:200], "", ""])
    return f"{few}The rest is too long for GitHub: see summary.txt of the run.\n"


def _plain(text: str) -> str:
    """Text that Markdown leaves as it is, in a cell of a table."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&])", r"\\\1", one_line(text))


def _code(text: str) -> str:
    """Text in backquotes, also where it has some; a bar would end the cell of a table."""
    text = one_line(text).replace("|", "\\|")
    marks = "`" * (_longest_run(text) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{marks}{pad}{text}{pad}{marks}"


def _fenced(text: str) -> str:
    marks = "`" * max(3, _longest_run(text) + 1)
    return f"{marks}\n{text.rstrip()}\n{marks}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
