# SPDX-License-Identifier: GPL-2.0-or-later
"""What to type after a red cell, to learn whether the kernel without the series is red, too (pure)."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from orchestrator.model.reports import CellReport, RunReport

# They select cells, or name a file that the new run would overwrite; the command selects the cell anew.
_REPLACED = ("--variant", "--workload", "--arch", "--flavour", "--junit", "--shard")


def baseline_command(report: RunReport, cell: CellReport) -> tuple[str, ...]:
    """The words of a command that runs the cell on the baseline; () where the run's own command tells too little."""
    program, command, *arguments = (*report.argv, "", "")
    if command != "run":
        return ()
    kept, replaced = _sorted(word for word in arguments if word)
    build, name = cell.cell.build, cell.cell.workload.name
    # It may have been given as the path of its YAML file.
    workload = next((value for value in replaced if PurePath(value).stem == name), name)
    chosen = ("--variant", "baseline", "--arch", build.arch, "--flavour", build.flavour, "--workload", workload)
    return (PurePath(program).name, command, *kept, *chosen)


def pasteable(words: Sequence[str], *, width: int, indent: str = "  ") -> Iterator[str]:
    """A command as lines that a shell takes as one, also after a mail program has had them."""
    if not words:
        return
    line = indent
    for word in map(shlex.quote, words):
        if line.strip() and len(line) + len(word) + 3 > width:
            yield f"{line}\\"
            line = indent * 2
        line += f"{word} "
    yield line.rstrip()


def again_lines(report: RunReport, cell: CellReport, *, width: int) -> Iterator[str]:
    """How to run a cell again, here, and from its replay key anywhere."""
    # A command that a mail program wraps can no longer be pasted.
    command, name = f"  patchrig repro {shlex.quote(report.id)}", shlex.quote(cell.cell.name)
    yield from (f"{command} {name}",) if len(command) + len(name) < width else (f"{command} \\", f"    {name}")
    if cell.key:
        yield "  its key, for `patchrig replay '...'` on another machine:"
        yield from (f"    {line}" for line in wrapped_key(cell.key, width=width - 4))


def wrapped_key(key: str, *, width: int = 76) -> list[str]:
    """A replay key in lines that a mail does not break; it may be given back in the same form."""
    lines = [""]
    for word in key.split():
        # A word that is too long for a line begins one, so that no break is in its name.
        for at in range(0, len(word), width):
            piece = word[at : at + width]
            if len(lines[-1]) + 1 + len(piece) <= width:
                lines[-1] += f" {piece}"
            else:
                lines.append(piece)
    return [line.lstrip() for line in lines if line]


def _sorted(words: Iterator[str]) -> tuple[list[str], list[str]]:
    """Arguments that stay, and the values of those that do not."""
    kept: list[str] = []
    values: list[str] = []
    for word in words:
        option, equals, value = word.partition("=")
        if option not in _REPLACED:
            kept.append(word)
        elif equals:
            values.append(value)
        else:
            values += [following for following in (next(words, None),) if following is not None]
    return kept, values
