# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as a reply to the series' mail, in plain text; Tested-by only for what was tested (pure)."""

from collections.abc import Iterator

from orchestrator.host.text import one_line
from orchestrator.model.configuration import Variant
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import RunReport
from orchestrator.model.subtests import Change
from orchestrator.report.proof_text import names_text, reach_by_arch, together
from orchestrator.report.summary import outcome_counts, summary_text

MAIL_FILE = "mail.txt"
NOBODY = "NAME <ADDRESS>"


def mail_text(report: RunReport, *, tester: str = "") -> str:
    """A draft: Subject, an empty line, the text. `tester`: name and address for the tag."""
    title = one_line(report.series_title) or "the series"
    version = report.versions.get("patchrig", "")
    missing = tuple(not_tested(report))
    tag = f"Tested-by: {one_line(tester) or NOBODY}" if not missing else "No Tested-by, because:"
    lines = [
        f"Subject: Re: [PATCH] {title}",
        "",
        f"patchrig {version} built and ran this series under QEMU: {outcome_counts(report.cells)}.",
        "",
        *summary_text(report).rstrip().splitlines(),
        "",
        tag,
        *(f"  - {why}" for why in missing),
    ]
    return "\n".join(lines).encode("ascii", errors="backslashreplace").decode() + "\n"


def not_tested(report: RunReport) -> Iterator[str]:
    """Why nobody can say that the series was tested; nothing where all is green and the changed code ran."""
    cells = [cell for cell in report.cells if cell.cell.build.variant is Variant.PATCHED]
    if report.interrupted:
        yield "the run was interrupted"
    if report.shard:
        yield f"this is shard {report.shard} of the matrix"
    if not cells:
        yield "no cell ran with the series"
        return
    bad = [cell for cell in cells if cell.verdict.outcome is not Outcome.PASSED]
    if bad:
        yield f"not all cells with the series passed: {outcome_counts(cells)}"
    regressed = [f"{suite.name} {one.path}" for suite in report.suites for one in suite.of(Change.REGRESSED)]
    if regressed:
        yield f"subtests regressed: {names_text(tuple(regressed))}"
    yield from _not_reached(report)


def _not_reached(report: RunReport) -> Iterator[str]:
    """Changed functions that no cell ran, on any arch."""
    seen = together([reach.changed for reach in reach_by_arch(report.cells)])
    if seen is None or not seen.ran:
        yield "no cell is known to have run a function that the series changes"
    elif seen.never_ran:
        yield f"no cell ran {names_text(seen.never_ran)}"
