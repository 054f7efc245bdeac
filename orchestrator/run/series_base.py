# SPDX-License-Identifier: GPL-2.0-or-later
"""The source that a series is for: the tree or kernel that the user named, what its mails say, or what takes it."""

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError
from orchestrator.host.paths import scratch_folder
from orchestrator.kernel.code.whole_diff import SeriesDiffs
from orchestrator.kernel.series.load import Series
from orchestrator.kernel.source.apply import NotApplied
from orchestrator.kernel.source.git import is_git_checkout
from orchestrator.kernel.source.some_files import commit_in, some_of_tarball, some_of_tree
from orchestrator.kernel.source.tarball import cached_tarball, fetch
from orchestrator.kernel.source.tree import Tree, kept_tree
from orchestrator.kernel.source.user_tree import kernel_version
from orchestrator.model.configuration import KernelSource
from orchestrator.model.events import Listener, Step
from orchestrator.model.matrix_choices import Base, Tried
from orchestrator.model.series_diff import SeriesDiff

_RELEASE = re.compile(r"v(\d+\.\d+)(?:\.\d+)?(?:-rc\d+)?$")
_SHOWN = 12
# Below this, a hash could be anybody's.
_LEAST_HASH = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Kernel:
    """A kernel that a series can be tried on: its name for --kernel, and where its source can be had."""

    name: str
    source: KernelSource


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenBase:
    """The base, as a run needs it."""

    base: Base
    kernel: str = ""  # the name for --kernel; "" for a tree
    version: str = ""  # of the kernel
    revision: str = ""  # a commit of the tree; "": the files as they lie there
    diff: SeriesDiff | None = None  # what the series changes there; None where it does not apply
    source: KernelSource | None = None  # None for a tree


@dataclass(frozen=True, kw_only=True, slots=True)
class Trials:
    """Tries a series on sources. What is not in the cache is downloaded only where that is allowed."""

    series: Series
    paths: Sequence[Path]  # as the user gave them
    cache: Path
    listener: Listener
    until: Deadline
    downloads: bool = True
    diffs: SeriesDiffs = field(default_factory=SeriesDiffs)
    _touched: list[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_touched", [str(file) for file in self.series.touched])

    def on_tree(self, top: Path) -> ChosenBase:
        """The base in a developer's tree. The mail's commit is taken only where what lies there does not fit."""
        with scratch_folder() as scratch:
            log = Path(scratch) / "log"
            in_git = is_git_checkout(top, log=log, until=self.until)
            head = commit_in(top, "HEAD", log=log, until=self.until) if in_git else ""
            noted = self._noted_in(top, log) if in_git else ""
        where = f"{top} ({kernel_version(top)})"
        if self.series.base:
            found = self._try_tree(top, self.series.base)
            source = f"commit {self.series.base[:_SHOWN]} of {top}"
            base = Base(source=source, why="the range starts there")
            return self._settled(ChosenBase(base=base, version=kernel_version(top)), found)
        at_head = f", as it lies there at {head[:_SHOWN]}" if head else ", as it lies there"
        base = Base(source=where, why=f"--tree{at_head}", notes=self._notes(unknown=not noted))
        first = ChosenBase(base=base, version=kernel_version(top))
        found = self._try_tree(top, "")
        if not isinstance(found, NotApplied) or noted in ("", head):
            return self._settled(first, found)
        return self._at_noted_commit(first, found, top, noted)

    def _at_noted_commit(self, first: ChosenBase, problem: NotApplied, top: Path, noted: str) -> ChosenBase:
        """What lies in the tree does not take the series: does the commit that its author named?"""
        source = f"commit {noted[:_SHOWN]} of {top}"
        found = self._try_tree(top, noted)
        if isinstance(found, NotApplied):
            tried = (Tried(source=source, problem=f"{self._said()}, but {found.brief}", applied=found.number - 1),)
            return self._settled(replace(first, base=replace(first.base, tried=tried)), problem)
        tried = (Tried(source=f"{top} as it lies there", problem=problem.brief, applied=problem.number - 1),)
        base = Base(source=source, why=self._said(), tried=tried, notes=self._notes())
        return replace(first, base=base, revision=noted, diff=found)

    def on_kernel(self, kernel: Kernel) -> ChosenBase:
        """The kernel that the user named."""
        base = Base(source=kernel.source.version, why=f"--kernel {kernel.name}", notes=self._notes())
        first = ChosenBase(base=base, kernel=kernel.name, version=kernel.source.version, source=kernel.source)
        return self._settled(first, self._try_kernel(kernel)) if self.series.patches else first

    def on_any(self, kernels: Iterable[Kernel]) -> ChosenBase:
        """The first kernel that takes the series. Raises InfraError where none of them can be had."""
        order = self._in_order(kernels)
        if any(patch.problem for patch in self.series.patches):
            del order[1:]  # no tree takes it
        known = any(release for _, release in order)
        tried: list[Tried] = []
        best: tuple[int, Kernel, NotApplied] | None = None
        for kernel, release in order:
            version = kernel.source.version
            said = f"base-commit {release} in {self.series.noted.place}" if release else ""
            try:
                found = self._try_kernel(kernel)
            except InfraError as error:
                problem = str(error).splitlines()[0]
                tried.append(Tried(source=version, problem=problem, applied=-1))
                continue
            if not isinstance(found, NotApplied):
                base = Base(source=version, why=said or "the series applies to it", tried=tuple(tried))
                base = replace(base, notes=self._notes(unknown=not known))
                return ChosenBase(base=base, kernel=kernel.name, version=version, diff=found, source=kernel.source)
            brief = f"{said}, but {found.brief}" if said else found.brief
            tried.append(Tried(source=version, problem=brief, applied=found.number - 1))
            if best is None or found.number > best[0]:
                best = (found.number, kernel, found)
        if best is None:
            raise self._nothing_there(tried)
        return self._nearest(best[1], best[2], tried, self._notes(unknown=not known))

    def _nearest(
        self, kernel: Kernel, problem: NotApplied, tried: Sequence[Tried], notes: tuple[str, ...]
    ) -> ChosenBase:
        version = kernel.source.version
        others = tuple(one for one in tried if one.source != version)
        why = f"the nearest of those that were tried, but {problem.brief}"
        hint = f"{self._command('--tree', 'DIR')}  # {self._what_tree()}; or --kernel VERSION: one of Debian's pool"
        base = Base(source=version, why=why, fits=False, tried=others, notes=notes, hint=hint)
        return ChosenBase(base=base, kernel=kernel.name, version=kernel.source.version, source=kernel.source)

    def _in_order(self, kernels: Iterable[Kernel]) -> list[tuple[Kernel, str]]:
        """The one that the mails name; those in the cache, newest first; the others, newest first."""
        named = [(kernel, release_of(self.series.noted.commit, kernel.source)) for kernel in kernels]
        return sorted(named, key=lambda one: (not one[1], not self._is_cached(one[0]), newest_first(one[0])))

    def _is_cached(self, kernel: Kernel) -> bool:
        return cached_tarball(kernel.source, cache=self.cache, until=self.until) is not None

    def _try_kernel(self, kernel: Kernel) -> SeriesDiff | NotApplied:
        self.listener(Step(text=f"trying the series on {kernel.source.version}"))
        tarball = cached_tarball(kernel.source, cache=self.cache, until=self.until)
        if tarball is None:
            if not self.downloads:
                raise InfraError("not in the cache: a run downloads it")
            tarball = fetch(kernel.source, cache=self.cache, on_event=self.listener, until=self.until)
        if tree := kept_tree(self.cache, tarball.sha256):
            return self._try(tree)
        with scratch_folder() as scratch:
            return self._try(some_of_tarball(tarball, self._touched, Path(scratch), until=self.until))

    def _try_tree(self, top: Path, revision: str) -> SeriesDiff | NotApplied:
        self.listener(Step(text=f"trying the series on {revision[:_SHOWN] or 'what lies'} in {top}"))
        with scratch_folder() as scratch, scratch_folder() as logs:
            log = Path(logs) / "log"
            return self._try(some_of_tree(top, revision, self._touched, Path(scratch), log=log, until=self.until))

    def _try(self, tree: Tree) -> SeriesDiff | NotApplied:
        return self.diffs.of(self.series, tree, until=self.until)

    def _settled(self, first: ChosenBase, found: SeriesDiff | NotApplied) -> ChosenBase:
        """A base that the user chose, whether the series fits there or not."""
        if not isinstance(found, NotApplied):
            return replace(first, diff=found)
        hint = self._command() + "  # without --tree and --kernel: tries the kernels that patchrig knows"
        base = replace(first.base, why=f"{first.base.why}, but {found.brief}", fits=False, hint=hint)
        return replace(first, base=base)

    def _noted_in(self, top: Path, log: Path) -> str:
        commit = self.series.noted.commit
        return commit_in(top, commit, log=log, until=self.until) if commit else ""

    def _said(self) -> str:
        return f"base-commit {_shown(self.series.noted.commit)} in {self.series.noted.place}"

    def _notes(self, *, unknown: bool = False) -> tuple[str, ...]:
        """What the mails say of the base and can't be followed; `unknown`: their commit is nowhere to be had."""
        noted = self.series.noted
        notes = [f"{self._said()}: no tree or kernel here is known to be that"] * bool(unknown and noted.commit)
        if noted.prerequisites:
            what = "patch" if noted.prerequisites == 1 else "patches"
            notes.append(f"made on top of {noted.prerequisites} other {what} that the series does not have")
        return tuple(notes)

    def _nothing_there(self, tried: Sequence[Tried]) -> InfraError:
        reasons = "\n".join(f"  {one.source}: {one.problem}" for one in tried)
        return InfraError(f"there is no kernel to try the series on:\n{reasons}", hint=self._command("--tree", "DIR"))

    def _what_tree(self) -> str:
        if commit := self.series.noted.commit:
            return f"a Linux tree that has {_shown(commit)}, the {self._said()}"
        return "the Linux tree that the series is for"

    def _command(self, *more: str) -> str:
        patches = [word for path in self.paths for word in ("--patch", str(path))]
        return shlex.join(["patchrig", "run", *patches, *more])


def _shown(commit: str) -> str:
    """A hash is as good in short; a tag is not."""
    return commit[:_SHOWN] if re.fullmatch(r"[0-9a-f]+", commit) else commit


def release_of(commit: str, source: KernelSource) -> str:
    """The release that a mail's base-commit is, where this kernel is of that release or the nearest to it; else ""."""
    if release := _RELEASE.match(commit):
        return commit if f"{source.version}.".startswith(f"{release[1]}.") else ""
    if len(commit) < _LEAST_HASH:
        return ""
    return next((name for name, known in source.commits.items() if known.startswith(commit)), "")


def newest_first(kernel: Kernel) -> tuple[int, ...]:
    """A sort key."""
    return tuple(-int(number) for number in re.findall(r"\d+", kernel.source.version))
