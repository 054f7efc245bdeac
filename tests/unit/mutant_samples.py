# SPDX-License-Identifier: GPL-2.0-or-later
"""Small series for mutants: a file in which each line says by its first character whether the series changed it."""

from collections.abc import Mapping
from typing import Literal

from orchestrator.kernel.mutants.select_mutants import select_mutants
from orchestrator.model.mutants import Mutant
from orchestrator.model.series_diff import ChangedFile, DiffLine, SeriesDiff

FILE = "mm/sample.c"
# A line's first character, if it has one -> what it is in the diff.
KINDS: Mapping[str, Literal["+", "-", " "]] = {"+": "+", "-": "-", " ": " ", "": " "}


def series(text: str, file: str = FILE) -> SeriesDiff:
    """Each line begins with "+", "-" or " ", as in a diff with all lines of the file."""
    lines, old, new = [], 1, 1
    for line in text.strip("\n").split("\n"):
        kind, rest = KINDS[line[:1]], line[1:]
        lines.append(DiffLine(kind=kind, old=old if kind != "+" else 0, new=new if kind != "-" else 0, text=rest))
        old, new = old + (kind != "+"), new + (kind != "-")
    patched = "".join(f"{line.text}\n" for line in lines if line.kind != "-")
    return SeriesDiff(files=(ChangedFile(path=file, hunks=(tuple(lines),)),), functions=(), texts={file: patched})


def body(text: str) -> str:
    """A function of one parameter, with this as its body."""
    return f" static int f(struct thing *x)\n {{\n{text.strip(chr(10))}\n }}\n"


def mutants(text: str, operators: str = "") -> tuple[Mutant, ...]:
    return select_mutants(series(text), operators=operators.split(",") if operators else ()).mutants


def shown(found: tuple[Mutant, ...]) -> list[str]:
    return [f"{one.line}: {one.before} => {one.after}" for one in found]
