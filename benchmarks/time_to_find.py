# SPDX-License-Identifier: GPL-2.0-or-later
"""How soon seeded bugs are found, reports of `patchrig sensitivity` side by side.

    patchrig sensitivity configs/swapoff.yaml --arch x86_64
    patchrig sensitivity configs/swapoff.yaml --arch x86_64 --flavour widened
    python -m benchmarks.time_to_find results/sensitivity-A results/sensitivity-B

Prints a Markdown table: for each report and class how many bugs were found of those that were tried, and the median of
the guest seconds over the bugs that all reports found, so that the medians are of the same bugs.
"""

import json
import statistics
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

Bugs = Mapping[str, Mapping[str, Any]]
"""`bugs` of a sensitivity.json by id and arch; a bug without a class counts as "-"."""

TRIED = ("found", "survived")


def bugs_of(report: Mapping[str, Any]) -> Bugs:
    return {f"{bug['id']} {bug.get('arch', '')}": bug for bug in report["bugs"] if bug["status"] in TRIED}


def of_class(bugs: Bugs, one: str) -> Bugs:
    """The bugs of a class; every bug for "all"."""
    return {id_: bug for id_, bug in bugs.items() if one in ("all", str(bug.get("class") or "-"))}


def found_by_all(reports: Sequence[Bugs]) -> frozenset[str]:
    return frozenset.intersection(*(frozenset(id_ for id_, bug in bugs.items() if bug["found"]) for bugs in reports))


def median_of(bugs: Bugs, ids: Collection[str]) -> float | None:
    """The median of the guest seconds that these bugs took; None for none."""
    return statistics.median(bugs[id_]["guest_seconds"] for id_ in ids) if ids else None


def table(names: Sequence[str], reports: Sequence[Bugs]) -> list[str]:
    """The lines of the table: a row for each class, and one for all."""
    lines = [f"| class | {' | '.join(f'{name}: found, median of the same bugs' for name in names)} |"]
    lines.append("|---" * (len(names) + 1) + "|")
    classes = sorted({str(bug.get("class") or "-") for bugs in reports for bug in bugs.values()})
    for one in [*classes, "all"]:
        chosen = [of_class(bugs, one) for bugs in reports]
        common = found_by_all(chosen)
        lines.append(f"| {one} | {' | '.join(_cell(bugs, common) for bugs in chosen)} |")
    return lines


def _cell(bugs: Bugs, common: Collection[str]) -> str:
    found = sum(bool(bug["found"]) for bug in bugs.values())
    median = median_of(bugs, common)
    text = "-" if median is None else f"{median:.1f} s (of {len(common)})"
    return f"{found} of {len(bugs)}, {text}"


def main() -> None:
    folders = [Path(name) for name in sys.argv[1:]]
    if len(folders) < 2:
        sys.exit("usage: python -m benchmarks.time_to_find SENSITIVITY-FOLDER SENSITIVITY-FOLDER...")
    reports = [json.loads((folder / "sensitivity.json").read_text()) for folder in folders]
    sys.stdout.write("\n".join(table([folder.name for folder in folders], [bugs_of(one) for one in reports])) + "\n")


if __name__ == "__main__":
    main()
