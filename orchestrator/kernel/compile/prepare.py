# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel stage as one call: source, series and fragments in, an image that boots or the reason why not out."""

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.host.deadline import Deadline, now
from orchestrator.host.files import trouble_named, write_cached
from orchestrator.host.process import check
from orchestrator.host.sandbox import hand_over
from orchestrator.host.untrusted import BadFile, check_plain, read_plain_text
from orchestrator.kernel.code.of_build import instrumented_code
from orchestrator.kernel.code.whole_diff import SeriesDiffs
from orchestrator.kernel.compile.asked import NO_MORE, MoreOptions, config_hash, options_asked
from orchestrator.kernel.compile.build_log import warnings_in
from orchestrator.kernel.compile.build_mark import BuildMark, copy_folder, discard, drop_setuid
from orchestrator.kernel.compile.build_progress import BuildCounter, expected_objects
from orchestrator.kernel.compile.image_cache import Built, find_image, image_key, store_image
from orchestrator.kernel.compile.limits import BuildLimits, build_limits
from orchestrator.kernel.compile.make import (
    CONFIG_BYTES,
    IMAGE_BYTES,
    VMLINUX_BYTES,
    BuildDirs,
    boot_image,
    check_tools,
    compile_kernel,
    configure,
    tail_of,
)
from orchestrator.kernel.compile.object_list import objects_with
from orchestrator.kernel.compile.wishes import added_options, wished_options, wishes_hash
from orchestrator.kernel.partners.of_overlay import with_partners
from orchestrator.kernel.series.load import BASELINE, Series
from orchestrator.kernel.source.apply import NotApplied
from orchestrator.kernel.source.layer import applied_to, layer_name, layer_of, put_on, refresh_times
from orchestrator.kernel.source.overlay import Overlay
from orchestrator.kernel.source.tree import PreparedSource, Tree, pristine_tree
from orchestrator.model.arch import ARCHES, Arch
from orchestrator.model.cells import Build
from orchestrator.model.configuration import Variant
from orchestrator.model.events import BuildEnded, Listener, PhaseBegan, Step
from orchestrator.model.images import BuildFailure, KernelImage, unusable
from orchestrator.model.outcomes import Outcome
from orchestrator.model.phases import Phase
from orchestrator.model.series_diff import ChangedFile, Side

# Two cores under other load need a quarter of an hour for a small config; a distribution's takes many times that.
BUILD_SECONDS = 2 * 3600.0
# The flavour that adds nothing.
PLAIN = "plain"


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildContext:
    """What all builds of a run share; `log_dir` is the one folder of this build in the results."""

    cache: Path
    log_dir: Path
    sandbox: bool
    on_event: Listener
    background: bool = False  # compilers get what of the CPUs nobody else wants
    keep_going: bool = False  # the log of a kernel that does not compile has the errors of all its files
    limits: BuildLimits = field(default_factory=build_limits)
    diffs: SeriesDiffs = field(default_factory=SeriesDiffs)
    wished: tuple[str, ...] = ()  # kconfig fragments of the tree, granted as far as that can be
    more: MoreOptions = NO_MORE

    def enter(self, build: Build, phase: Phase) -> None:
        self.on_event(PhaseBegan(what=build.name, phase=phase))


def prepare(  # what a kernel is made of
    build: Build,
    *,
    source: PreparedSource,
    series: Series,
    fragments: Sequence[Path],
    context: BuildContext,
    overlay: Overlay | None = None,
) -> KernelImage | BuildFailure:
    """Return the image of a build, from the cache or built now; or the outcome that all of its cells get.

    `series` is series.BASELINE for the baseline. Later fragments win. The log, the config and the rejects are in
    context.log_dir either way.
    """
    until = Deadline.after(BUILD_SECONDS, f"building {build.name}")
    inputs = inputs_of(
        build, source=source, series=series, fragments=fragments, context=context, overlay=overlay, until=until
    )
    if image := find_image(context.cache, inputs.key, build, context.on_event):
        return _finished(context.more.with_options(image), "from the cache", context)
    started = now()
    made = _made(inputs, context, until)
    if isinstance(made, BuildFailure):
        context.on_event(BuildEnded(build=build, text=f"{made.outcome}: {made.title}", good=False))
        return made
    image = replace(context.more.with_options(made), seconds=now() - started)
    return _finished(image, f"built in {image.seconds:.0f} s", context)


def inputs_of(  # noqa: PLR0913  # what a kernel is made of
    build: Build,
    *,
    source: PreparedSource,
    series: Series,
    fragments: Sequence[Path],
    context: BuildContext,
    overlay: Overlay | None,
    until: Deadline,
) -> "KernelInputs":
    """All that goes into a kernel, read. Raises ToolMissing."""
    context.log_dir.mkdir(parents=True, exist_ok=True)
    asked = {**options_asked(fragments), **context.more.by_hand}
    log, arch = context.log_dir / "toolchain.log", ARCHES[build.arch]
    more = context.more
    hashes = hashes_of(
        arch, source=source, series=series, fragments=fragments, overlay=overlay, more=more, log=log, until=until
    )
    hashes |= {"wished": wishes_hash(context.wished)} if context.wished else {}
    own = {overlay.name} if overlay else set()
    pristine = options_asked(path for path in fragments if path.stem not in own)
    return KernelInputs(
        build=build,
        source=source,
        series=series,
        overlay=overlay,
        asked=asked,
        asked_pristine=pristine,
        more=context.more,
        hashes=hashes,
    )


def hashes_of(  # noqa: PLR0913  # what a kernel is made of
    arch: Arch,
    *,
    source: PreparedSource,
    series: Series,
    fragments: Sequence[Path],
    overlay: Overlay | None,
    more: MoreOptions,
    log: Path,
    until: Deadline,
) -> dict[str, str]:
    """What goes into a kernel, each as a SHA-256: known before it is built. Raises ToolMissing."""
    check_tools(arch)
    toolchain = toolchain_of(arch, log=log, until=until)
    hashes = {
        "source": source.sha256,
        "series": series.sha256,
        "config": config_hash({**options_asked(fragments), **more.by_hand}, added_options(series), more.wanted),
        "toolchain": hashlib.sha256(toolchain.encode()).hexdigest(),
    }
    return hashes | ({"overlay": overlay.sha256} if overlay else {})


def toolchain_of(arch: Arch, *, log: Path, until: Deadline) -> str:
    """The compiler and linker of an arch, a line each."""
    tools = (f"{arch.compiler_prefix}gcc", f"{arch.compiler_prefix}ld")
    return "\n".join(check([tool, "--version"], log=log, until=until).splitlines()[0] for tool in tools)


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelInputs:
    """What goes into a kernel."""

    build: Build
    source: PreparedSource
    series: Series
    overlay: Overlay | None
    asked: Mapping[str, str]
    hashes: Mapping[str, str]
    asked_pristine: Mapping[str, str]  # of the flavour, without the overlay's own
    more: MoreOptions = NO_MORE

    @property
    def key(self) -> str:
        return image_key(self.hashes, self.build.arch)

    def wished(self, src: Path, fragments: Sequence[str]) -> dict[str, str]:
        """What is granted as far as that can be; `fragments`: of the tree."""
        added = dict.fromkeys(added_options(self.series), "y")
        return {**wished_options(src, fragments), **added, **self.more.wanted}

    def pristine(self) -> "KernelInputs":
        """The kernel that the build of a series starts from: the same one without the series and the overlay."""
        parts = [part for part in self.build.flavour.split("+") if not self.overlay or part != self.overlay.name]
        build = replace(self.build, variant=Variant.BASELINE, flavour="+".join(parts) or PLAIN)
        hashes = {**self.hashes, "series": BASELINE.sha256, "config": config_hash(self.asked_pristine)}
        hashes.pop("overlay", None)
        # Without the options of this run: one such kernel does for all runs, and make finds out what they change.
        return replace(
            self, build=build, series=BASELINE, overlay=None, asked=self.asked_pristine, more=NO_MORE, hashes=hashes
        )


def _made(inputs: KernelInputs, context: BuildContext, until: Deadline) -> KernelImage | BuildFailure:
    """Build a kernel in the pristine tree, or in the layer of its series, and store the image while that is held."""
    (context.log_dir / "build.log").unlink(missing_ok=True)
    context.enter(inputs.build, Phase.PATCH)
    with in_its_tree(inputs, context, until) as place:
        return place if isinstance(place, BuildFailure) else _built(inputs, place, context, until)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a kernel is built: what belongs into its source is there."""

    tree: Tree
    changed: tuple[ChangedFile, ...] = ()  # what tells the lines that are counted
    overlay: Overlay | None = None  # with the partners of the series


@contextmanager
def in_its_tree(inputs: KernelInputs, context: BuildContext, until: Deadline) -> Iterator[Place | BuildFailure]:
    """The pristine tree, or the layer of the series with exactly these patches, held for the length of the block."""
    with ExitStack() as held:
        with pristine_tree(inputs.source, cache=context.cache, on_event=context.on_event, until=until) as tree:
            if not inputs.series.patches and inputs.overlay is None:
                yield Place(tree=tree)
                return
            context.on_event(Step(text="applying the series"))
            overlay = with_partners(inputs.overlay, tree, context.diffs, until)
            applied = applied_to(tree, inputs.series, overlay, log_dir=context.log_dir, until=until)
            if isinstance(applied, NotApplied):
                yield not_applied(inputs.build, applied)
                return
            name = layer_name(inputs.series, overlay, applied)
            folder = _folder_of(inputs.build, context)
            layer = held.enter_context(layer_of(tree, name, folder, on_event=context.on_event, until=until))
            put_on(tree, layer, applied)
            _start_from_pristine(inputs, tree, layer, context, until)
            changed = _changed(inputs, tree, context, until)
        # From here on other series may be built on the same tree.
        yield Place(tree=layer, changed=changed, overlay=overlay)


def not_applied(build: Build, problem: NotApplied) -> BuildFailure:
    return BuildFailure(
        build=build, outcome=Outcome.NOT_APPLIED, title=problem.title, detail=problem.detail, log=problem.log
    )


def _changed(inputs: KernelInputs, tree: Tree, context: BuildContext, until: Deadline) -> tuple[ChangedFile, ...]:
    """What tells the lines that are counted; nothing where nothing is, or where the series does not apply."""
    if inputs.overlay is None or inputs.overlay.folders or inputs.overlay.whole:
        return ()
    found = context.diffs.of(mapped_series(inputs, inputs.overlay), tree, until=until)
    return () if isinstance(found, NotApplied) else found.files


def _built(inputs: KernelInputs, place: Place, context: BuildContext, until: Deadline) -> KernelImage | BuildFailure:
    """Build in a tree or layer that is held, and store the image."""
    dirs = build_dirs(inputs, place.tree, context)
    mark = BuildMark(dirs.out)
    with trouble_named(dirs.out):
        mark.begin(context.on_event)
        try:
            built = _build_in(dirs, inputs, context, until)
            drop_setuid(dirs.out)
            if isinstance(built, BuildFailure):
                return built
            side: Side = "new" if inputs.series.patches else "old"
            on_event = context.on_event
            code = instrumented_code(dirs, place.overlay, place.changed, side, on_event=on_event, until=until)
            built = replace(built, coverage=code.coverage, recorded=code.recorded)
            image = store_image(context.cache, inputs.key, inputs.build, built=built, hashes=inputs.hashes)
        except BadFile as error:
            # Whatever else lies there is of no use either.
            discard(dirs.out)
            return unusable(dirs.build, error, log=dirs.log)
        mark.end({name: inputs.hashes[name] for name in ("source", "config", "toolchain")})
        return image


def _start_from_pristine(inputs: KernelInputs, tree: Tree, layer: Tree, context: BuildContext, until: Deadline) -> None:
    """Begin a layer's build folder with the objects of the kernel without the series: make finds out what differs.

    They come from trusted builds alone, which never see what a series' build writes.
    """
    dirs = build_dirs(inputs, layer, context)
    mark = BuildMark(dirs.out)
    mark.drop_if_wrong(context.on_event)
    # Without the sandbox the build would see other paths than those that are in the objects.
    if dirs.out.exists() or not context.sandbox:
        return
    pristine = inputs.pristine()
    base = build_dirs(pristine, tree, context)
    wanted = {name: pristine.hashes[name] for name in ("source", "config", "toolchain")}
    base_mark = BuildMark(base.out)
    base_mark.drop_if_wrong(context.on_event)
    if base_mark.whole() != wanted:
        context.on_event(Step(text="building the kernel without the series: the series' build starts from its objects"))
        log_dir = context.log_dir / "without-series"
        log_dir.mkdir(exist_ok=True)
        if isinstance(_built(pristine, Place(tree=tree), replace(context, log_dir=log_dir), until), BuildFailure):
            # It may be the series that makes this source compile.
            context.on_event(Step(text="the kernel without the series does not build: starting from nothing"))
            return
    context.on_event(Step(text="copying the objects of the kernel without the series"))
    copy_folder(base.out, dirs.out, log=context.log_dir / "copy.log", until=until)
    # Those objects may be younger than the files that the series has changed, and make goes by times.
    refresh_times(layer)


def mapped_series(inputs: KernelInputs, overlay: Overlay) -> Series:
    """What tells the changed lines of a kernel: all that lies in it, a seeded bug included, which moves lines.

    A baseline has nothing in it; there it is what the overlay is aimed at.
    """
    return inputs.series if inputs.series.patches else overlay.aimed_at


def _folder_of(build: Build, context: BuildContext) -> str:
    # One for both variants, as a layer has one series and the pristine tree none. Without the sandbox the build sees
    # other paths, and its objects name them.
    return f"{build.flavour}.{build.arch}{'' if context.sandbox else '.no-sandbox'}"


def build_dirs(inputs: KernelInputs, tree: Tree, context: BuildContext) -> BuildDirs:
    """The places of a build; the compiler's cache is there."""
    trusted = not inputs.series.patches
    dirs = BuildDirs(
        build=inputs.build,
        arch=ARCHES[inputs.build.arch],
        src=tree.src,
        out=tree.builds / _folder_of(inputs.build, context),
        ccache=context.cache / "ccache",
        log=context.log_dir / "build.log",
        sandbox=context.sandbox,
        trusted=trusted,
        background=context.background,
        limits=context.limits,
        keep_going=context.keep_going,
    )
    for folder in (dirs.ccache, dirs.ccache / "tmp"):
        folder.mkdir(parents=True, exist_ok=True)
        hand_over(folder)
    return dirs


def _build_in(dirs: BuildDirs, inputs: KernelInputs, context: BuildContext, until: Deadline) -> Built | BuildFailure:
    """Raises BadFile where the build left something else than what belongs there."""
    context.enter(dirs.build, Phase.CONFIGURE)
    context.on_event(Step(text=f"configuring {dirs.build.name}"))
    wished = inputs.wished(dirs.src, context.wished)
    if failure := configure(dirs, inputs.asked, until, wished, inputs.more.by_hand):
        return failure
    full_count = context.cache / "objects" / f"{dirs.build.flavour}.{dirs.build.arch}"
    from_nothing = not (dirs.out / "vmlinux").exists()
    expected = expected_objects(dirs.out, dirs.src, dirs.seen.src, last_full=_number_in(full_count))
    progress = BuildCounter(build=dirs.build, log=dirs.log, expected=expected, on_event=context.on_event)
    context.enter(dirs.build, Phase.COMPILE)
    context.on_event(Step(text=f"compiling {dirs.build.name}"))
    if failure := compile_kernel(dirs, progress, until):
        return failure
    if from_nothing:
        write_cached(full_count, str(progress.objects).encode())
    log = tail_of(dirs.log, 0)
    image = boot_image(dirs, until)
    for name, most_bytes in ((image, IMAGE_BYTES), ("vmlinux", VMLINUX_BYTES), (".config", CONFIG_BYTES)):
        check_plain(dirs.out, name, most_bytes=most_bytes)
    return Built(
        image=dirs.out / image,
        vmlinux=dirs.out / "vmlinux",
        config=dirs.out / ".config",
        log=dirs.log,
        release=read_plain_text(dirs.out, "include/config/kernel.release", most_bytes=_RELEASE_BYTES).strip(),
        new_warnings=warnings_in(log, str(dirs.seen.src), inputs.series.touched),
        objects=objects_with(inputs.series.touched, dirs.out, dirs.seen.out, dirs.seen.src),
    )


_RELEASE_BYTES = 256


def _number_in(path: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(path.read_text())
    return None


def _finished(image: KernelImage, text: str, context: BuildContext) -> KernelImage:
    # The results must be readable after the cache has been cleaned.
    for file, name in ((image.config, "config"), (image.log, "build.log")):
        if not (context.log_dir / name).exists():
            shutil.copyfile(file, context.log_dir / name)
    context.on_event(BuildEnded(build=image.build, text=text, good=True))
    return image
