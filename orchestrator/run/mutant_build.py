# SPDX-License-Identifier: GPL-2.0-or-later
"""One kernel with all mutants of a series that can be guarded: what does not compile is found, and left out of it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.host import paths
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import UserError
from orchestrator.host.sealed import read_sealed, write_sealed
from orchestrator.host.text import json_text
from orchestrator.kernel.code.whole_diff import patched_files
from orchestrator.kernel.mutants.compile_errors import blamed
from orchestrator.kernel.mutants.mutant_patch import file_patch, guarded_files
from orchestrator.kernel.mutants.select_mutants import select_mutants
from orchestrator.kernel.series.load import load_series
from orchestrator.kernel.source.apply import NotApplied
from orchestrator.kernel.source.overlay import added_files
from orchestrator.kernel.source.tree import Tree, kept_tree
from orchestrator.model.cells import Build
from orchestrator.model.events import Listener, Step
from orchestrator.model.images import BuildFailure, KernelImage
from orchestrator.model.mutants import MOST_NUMBER, Guard, Mutant, Mutants
from orchestrator.plan.names import unknown
from orchestrator.run.delay_targets import fill_tree
from orchestrator.run.kernels import Building, Kernels

NOTES = "mutants"  # in the cache
OVERLAY = paths.OVERLAYS / "mutants"
_READING_SECONDS = 1800.0
# An error may hide others: of the linker, or of a file that includes the one with the error.
_MOST_BUILDS = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class MutantChoice:
    """What a command line wants of all mutants; empty: all of them."""

    operators: tuple[str, ...] = ()
    only: tuple[str, ...] = ()  # functions


@dataclass(frozen=True, kw_only=True, slots=True)
class MutantImage:
    """A kernel that has mutants behind guards, and those that it could not have."""

    image: KernelImage
    mutants: tuple[Mutant, ...]
    not_compiled: tuple[Mutant, ...]
    builds: int  # how often make ran until the rest compiled


def mutants_of(kernels: Kernels, choice: MutantChoice, listener: Listener) -> Mutants:
    """The mutants of the series that the kernels are built with. Raises UserError where the series does not apply."""
    until = Deadline.after(_READING_SECONDS, "what the series changed")
    diff = kernels.diffs.of(kernels.series, _tree(kernels, listener), until=until)
    if isinstance(diff, NotApplied):
        raise UserError(f"the series does not apply: {diff.title}\n{diff.detail}")
    changed = {function.name for function in diff.functions}
    for name in choice.only:
        if name not in changed:
            raise UserError(f"--only: {unknown('changed function', name, changed)}")
    return select_mutants(diff, operators=choice.operators, only=choice.only)


def build_mutants(kernels: Kernels, build: Build, found: Mutants, how: Building) -> MutantImage | BuildFailure:
    """Build one kernel with all mutants that can be guarded, without those that make it fail to compile.

    It has those that were not asked for, too: whatever is asked for next, the kernel is in the cache.
    """
    until = Deadline.after(_READING_SECONDS, "the files with mutants")
    if highest := max((one.number for one in found.in_kernel if one.number > MOST_NUMBER), default=0):
        raise UserError(f"{highest} mutants are more than a kernel can count ({MOST_NUMBER})", hint="--only FUNCTION")
    support = _support(kernels, _tree(kernels, how.listener), until)
    every = [one for one in found.in_kernel if one.guard is not Guard.OWN_BUILD]
    note = _note(kernels, build, _patch(support, found, every), how, until)
    known = _not_compiled(note)
    left, dropped = ([one for one in every if (one.number in known) is out] for out in (False, True))
    number = 0
    while True:
        number += 1
        log_dir = how.log_dir / f"build-{number}"
        log_dir.mkdir(parents=True)
        path = log_dir / "mutants.patch"
        path.write_bytes(_patch(support, found, left))
        more = load_series((path,), tree=None, log=log_dir / "git.log", until=until)
        made = kernels.image(build, replace(how, log_dir=log_dir, more=more, keep_going=True))
        if not isinstance(made, BuildFailure):
            if number > 1:
                write_sealed(note, json_text([one.number for one in dropped]).encode())
            return MutantImage(image=made, mutants=tuple(left), not_compiled=tuple(dropped), builds=number)
        bad = blamed(_log_of(made), found.texts, left)
        if not bad or number == _MOST_BUILDS:
            return made
        how.listener(Step(text=f"{len(bad)} of {len(left)} mutants do not compile: building without them"))
        dropped += [one for one in left if one.number in bad]
        left = [one for one in left if one.number not in bad]


def _tree(kernels: Kernels, listener: Listener) -> Tree:
    """The private tree, for a reader: no build has to be waited for."""
    cache = kernels.request.cache
    fill_tree(kernels.source, kernels.series, cache=cache, listener=listener)
    if tree := kept_tree(cache, kernels.source.sha256):
        return tree
    raise UserError("the series does not apply to this source", hint="patchrig build ...  # says where it does not")


def _support(kernels: Kernels, tree: Tree, until: Deadline) -> bytes:
    """The overlay as a patch: it lies below that of any flavour, and a kernel has one of those only."""
    files, appended = added_files(OVERLAY)
    there = patched_files(kernels.series, tree, [*files, *appended], until=until)
    for path in (*(path for path in files if path in there), *(path for path in appended if path not in there)):
        raise UserError(f"{path} stands in the way of the mutants' overlay, or is not in this tree")
    parts = [file_patch(path, None, content) for path, content in files.items()]
    parts += [file_patch(path, there[path], there[path] + content) for path, content in appended.items()]
    return b"".join(parts)


def _patch(support: bytes, found: Mutants, left: Sequence[Mutant]) -> bytes:
    guarded = guarded_files(found.texts, left)
    return b"".join(
        (support, *(file_patch(file, found.texts[file].encode(), content) for file, content in guarded.items()))
    )


def _note(kernels: Kernels, build: Build, patch: bytes, how: Building, until: Deadline) -> Path:
    """Which mutants of this patch do not compile in this kernel: a build that fails is in no cache of images."""
    how.log_dir.mkdir(parents=True, exist_ok=True)
    key = kernels.key(build, how.log_dir / "toolchain.log", until)
    digest = hashlib.sha256(f"{key} {hashlib.sha256(patch).hexdigest()}".encode()).hexdigest()
    return kernels.request.cache / NOTES / f"{digest}.sealed"


def _not_compiled(note: Path) -> frozenset[int]:
    content = read_sealed(note)
    return frozenset(json.loads(content)) if content else frozenset()


def _log_of(failure: BuildFailure) -> str:
    return failure.log.read_text(encoding="utf-8", errors="replace") if failure.log else failure.detail
