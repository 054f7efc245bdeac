# SPDX-License-Identifier: GPL-2.0-or-later
"""A matrix for a command line that names none: the base, the workloads and the arches follow from the series."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.host import paths
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError, UserError
from orchestrator.judge.upstream_bugs import without_their_bugs
from orchestrator.kernel.code.comments import changes_no_code
from orchestrator.kernel.code.interface_files import interface_names
from orchestrator.kernel.code.whole_diff import SeriesDiffs
from orchestrator.kernel.series.load import BASELINE, Series, load_series
from orchestrator.model.cells import Build
from orchestrator.model.configuration import Matrix, Variant, Workload
from orchestrator.model.events import Listener, Notice
from orchestrator.model.kernel_options import options_in
from orchestrator.model.matrix_choices import ChosenSuite, ChosenWorkload, MatrixChoices
from orchestrator.model.reach import ReachMap
from orchestrator.plan.choice import Choice, by_reach, choose, is_kernel_code
from orchestrator.plan.config import Plan, load_plan, load_workload, selected_plan
from orchestrator.plan.expansion import Selection
from orchestrator.plan.maintained_suites import suites_for
from orchestrator.plan.reach_order import changed_reach, nearest_maps
from orchestrator.plan.suite_choice import SuiteChoice, choose_suites
from orchestrator.plan.suite_workloads import SUITE_KINDS, suite_workload
from orchestrator.run.buildable import buildable_arches
from orchestrator.run.kernel_sources import known_sources, source_named
from orchestrator.run.kernels import Lookups
from orchestrator.run.left_out_code import left_out_code
from orchestrator.run.maintainers import maintainers_of
from orchestrator.run.reach_maps import kept_maps
from orchestrator.run.recording import changes_of
from orchestrator.run.sandboxing import builds_in_sandbox
from orchestrator.run.series_base import ChosenBase, Trials

# Its workloads are those that may be chosen, and those whose bugs are fixed: the others show bugs that kernels have.
SHIPPED = paths.CONFIGS / "mm.yaml"
_SECONDS = 7200.0
_NO_CODE_CHANGED = "the series changes only comments, blanks and modes of code: no cell can show what it does"
_NOT_WITH = {"widened": "the results of a suite don't depend on delays"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What a command line without a matrix asks for."""

    patches: tuple[Path, ...] = ()
    series_version: str = ""
    tree: Path | None = None
    kernel: str = ""
    selection: Selection = field(default_factory=Selection)
    suites_by_reach: bool = False  # those that run what no workload does are chosen, too
    sandbox: bool = True
    cache: Path = field(default_factory=paths.cache_root)
    downloads: bool = True

    @property
    def options(self) -> str:
        """The options that say what is tested: what reports call the matrix, and what gives it again."""
        words = [word for path in self.patches for word in ("--patch", str(path))]
        words += ["--tree", str(self.tree)] if self.tree else []
        return shlex.join([*words, *(["--kernel", self.kernel] if self.kernel else [])])


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenPlan:
    """A plan that was put together, with what was chosen for it."""

    plan: Plan
    choices: MatrixChoices
    lookups: Lookups
    revision: str  # a commit of the tree; "": the files as they lie there
    notices: tuple[str, ...] = ()  # what is left out of what the user gave: replies, other versions


def chosen_plan(wanted: Wanted, listener: Listener) -> ChosenPlan:
    """Read the series, find its base and choose what to run. Tells the listener what was chosen and why.

    Raises UserError for a bad patch, tree or kernel, InfraError where this host can build or try nothing.
    """
    if wanted.tree and wanted.kernel:
        raise UserError("--tree and --kernel both say which kernel to build: give one of them")
    until = Deadline.after(_SECONDS, "finding the base of the series")
    builds_in_sandbox(wanted.sandbox, lambda _: None)  # git reads the series; a run says the rest itself
    with paths.scratch_folder() as scratch:
        log, version = Path(scratch) / "log", wanted.series_version
        series = BASELINE
        if wanted.patches:
            series = load_series(wanted.patches, tree=wanted.tree, log=log, until=until, version=version)
    diffs = SeriesDiffs()
    chosen = chosen_base(wanted, series, listener, until, diffs)
    # Where the series does not apply, maps tell nothing.
    maps = nearest_maps(kept_maps(wanted.cache), source="", version=chosen.version) if chosen.diff else ()
    plan, choices = _planned(wanted, chosen, series, maps)
    if series.patches and not wanted.selection.suites:
        maintainers = maintainers_of(chosen, wanted.tree, cache=wanted.cache, until=until)
        proposed = suites_for(maintainers, [str(file) for file in series.touched])
        plan, choices = _with_suites(plan, choices, _suites(wanted, chosen, plan, proposed, maps))
    plan, choices = _with_left_out(choices, wanted, chosen, series, plan, until)
    for line in choices.lines():
        listener(Notice(text=line))
    lookups = Lookups(diffs=diffs, version=chosen.version if chosen.diff else "", maps=maps)
    return ChosenPlan(plan=plan, choices=choices, lookups=lookups, revision=chosen.revision, notices=series.notices)


def chosen_base(
    wanted: Wanted, series: Series, listener: Listener, until: Deadline, diffs: SeriesDiffs | None = None
) -> ChosenBase:
    """The base of a series: the tree or kernel that the user names, or one that takes it."""
    trials = Trials(
        series=series,
        paths=wanted.patches,
        cache=wanted.cache,
        listener=listener,
        until=until,
        downloads=wanted.downloads,
        diffs=diffs or SeriesDiffs(),
    )
    if wanted.tree:
        return trials.on_tree(wanted.tree)
    if wanted.kernel:
        return trials.on_kernel(source_named(wanted.kernel, cache=wanted.cache, listener=listener, until=until))
    return trials.on_any(known_sources())


def _planned(
    wanted: Wanted, chosen: ChosenBase, series: Series, maps: Sequence[ReachMap]
) -> tuple[Plan, MatrixChoices]:
    selection = wanted.selection
    arches, left_out = (selection.arches, ()) if selection.arches else buildable_arches()
    if not arches:
        raise InfraError("; ".join(f"{arch}: {why}" for arch, why in left_out), hint="patchrig doctor")
    shipped = load_plan(SHIPPED)
    workloads = _workloads([*shipped.workloads, *_fixed(shipped, chosen.version)], chosen, series, maps)
    written = Matrix(
        kernel=str(wanted.tree or chosen.kernel),
        series=wanted.patches,
        variants=(Variant.PATCHED,) if wanted.patches else (Variant.BASELINE,),
        arches=arches,
        workloads=tuple(one.name for one in workloads.chosen),
        seconds=shipped.matrix.seconds,
    )
    if Variant.PATCHED in selection.variants and not wanted.patches:
        raise UserError("the variant patched needs a series", hint="--patch PATH, or --variant baseline")
    plan = selected_plan(Path(wanted.options), written, selection)
    named = [ChosenWorkload(name=workload.name, reason="--workload") for workload in plan.workloads]
    choices = MatrixChoices(
        base=chosen.base,
        workloads=tuple(named) if selection.workloads else workloads.chosen,
        unreached=() if selection.workloads else workloads.unreached,
        unrun=() if selection.workloads else workloads.unrun,
        inert=workloads.inert if series.patches else "",
        left_out=left_out,
    )
    return plan, choices


def _fixed(shipped: Plan, version: str) -> list[Workload]:
    """Workloads that each show one bug, on a kernel in which it is fixed: a series may bring it back."""
    names = sorted(without_their_bugs(version) - {workload.name for workload in shipped.workloads})
    return [load_workload(name, beside=paths.CONFIGS) for name in names]


def _suites(
    wanted: Wanted, chosen: ChosenBase, plan: Plan, proposed: tuple[ChosenSuite, ...], maps: Sequence[ReachMap]
) -> SuiteChoice:
    if chosen.diff is None:
        return SuiteChoice(proposed=proposed)
    kinds = [kind for kind in SUITE_KINDS if wanted.sandbox or kind != "kselftest"] if wanted.suites_by_reach else []
    names = [workload.name for workload in plan.workloads]
    return choose_suites(proposed, names, changes_of(chosen.diff), maps, kinds=kinds)


def _with_suites(plan: Plan, choices: MatrixChoices, suites: SuiteChoice) -> tuple[Plan, MatrixChoices]:
    names = tuple(one.name for one in suites.chosen)
    loads = (suite_workload(name).model_copy(update={"not_with": _NOT_WITH}) for name in names)
    matrix = plan.matrix.model_copy(update={"workloads": (*plan.matrix.workloads, *names)})
    unreached = tuple(file for file in choices.unreached if file not in suites.reached)
    choices = replace(choices, chosen_suites=suites.chosen, suites=suites.proposed, unreached=unreached)
    return replace(plan, matrix=matrix, workloads=(*plan.workloads, *loads)), choices


def _with_left_out(
    choices: MatrixChoices, wanted: Wanted, chosen: ChosenBase, series: Series, plan: Plan, until: Deadline
) -> tuple[Plan, MatrixChoices]:
    """What the series changes and no kernel of the run has; the options that bring in what would be left out."""
    if chosen.diff is None or not series.patches:
        return plan, choices
    matrix = plan.matrix
    flavours = [*matrix.flavours, *(load.flavour for load in plan.workloads if load.flavour)]
    builds = [Build(variant=Variant.PATCHED, flavour=one, arch=arch) for arch in matrix.arches for one in flavours]
    by_hand = options_in(matrix.config)
    found = left_out_code(chosen, series, builds, by_hand=by_hand, tree=wanted.tree, cache=wanted.cache, until=until)
    # What is in no kernel runs in none: once is enough.
    gone = tuple(one.partition(" (")[0] for one in found.texts)
    unrun = tuple(one for one in choices.unrun if not one.startswith(gone))
    unrun = unrun if any("()" in one for one in unrun) else ()  # what to type is for those that are left
    choices = replace(
        choices,
        unrun=unrun,
        not_compiled=found.texts,
        new_options=found.added,
        wanted_options=found.shown,
        configured_as=found.by,
    )
    options = tuple(f"CONFIG_{name}=y" for name in found.wanted)
    return replace(plan, matrix=matrix.model_copy(update={"config_wanted": options})), choices


def _workloads(workloads: Sequence[Workload], chosen: ChosenBase, series: Series, maps: Sequence[ReachMap]) -> Choice:
    """By what the series changes on its base; where it does not apply, by what its patches say they change.

    Where there are reach maps, of the nearest kernel, they decide.
    """
    if chosen.diff is None:
        choice = choose(workloads, [str(file) for file in series.touched])
        # Of a diff that can't be read no file is known.
        return choice if series.touched else replace(choice, inert="")
    functions = [function.name for function in chosen.diff.functions]
    interfaces = interface_names(chosen.diff).shown
    files = chosen.diff.files
    choice = choose(workloads, [file.path for file in files], functions, interfaces)
    if not choice.inert and all(changes_no_code(one) for one in files if is_kernel_code(one.path)):
        choice = replace(choice, inert=_NO_CODE_CHANGED)
    changes = changes_of(chosen.diff)
    return by_reach(choice, changed_reach(choice.order, changes, maps), changes.functions)
