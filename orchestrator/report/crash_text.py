# SPDX-License-Identifier: GPL-2.0-or-later
"""A crash in plain text: where, whose, the stack with file and line, and the source (pure)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from orchestrator.model.configuration import Variant
from orchestrator.model.crashes import Crash
from orchestrator.model.stacks import SourceLine, StackFrame

LEGEND = "stack, innermost first"
_SHARED = re.compile(r"(?:arch/[^/]+/)?include/")


def crash_lines(crash: Crash, variant: Variant) -> Iterator[str]:
    """The whole stack, and all that is known of it."""
    yield from _head(crash, variant)
    yield from _stack(crash, crash.stack, len(crash.stack))
    yield from crash.excerpt


def short_crash_lines(crash: Crash, variant: Variant, *, frames: int) -> Iterator[str]:
    """What a developer reads first: the stack from the first frame on that is not infrastructure."""
    yield from _head(crash, variant)
    yield from _stack(crash, tuple(map(_shortened, crash.stack[crash.first :])), frames)
    yield from crash.excerpt


def _head(crash: Crash, variant: Variant) -> Iterator[str]:
    yield _facts(crash)
    if crash.unexplained:
        yield crash.unexplained
    if blame := _blame(crash, variant):
        yield blame


def _stack(crash: Crash, frames: Sequence[StackFrame], most: int) -> Iterator[str]:
    if not frames:
        return
    yield f"{LEGEND}, * in a changed function:" if changed_functions(crash) else f"{LEGEND}:"
    for frame in frames[:most]:
        yield from frame_lines(frame)
    if len(frames) > most:
        yield f"    and {len(frames) - most} more"


def _shortened(frame: StackFrame) -> StackFrame:
    """Of calls between headers for everybody only the outermost: what the code called, without how that is done."""
    kept = frame.places[-1:]
    for place in reversed(frame.places[:-1]):
        if place.changed or not (in_shared_header(place) and in_shared_header(kept[0])):
            kept = (place, *kept)
    return replace(frame, places=kept)


def in_shared_header(place: SourceLine) -> bool:
    """Whether it lies in a header for everybody; those of a subsystem lie beside its code."""
    return bool(_SHARED.match(place.file))


def frame_lines(frame: StackFrame) -> Iterator[str]:
    """A line for each inlined call and one for the function itself; as the kernel printed it where nothing is known."""
    if not frame.places:
        yield f"    {frame}"
    for place in frame.places:
        mark = "*" if place.changed else " "
        name = f"{place.function} [inlined]" if place.inlined else str(frame)
        yield f"  {mark} {name} {place.file}:{place.line}"


def changed_functions(crash: Crash) -> tuple[str, ...]:
    """The functions in the stack that the series changed, innermost first, each once."""
    places = (place for frame in crash.stack for place in frame.places if place.changed)
    return tuple(dict.fromkeys(place.function for place in places))


def _facts(crash: Crash) -> str:
    parts = [str(crash.kind), f"console line {crash.line}"]
    parts += [f"task {crash.task}"] if crash.task else []
    parts += [f"in {crash.function}"] if crash.function else []
    parts += ["a follow-up of an earlier one"] if crash.follow_up else []
    parts += ["the report is incomplete"] if crash.corrupted else []
    return ", ".join(parts)


def _blame(crash: Crash, variant: Variant) -> str:
    if changed := changed_functions(crash):
        return f"the series changed {', '.join(changed)}, which the stack goes through"
    known = not crash.unexplained and any(frame.places for frame in crash.stack)
    return "no frame lies in a function that the series changed" if known and variant is Variant.PATCHED else ""
