# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel options that bring the code into a kernel that a series changes, as far as they are cheap. Pure.

Cheap is an option that the Kconfig files beside the code define, or those of all kernels; none of debugging, which
slows down all code, none that a flavour is for, and none of several of which a kernel has one.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from orchestrator.kernel.code.not_compiled import ARCH_FOLDERS, LeftOut, not_compiled
from orchestrator.kernel.compile.kconfig_dependencies import (
    Definition,
    definitions,
    missing_symbols,
    split_terms_of,
    with_consequences,
)
from orchestrator.kernel.compile.wishes import runs_at_boot
from orchestrator.model.series_diff import SeriesDiff

# Of all kernels: the general set-up, memory and file systems.
_GENERAL = ("init/Kconfig", "mm/Kconfig", "fs/Kconfig", "arch/Kconfig")
_DEBUGGING = re.compile(r"Kconfig\.(\w*debug\w*|k\w+san|ubsan)$")
# They decide what else can be asked for, or what compiles all code.
_OF_ALL_CODE = frozenset({"EXPERT", "DEBUG_KERNEL", "COMPILE_TEST", "RUST", "MODULES", "BROKEN"})
# A driver's option alone is cheap; what it builds on may be a subsystem of a thousand files.
_OF_HARDWARE = ("arch/", "drivers/", "sound/")
_CONFIG = re.compile(r"CONFIG_(\w+)")
_ROUNDS = 5
_MOST = 16


def kconfig_files(paths: Iterable[str]) -> tuple[str, ...]:
    """The Kconfig files that may define the options around source files."""
    folders = {str(parent) for path in paths for parent in PurePosixPath(path).parents if parent.name}
    beside = (f"{folder}/Kconfig{end}" for folder in sorted(folders) for end in ("", ".debug"))
    return tuple(dict.fromkeys((*_GENERAL, *(f"arch/{name}/Kconfig" for name in ARCH_FOLDERS.values()), *beside)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Kconfig:
    """What some Kconfig files define."""

    found: tuple[Definition, ...] = ()
    debugging: frozenset[str] = frozenset()  # symbols of files for debugging

    def of(self, symbol: str) -> list[Definition]:
        return [one for one in self.found if one.symbol == symbol]


def read_kconfig(texts: Mapping[str, str], arch: str) -> Kconfig:
    """`texts`: path -> text. Each file by itself, without what it sources; none of other arches."""
    others = tuple(f"arch/{name}/" for known, name in ARCH_FOLDERS.items() if known != arch)
    found: list[Definition] = []
    debugging: set[str] = set()
    for path, text in texts.items():
        if path.startswith(others):
            continue
        try:
            own = list(definitions(lambda asked, path=path, text=text: [text] if asked == path else [], path))  # type: ignore[misc]
        except (RecursionError, IndexError, ValueError):
            continue  # a series may write what it likes
        found += own
        debugging |= {one.symbol for one in own} if _DEBUGGING.search(path) else set()
    return Kconfig(found=tuple(found), debugging=frozenset(debugging))


@dataclass(frozen=True, kw_only=True, slots=True)
class Chooser:
    """Chooses options for one configuration, of which only that is known which is asked for."""

    kconfig: Kconfig
    asked: Mapping[str, str]
    not_ours: Collection[str] = field(default_factory=frozenset)  # a flavour is for these

    def options_for(
        self, diff: SeriesDiff, makefiles: Mapping[str, str], arch: str, added: Iterable[str] = ()
    ) -> tuple[str, ...]:
        """Options (without CONFIG_) behind which this series changes code, with those that they need first.

        `added`: options that the series adds, which are asked for anyway.
        """
        wanted = dict.fromkeys(name for one in added for name in self._needs_of_new(one))
        for _ in range(_ROUNDS):
            config = {**self.asked, **dict.fromkeys(wanted, "y")}
            left_out = list(not_compiled(diff, config, makefiles, arch=arch))
            new = [name for one in left_out for name in self._for(one, config) if name not in wanted]
            if not new or len(wanted) + len(new) > _MOST:
                break
            wanted |= dict.fromkeys(new)
        return tuple(wanted)

    def _for(self, one: LeftOut, config: Mapping[str, str]) -> list[str]:
        every, names = options_of(one.why)
        asked = [option for name in names if (option := self._askable(name, config))]
        chosen = asked if every and len(asked) == len(names) else asked[:1] if not every else []
        with_needs = [list(self._with_needs(name, one.file, config)) for name in chosen]
        return [name for names in with_needs for name in names] if all(with_needs) else []

    def _needs_of_new(self, name: str) -> tuple[str, ...]:
        """What an option of the series needs, if it is cheap."""
        config = with_consequences(self.kconfig.found, {**self.asked, name: "n"})
        needs = tuple(reversed(missing_symbols(name, self.kconfig.found, config)))
        return needs if all(map(self._is_cheap, needs)) else ()

    def _askable(self, name: str, config: Mapping[str, str]) -> str:
        """The option, or the one that it follows; "" where it is not cheap or can't be asked for."""
        own = self.kconfig.of(name)
        if own and not any(one.has_prompt for one in own):
            follows = [other for one in own for other in one.follows if config.get(other, "n") == "n"]
            return next((other for other in follows if other != name and self._is_cheap(other)), "")
        return name if self._is_cheap(name) else ""

    def _is_cheap(self, name: str) -> bool:
        own = self.kconfig.of(name)
        prompted = [one for one in own if one.has_prompt]
        barred = name in _OF_ALL_CODE or name in self.not_ours or name in self.kconfig.debugging or runs_at_boot(name)
        never = any(one.in_choice or "m" in split_terms_of(one) or "BROKEN" in split_terms_of(one) for one in prompted)
        return bool(prompted) and not barred and not never and self.asked.get(name) is None

    def _with_needs(self, name: str, file: str, config: Mapping[str, str]) -> Iterator[str]:
        """The option after what it needs; nothing where that is more than it may bring."""
        needs = missing_symbols(name, self.kconfig.found, with_consequences(self.kconfig.found, config))
        if needs and (file.startswith(_OF_HARDWARE) or not all(map(self._is_cheap, needs))):
            return
        yield from (*reversed(needs), name)


def options_of(why: str) -> tuple[bool, tuple[str, ...]]:
    """The options for which code is left out, and whether all of them are needed; () where one must be off."""
    names = tuple(dict.fromkeys(_CONFIG.findall(why)))
    if why.endswith("not set"):
        return False, names
    rest = re.sub(
        r"\b(defined|IS_ENABLED|IS_BUILTIN|IS_REACHABLE|CONFIG_\w+)\b|&&|[()\s]", "", why.removesuffix("is false")
    )
    return True, names if not rest and why.endswith("is false") else ()
