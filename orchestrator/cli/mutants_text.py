# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig mutate` prints: the mutants of a series, and which of them compile."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from orchestrator.cli.options import Choice
from orchestrator.cli.request import request_of
from orchestrator.host.errors import ExitCode, UserError
from orchestrator.host.text import json_text, one_line, printable
from orchestrator.kernel.mutants.mutant_patch import bug_name, bug_patch
from orchestrator.kernel.mutants.operators import OPERATORS
from orchestrator.model.configuration import Variant
from orchestrator.model.images import BuildFailure
from orchestrator.model.mutants import Guard, Mutant, Mutants, NotMutated
from orchestrator.plan.expansion import builds_of
from orchestrator.report.store import new_folder
from orchestrator.report.terminal import screen, terminal
from orchestrator.run.kernels import Building, Kernels, open_kernels
from orchestrator.run.mutant_build import MutantChoice, MutantImage, build_mutants, mutants_of

_SHOWN = 60
_MOST_PLACES = 8
Built = dict[str, MutantImage | BuildFailure]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What is done with the mutants beside listing them."""

    builds: Path | None  # a kernel with all of them is built; its logs go into a folder there
    patches: Path | None  # each is written there as a patch
    as_json: bool


def show_mutants(
    matrix: Path | None, asked: Mapping[str, tuple[str, ...]], choice: Mapping[str, Any], shown: Shown
) -> ExitCode:
    """`asked`: the fields of MutantChoice. `choice`: the fields of Choice that this command has options for."""
    wanted = MutantChoice(**asked)
    _check(wanted, shown)
    whole = Choice(**{**choice, "variant": (str(Variant.PATCHED),), "seconds": None, "repeat": 1})
    request = request_of(matrix, whole)
    built: Built = {}
    with ExitStack() as opened:
        listener = opened.enter_context(terminal(screen(beside_output=True)))
        kernels = opened.enter_context(open_kernels(request, listener))
        found = mutants_of(kernels, wanted, listener)
        if shown.patches:
            _write_patches(found, shown.patches)
        if shown.builds and found.mutants:
            how = Building(log_dir=new_folder(shown.builds / "builds", datetime.now(UTC)), listener=listener)
            built = _built(kernels, found, how)
    if shown.as_json:
        click.echo(json_text(as_json(found, built), indent=2))
    else:
        for line in described(found, built):
            click.echo(printable(line))
    bad = any(isinstance(one, BuildFailure) for one in built.values())
    return ExitCode.BAD_KERNEL if bad else ExitCode.OK


def _write_patches(found: Mutants, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    operators = {operator.name: operator for operator in OPERATORS}
    for mutant in found.mutants:
        path = folder / f"{bug_name(mutant)}.patch"
        path.write_bytes(bug_patch(found.texts, mutant, operators[mutant.operator]))


def _check(wanted: MutantChoice, shown: Shown) -> None:
    if shown.patches and shown.patches.is_dir() and any(shown.patches.iterdir()):
        raise UserError(f"{shown.patches} is not empty: patches of two series would be mixed", hint="--patches NEW-DIR")
    check_operators(wanted.operators)


def check_operators(names: Sequence[str]) -> None:
    """Raises UserError for a name that no operator has."""
    known = [operator.name for operator in OPERATORS]
    for name in names:
        if name not in known:
            raise UserError(f"there is no operator {name!r}", hint=f"--operators {','.join(known)}")


def _built(kernels: Kernels, found: Mutants, how: Building) -> Built:
    built: Built = {}
    for build in builds_of(kernels.request.cells):
        own = replace(how, log_dir=how.log_dir / build.name)
        built[build.name] = build_mutants(kernels, build, found, own)
    return built


def described(found: Mutants, built: Mapping[str, MutantImage | BuildFailure]) -> Iterator[str]:
    """The mutants for a reader, line by line."""
    for mutant in found.mutants:
        own = "  (own build)" if mutant.guard is Guard.OWN_BUILD else ""
        place = f"{mutant.file}:{mutant.line}"
        code = f"{one_line(mutant.before, _SHOWN)} -> {one_line(mutant.after, _SHOWN)}"
        yield f"{mutant.number:>4}  {place:<28} {mutant.operator:<16} {code}{own}"
    if found.mutants:
        yield ""
        yield from _by_operator(found.mutants)
        yield ""
    for why, places in _left_out(found).items():
        yield f"left out: {why}: {_where(places)}"
    yield _summary(found)
    for name, one in built.items():
        yield from _of_build(name, one)


def _by_operator(mutants: Sequence[Mutant]) -> Iterator[str]:
    counts = Counter(mutant.operator for mutant in mutants)
    operators = {operator.name: operator for operator in OPERATORS}
    for name, count in counts.most_common():
        invisible = "; may not show under QEMU's TCG" if operators[name].invisible else ""
        yield f"{count:>4}  {name:<16} {operators[name].breaks}{invisible}"


def _left_out(found: Mutants) -> dict[str, list[NotMutated]]:
    places: dict[str, list[NotMutated]] = {}
    for one in found.left_out:
        places.setdefault(one.why, []).append(one)
    return places


def _where(places: Sequence[NotMutated]) -> str:
    """Each place; of many the files alone, with how many each has."""
    if len(places) <= _MOST_PLACES:
        return ", ".join(f"{one.file}:{one.line}" for one in places)
    files = Counter(one.file for one in places)
    named = ", ".join(f"{file} ({count})" for file, count in files.items())
    return f"{len(places)} changes, each with --json: {named}"


def _summary(found: Mutants) -> str:
    own = sum(mutant.guard is Guard.OWN_BUILD for mutant in found.mutants)
    files = len({mutant.file for mutant in found.mutants})
    return (
        f"mutants: {len(found.mutants)} of {found.statements} changed statements and conditions, in "
        f"{files} file{'' if files == 1 else 's'}; {len(found.mutants) - own} in one build, {own} with a build of "
        f"their own; {len(found.left_out)} changes left out"
    )


def _of_build(name: str, one: MutantImage | BuildFailure) -> Iterator[str]:
    if isinstance(one, BuildFailure):
        yield f"{name}  {one.outcome}: {one.title}"
        return
    bad = one.not_compiled
    whole = f"{len(one.mutants)} of {len(one.mutants) + len(bad)} mutants compile"
    yield f"{name}  {whole}; builds: {one.builds}; {one.image.image}"
    if bad:
        yield f"  do not compile: {', '.join(f'{mutant.number} {mutant.operator}' for mutant in bad)}"


def as_json(found: Mutants, built: Mapping[str, MutantImage | BuildFailure]) -> dict[str, object]:
    operators = {operator.name: operator for operator in OPERATORS}
    return {
        "statements": found.statements,
        "mutants": [
            {
                "number": mutant.number,
                "operator": mutant.operator,
                "file": mutant.file,
                "function": mutant.function,
                "line": mutant.line,
                "before": mutant.before,
                "after": mutant.after,
                "guard": str(mutant.guard),
                "detector": operators[mutant.operator].detector,
                "invisible": operators[mutant.operator].invisible,
            }
            for mutant in found.mutants
        ],
        "left_out": [{"file": one.file, "line": one.line, "why": one.why} for one in found.left_out],
        "builds": [_build_json(name, one) for name, one in built.items()],
    }


def _build_json(name: str, one: MutantImage | BuildFailure) -> dict[str, object]:
    if isinstance(one, BuildFailure):
        return {"build": name, "outcome": str(one.outcome), "title": one.title}
    return {
        "build": name,
        "outcome": "built",
        "image": str(one.image.image),
        "builds": one.builds,
        "mutants": [mutant.number for mutant in one.mutants],
        "not_compiled": [mutant.number for mutant in one.not_compiled],
    }
