# SPDX-License-Identifier: GPL-2.0-or-later
"""File and line of an address, inlined calls included: all that asks llvm-symbolizer, and reads its answer.

Why that one: docs/decisions/0005-symboliser.md.
"""

import os.path
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from orchestrator.host.errors import InfraError
from orchestrator.model.stacks import SourceLine

TOOL = "llvm-symbolizer"
# The names as in the source: without a suffix of the compiler's for an outermost function.
_OPTIONS = ("--output-style=JSON", "--functions=short")

Places = Mapping[int, Sequence[SourceLine]]
"""Address -> its lines, innermost first; nothing for an address without one."""


@dataclass(frozen=True, slots=True)
class _Place:
    function: Annotated[str, Field(alias="FunctionName")]
    file: Annotated[str, Field(alias="FileName")]
    line: Annotated[int, Field(alias="Line")]


@dataclass(frozen=True, slots=True)
class _Answer:
    address: Annotated[str, Field(alias="Address", pattern="^0x[0-9a-f]+$")]
    places: Annotated[tuple[_Place, ...], Field(alias="Symbol")] = ()


_ANSWERS = TypeAdapter(tuple[_Answer, ...])


def symboliser_argv(vmlinux: Path, addresses: Iterable[int]) -> list[str]:
    """The command for a few addresses."""
    return [TOOL, *_OPTIONS, f"--obj={vmlinux}", *(f"{address:#x}" for address in addresses)]


def bulk_argv(vmlinux: Path, addresses: Iterable[int], listing: Path) -> list[str]:
    """The command for more addresses than fit on a command line: they are written to `listing`."""
    listing.write_text("\n".join(f"{address:#x}" for address in addresses))
    return [TOOL, *_OPTIONS, f"--obj={vmlinux}", f"@{listing}"]


def places_in(output: str, root: str = "") -> dict[int, tuple[SourceLine, ...]]:
    """What the command printed; files below `root`, which ends in a slash, are named from there.

    Raises InfraError where it printed something else.
    """
    # Warnings may stand around it: both go to one log.
    text = next((line for line in output.splitlines() if line.startswith("[{")), "[]")
    try:
        answers = _ANSWERS.validate_json(text)
    except ValidationError as error:
        raise InfraError(f"{TOOL} printed what can't be read: {text[:80]}") from error
    return {int(one.address, 16): _lines(one.places, root) for one in answers}


def _lines(places: Iterable[_Place], root: str) -> tuple[SourceLine, ...]:
    known = [place for place in places if place.file and place.line]
    return tuple(
        SourceLine(
            function=place.function,
            file=os.path.normpath(place.file).removeprefix(root),
            line=place.line,
            inlined=index < len(known) - 1,
        )
        for index, place in enumerate(known)
    )
