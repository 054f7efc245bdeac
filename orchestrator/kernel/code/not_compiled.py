# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a series a kernel configuration leaves out: no cell can say anything of it. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from orchestrator.kernel.code.config_conditions import Config, lines_left_out, object_left_out
from orchestrator.model.series_diff import ChangedFile, ChangedFunction, SeriesDiff

# Names of these below arch/, by our names of the arches.
ARCH_FOLDERS = {"x86_64": "x86", "arm64": "arm64"}
_MAKEFILES = ("Kbuild", "Makefile")
_COMPILED = (".c", ".S")
_CODE = (*_COMPILED, ".h", ".rs")
# What is left out because an option is on.
_FOR_OTHERS = (" is set", " is true")
_DEFINES = re.compile(r"^(?:menu)?config\s+(\w+)\s*$")
_HAS_PROMPT = re.compile(r'^\s+(?:bool|tristate)\s+["\']')


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """A changed function, or other changed lines of a file, of which there is no code in a configuration."""

    what: str  # "cma_release()", "mm/shmem.c:120-124"
    why: str  # "CONFIG_CMA is not set"
    file: str
    line: int = 0  # the first one; 0: the whole file


def makefiles_of(paths: Iterable[str]) -> tuple[str, ...]:
    """The makefiles that may name the objects of source files."""
    folders = {str(parent) for path in paths for parent in PurePosixPath(path).parents if parent.name}
    return tuple(sorted(f"{folder}/{name}" for folder in folders for name in _MAKEFILES))


def not_compiled(diff: SeriesDiff, config: Config, makefiles: Mapping[str, str], *, arch: str) -> Iterator[LeftOut]:
    """What the series changes and this configuration leaves out. `makefiles`: path -> text, with the series."""
    by_folder: dict[str, str] = {}
    for path, text in sorted(makefiles.items()):
        folder = path.rpartition("/")[0]
        by_folder[folder] = f"{by_folder.get(folder, '')}{text}\n"
    files = (file for file in diff.files if PurePosixPath(file.path).suffix in _CODE)
    left_out = [one for file in files for one in _of_file(file, diff, config, by_folder, arch)]
    # A stub for kernels without the option is missing where the function itself is there.
    gone = {(one.file, one.line) for one in left_out}
    there = {f"{one.name}()" for one in diff.functions if (one.file, one.first) not in gone}
    yield from (one for one in left_out if one.what not in there or not one.why.endswith(_FOR_OTHERS))


def _of_file(
    file: ChangedFile, diff: SeriesDiff, config: Config, makefiles: Mapping[str, str], arch: str
) -> Iterator[LeftOut]:
    own = [one for one in diff.functions if one.file == file.path]
    if why := _why_not_at_all(file.path, config, makefiles, arch):
        yield from (_function(one, why) for one in own)
        yield from [] if own else [LeftOut(what=file.path, why=why, file=file.path)]
        return
    dropped = lines_left_out(diff.texts.get(file.path, ""), config)
    gone = [one for one in own if one.last in dropped]
    yield from (_function(one, dropped[one.last]) for one in gone)
    inside = {number for one in gone for number in range(one.first, one.last + 1)}
    lines = {number: text for number, text in file.lines("new").items() if text.strip() and number not in inside}
    groups: dict[str, list[int]] = {}
    for number in lines:
        # A header has a stub or a prototype for each configuration.
        stub = file.path.endswith(".h") and dropped.get(number, "").endswith(_FOR_OTHERS)
        if number in dropped and not stub:
            groups.setdefault(dropped[number], []).append(number)
    for why, numbers in groups.items():
        more = f"-{numbers[-1]}" if numbers[1:] else ""
        yield LeftOut(what=f"{file.path}:{numbers[0]}{more}", why=why, file=file.path, line=numbers[0])


def _function(function: ChangedFunction, why: str) -> LeftOut:
    return LeftOut(what=f"{function.name}()", why=why, file=function.file, line=function.first)


def _why_not_at_all(path: str, config: Config, makefiles: Mapping[str, str], arch: str) -> str:
    parts = PurePosixPath(path).parts
    if parts[0] == "arch" and len(parts) > 1 and parts[1] != ARCH_FOLDERS.get(arch, parts[1]):
        return f"arch/{parts[1]}/ is of another arch"
    if path.endswith(".rs"):
        return "" if config.get("RUST") == "y" else "CONFIG_RUST is not set"
    return object_left_out(path, makefiles, config) if PurePosixPath(path).suffix in _COMPILED else ""


def new_options(files: Iterable[ChangedFile]) -> tuple[str, ...]:
    """Options (without CONFIG_) with a question of their own that Kconfig files of a diff define and did not before."""
    found: dict[str, None] = {}
    before: set[str] = set()
    for file in files:
        if not PurePosixPath(file.path).name.startswith("Kconfig"):
            continue
        for hunk in file.hunks:
            symbol = ""
            for line in hunk:
                if defined := _DEFINES.match(line.text):
                    symbol = defined[1] if line.kind == "+" else ""
                    before |= {defined[1]} if line.kind != "+" else set()
                elif symbol and line.kind == "+" and _HAS_PROMPT.match(line.text):
                    found[symbol] = None
    return tuple(name for name in found if name not in before)
