# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a series a kernel leaves out: before one is built, by the configuration of earlier ones; then by its own."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.host.paths import scratch_folder
from orchestrator.kernel.code.not_compiled import LeftOut, makefiles_of, not_compiled
from orchestrator.kernel.code.whole_diff import patched_files
from orchestrator.kernel.compile.asked import options_asked
from orchestrator.kernel.compile.image_cache import kept_configs
from orchestrator.kernel.compile.kconfig import not_granted, parse_config
from orchestrator.kernel.compile.wishes import added_options
from orchestrator.kernel.series.load import Series
from orchestrator.kernel.source.some_files import some_of_tarball, some_of_tree
from orchestrator.kernel.source.tarball import cached_tarball
from orchestrator.kernel.source.tree import Tree, kept_tree
from orchestrator.model.cells import Build
from orchestrator.model.configuration import Variant
from orchestrator.model.images import KernelImage
from orchestrator.model.probes import Located
from orchestrator.model.series_diff import SeriesDiff
from orchestrator.plan.flavours import FLAVOURS
from orchestrator.run.kernels import fragments_of
from orchestrator.run.series_base import ChosenBase

# What a config of each arch has set.
_ARCH_OPTIONS = {"x86_64": "X86_64", "arm64": "ARM64"}
_SECONDS = 60.0
_OPTION = re.compile(r"CONFIG_(\w+) is not set")


def left_out_code(
    chosen: ChosenBase, series: Series, builds: Sequence[Build], *, tree: Path | None, cache: Path, until: Deadline
) -> tuple[str, ...]:
    """Changed code that none of these kernels will have, each with the reason; () where nothing was built yet."""
    diff = chosen.diff
    flavours = {arch: _parts(build for build in builds if build.arch == arch) for arch in _ARCH_OPTIONS}
    known = [(release, text) for text, release in {text: release for release, text in kept_configs(cache)}.items()]
    arches = dict.fromkeys(build.arch for build in builds)
    configs = {arch: c for arch in arches if (c := _config(known, arch, flavours[arch], chosen.version))}
    if diff is None or not configs:
        return ()
    new = dict.fromkeys(added_options(series), "y")
    with scratch_folder() as scratch:
        base = replace(chosen, revision=chosen.revision or series.base)
        paths = [*map(str, series.touched), *makefiles_of(file.path for file in diff.files)]
        source = _source(base, paths, tree, Path(scratch), cache=cache, until=until)
        makefiles = _makefiles(series, diff, source, until) if source else {}
    found = {arch: tuple(not_compiled(diff, config | new, makefiles, arch=arch)) for arch, config in configs.items()}
    return tuple(_texts(found, frozenset().union(*flavours.values())))


def left_out_of(image: KernelImage, series: Series, diff: SeriesDiff, cache: Path) -> tuple[LeftOut, ...]:
    """Changed code that a kernel does not have, by its own configuration."""
    source = kept_tree(cache, image.hashes.get("source", "-"))
    until = Deadline.after(_SECONDS, "the makefiles around what the series changes")
    makefiles = _makefiles(series, diff, source, until) if source else {}
    config = parse_config(image.config.read_text(errors="replace"))
    return tuple(not_compiled(diff, config, makefiles, arch=image.build.arch))


def with_reasons(located: Located, left_out: Iterable[LeftOut]) -> Located:
    """What is known of the functions, with the options for which some of them have no code."""
    why = {(one.file, one.line): one.why for one in left_out}
    return replace(
        located,
        changed=tuple(
            replace(one, left_out=why.get((one.file, one.first), "") if not one.sources else "")
            for one in located.changed
        ),
    )


def _parts(builds: Iterable[Build]) -> frozenset[str]:
    return frozenset(part for build in builds for part in build.flavour.split("+"))


def _texts(found: Mapping[str, Sequence[LeftOut]], flavours: Collection[str]) -> Iterable[str]:
    """One that only some of the arches lack is named with them."""
    arches: dict[LeftOut, list[str]] = {}
    for arch, left in found.items():
        for one in left:
            arches.setdefault(one, []).append(arch)
    for one, lacking in arches.items():
        on = "" if len(lacking) == len(found) else f" for {' and '.join(lacking)}"
        yield f"{one.what}{on} ({one.why}{_has_it(one.why, lacking, flavours)})"


def _has_it(why: str, arches: Sequence[str], flavours: Collection[str]) -> str:
    """The flavours that have what is not set."""
    options = _OPTION.findall(why)
    others = (name for name in FLAVOURS if name not in flavours)
    having = [name for name in others if all(_sets(name, arch, options) for arch in arches)] if options else []
    return f"; --flavour {' or '.join(having)} has it" if having else ""


def _sets(flavour: str, arch: str, options: Sequence[str]) -> bool:
    asked = _asked(arch, {flavour})
    return all(asked.get(option, "n") != "n" for option in options)


def _asked(arch: str, flavours: Collection[str]) -> dict[str, str]:
    """What any of the flavours sets."""
    found: dict[str, str] = {}
    for flavour in sorted(flavours):
        build = Build(variant=Variant.BASELINE, flavour=flavour, arch=arch)
        found |= {name: value for name, value in options_asked(fragments_of(build)).items() if value != "n"}
    return found


def _config(known: Sequence[tuple[str, str]], arch: str, flavours: Collection[str], version: str) -> dict[str, str]:
    """The configuration of the earlier kernel that is most like those to be built; {} where there was none."""
    of_arch = [
        (release, parse_config(text)) for release, text in known if f"\nCONFIG_{_ARCH_OPTIONS[arch]}=y\n" in text
    ]
    plain = _asked(arch, {"plain"})

    def unlike(one: tuple[str, dict[str, str]]) -> tuple[int, bool, int]:
        release, config = one
        return len(not_granted(plain, config)), release != version, sum(value != "n" for value in config.values())

    return min(of_arch, key=unlike)[1] | _asked(arch, flavours) if of_arch else {}


def _source(
    chosen: ChosenBase, paths: Sequence[str], top: Path | None, folder: Path, *, cache: Path, until: Deadline
) -> Tree | None:
    """The source with at least these files, without the series; None where it is not at hand."""
    if top is not None:
        (folder / "tree").mkdir()
        return some_of_tree(top, chosen.revision, paths, folder / "tree", log=folder / "log", until=until)
    tarball = cached_tarball(chosen.source, cache=cache, until=until) if chosen.source else None
    if tarball is None:
        return None
    return kept_tree(cache, tarball.sha256) or some_of_tarball(tarball, paths, folder, until=until)


def _makefiles(series: Series, diff: SeriesDiff, source: Tree, until: Deadline) -> dict[str, str]:
    """The makefiles around what the series changes, with the series."""
    files = patched_files(series, source, makefiles_of(file.path for file in diff.files), until=until)
    return {path: content.decode(errors="replace") for path, content in files.items()}
