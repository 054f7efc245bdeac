# SPDX-License-Identifier: GPL-2.0-or-later
"""What patchrig chose by itself for a run without a matrix, and why: the base, the workloads, the arches."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """A source that the series was tried on."""

    source: str  # "7.1.8", "HEAD of /home/me/linux"
    problem: str = ""  # why it is not the base; "" where the series applies
    applied: int = 0  # so many of its patches did, in order


@dataclass(frozen=True, kw_only=True, slots=True)
class Base:
    """The source that a series is built on, and why that one."""

    source: str
    why: str
    fits: bool = True  # False: the series applies to nothing that was tried, and this is the nearest
    tried: tuple[Tried, ...] = ()  # beside the base
    notes: tuple[str, ...] = ()
    hint: str = ""  # what to type where nothing fits

    @property
    def text(self) -> str:
        """One line: the base, the reason, and what was tried beside it."""
        others = [f"{one.source}: {one.problem}" for one in self.tried if one.problem]
        return "; ".join((f"base: {self.source}: {self.why}", *others))

    def lines(self) -> Iterator[str]:
        """What a reader is told of it, a line each."""
        yield self.text
        yield from self.notes
        if self.hint:
            yield f"next: {self.hint}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenWorkload:
    """A workload that runs, and why."""

    name: str
    reason: str
    meant: bool = False  # for changed files and functions, which are the reason then


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenSuite:
    """A test suite of the kernel for what the series changes, and why."""

    name: str  # as --suite takes it
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixChoices:
    """The choices of a run that names no matrix; a run with one has none of this."""

    base: Base
    workloads: tuple[ChosenWorkload, ...] = ()
    unreached: tuple[str, ...] = ()  # changed files that no workload runs by the reach maps, or else is meant for
    unrun: tuple[str, ...] = ()  # changed functions, with reasons, where no reach map knows what runs one of them
    inert: str = ""  # why no cell can show what the series does
    not_compiled: tuple[str, ...] = ()  # changed code that no kernel of the run has, each with the reason
    new_options: tuple[str, ...] = ()  # that the series adds to kconfig: kernels with the series ask for them
    wanted_options: tuple[str, ...] = ()  # behind which the series changes code: kernels ask for them
    configured_as: str | None = None  # the earlier kernel whose configuration told that; "": none; None: not asked
    left_out: tuple[tuple[str, str], ...] = ()  # arch, what this host lacks for it
    chosen_suites: tuple[ChosenSuite, ...] = ()  # by the reach maps; they run beside the workloads
    suites: tuple[ChosenSuite, ...] = ()  # not run: building one takes minutes

    def lines(self) -> Iterator[str]:
        yield from self.base.lines()
        if meant := [f"{one.name} ({one.reason})" for one in self.workloads if one.meant]:
            yield f"workloads meant for what the series changes: {', '.join(meant)}"
        others: dict[str, list[str]] = {}
        for one in self.workloads:
            if not one.meant:
                others.setdefault(one.reason, []).append(one.name)
        for reason, names in others.items():
            yield f"{'further ' * bool(meant)}workloads: {', '.join(names)}: {reason}"
        yield from self._not_reached()
        if self.chosen_suites:
            chosen = ", ".join(f"{one.name} ({one.reason})" for one in self.chosen_suites)
            yield f"suites that run what no workload of this run does: {chosen}"
        if self.suites:
            named = ", ".join(f"--suite {one.name} ({one.reason})" for one in self.suites[:_MOST_LISTED])
            yield f"{'further ' * bool(self.chosen_suites)}suites for what the series changes run with {named}"
        for arch, why in self.left_out:
            yield f"{arch} is left out: {why}"

    def _not_reached(self) -> Iterator[str]:
        if self.inert:
            yield self.inert
        if names := tuple(f"CONFIG_{name}" for name in self.new_options):
            yield f"options that the series adds, set where kconfig grants them: {listed(names)}"
        if names := tuple(f"CONFIG_{name}" for name in self.wanted_options):
            off = f"--config {names[-1]}=n leaves it out"
            yield f"options of changed code, set where kconfig grants them: {listed(names)} ({off})"
        if self.not_compiled:
            by = f", by the configuration of an earlier one ({self.configured_as})" if self.configured_as else ""
            yield f"in no kernel of this run{by}, so no cell says anything of it: {listed(self.not_compiled)}"
        if self.configured_as == "":
            yield "no kernel was built here yet: only after the build the run says what its kernels lack of the series"
        if self.unrun:
            reasons = "; ".join(self.unrun[:_MOST_LISTED])
            yield f"changed functions that no workload is known to run, by the reach maps: {reasons}"
        if self.unreached:
            yield f"no workload is known to reach {listed(self.unreached)}"


_MOST_LISTED = 8


def listed(names: tuple[str, ...], most: int = _MOST_LISTED) -> str:
    """The names with commas; of many, the first ones and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
