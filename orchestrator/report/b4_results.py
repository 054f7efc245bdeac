# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of a series in the two forms that b4 reads (pure).

`b4 review` (b4 0.15 and later) reads a JSON array from standard output; see "Writing an external check script" in its
documentation. `b4 prep --check` (b4 0.14 and later) reads lines: no line means success, a line with "ERROR:" a failure,
and any other line a warning.
"""

from collections.abc import Iterator, Sequence

from orchestrator.host.text import json_text, one_line, printable
from orchestrator.model.check_results import SeriesCheck, Status

_MARKS = {Status.WARN: "WARNING", Status.FAIL: "ERROR"}


def review_text(checks: Sequence[SeriesCheck]) -> str:
    """All checks as b4-review reads them."""
    return json_text([_entry(check) for check in checks], indent=2)


def _entry(check: SeriesCheck) -> dict[str, str]:
    entry = {"tool": check.name, "status": str(check.status), "summary": one_line(check.summary)}
    return entry | ({"details": printable("\n".join(check.details))} if check.details else {})


def prep_lines(checks: Sequence[SeriesCheck]) -> Iterator[str]:
    """What is not well, a line each: b4 takes every line for a warning or a failure."""
    for check in checks:
        if mark := _MARKS.get(check.status):
            # A title with b4's word for a failure in it must not turn a warning into one.
            text = one_line(check.summary).replace("ERROR:", "ERROR")
            yield f"{mark}: {check.name}: {text}"
