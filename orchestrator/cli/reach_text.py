# SPDX-License-Identifier: GPL-2.0-or-later
"""Reach maps as tables and as JSON (pure)."""

from collections.abc import Collection, Iterator, Sequence
from difflib import get_close_matches

from orchestrator.host.errors import UserError
from orchestrator.model.reach import Extent, ReachMap, Recorded, SourceFunction, WorkloadReach
from orchestrator.plan.names import did_you_mean
from orchestrator.run.recording import NotRecorded

_C = (".c", ".h")
_WHY = {
    Recorded.BOOT: "runs at boot only",
    Recorded.FOLDED: "the compiler left no block of its own",
    Recorded.NO: "its code is not instrumented",
}


def map_lines(map_: ReachMap) -> Iterator[str]:
    """A row for each workload, and below what all of them run together."""
    kernel = map_.kernel
    yield f"{kernel.version} {kernel.arch}, {' '.join(map_.folders)}"
    yield f"  {'workload':<20}{'functions':>10}{'lines':>10}{'only by it':>12}{'seconds':>9}  outcome"
    for one in map_.workloads:
        lines, alone = _lines(one), len(only_by(one, map_))
        yield f"  {one.called[:19]:<20}{len(one.ran):>10}{lines:>10}{alone:>12}{one.seconds:>9}  {one.outcome}"
    total = totals(map_)
    yield (
        f"  together {total['functions_run']} of {total['functions']} functions and "
        f"{total['lines_run']} of {total['lines']} lines that can be recorded"
    )
    yield (
        f"  not recorded: {total['boot_only']} that run at boot only, {total['folded']} without a block of their own, "
        f"{total['not_instrumented']} that are not instrumented"
    )


def only_by(one: WorkloadReach, map_: ReachMap) -> list[SourceFunction]:
    """The functions that no other workload of the map runs."""
    others = {function for other in map_.workloads if other is not one for function in other.ran}
    return [function for function in one.ran if function not in others]


def totals(map_: ReachMap) -> dict[str, int]:
    """Of all workloads together."""
    kinds = [extent.recorded for extent in map_.functions.values()]
    lines = {(function, line) for one in map_.workloads for function, ran in one.ran.items() for line in ran.lines}
    return {
        "functions_run": len({function for one in map_.workloads for function in one.ran}),
        "functions": kinds.count(Recorded.YES),
        "lines_run": len(lines),
        "lines": sum(extent.lines for extent in map_.functions.values()),
        "boot_only": kinds.count(Recorded.BOOT),
        "folded": kinds.count(Recorded.FOLDED),
        "not_instrumented": kinds.count(Recorded.NO),
    }


def _lines(one: WorkloadReach) -> int:
    return sum(len(ran.lines) for ran in one.ran.values())


def map_json(map_: ReachMap, missing: Sequence[NotRecorded] = ()) -> dict[str, object]:
    """A map for scripts, without its functions: `--of FILE --json` has these."""
    workloads = [
        {
            "workload": one.workload,
            "functions": len(one.ran),
            "lines": _lines(one),
            "only": len(only_by(one, map_)),
            "seconds": one.seconds,
            "outcome": one.outcome,
            "suite": one.suite or None,
            "guest_seconds": round(one.guest_seconds, 1),
        }
        for one in map_.workloads
    ]
    return {
        "kernel": map_.kernel.version,
        "source": map_.kernel.source,
        "arch": map_.kernel.arch,
        "folders": list(map_.folders),
        "workloads": workloads,
        **totals(map_),
        "missing": [{"cell": one.cell, "why": one.why} for one in missing],
    }


def asked_functions(asked: str, map_: ReachMap) -> list[SourceFunction]:
    """The functions of a name, or of a file by its path or the end of it. Raises UserError for one the map lacks."""
    name = asked.removesuffix("()")
    if name.endswith(_C) or "/" in name:
        found = [one for one in map_.functions if f"/{one.file}".endswith(f"/{name.removeprefix('/')}")]
        known = {one.file for one in map_.functions}
    else:
        found = [one for one in map_.functions if one.name == name]
        known = {one.name for one in map_.functions}
    if not found:
        raise UserError(f"{no_such(asked, map_)}{did_you_mean(name, known)}", hint=_other_question(name, known, map_))
    return found


def no_such(asked: str, map_: ReachMap) -> str:
    """That a map does not have a function or file."""
    return f"the reach map of {map_.kernel.version} {map_.kernel.arch}, {' '.join(map_.folders)} has no {asked!r}"


def _other_question(name: str, known: Collection[str], map_: ReachMap) -> str:
    """What to type instead: the nearest name; of a file elsewhere, what records it; else a file of the map."""
    if "/" in name and not name.startswith(map_.folders):
        folder = name.rsplit("/", 1)[0]
        return f"patchrig reach --kernel {map_.kernel.version} --arch {map_.kernel.arch} --in {folder}/  # records it"
    if near := get_close_matches(name, known, n=1, cutoff=0.5):
        return f"patchrig reach --of {near[0]}"
    files = sorted({one.file for one in map_.functions})
    return f"patchrig reach --of {files[0]}  # each function of a file" if files else ""


def maps_with(asked: str, maps: Sequence[ReachMap]) -> tuple[ReachMap, ...]:
    """The maps that have a function or file: kernels differ. Raises UserError where none has it."""
    found: list[ReachMap] = []
    problem: UserError | None = None
    for map_ in maps:
        try:
            asked_functions(asked, map_)
            found.append(map_)
        except UserError as error:
            problem = problem or error
    if problem and not found:
        raise problem
    return tuple(found)


def of_lines(asked: str, map_: ReachMap) -> Iterator[str]:
    yield f"{map_.kernel.version} {map_.kernel.arch}"
    for function in asked_functions(asked, map_):
        yield f"  {function.file}: {function.name}(): {_said(function, map_)}"


def _said(function: SourceFunction, map_: ReachMap) -> str:
    extent = map_.functions[function]
    if extent.recorded is not Recorded.YES:
        return _WHY[extent.recorded]
    shares = [f"{name} {blocks}" for name, blocks in _ran(function, map_).items()]
    return f"{', '.join(shares)} of {extent.blocks} blocks" if shares else "no workload"


def _ran(function: SourceFunction, map_: ReachMap) -> dict[str, int]:
    """Workload, as the command line calls it -> blocks, most first."""
    found = {one.called: one.ran[function].blocks for one in map_.workloads if function in one.ran}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def of_json(asked: str, map_: ReachMap) -> dict[str, object]:
    functions = [_function_json(function, map_.functions[function], map_) for function in asked_functions(asked, map_)]
    return {"kernel": map_.kernel.version, "arch": map_.kernel.arch, "functions": functions}


def _function_json(function: SourceFunction, extent: Extent, map_: ReachMap) -> dict[str, object]:
    ran = {
        one.workload: {"blocks": one.ran[function].blocks, "lines": list(one.ran[function].lines)}
        for one in map_.workloads
        if function in one.ran
    }
    recorded = {"recorded": str(extent.recorded), "blocks": extent.blocks, "lines": extent.lines}
    return {**function._asdict(), **recorded, "workloads": ran}
