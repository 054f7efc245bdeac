# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig explain` prints."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from orchestrator.host.errors import ExitCode
from orchestrator.host.text import json_text, printable
from orchestrator.judge.race_table import last_of_each
from orchestrator.model.explained import Act, Explained, Place
from orchestrator.model.race_points import Role
from orchestrator.model.stacks import SourceLine
from orchestrator.report.store import find_cell, find_run, load_run
from orchestrator.report.terminal import screen, terminal
from orchestrator.run.debugging import Debugged
from orchestrator.run.explaining import Seen, explain
from orchestrator.run.sandboxing import guests_in_sandbox

_ACTS_SHOWN = 30
_PLACES_SHOWN = 10
_BALANCED = (Role.TAKES, Role.PUTS, Role.LOCKS, Role.UNLOCKS)
_HEADER = "before (s)  CPU  task                    what      function                            where"


def explain_cell(  # noqa: PLR0913  # each is an option
    name: str, cell: str, results: Path, *, everything: bool, last: float | None, sandbox: bool, as_json_text: bool
) -> ExitCode:
    """Explain a cell, and print what came of it."""
    report = load_run(find_run(results, name))
    found = find_cell(report, cell)
    with terminal(screen(beside_output=True)) as listener:
        seen = explain(report, found, listener, last=last, sandbox=guests_in_sandbox(sandbox, listener))
    if as_json_text:
        click.echo(json_text(explained_json(seen), indent=2))
    else:
        click.echo("\n".join(explained_lines(seen, everything=everything)))
    return ExitCode.OK if not seen.console.line else ExitCode.BAD_KERNEL


def explained_lines(seen: Seen, *, everything: bool) -> Iterator[str]:
    """For a person."""
    race = seen.explained
    at = "" if race.seconds is None else f" at {race.seconds:.6f} s of guest time"
    yield f"splat         {printable(race.splat)}{at}"
    yield from _object_lines(race)
    yield ""
    yield from place_lines(race.places if everything else race.places[:_PLACES_SHOWN], len(race.places))
    yield ""
    yield from _act_table(race, everything=everything)
    yield ""
    if race.left_out:
        yield f"not seen      {race.left_out} more places that may touch these objects: QEMU can't be asked for so many"
    yield from console_text(seen.console)


def _act_table(race: Explained, *, everything: bool) -> Iterator[str]:
    shown: Sequence[Act] = race.acts
    if not everything:
        each = last_of_each(race.acts, race.lines, race.objects)
        shown = each[-_ACTS_SHOWN:]
        of = f"{len(shown)} of {len(each)} rows" if len(shown) < len(each) else f"{len(each)} rows"
        yield f"each task's last act at each line of code ({of}; --all prints all {len(race.acts)} acts):"
    yield from act_lines(shown, race)


def _object_lines(race: Explained) -> Iterator[str]:
    for span in race.objects:
        yield f"object        {printable(span.name)} {span.start:#x}"
    if not race.objects:
        yield f"object        not known: any struct {' or '.join(race.types) or '(none)'}"
    sums = {role: sum(place.times for place in race.places if place.role is role) for role in _BALANCED}
    if any(sums.values()):
        yield f"in all        {', '.join(f'{role} {count}' for role, count in sums.items() if count)}"


def place_lines(places: Sequence[Place], of: int) -> Iterator[str]:
    """The lines of code, those that did most first."""
    if not places:
        yield "nothing was done to it"
        return
    yield "   times  tasks  what     function                            where"
    for place in places:
        yield f"{place.times:8}  {place.tasks:5}  {place.role:8} {place.function:34}  {line_text(place.line)}"
    if len(places) < of:
        yield f"          ... {of - len(places)} more lines of code"


def act_lines(acts: Sequence[Act], race: Explained) -> Iterator[str]:
    """The table of both sides, in the order in which it happened."""
    if not acts:
        return
    yield _HEADER
    for act in acts:
        before = "-" if act.seconds is None or race.seconds is None else f"{act.seconds - race.seconds:.3f}"
        times = f" (x{act.times})" if act.times > 1 else ""
        task = task_text(act.task, race)
        where = line_text(race.lines.get(act.address))
        call = f"{act.function}({', '.join(argument_texts(act, race))})"
        yield f"{before:>10}  {act.cpu:3}  {task:22}  {act.role:8}  {call:34}  {where}{times}"


def argument_texts(act: Act, race: Explained) -> Iterator[str]:
    """The objects among the arguments; with their addresses, where there are several or none is known."""
    names = {span.start: span.name for span in race.objects}
    for name, value in act.arguments:
        if value in names:
            yield names[value] if len(names) == 1 else f"{names[value]}={value:#x}"
        elif not race.objects:
            yield f"{name}={value:#x}"


def task_text(task: int | None, race: Explained) -> str:
    """The name of a task, with the end of its address: threads of one program have one name."""
    if task is None:
        return "-"
    name = race.tasks.get(task, "")
    return f"{printable(name)}:{task >> 6 & 0xFFFFF:05x}" if name else f"{task:#x}"


def line_text(line: SourceLine | None) -> str:
    """A line of code in words."""
    return f"{line.function}(), {line.file}:{line.line}" if line else "-"


def console_text(console: Debugged) -> Iterator[str]:
    """Whether this was the cell's own execution."""
    if not console.line:
        yield f"console       identical up to the splat, {console.lines} lines"
        return
    yield f"console       different from line {console.line} on: this is another execution"
    yield f"then          {printable(console.said_before) or '(no such line)'}"
    yield f"now           {printable(console.says_now) or '(no such line)'}"


def explained_json(seen: Seen) -> dict[str, object]:
    """For a script."""
    race = seen.explained
    return {
        "splat": race.splat,
        "seconds": race.seconds,
        "stop": race.stop,
        "types": list(race.types),
        "objects": [{"name": span.name, "address": f"{span.start:#x}", "size": span.size} for span in race.objects],
        "places": [
            {"what": place.role, "function": place.function, "times": place.times, "tasks": place.tasks,
             "last": place.last, "line": _line_json(place.line)}
            for place in race.places
        ],
        "acts": [_act_json(act, race) for act in race.acts],
        "left_out": race.left_out,
        "identical": not seen.console.line,
        "console_lines": seen.console.lines,
    }  # fmt: skip


def _act_json(act: Act, race: Explained) -> dict[str, object]:
    return {
        "seconds": act.seconds,
        "cpu": act.cpu,
        "task": None if act.task is None else f"{act.task:#x}",
        "task_name": None if act.task is None else race.tasks.get(act.task),
        "what": act.role,
        "function": act.function,
        "host": act.host,
        "arguments": {name: f"{value:#x}" for name, value in act.arguments},
        "line": _line_json(race.lines.get(act.address)),
        "times": act.times,
    }


def _line_json(line: SourceLine | None) -> dict[str, object] | None:
    return {"function": line.function, "file": line.file, "line": line.line} if line else None
