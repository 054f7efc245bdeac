"""The kernel stage as one call: source, series and fragments in, an image that boots or the reason why not out."""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.arch import ARCHES, Arch
from orchestrator.coverage import CoverageMap
from orchestrator.deadline import Deadline, now
from orchestrator.elf import open_binary
from orchestrator.errors import InfraError, UserError
from orchestrator.events import BuildEnded, Listener, PhaseBegan, Step
from orchestrator.kernel.apply import NotApplied
from orchestrator.kernel.build import Workshop, check_tools, compile_kernel, configure, disassembly, run_tool
from orchestrator.kernel.buildlog import warnings_in
from orchestrator.kernel.cache import Built, find_image, image_key, store_image
from orchestrator.kernel.checkout import read_checkout
from orchestrator.kernel.files import full_disk_named, write_whole
from orchestrator.kernel.flow import BRANCHES
from orchestrator.kernel.kconfig import config_text, merge, parse_fragment
from orchestrator.kernel.overlay import Overlay
from orchestrator.kernel.progress import Progress, expected_objects
from orchestrator.kernel.series import Series
from orchestrator.kernel.sources import fetch
from orchestrator.kernel.targets import Kernel, Side, coverage_map
from orchestrator.kernel.tree import PreparedSource, Tree, content_at, patched
from orchestrator.kernel.wholediff import whole_diff
from orchestrator.model import Build, BuildFailure, KernelImage, KernelSource, Outcome, Phase
from orchestrator.paths import scratch_folder
from orchestrator.process import check
from orchestrator.sandbox import hand_over

# Two cores under other load need a quarter of an hour for a small config; a distribution's takes many times that.
BUILD_SECONDS = 2 * 3600.0
FETCH_SECONDS = 2 * 3600.0
LISTING_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Workbench:
    """What all builds of a run share; `log_dir` is the one folder of this build in the results."""

    cache: Path
    log_dir: Path
    sandbox: bool
    on_event: Listener
    background: bool = False  # compilers get what of the CPUs nobody else wants

    def enter(self, build: Build, phase: Phase) -> None:
        self.on_event(PhaseBegan(what=build.name, phase=phase))


def from_tarball(source: KernelSource, *, cache: Path, on_event: Listener) -> PreparedSource:
    """A kernel by its places in kernels/NAME.yaml, downloaded and verified."""
    tarball = fetch(
        source, cache=cache, on_event=on_event, until=Deadline.after(FETCH_SECONDS, f"fetching Linux {source.version}")
    )
    key = f"{source.version}-{tarball.sha256[:12]}"
    return PreparedSource(key=key, sha256=tarball.sha256, version=source.version, origin=tarball)


def from_tree(folder: Path, *, revision: str = "", log: Path) -> PreparedSource:
    """A developer's tree as it lies there, or at a commit of it (Series.base); never touched.

    Raises UserError when it is no kernel tree.
    """
    until = Deadline.after(LISTING_SECONDS, f"listing {folder}")
    checkout = read_checkout(folder.resolve(), revision=revision, log=log, until=until)
    place = hashlib.sha256(str(checkout.folder).encode("utf-8", "surrogateescape")).hexdigest()
    return PreparedSource(key=f"tree-{place[:12]}", sha256=checkout.sha256, version=checkout.version, origin=checkout)


def prepare(  # what a kernel is made of
    build: Build,
    *,
    source: PreparedSource,
    series: Series,
    fragments: Sequence[Path],
    bench: Workbench,
    overlay: Overlay | None = None,
) -> KernelImage | BuildFailure:
    """Return the image of a build, from the cache or built now; or the outcome that all of its cells get.

    `series` is series.BASELINE for the baseline. Later fragments win. The log, the config and the rejects are in
    bench.log_dir either way.
    """
    until = Deadline.after(BUILD_SECONDS, f"building {build.name}")
    bench.log_dir.mkdir(parents=True, exist_ok=True)
    arch = ARCHES[build.arch]
    check_tools(arch)
    asked = merge(_read_fragment(path) for path in fragments)
    hashes = _hashes(
        source, series, asked, overlay, toolchain_of(arch, log=bench.log_dir / "toolchain.log", until=until)
    )
    key = image_key(hashes, arch.name)
    if image := find_image(bench.cache, key, build):
        return _finished(image, "from the cache", bench)
    started = now()
    made = _build_patched(build, Recipe(source=source, series=series, overlay=overlay, asked=asked), bench, until)
    if isinstance(made, BuildFailure):
        bench.on_event(BuildEnded(build=build, text=f"{made.outcome}: {made.title}", good=False))
        return made
    image = replace(store_image(bench.cache, key, build, built=made, hashes=hashes), seconds=now() - started)
    return _finished(image, f"built in {image.seconds:.0f} s", bench)


def toolchain_of(arch: Arch, *, log: Path, until: Deadline) -> str:
    """The compiler and linker of an arch, a line each."""
    tools = (f"{arch.compiler_prefix}gcc", f"{arch.compiler_prefix}ld")
    return "\n".join(check([tool, "--version"], log=log, until=until).splitlines()[0] for tool in tools)


def _read_fragment(path: Path) -> dict[str, str]:
    try:
        return parse_fragment(path.read_text(), str(path))
    except FileNotFoundError as error:
        raise UserError(f"there is no kconfig fragment {path}", hint=f"ls {path.parent}") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """What goes into a kernel, the compiler apart."""

    source: PreparedSource
    series: Series
    overlay: Overlay | None
    asked: Mapping[str, str]


def _hashes(
    source: PreparedSource, series: Series, asked: Mapping[str, str], overlay: Overlay | None, toolchain: str
) -> dict[str, str]:
    hashes = {
        "source": source.sha256,
        "series": series.sha256,
        "config": hashlib.sha256(config_text(asked).encode()).hexdigest(),
        "toolchain": hashlib.sha256(toolchain.encode()).hexdigest(),
    }
    return hashes | ({"overlay": overlay.sha256} if overlay else {})


def _build_patched(build: Build, recipe: Recipe, bench: Workbench, until: Deadline) -> Built | BuildFailure:
    (bench.log_dir / "build.log").unlink(missing_ok=True)
    bench.enter(build, Phase.PATCH)
    with patched(
        recipe.source,
        recipe.series,
        cache=bench.cache,
        log_dir=bench.log_dir,
        on_event=bench.on_event,
        until=until,
        overlay=recipe.overlay,
    ) as tree:
        if isinstance(tree, NotApplied):
            return BuildFailure(
                build=build, outcome=Outcome.NOT_APPLIED, title=tree.title, detail=tree.detail, log=tree.log
            )
        shop = _workshop(build, tree, recipe, bench)
        with full_disk_named(shop.out):
            built = _build_in(shop, recipe.series, recipe.asked, bench, until)
            if isinstance(built, BuildFailure):
                return built
            return replace(built, coverage=_coverage(shop, recipe, tree, bench, until))


def mapped_series(recipe: Recipe, overlay: Overlay) -> Series:
    """What tells the changed lines of a kernel: all that lies in it, a seeded bug included, which moves lines.

    A baseline has nothing in it; there it is what the overlay is aimed at.
    """
    return recipe.series if recipe.series.patches else overlay.aimed_at


def _coverage(shop: Workshop, recipe: Recipe, tree: Tree, bench: Workbench, until: Deadline) -> CoverageMap | None:
    if recipe.overlay is None:
        return None
    bench.enter(shop.build, Phase.PACK)
    bench.on_event(Step(text="finding the changed lines in the kernel's code"))
    changed = whole_diff(mapped_series(recipe, recipe.overlay), tree, until=until)
    vmlinux = shop.out / "vmlinux"

    def source(path: str) -> str:
        content = content_at(tree.src, path)
        return content.data.decode("utf-8", "replace") if content and content.kind != "link" else ""

    with scratch_folder() as scratch, open_binary(vmlinux, tree.src) as binary:
        kernel = Kernel(
            binary=binary,
            sources=source,
            disassemble=lambda start, end: disassembly(shop, vmlinux, (start, end), Path(scratch) / "log", until),
            branches=BRANCHES[shop.arch.name],
        )
        side: Side = "new" if recipe.series.patches else "old"
        return coverage_map(changed, side, kernel, instrumented=recipe.overlay.sources)


def _workshop(build: Build, tree: Tree, recipe: Recipe, bench: Workbench) -> Workshop:
    shop = Workshop(
        build=build,
        arch=ARCHES[build.arch],
        src=tree.src,
        # One for both variants: going from one to the other compiles what the series touches, and no more.
        out=tree.folder / "build" / f"{build.flavour}.{build.arch}",
        ccache=bench.cache / "ccache",
        log=bench.log_dir / "build.log",
        sandbox=bench.sandbox,
        background=bench.background,
    )
    if recipe.overlay:
        _start_from_sibling(shop, recipe.overlay, bench)
    for folder in (shop.out, shop.ccache, shop.ccache / "tmp"):
        folder.mkdir(parents=True, exist_ok=True)
        hand_over(folder)
    return shop


def _start_from_sibling(shop: Workshop, overlay: Overlay, bench: Workbench) -> None:
    """Begin a flavour that adds an overlay with the objects of the one without: make finds out which of them differ.

    The compiler cache can't help: each object includes all symbols of the configuration, of which one is new.
    """
    without = [part for part in shop.build.flavour.split("+") if part != overlay.name]
    sibling = shop.out.with_name(f"{'+'.join(without) or 'plain'}.{shop.build.arch}")
    if shop.out.exists() or sibling == shop.out or not (sibling / "vmlinux").exists():
        return
    bench.on_event(Step(text=f"starting from the objects of {sibling.name}"))
    fresh = shop.out.with_name(f"{shop.out.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    # With their times, by which make goes; links as links.
    shutil.copytree(sibling, fresh, symlinks=True)
    move_tools(fresh, sibling, shop.out)
    fresh.rename(shop.out)


def move_tools(fresh: Path, sibling: Path, out: Path) -> None:
    """Let make take over the tools that it built, too: of these it notes commands with whole paths.

    On x86_64 every object depends on objtool, and would be compiled again with it.
    """
    for note in (fresh / "tools").rglob(".*.cmd"):
        text = note.read_bytes()
        note.write_bytes(text.replace(bytes(sibling) + b"/", bytes(out) + b"/"))


def _build_in(
    shop: Workshop, series: Series, asked: Mapping[str, str], bench: Workbench, until: Deadline
) -> Built | BuildFailure:
    bench.enter(shop.build, Phase.CONFIGURE)
    bench.on_event(Step(text=f"configuring {shop.build.name}"))
    if failure := configure(shop, asked, until):
        return failure
    full_count = bench.cache / "objects" / f"{shop.build.flavour}.{shop.build.arch}"
    from_nothing = not (shop.out / "vmlinux").exists()
    expected = expected_objects(shop.out, shop.src, last_full=_number_in(full_count))
    progress = Progress(build=shop.build, log=shop.log, expected=expected, on_event=bench.on_event)
    bench.enter(shop.build, Phase.COMPILE)
    bench.on_event(Step(text=f"compiling {shop.build.name}"))
    if failure := compile_kernel(shop, progress, until):
        return failure
    if from_nothing:
        write_whole(full_count, str(progress.objects).encode())
    return Built(
        image=_boot_image(shop, until),
        vmlinux=shop.out / "vmlinux",
        config=shop.out / ".config",
        log=shop.log,
        release=(shop.out / "include/config/kernel.release").read_text().strip(),
        new_warnings=warnings_in(shop.log.read_text(errors="replace"), str(shop.src), series.touched),
    )


def _boot_image(shop: Workshop, until: Deadline) -> Path:
    image = shop.out / shop.arch.image
    with image.open("rb") as file:
        if file.read(4) != b"\x7fELF":
            return image
    # QEMU would copy 100 MB of DWARF into each guest's start; the notes by which it enters the kernel stay.
    stripped = shop.out / "patchrig.image"
    if not run_tool(shop, [f"{shop.arch.compiler_prefix}objcopy", "--strip-all", str(image), str(stripped)], until):
        raise InfraError(f"{image} can't be stripped", hint=f"less {shop.log}")
    return stripped


def _number_in(path: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(path.read_text())
    return None


def _finished(image: KernelImage, text: str, bench: Workbench) -> KernelImage:
    # The results must be readable after the cache has been cleaned.
    for file, name in ((image.config, "config"), (image.log, "build.log")):
        if not (bench.log_dir / name).exists():
            shutil.copyfile(file, bench.log_dir / name)
    bench.on_event(BuildEnded(build=image.build, text=text, good=True))
    return image
