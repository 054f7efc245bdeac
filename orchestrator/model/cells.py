# SPDX-License-Identifier: GPL-2.0-or-later
"""What is built and what is run: a build, and a cell of the matrix."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from orchestrator.model.blocks import DelaySettings
from orchestrator.model.configuration import Variant, Workload

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+-]*$")]
"""Part of the name of a file or folder, also when it is read from a run that came from elsewhere: never ".."."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Build:
    """One kernel to build: what all cells with the same variant, flavour and arch share."""

    variant: Variant
    flavour: Name
    arch: Name

    @property
    def name(self) -> str:
        return f"{self.variant}.{self.flavour}.{self.arch}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One square of the matrix, one guest."""

    build: Build
    workload: Workload
    seconds: int
    seed: int
    repeat: int  # counts from 1
    repeats: int
    widening: DelaySettings | None = None  # None: no delay injection with this flavour
    mutant: int | None = None  # the number that its guest is told before the load; None: a kernel without mutants

    @property
    def name(self) -> str:
        suffix = f".{self.repeat}" if self.repeats > 1 else ""
        suffix += f".m{self.mutant}" if self.mutant is not None else ""
        return f"{self.build.name}.{self.workload.name}{suffix}"


def names_meant(names: Sequence[str], wanted: str) -> tuple[str, ...]:
    """The cells that a user may mean: the one of that name; else those that end in `.WANTED`; else those with it."""
    kinds = (
        (name for name in names if name == wanted),
        (name for name in names if name.endswith(f".{wanted}")),
        (name for name in names if wanted in name),
    )
    return next(filter(None, map(tuple, kinds)), ())
