# SPDX-License-Identifier: GPL-2.0-or-later
"""What a command was asked to do, and its kernels: the source, the series, and a build of each variant and flavour."""

import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import InstanceOf

from orchestrator.host import paths
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError, of_this_machine
from orchestrator.host.lock import in_use
from orchestrator.kernel.code.claimed_places import marked
from orchestrator.kernel.code.whole_diff import SeriesDiffs
from orchestrator.kernel.compile.asked import MoreOptions
from orchestrator.kernel.compile.image_cache import image_key
from orchestrator.kernel.compile.object_build import ObjectCodes, object_codes
from orchestrator.kernel.compile.prepare import BuildContext, hashes_of, inputs_of, prepare
from orchestrator.kernel.compile.suite_build import Wanted, build_suites
from orchestrator.kernel.compile.wishes import added_options, wished_fragments
from orchestrator.kernel.series.load import BASELINE, Series, load_series
from orchestrator.kernel.source.overlay import Overlay, load_files_overlay, load_folder_overlay, load_overlay
from orchestrator.kernel.source.prepared import from_tarball, from_tree
from orchestrator.kernel.source.tree import PreparedSource
from orchestrator.model.arch import ARCHES
from orchestrator.model.cells import Build, Cell
from orchestrator.model.claims import ClaimedPlace
from orchestrator.model.configuration import Results, Variant, Workload
from orchestrator.model.events import Listener, Notice
from orchestrator.model.images import BuildFailure, KernelImage
from orchestrator.model.kernel_options import options_in
from orchestrator.model.matrix_choices import MatrixChoices
from orchestrator.model.reach import DEFAULT_FOLDERS, ReachMap
from orchestrator.model.shards import Shard
from orchestrator.model.suites import SuiteFiles
from orchestrator.plan.config import Plan
from orchestrator.plan.flavours import needs_of
from orchestrator.run.crash_source import Explainer, new_explainer
from orchestrator.run.delay_targets import check_changed
from orchestrator.run.kernel_sources import other_versions_named, source_named
from orchestrator.run.sandboxing import builds_in_sandbox

HOURS = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Lookups:
    """What was read to put a matrix together, and need not be read again."""

    diffs: SeriesDiffs = field(default_factory=SeriesDiffs)
    version: str = ""  # of the kernel whose maps these are, or that of the nearest ones; "": none were looked for
    maps: tuple[ReachMap, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a command was asked to do, paths resolved."""

    plan: Plan
    cells: tuple[Cell, ...]  # also those that another shard has: all cells decide on what kernels and guests have
    series: tuple[Path, ...]
    left_out: tuple[str, ...] = ()  # what the matrix asks for and can't be, each with its reason
    series_version: str = ""  # of those in a mailbox; "": there is one only
    tree: Path | None = None
    revision: str = ""  # a commit of the tree, where a git range names none; "": the files as they lie there
    choices: MatrixChoices | None = None  # of a command line that names no matrix
    lookups: InstanceOf[Lookups] = field(default_factory=Lookups, compare=False)  # has no form in JSON
    shard: Shard | None = None  # only its cells are run
    jobs: int | None = None  # None: as cores and memory allow
    cluster: str = ""  # address of the Dask scheduler whose workers run the guests; "": this machine runs them
    hosts: tuple[str, ...] = ()  # machines on which a Dask cluster is started for that
    ssh_config: Path | None = None  # how they are reached; None: as ~/.ssh/config says
    hosts_python: str = ""  # the Python that has patchrig there; "": where the one of this process is
    fail_fast: bool = False
    until_fail: bool = False  # the cells are repeats: the first that is bad ends them, and the rest were never wanted
    sandbox: bool = True
    dump_memory: bool = False  # keep the whole memory of a guest that hangs
    folders: tuple[str, ...] = DEFAULT_FOLDERS  # whose code a kernel of the flavour `reach` records
    delayed_files: tuple[str, ...] = ()  # of a hunt: widened kernels delay in all functions of these C files
    claimed: tuple[ClaimedPlace, ...] = ()  # of a claimed race: kernels count and delay only there
    until_finding: bool = False  # the first cell that finds a bug of its kernel ends them
    in_order: bool = False  # cells are begun in the order in which they are given
    until: Deadline | None = None  # nothing runs on after it
    deterministic: bool = False  # guests are functions of their seeds
    restore: bool = True  # cells with the same guest: it is booted once, and restored for the others
    cache: Path = field(default_factory=paths.cache_root)


@dataclass(frozen=True, kw_only=True, slots=True)
class Building:
    """How a kernel is built, and who is told of it."""

    log_dir: Path  # the build's folder in the results
    listener: Listener
    more: Series = BASELINE  # is applied on top of the series
    background: bool = False  # guests go first
    keep_going: bool = False  # all errors of a kernel that does not compile are wanted


@dataclass(frozen=True, kw_only=True, slots=True)
class Kernels:
    """Builds the kernels of a request, or takes them from the cache."""

    request: Request
    source: PreparedSource
    series: Series
    diffs: SeriesDiffs
    sandbox: bool
    part: Series | None = None  # of the series: kernels have only this, and delay where those of all of it do

    @property
    def tested(self) -> Series:
        """The patches that kernels of the variant `patched` have."""
        return self.series if self.part is None else self.part

    def image(self, build: Build, how: Building) -> KernelImage | BuildFailure:
        """Build one kernel, or take it from the cache."""
        context = self._context(how, build, wished=wished_fragments(self.targets(build)))
        series, overlay = self._with(build, how.more), self._overlay(build)
        image = prepare(
            build, source=self.source, series=series, fragments=fragments_of(build), context=context, overlay=overlay
        )
        if isinstance(image, BuildFailure) or image.coverage is None or not self.request.claimed:
            return image
        return replace(image, coverage=marked(image.coverage, self.request.claimed))

    def objects(self, build: Build, how: Building, objects: Sequence[str]) -> ObjectCodes | None:
        """The code of single objects of the kernel that image() gives; None where that can't be told."""
        until = Deadline.after(HOURS, "reading the kernel's inputs")
        context = self._context(how, build, wished=wished_fragments(self.targets(build)))
        series, overlay, fragments = self._with(build, how.more), self._overlay(build), fragments_of(build)
        inputs = inputs_of(
            build, source=self.source, series=series, fragments=fragments, context=context, overlay=overlay, until=until
        )
        return object_codes(inputs, objects, context)

    def _with(self, build: Build, more: Series) -> Series:
        series = self._series(build)
        return replace(series, patches=(*series.patches, *more.patches))

    def has_suites(self, build: Build) -> bool:
        """Whether a suite that prints KTAP runs on this kernel."""
        return any(load.results is Results.KTAP for load in self._workloads(build))

    def targets(self, build: Build) -> tuple[str, ...]:
        """The folders of tools/testing/selftests that are built for this kernel's guests."""
        return tuple(sorted({target for load in self._workloads(build) for target in load.selftests}))

    def suites(self, build: Build, how: Building) -> SuiteFiles | BuildFailure:
        """The test suites of this kernel's tree, built or taken from the cache."""
        context = self._context(how, build)
        kunit = tuple(sorted({name for load in self._workloads(build) for name in load.kunit}))
        wanted = Wanted(selftests=self.targets(build), kunit=kunit)
        return build_suites(build, source=self.source, series=self._series(build), wanted=wanted, context=context)

    def _workloads(self, build: Build) -> list[Workload]:
        return [cell.workload for cell in self.request.cells if cell.build == build]

    def more_options(self, build: Build) -> MoreOptions:
        """What a kernel has beside its flavour: without the series there is no option that the series adds."""
        matrix = self.request.plan.matrix
        more = MoreOptions(by_hand=options_in(matrix.config), wanted=options_in(matrix.config_wanted))
        return more.without(added_options(self.series)) if build.variant is Variant.BASELINE else more

    def _context(self, how: Building, build: Build, wished: tuple[str, ...] = ()) -> BuildContext:
        return BuildContext(
            cache=self.request.cache,
            log_dir=how.log_dir,
            sandbox=self.sandbox,
            on_event=how.listener,
            background=how.background,
            keep_going=how.keep_going,
            diffs=self.diffs,
            wished=wished,
            more=self.more_options(build),
        )

    def explainer(self, image: KernelImage, run: Path, more: Series = BASELINE) -> Explainer:
        """The explainer of a kernel that image() gave, with the same `more`; `run`: the run's folder."""
        series = replace(self.tested, patches=(*self.tested.patches, *more.patches))
        return new_explainer(image, series, diffs=self.diffs, cache=self.request.cache, run=run, sandbox=self.sandbox)

    def key(self, build: Build, log: Path, until: Deadline) -> str:
        """The SHA-256 of all that decides what the image of a build is, before it is built."""
        hashes = hashes_of(
            ARCHES[build.arch],
            source=self.source,
            series=self._series(build),
            fragments=fragments_of(build),
            overlay=self._overlay(build),
            more=self.more_options(build),
            log=log,
            until=until,
        )
        return image_key(hashes, build.arch)

    def _series(self, build: Build) -> Series:
        return BASELINE if build.variant is Variant.BASELINE else self.tested

    def _overlay(self, build: Build) -> Overlay | None:
        reached = {file for load in self.request.plan.workloads for file in load.files}
        return overlay_of(build, self.series, reached, self.request.folders, self.request.delayed_files)


@contextmanager
def open_kernels(request: Request, listener: Listener) -> Iterator[Kernels]:
    """Fetch the source and read the series. Raises UserError for a bad patch or tree, InfraError without a source."""
    _check_cache(request.cache)
    until = Deadline.after(2 * HOURS, "the kernel source")
    with paths.scratch_folder() as scratch, in_use(request.cache, until):
        log = Path(scratch) / "log"
        # git reads the series, so the sandbox is asked for before.
        sandbox = builds_in_sandbox(request.sandbox, listener)
        # The series first: a patch that is none should not wait for a download.
        wanted_version = request.series_version
        series = load_series(request.series, tree=request.tree, log=log, until=until, version=wanted_version)
        for text in (*request.plan.notices, *series.notices):
            listener(Notice(text=text))
        if request.tree:
            source = from_tree(request.tree, revision=series.base or request.revision, cache=request.cache, log=log)
        else:
            name = request.plan.matrix.kernel
            wanted = source_named(name, cache=request.cache, listener=listener, until=until)
            with other_versions_named(request.cache, listener, until):
                source = from_tarball(wanted.source, cache=request.cache, on_event=listener)
        diffs = request.lookups.diffs
        if not request.delayed_files:
            check_changed(request.cells, source, series, diffs=diffs, cache=request.cache, listener=listener)
        yield Kernels(request=request, source=source, series=series, diffs=diffs, sandbox=sandbox)


def _check_cache(cache: Path) -> None:
    """Raise InfraError where nothing can be written to the cache: asked at once, and not after a download."""
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        if cache == paths.cache_root() and not paths.cache_is_named() and cache.stat().st_uid == os.geteuid():
            cache.chmod(0o700)
        with tempfile.TemporaryFile(dir=cache):
            pass
    except OSError as e:
        why = of_this_machine(e)
        raise InfraError(f"the cache can't be written: {why}", hint=why.hint) from e


def fragments_of(build: Build) -> tuple[Path, ...]:
    """The kconfig fragments of a build, in the order in which they are merged."""
    always = tuple(paths.KCONFIG / f"{name}.config" for name in ("base", build.arch))
    parts = build.flavour.split("+")
    # What a flavour needs on one arch only.
    of_arch = (paths.KCONFIG / f"{part}.{build.arch}.config" for part in parts)
    return (
        *always,
        *(paths.KCONFIG / f"{part}.config" for part in parts),
        *(path for path in of_arch if path.exists()),
    )


def overlay_of(
    build: Build,
    series: Series,
    reached: Collection[str],
    folders: Collection[str] = DEFAULT_FOLDERS,
    files: Collection[str] = (),
) -> Overlay | None:
    """The code that a flavour adds to the kernel, aimed at the series; the baseline is widened in the same places.

    A kernel that delays is aimed at all functions of `files` instead, where any are given.
    """
    name = next((part for part in build.flavour.split("+") if needs_of(part).overlay), "")
    if not name:
        return None
    folder = paths.OVERLAYS / name
    if needs_of(name).records:
        return load_folder_overlay(folder, folders)
    return load_files_overlay(folder, files) if files else load_overlay(folder, series, reached)
