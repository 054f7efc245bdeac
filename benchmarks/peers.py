# SPDX-License-Identifier: GPL-2.0-or-later
"""The same work by others: rows of measure.py that put virtme-ng's `vng`, and make by hand, beside patchrig.

Both are measured in turn, in the same minutes on the same machine. What the others need is made once and kept in the
user cache, in `peers` (`patchrig clean --all` removes it with the rest): vng, roots for its guests, a tree of the
matrix's kernel with the series on it, and build folders.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from benchmarks import vng
from benchmarks.runs import MATRIX, REPEATS, WORKLOAD, Figure, Row, build_argv, edited_series, mark_of, starts, timed
from benchmarks.vng import say
from orchestrator.host.deadline import Deadline
from orchestrator.host.paths import cache_root, scratch_folder
from orchestrator.kernel.compile.kconfig import merge, parse_fragment
from orchestrator.kernel.compile.make import BuildDirs, configure, make_argv, make_env
from orchestrator.kernel.series.load import load_series
from orchestrator.kernel.source.apply import NotApplied
from orchestrator.kernel.source.layer import patched
from orchestrator.kernel.source.prepared import from_tarball
from orchestrator.kernel.source.tree import PreparedSource
from orchestrator.model.arch import ARCHES, Arch
from orchestrator.model.cells import Build
from orchestrator.model.configuration import Variant, Workload
from orchestrator.model.events import Event, Step
from orchestrator.plan.config import load_kernel_source, load_plan
from orchestrator.run.kernels import fragments_of

HOURS = 3600.0
# What is to be reached of vng's time; and so long is waited for vng, after which the ratio is only known to be smaller.
_COLD_BUILD = 0.35
_VNG_BUILD_SECONDS = 900.0

# What vng boots where that is not what patchrig boots: the target of make, whose file lies in arch/*/boot.
BZIMAGE = PurePosixPath("arch/x86/boot/bzImage")
IMAGES = {"x86_64": BZIMAGE}


def place() -> Path:
    """Where everything is kept that the others need."""
    folder = cache_root() / "peers"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# --- The rows ----------------------------------------------------------------------------------


def vng_boot_x86_64(results: Path) -> Iterator[Figure]:
    """QEMU's start to the first command done, x86_64 under TCG: patchrig and vng in turn."""
    yield from _boots(results, ARCHES["x86_64"], booted=0.2, restored=0.08)


def vng_boot_arm64(results: Path) -> Iterator[Figure]:
    """QEMU's start to the first command done, arm64 under TCG: patchrig and vng in turn."""
    yield from _boots(results, ARCHES["arm64"], booted=0.25, restored=None)


def vng_build(results: Path) -> Iterator[Figure]:
    """A kernel from nothing, x86_64: patchrig from the tarball, vng as it configures by itself; once each."""
    program = vng.install(place())
    with tempfile.TemporaryDirectory(prefix="cold-", dir=place()) as scratch:
        cache, tree = Path(scratch) / "cache", Path(scratch) / "linux"
        _prepared_source()
        # The tarball alone; the marker beside it goes by the file's time, which a link keeps.
        shutil.copytree(cache_root() / "sources", cache / "sources", copy_function=os.link)
        say("patchrig builds")
        os.sync()
        argv = build_argv(results, "--variant", "patched", "--arch", "x86_64")
        ours = timed(argv, env={**os.environ, "PATCHRIG_CACHE": str(cache)})
        # The private tree keeps the series on it.
        shutil.copytree(next(cache.glob("trees/*/src")), tree, symlinks=True)
        shutil.rmtree(cache)
        limit = max(_VNG_BUILD_SECONDS, ours / _COLD_BUILD * 1.5)
        say(f"patchrig took {ours:.0f} s; vng builds, for {limit:.0f} s at most")
        os.sync()
        env = vng.vng_env(program, Path(scratch) / "home")
        theirs = timed([str(program), "--build"], cwd=tree, env=env, limit=limit)
        done = theirs < limit
        if done and not (tree / BZIMAGE).exists():
            sys.exit(f"vng --build left no {BZIMAGE}")
    how = "once each" if done else "which was not done when it was ended"
    yield Figure(what=f"cold build, x86_64; vng --build, {how}", measured=ours, peer=theirs, reach=_COLD_BUILD)


def rebuild(results: Path) -> Iterator[Figure]:
    """After an edit of one .c file, x86_64: the whole `patchrig build`, and make by hand, in turn."""
    arch = ARCHES["x86_64"]
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as scratch, _tree() as src:
        dirs = build_dirs(arch, src, "by-hand")
        _configure(dirs, fragments_of(dirs.build))
        argv = by_hand(make_argv(dirs, arch.make_target, jobs=_jobs()))
        say("make by hand, the whole kernel if it was not built before")
        timed(argv, env=make_env(dirs))
        for number in range(REPEATS + 1):
            series = Path(scratch) / str(number)
            file = edited_series(series, mark_of(number))
            command = build_argv(results, "--variant", "patched", "--arch", arch.name, "--patch", str(series))
            ours.append(timed(command))
            with (src / file).open("a") as text:
                text.write(f"/* {mark_of(number)} */\n")
            theirs.append(timed(argv, env=make_env(dirs)))
    yield Figure(
        what=f"rebuild after an edit of {file}, x86_64; make by hand, medians of {REPEATS}",
        measured=statistics.median(counted(ours)),
        peer=statistics.median(counted(theirs)),
        reach=1.5,
    )


ROWS: dict[str, Row] = {
    "vng-boot-x86_64": vng_boot_x86_64,
    "vng-boot-arm64": vng_boot_arm64,
    "vng-build": vng_build,
    "rebuild": rebuild,
}


def counted(seconds: Sequence[float]) -> Sequence[float]:
    """All but the first round: that one brings files into memory, and trees to where a developer's are."""
    return seconds[1:]


def by_hand(argv: Sequence[str]) -> list[str]:
    """make as people type it: without the compiler cache."""
    return [word.replace("CC=ccache ", "CC=") for word in argv]


# --- Starts of guests --------------------------------------------------------------------------


def _boots(results: Path, arch: Arch, *, booted: float, restored: float | None) -> Iterator[Figure]:
    program = vng.install(place())
    guests = {name: _guest(arch, image) for name, image in _vng_images(arch).items()}
    ours: dict[str, list[float]] = {"booted": [], "restored": []}
    theirs: dict[str, list[vng.Start]] = {name: [] for name in guests}
    env = vng.vng_env(program, place() / "home")
    with scratch_folder() as scratch:
        for number in range(REPEATS + 1):
            say(f"{arch.name}: round {number} of {REPEATS}{'' if number else ', not counted'}")
            for name, guest in guests.items():
                theirs[name].append(vng.boot(program, guest, scratch=Path(scratch), env=env))
            for how, seconds in ours.items():
                seconds.append(_our_start(results, arch, restored=how == "restored"))
    by = "virtiofs" if vng.virtiofs_usable(arch) else "9p"
    for name in guests:
        label = f"{name} by {by}, medians of {REPEATS}"
        yield from boot_figures(arch.name, label, ours, theirs[name], {"booted": booted, "restored": restored})


def boot_figures(
    arch: str,
    label: str,
    ours: Mapping[str, Sequence[float]],
    theirs: Sequence[vng.Start],
    reach: Mapping[str, float | None],
) -> Iterator[Figure]:
    """What is reached counts from QEMU's start on both sides; vng's own start, on top of that, is only shown."""
    of_qemu = statistics.median(counted([one.of_qemu for one in theirs]))
    of_vng = statistics.median(counted([one.of_vng for one in theirs]))
    for how, seconds in ours.items():
        measured = statistics.median(counted(seconds))
        yield Figure(what=f"{arch} {how}; vng {label}", measured=measured, peer=of_qemu, reach=reach[how])
    measured = statistics.median(counted(ours["booted"]))
    yield Figure(what=f"{arch} booted; the vng command, {label}", measured=measured, peer=of_vng, reach=None)


def _our_start(results: Path, arch: Arch, *, restored: bool) -> float:
    (cell,) = starts(results, arch.name, restored=restored, times=1)
    if cell["run"]["accelerator"] != "tcg":
        sys.exit(f"patchrig's guest ran under {cell['run']['accelerator']}; vng's are emulated: nothing to compare")
    return float(cell["run"]["boot_seconds"])


def _guest(arch: Arch, image: Path) -> vng.Guest:
    ours = _workload()
    return vng.Guest(
        arch=arch,
        image=image,
        root=vng.guest_root(arch, place()),
        # The fewer the sooner: what vng takes by itself where that is less than ours.
        cpus=min(ours.cpus, os.cpu_count() or 1),
        memory_mib=ours.memory_mib,
        virtiofs=vng.virtiofs_usable(arch),
    )


def _workload() -> Workload:
    return next(one for one in load_plan(MATRIX).workloads if one.name == WORKLOAD)


# --- Kernels and trees -------------------------------------------------------------------------


def vng_fragments(arch: Arch) -> tuple[Path, ...]:
    """patchrig's own configuration, and what vng needs on top of it."""
    ours = fragments_of(_build(arch))
    theirs = (Path(__file__).with_name(f"vng.{name}") for name in ("config", f"{arch.name}.config"))
    return (*ours, *(path for path in theirs if path.exists()))


def _vng_images(arch: Arch) -> dict[str, Path]:
    """What vng boots: name -> file. First as its manual has it, then the ELF file by which patchrig enters a kernel."""
    image = IMAGES.get(arch.name, arch.image)
    with _tree() as src:
        dirs = build_dirs(arch, src, "vng")
        _configure(dirs, vng_fragments(arch))
        say(f"making {arch.name}'s {image.name} for vng, if it was not made before")
        timed(make_argv(dirs, image.name, jobs=_jobs()), env=make_env(dirs))
    images = {image.name: dirs.out / image}
    if image != arch.image:
        bare = dirs.out / f"{arch.image.name}.bare"
        subprocess.run(
            [f"{arch.compiler_prefix}objcopy", "--strip-all", str(dirs.out / arch.image), str(bare)], check=True
        )
        images[arch.image.name] = bare
    return images


def _prepared_source() -> PreparedSource:
    wanted = load_kernel_source(load_plan(MATRIX).matrix.kernel)
    return from_tarball(wanted, cache=cache_root(), on_event=_show)


@contextmanager
def _tree() -> Iterator[Path]:
    """The matrix's kernel with its series on it, in a tree that is the benchmarks' own."""
    until = Deadline.after(2 * HOURS, "the tree of the benchmarks")
    source = _prepared_source()
    with scratch_folder() as scratch:
        folder = Path(scratch)
        series = load_series(load_plan(MATRIX).matrix.series, tree=None, log=folder / "log", until=until)
        with patched(source, series, cache=place(), log_dir=folder, on_event=_show, until=until) as tree:
            if isinstance(tree, NotApplied):
                sys.exit(f"{tree.title}\n{tree.detail}")
            yield tree.src


def _build(arch: Arch) -> Build:
    return Build(variant=Variant.PATCHED, flavour="plain", arch=arch.name)


def build_dirs(arch: Arch, src: Path, name: str) -> BuildDirs:
    out, ccache = place() / "build" / f"{name}.{arch.name}", cache_root() / "ccache"
    for folder in (out, ccache / "tmp"):
        folder.mkdir(parents=True, exist_ok=True)
    # No sandbox, as by hand: the series is the project's own.
    return BuildDirs(
        build=_build(arch),
        arch=arch,
        src=src,
        out=out,
        ccache=ccache,
        log=out / "benchmark.log",
        sandbox=False,
        trusted=False,  # the series is in the source
    )


def _configure(dirs: BuildDirs, fragments: Sequence[Path]) -> None:
    asked = merge(parse_fragment(path.read_text(), str(path)) for path in fragments)
    if failure := configure(dirs, asked, Deadline.after(HOURS, f"configuring {dirs.out}")):
        sys.exit(f"{failure.title}\n{failure.detail}")


def _jobs() -> int:
    return len(os.sched_getaffinity(0))


def _show(event: Event) -> None:
    if isinstance(event, Step):
        say(event.text)
