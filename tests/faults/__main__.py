# SPDX-License-Identifier: GPL-2.0-or-later
"""The campaign of faults, long: `make faults ARGS="--only F7 --tries 5 --seed 1"`.

Prints a Markdown table; its four counts must be 0. --write puts it into docs/trust.md.
"""

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from tests.faults import PROJECT
from tests.faults.campaign import Settings, play_fault
from tests.faults.leftovers import abandoned_in_memory
from tests.faults.rig import make_template
from tests.faults.table import FAULTS
from tests.faults.tally import Tally, markdown, never_played

PAGE = PROJECT / "docs" / "trust.md"
BEGIN, END = (
    "<!-- the campaign's table: written by make faults ARGS=--write -->",
    "<!-- end of the campaign's table -->",
)


def main() -> None:
    asked = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="faults-", dir=asked.folder))
    folder.chmod(0o755)
    rows: list[Tally] = []
    try:
        rows = _play(asked, folder)
    finally:
        kept = asked.keep and any(not row.good() for row in rows)
        if kept:
            click.echo(f"the folders of failed tries: {folder}", err=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    text = markdown(rows, f"{datetime.now(UTC):%Y-%m-%d}")
    click.echo(text)
    if asked.write:
        write_table(text)
    # What was not begun in time has not passed.
    sys.exit(0 if all(row.good() and not row.note for row in rows) else 1)


def _play(asked: argparse.Namespace, folder: Path) -> list[Tally]:
    template = make_template(folder / "t")
    settings = Settings(
        folder=folder, seed=asked.seed, jobs=asked.jobs, short=asked.short, count=asked.tries, just=asked.just,
        minutes=asked.minutes, keep=asked.keep, say=lambda text: click.echo(text, err=True),
    )  # fmt: skip
    rows = []
    for fault in FAULTS:
        if asked.only and fault.name not in asked.only:
            continue
        began = time.monotonic()
        rows.append(play_fault(fault, template, settings))
        click.echo(f"{fault.name}: {rows[-1].tries()} tries, {time.monotonic() - began:.0f} s", err=True)
    if left := abandoned_in_memory():
        click.echo(f"left in memory: {left}", err=True)
    return rows


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=[fault.name for fault in FAULTS], help="this fault; again for more"
    )
    parser.add_argument("--tries", type=int, help="so many, instead of the fault's own count")
    parser.add_argument("--minutes", type=float, default=0.0, help="how long each fault may take, on a busy machine")
    parser.add_argument("--short", action="store_true", help="the counts of `make test`")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED") or 1))
    parser.add_argument("--just", default="", help="only tries whose name begins so")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where the tries lie; a short path")
    parser.add_argument("--no-keep", dest="keep", action="store_false", help="remove the folders of failed tries, too")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.relative_to(PROJECT)}")
    return parser.parse_args()


def write_table(table: str) -> None:
    """Put the rows, with machine and command, between the marks of docs/trust.md; rows of other faults stay."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    old, _, after = rest.partition(END)
    lines = merged_table(old, table)
    PAGE.write_text(f"{before}{BEGIN}\n{chr(10).join(lines)}\n{END}{after}", encoding="utf-8")


def merged_table(old: str, table: str) -> list[str]:
    """Machine, command and a row for each fault: that of `table`, else that of `old`, else one without counts."""
    machine = f"{len(os.sched_getaffinity(0))} cores, Linux {platform.release().partition('-')[0]}, {_distribution()}"
    head, rule, *rows = table.splitlines()
    found = {_fault_of(row): row for row in [*old.splitlines(), *rows] if row.startswith("| F")}
    lines = [f'{machine}. A row\'s command: `make faults ARGS="--only FAULT"`', "", head, rule]
    for fault in FAULTS:
        lines.append(found.get(fault.name) or never_played(fault.name, fault.what, short=fault.short))
    return lines


def _fault_of(row: str) -> str:
    return row.split("|")[1].strip()


def _distribution() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown distribution")


if __name__ == "__main__":
    main()
