# SPDX-License-Identifier: GPL-2.0-or-later
"""A crash's stack -> file and line, what of it the series changed, and the source around it, for one kernel."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from orchestrator.host.errors import Cancelled, InfraError
from orchestrator.judge.frames import plain_name
from orchestrator.judge.infrastructure import INFRASTRUCTURE, LOCKS, SCHEDULING, WAITS
from orchestrator.kernel.code.symbols import Symbols
from orchestrator.kernel.code.whole_diff import SeriesDiffs
from orchestrator.kernel.series.load import Series
from orchestrator.kernel.source.tree import kept_tree, tree_text
from orchestrator.model.arch import ARCHES
from orchestrator.model.configuration import Variant
from orchestrator.model.crashes import Crash
from orchestrator.model.guests import StuckTask
from orchestrator.model.images import KernelImage
from orchestrator.model.series_diff import SeriesDiff
from orchestrator.model.stacks import SourceLine, StackFrame
from orchestrator.report.crash_text import in_shared_header
from orchestrator.report.kept_diff import load_diff, save_diff

# Of a console with splats without end, the first ones are enough.
MOST_CRASHES = 100
LINES_AROUND = 3
_TAB = 8


@dataclass(slots=True)
class Explainer:
    """What is known of one kernel's code. May be asked by several threads; nothing here raises."""

    image: KernelImage
    cache: Path
    diff: SeriesDiff | None  # None for the baseline, and where they are not known
    why_no_diff: str
    symbols: Symbols
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def explained(self, crashes: Sequence[Crash]) -> tuple[Crash, ...]:
        """The crashes with the places of their frames and an excerpt; or as they were, with the reason why."""
        few, rest = crashes[:MOST_CRASHES], crashes[MOST_CRASHES:]
        frames = tuple(dict.fromkeys(chain.from_iterable(crash.stack for crash in few)))
        places, why = self.places(frames) if frames else ({}, "")
        return (*(self._explained(crash, places, why) for crash in few), *rest)

    def places(self, frames: Sequence[StackFrame]) -> tuple[dict[StackFrame, tuple[SourceLine, ...]], str]:
        """The places of the frames of which something is known; and why there are none, "" where there are."""
        try:
            with self._lock:
                found = self.symbols.places(frames)
        except (InfraError, OSError) as e:
            return {}, f"no file and line: {_first_line(e)}"
        except Cancelled:
            return {}, "no file and line: interrupted"
        return {frame: tuple(map(self._compared, known)) for frame, known in found.items()}, ""

    def _compared(self, place: SourceLine) -> SourceLine:
        changed = self.diff is not None and self.diff.changed(place.file, place.line)
        return replace(place, changed=changed)

    def _explained(self, crash: Crash, places: dict[StackFrame, tuple[SourceLine, ...]], why: str) -> Crash:
        if not crash.stack:
            return crash
        stack = tuple(replace(frame, places=places.get(frame, ())) for frame in crash.stack)
        explained = replace(crash, stack=stack, unexplained=why or self.why_no_diff)
        return replace(explained, excerpt=self._excerpt(explained))

    def _excerpt(self, crash: Crash) -> tuple[str, ...]:
        place = first_place(crash)
        if place is None:
            return ()
        try:
            text = self._text(place.file)
        except OSError:
            return ()
        return excerpt(text, place) if text is not None else ()

    def _text(self, file: str) -> str | None:
        if self.diff is not None and file in self.diff.texts:
            return self.diff.texts[file]
        # Where it is not known what the series touched, the pristine file may have other lines.
        if self.diff is None and self.image.build.variant is not Variant.BASELINE:
            return None
        tree = kept_tree(self.cache, self.image.hashes.get("source", "-"))
        return tree_text(tree, file) if tree else None


def new_explainer(
    image: KernelImage, series: Series, *, diffs: SeriesDiffs, cache: Path, run: Path, sandbox: bool
) -> Explainer:
    """The explainer of a kernel that was just built. What the series changed is kept in `run`, the run's folder."""
    diff, why = None, ""
    if image.build.variant is Variant.PATCHED:
        try:
            diff = diffs.of_source(series, cache=cache, source_sha256=image.hashes["source"])
            save_diff(diff, run)
        except InfraError as e:
            why = f"what the series changed is not known: {_first_line(e)}"
    return _explainer(image, diff, why, cache=cache, sandbox=sandbox)


def kept_explainer(image: KernelImage, old: Path, *, cache: Path, run: Path, sandbox: bool) -> Explainer:
    """The explainer of an earlier run's kernel, from that run's folder; `run` is the folder of this run."""
    diff, why = None, ""
    if image.build.variant is Variant.PATCHED:
        diff = load_diff(old, image.build)
        if diff:
            save_diff(diff, run)
        else:
            why = f"what the series changed is not known: {old.name} did not keep it"
    return _explainer(image, diff, why, cache=cache, sandbox=sandbox)


def _explainer(image: KernelImage, diff: SeriesDiff | None, why: str, *, cache: Path, sandbox: bool) -> Explainer:
    symbols = Symbols(vmlinux=image.vmlinux, arch=ARCHES[image.build.arch], sandbox=sandbox)
    return Explainer(image=image, cache=cache, diff=diff, why_no_diff=why, symbols=symbols)


def first_place(crash: Crash) -> SourceLine | None:
    """The place to look at first: in the frame that the title names, past inlined helpers that say nothing."""
    for frame in crash.stack[crash.first :]:
        if frame.places:
            return next(filter(_tells, frame.places), frame.places[-1])
    return None


def excerpt(text: str, place: SourceLine) -> tuple[str, ...]:
    """The place in words, and the lines around it with their numbers, the line itself marked; () when it has none."""
    lines = text.splitlines()
    if place.line > len(lines):
        return ()
    first = max(1, place.line - LINES_AROUND)
    around = [_printable(line) for line in lines[first - 1 : place.line + LINES_AROUND]]
    margin = min((len(line) - len(line.lstrip()) for line in around if line.strip()), default=0)
    shown = (
        f"{'>' if number == place.line else ' '}{number:5} {line[margin:]}".rstrip()
        for number, line in enumerate(around, start=first)
    )
    return (f"{place.file}:{place.line} in {place.function}", *shown)


def _printable(line: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in line.expandtabs(_TAB))


def _tells(place: SourceLine) -> bool:
    helpers = (*INFRASTRUCTURE, LOCKS, WAITS, SCHEDULING)
    says_nothing = any(family.match(plain_name(place.function)) for family in helpers)
    return not says_nothing and not in_shared_header(place)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def explained_tasks(tasks: Sequence[StuckTask], explainer: Explainer | None) -> tuple[StuckTask, ...]:
    """The tasks of a guest that hangs, with file and line of what they are stuck in."""
    frames = tuple(dict.fromkeys(frame for task in tasks for frame in task.stack))
    places = explainer.places(frames)[0] if explainer and frames else {}
    return tuple(
        replace(task, stack=tuple(replace(frame, places=places.get(frame, ())) for frame in task.stack))
        for task in tasks
    )
