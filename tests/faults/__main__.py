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

from faults import PROJECT
from faults.campaign import Settings, play_fault
from faults.leftovers import abandoned_in_memory
from faults.rig import make_template
from faults.table import FAULTS
from faults.tally import Tally, markdown

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
    began = time.monotonic()
    try:
        rows = _play(asked, folder)
    finally:
        kept = asked.keep and any(not row.good() for row in rows)
        if kept:
            click.echo(f"the folders of failed tries: {folder}", err=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    text = markdown(rows)
    click.echo(text)
    if asked.write:
        write_table(text, (time.monotonic() - began) / 60)
    # What was not begun in time has not passed.
    sys.exit(0 if all(row.good() and not row.note for row in rows) else 1)


def _play(asked: argparse.Namespace, folder: Path) -> list[Tally]:
    template = make_template(folder / "t")
    settings = Settings(
        folder=folder, seed=asked.seed, jobs=asked.jobs, short=asked.short, count=asked.tries, just=asked.just,
        keep=asked.keep, say=lambda text: click.echo(text, err=True),
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
    parser.add_argument("--short", action="store_true", help="the counts of `make test`")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED") or 1))
    parser.add_argument("--just", default="", help="only tries whose name begins so")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where the tries lie; a short path")
    parser.add_argument("--no-keep", dest="keep", action="store_false", help="remove the folders of failed tries, too")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.relative_to(PROJECT)}")
    return parser.parse_args()


def write_table(table: str, minutes: float) -> None:
    """Put the table, with date, machine and command, between the marks of docs/trust.md."""
    machine = f"{len(os.sched_getaffinity(0))} cores, Linux {platform.release().partition('-')[0]}, {_distribution()}"
    command = "make faults" + (f' ARGS="{" ".join(sys.argv[1:])}"' if sys.argv[1:] else "")
    head = f"{datetime.now(UTC):%Y-%m-%d}; {machine}; {minutes:.0f} minutes; `{command}`\n\n"
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{head}{table}{END}{after}", encoding="utf-8")


def _distribution() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown distribution")


if __name__ == "__main__":
    main()
