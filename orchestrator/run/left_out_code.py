# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a series a kernel leaves out: before one is built, by the configuration of earlier ones; then by its own."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.host.paths import scratch_folder
from orchestrator.kernel.code.not_compiled import LeftOut, makefiles_of, not_compiled
from orchestrator.kernel.code.whole_diff import patched_files
from orchestrator.kernel.compile.asked import options_asked
from orchestrator.kernel.compile.image_cache import kept_configs
from orchestrator.kernel.compile.kconfig import not_granted, parse_config
from orchestrator.kernel.compile.kconfig_dependencies import (
    missing_symbols,
    split_terms_of,
    unmet_terms,
    with_consequences,
)
from orchestrator.kernel.compile.wanted_options import Chooser, Kconfig, kconfig_files, options_of, read_kconfig
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
_DRIVERS = ("drivers/", "sound/")
# Flavours of test suites: they are many options, and need no other machine.
_COLLECTIONS = ("plain", "kselftest", "kunit", "widened", "reach")


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOutCode:
    """What the kernels of a run will have of a series."""

    texts: tuple[str, ...] = ()  # changed code that none of them will have, each with the reason
    wanted: tuple[
        str, ...
    ] = ()  # options (without CONFIG_) that bring changed code in, to be set where kconfig grants them
    shown: tuple[str, ...] = ()  # those of them that earlier kernels lack
    added: tuple[str, ...] = ()  # options that the series adds, each with what kconfig will miss for it
    by: str = ""  # the release of the earlier kernel whose configuration tells this; "": no kernel was built yet


def left_out_code(  # noqa: PLR0913  # what decides on it
    chosen: ChosenBase,
    series: Series,
    builds: Sequence[Build],
    *,
    by_hand: Mapping[str, str],
    tree: Path | None,
    cache: Path,
    until: Deadline,
) -> LeftOutCode:
    """What these kernels will have of the series; `by_hand`: the options that the user sets."""
    diff, added = chosen.diff, dict.fromkeys(added_options(series), "y")
    if diff is None:
        return LeftOutCode(added=tuple(added))
    paths = [file.path for file in diff.files]
    flavours = {arch: _parts(build for build in builds if build.arch == arch) for arch in _ARCH_OPTIONS}
    arches = tuple(dict.fromkeys(build.arch for build in builds))
    with scratch_folder() as scratch:
        base = replace(chosen, revision=chosen.revision or series.base)
        around = [*map(str, series.touched), *makefiles_of(paths), *kconfig_files(paths)]
        source = _source(base, around, tree, Path(scratch), cache=cache, until=until)
        texts = _files_around(series, source, [*makefiles_of(paths), *kconfig_files(paths)], until) if source else {}
    makefiles = {path: text for path, text in texts.items() if path in makefiles_of(paths)}
    others = {path: text for path, text in texts.items() if path not in makefiles}
    kconfig = {arch: read_kconfig(others, arch) for arch in arches}
    wanted: dict[str, None] = {}
    for arch in arches:
        asked = {**_asked(arch, flavours[arch]), **added, **by_hand}
        wanted |= dict.fromkeys(
            Chooser(kconfig=kconfig[arch], asked=asked, not_ours=_of_flavours()).options_for(
                diff, makefiles, arch, added
            )
        )
    known = _Configurations(
        configs=_configs(cache, flavours, arches, chosen.version),
        kconfig=kconfig,
        more={**added, **by_hand},
        wanted=wanted,
    )
    found = {arch: known.left_out(diff, makefiles, arch) for arch in known.configs}
    every = frozenset().union(*flavours.values())
    return LeftOutCode(
        texts=tuple(_texts(found, every, known)),
        wanted=tuple(wanted),
        shown=tuple(name for name in wanted if known.is_off(name)),
        added=tuple(known.with_needs(name) for name in added),
        by=", ".join(dict.fromkeys(release for release, _ in known.configs.values())),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Configurations:
    """What is known of configurations before a build."""

    configs: Mapping[str, tuple[str, dict[str, str]]]  # arch -> release and options of an earlier kernel
    kconfig: Mapping[str, Kconfig]  # of each arch
    more: Mapping[str, str]  # what is asked for beside the flavours
    wanted: Collection[str]

    def of(self, arch: str) -> dict[str, str]:
        """The options of a kernel, where kconfig grants all."""
        asked = {**self.configs[arch][1], **dict.fromkeys(self.wanted, "y"), **self.more}
        return with_consequences(self.kconfig[arch].found, asked)

    def is_off(self, name: str) -> bool:
        """Whether a kernel lacks an option that nobody has asked for before; where none is known, it may."""
        return not self.configs or any(config.get(name, "n") == "n" for _, config in self.configs.values())

    def left_out(self, diff: SeriesDiff, makefiles: Mapping[str, str], arch: str) -> tuple[LeftOut, ...]:
        config = self.of(arch)
        refused = [name for name in (*self.wanted, *self.more) if self._missing(name, config, arch)]
        return tuple(not_compiled(diff, config | dict.fromkeys(refused, "n"), makefiles, arch=arch))

    def with_needs(self, name: str) -> str:
        """A new option, with what of the configurations keeps it off."""
        missing = dict.fromkeys(term for arch in self.configs for term in self._missing(name, self.of(arch), arch))
        return f"{name} (needs {', '.join(missing)})" if missing else name

    def _missing(self, name: str, config: Mapping[str, str], arch: str) -> tuple[str, ...]:
        """The terms that are off of the definition that lacks least."""
        prompted = [one for one in self.kconfig[arch].of(name) if one.has_prompt]
        if any("m" in split_terms_of(one) for one in prompted):
            return ("modules, which these kernels do not load",)
        return min((unmet_terms(one.depends, config) for one in prompted), key=len, default=())

    def to_set(self, options: Sequence[str], arch: str) -> tuple[str, ...]:
        """What these options need, beside what is asked for anyway."""
        found, config = self.kconfig[arch].found, self.of(arch) | dict.fromkeys(options, "n")
        needs = dict.fromkeys(name for option in options for name in missing_symbols(option, found, config))
        return tuple(name for name in (*needs, *options) if name not in self.more)

    def next_option(self, options: Sequence[str], arch: str) -> str:
        """What to type so that a kernel has code for these options, or why that is not enough."""
        names: dict[str, None] = {}
        for option in options:
            own, config = self.kconfig[arch].of(option), self.of(arch) | {option: "n"}
            if any("m" in split_terms_of(one) for one in own):
                return "it can only be a module, and these kernels load none"
            names |= dict.fromkeys(reversed(missing_symbols(option, self.kconfig[arch].found, config)))
            names |= {option: None} if not own or any(one.has_prompt for one in own) else {}
        asked = self.of(arch) | dict.fromkeys(names, "y")
        config = with_consequences(self.kconfig[arch].found, asked)
        if unmet := dict.fromkeys(term for name in names for term in self._missing(name, config, arch)):
            return f"it needs {', '.join(unmet)}"
        return (
            f"{' '.join(f'--config CONFIG_{name}=y' for name in names)} sets it"
            if names
            else "only other options bring it in"
        )


def left_out_of(image: KernelImage, series: Series, diff: SeriesDiff, cache: Path) -> tuple[LeftOut, ...]:
    """Changed code that a kernel does not have, by its own configuration."""
    source = kept_tree(cache, image.hashes.get("source", "-"))
    until = Deadline.after(_SECONDS, "the makefiles around what the series changes")
    makefiles = makefiles_of(file.path for file in diff.files)
    texts = _files_around(series, source, makefiles, until) if source else {}
    config = parse_config(image.config.read_text(errors="replace"))
    return tuple(not_compiled(diff, config, texts, arch=image.build.arch))


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


def _texts(found: Mapping[str, Sequence[LeftOut]], flavours: Collection[str], known: _Configurations) -> Iterable[str]:
    """One that only some of the arches lack is named with them."""
    arches: dict[LeftOut, list[str]] = {}
    for arch, left in found.items():
        for one in left:
            arches.setdefault(one, []).append(arch)
    for one, lacking in arches.items():
        on = "" if len(lacking) == len(found) else f" for {' and '.join(lacking)}"
        yield f"{one.what}{on} ({'; '.join(filter(None, (one.why, _has_it(one, lacking, flavours, known))))})"


def _has_it(one: LeftOut, arches: Sequence[str], flavours: Collection[str], known: _Configurations) -> str:
    """The flavours that have what is not set; else what sets it."""
    every, options = options_of(one.why)
    if not options:
        return ""
    others = [name for name in FLAVOURS if name not in flavours]
    needed = {arch: known.to_set(options, arch) or options for arch in arches}
    having = [name for name in others if all(_sets(name, arch, options) for arch in arches)]
    having = having or [name for name in others if all(_sets(name, arch, needed[arch]) for arch in arches)]
    if having:
        return f"--flavour {' or '.join(having)} has it"
    text = known.next_option(options if every else options[:1], arches[0])
    driver = one.file.startswith(_DRIVERS) and not one.file.startswith("drivers/block/")
    return f"{text}; a driver: without its device a guest only shows that it builds" if driver and text else text


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


def _of_flavours() -> frozenset[str]:
    """The options that flavours are for, beside what all kernels have; test suites only have a use for theirs."""
    always = {name for arch in _ARCH_OPTIONS for name in _asked(arch, {"plain"})}
    own = {
        name for part in FLAVOURS if part not in _COLLECTIONS for arch in _ARCH_OPTIONS for name in _asked(arch, {part})
    }
    return frozenset(own - always)


def _configs(
    cache: Path, flavours: Mapping[str, Collection[str]], arches: Sequence[str], version: str
) -> dict[str, tuple[str, dict[str, str]]]:
    """Of each arch the earlier kernel that is most like those to be built: its release, and its options with theirs."""
    known = [(release, text) for text, release in {text: release for release, text in kept_configs(cache)}.items()]
    return {arch: found for arch in arches if (found := _config(known, arch, flavours[arch], version))}


def _config(
    known: Sequence[tuple[str, str]], arch: str, flavours: Collection[str], version: str
) -> tuple[str, dict[str, str]] | None:
    of_arch = [
        (release, parse_config(text)) for release, text in known if f"\nCONFIG_{_ARCH_OPTIONS[arch]}=y\n" in text
    ]
    plain = _asked(arch, {"plain"})

    def unlike(one: tuple[str, dict[str, str]]) -> tuple[int, bool, int]:
        release, config = one
        return len(not_granted(plain, config)), release != version, sum(value != "n" for value in config.values())

    release, config = min(of_arch, key=unlike, default=("", {}))
    return (release, config | _asked(arch, flavours)) if release else None


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


def _files_around(series: Series, source: Tree, paths: Iterable[str], until: Deadline) -> dict[str, str]:
    """Files around what the series changes, with the series."""
    files = patched_files(series, source, paths, until=until)
    return {path: content.decode(errors="replace") for path, content in files.items()}
