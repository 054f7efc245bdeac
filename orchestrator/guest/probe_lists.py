# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest is told of the kernel's code: what to probe (guest-scripts/lib/probe.h), and interface files (pure)."""

from collections.abc import Iterator, Sequence

from orchestrator.model.configuration import Workload
from orchestrator.model.interfaces import InterfaceNames
from orchestrator.model.probes import Caller, Located, LocatedFunction, LocatedSite

# As in guest-scripts/lib/probe.h and shared.h.
MOST_CHANGED = 64
_MOST_ENTRIES = 320
_MOST_CALLERS = 48
_MOST_RETURNS = 16
_MOST_SITES = 8


INTERFACES_FILE = "patchrig/interfaces"
"""Where the interface files of the series are listed in the guest, without the first slash."""


def interfaces_text(names: InterfaceNames) -> str:
    """The list, as guest-scripts/workloads/knobs.c reads it."""
    lines = (*(f"file {file}" for file in names.files), *(f"word {word}" for word in names.words))
    return "".join(f"{line}\n" for line in lines)


def probes_file(workload: str) -> str:
    """Where the list lies in the guest, without the first slash."""
    return f"patchrig/{workload}.probes"


def probes_text(workload: Workload, located: Located, *, changed: bool = True) -> str:
    """The list of a workload; `changed`: with the functions that the series changed."""
    sites = [site for site in located.sites.get(workload.name, ()) if site.way][:_MOST_SITES]
    lines = [line for site in sites for line in _site_lines(site)]
    for number in probed(workload, located) if changed else ():
        lines += [f"changed {number}", *(f"entry {place}" for place in located.changed[number].entries)]
    return "".join(f"{line}\n" for line in lines)


def probed(workload: Workload, located: Located) -> tuple[int, ...]:
    """The changed functions that are probed while a workload runs: those that it is meant to reach first.

    Of more than there is room for, each workload of a run has others, so that together they look at many.
    """
    numbers = [number for number, one in enumerate(located.changed) if one.entries]
    meant = [number for number in numbers if is_meant(workload, located.changed[number])]
    rest = [number for number in numbers if number not in meant]
    turn = sorted(located.sites).index(workload.name) if workload.name in located.sites else 0
    wanted = _turned(meant, MOST_CHANGED, turn)
    wanted += _turned(rest, MOST_CHANGED - len(wanted), turn)
    room = _MOST_ENTRIES - sum(len(site.entries) for site in located.sites.get(workload.name, ()))
    chosen = []
    for number in wanted:
        if len(located.changed[number].entries) <= room:
            chosen.append(number)
            room -= len(located.changed[number].entries)
    return tuple(chosen)


def _turned(numbers: Sequence[int], room: int, turn: int) -> list[int]:
    """As many as there is room for, beginning where the workload before has ended."""
    first = turn * room % len(numbers) if len(numbers) > room else 0
    return [*numbers[first:], *numbers[:first]][:room]


def is_meant(workload: Workload, function: LocatedFunction) -> bool:
    """Whether the workload is meant to reach the function: its file, or that of code that an inline function is in."""
    if function.file in workload.files:
        return True
    return function.file.endswith(".h") and not set(function.sources).isdisjoint(workload.files)


def _site_lines(site: LocatedSite) -> Iterator[str]:
    yield f"site {site.name}"
    for function in site.returns[:_MOST_RETURNS]:
        yield f"return {function} {site.failure or '-'}"
    for caller in _fitting(site.callers) if site.returns else ():
        yield f"from {caller.symbol}" + (f" {caller.first:x} {caller.end:x}" if caller.end else "")
    for place in site.entries:
        yield f"entry {place}"


def _fitting(callers: Sequence[Caller]) -> Sequence[Caller]:
    """As many parts as the guest has room for; more of them become one part for each function."""
    if len(callers) <= _MOST_CALLERS:
        return callers
    spans: dict[str, tuple[int, int]] = {}
    for one in callers:
        first, end = spans.get(one.symbol, (one.first, one.end))
        spans[one.symbol] = (min(first, one.first), max(end, one.end) if end and one.end else 0)
    return [Caller(symbol=name, first=first if end else 0, end=end) for name, (first, end) in spans.items()][
        :_MOST_CALLERS
    ]
