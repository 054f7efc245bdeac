# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of reach: what is asked of the suite, how far it gets, and what is missing. Pure."""

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.reach_measured import PLAIN, SITES, WIDENED, Measured, Run, Watch, latest_bugs, tried
from benchmarks.time_to_find import Bugs, found_by_all, median_of, of_class
from orchestrator.host.errors import ExitCode
from orchestrator.model.arch import ARCHES

RUN_SECONDS = 900
LEAST_FAILED = 20
CONTROL_MINUTES = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """What share of the bugs of a class is to be found within so many guest seconds, and where."""

    seconds: int
    share: float
    arches: tuple[str, ...] = tuple(ARCHES)


LIMITS = {
    "A": Limit(seconds=30, share=1.0),
    "B": Limit(seconds=120, share=1.0),
    "C": Limit(seconds=300, share=0.75, arches=("x86_64",)),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """What there is to be measured."""

    classes: Mapping[str, str]  # id of a seeded bug -> its class
    pairs: frozenset[tuple[str, str]]  # variant and workload of the control

    def asked(self, arch: str) -> frozenset[str]:
        """The bugs that are to be found on an arch."""
        return frozenset(id_ for id_, one in self.classes.items() if one in LIMITS and arch in LIMITS[one].arches)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A figure of one arch."""

    text: str
    reached: bool | None  # None: not measured, or not all of it
    asked: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One requirement."""

    what: str
    reach: str
    marks: Mapping[str, Mark]  # by arch

    @property
    def reached(self) -> bool | None:
        marks = [mark.reached for mark in self.marks.values() if mark.asked]
        return False if False in marks else None if None in marks else True


NOTHING = Mark(text="not measured", reached=None)
SAID = {True: "yes", False: "no", None: "not measured"}


def row(what: str, reach: str, marks: Mapping[str, Mark]) -> Row:
    return Row(what=what, reach=reach, marks={arch: marks.get(arch, NOTHING) for arch in ARCHES})


def all_rows(measured: Measured, expected: Expected) -> list[Row]:
    bugs = latest_bugs(measured.reports, expected.classes)
    coverage = coverage_rows(best_run(measured.runs))
    return [*coverage, *bug_rows(bugs, expected), *control_rows(measured.watches, expected)]


def best_run(runs: Iterable[Run]) -> Run | None:
    """Of the runs with coverage the one that reaches most by itself; of two the later one."""

    def score(run: Run) -> tuple[int, str]:
        marks = [mark for one in coverage_rows(run) for mark in one.marks.values()]
        return sum(mark.reached is True for mark in marks), run.started

    return max((run for run in runs if run.lines), key=score, default=None)


def coverage_rows(run: Run | None) -> list[Row]:
    lines = run.lines if run else {}
    ran = {
        arch: Mark(text=f"{one.ran} of {one.coded}", reached=0 < one.coded == one.ran) for arch, one in lines.items()
    }
    seconds = run.seconds if run else 0.0
    took = Mark(text=f"{seconds:.0f}", reached=seconds < RUN_SECONDS) if seconds else NOTHING
    sites = {site: {arch: failed_mark(one.failed[site]) for arch, one in lines.items()} for site in SITES}
    return [
        row("changed lines that ran, of those with code", "all", ran),
        row("seconds of that run", f"< {RUN_SECONDS}", dict.fromkeys(lines, took)),
        *(row(f"failed try-gets, {site}", f">= {LEAST_FAILED}", marks) for site, marks in sites.items()),
    ]


def failed_mark(count: int | None) -> Mark:
    return NOTHING if count is None else Mark(text=str(count), reached=count >= LEAST_FAILED)


def bug_rows(bugs: Mapping[tuple[str, str], Bugs], expected: Expected) -> Iterator[Row]:
    def both(arch: str) -> list[Bugs]:
        return [tried(bugs.get((flavour, arch), {})) for flavour in (PLAIN, WIDENED)]

    for one, limit in LIMITS.items():
        share = "all" if limit.share == 1.0 else f"{limit.share:.0%}"
        where = "" if len(limit.arches) == len(ARCHES) else f", {' '.join(limit.arches)}"
        marks = {arch: class_mark(both(arch)[1], one, arch, expected) for arch in ARCHES}
        yield row(f"class {one}: found in {limit.seconds} guest s", f"{share}{where}", marks)
    for one in (*LIMITS, "all"):
        what = f"median guest s to find, {PLAIN} / {WIDENED}, {'all' if one == 'all' else f'class {one}'}"
        yield row(what, "both known", {arch: median_mark(both(arch), one, arch, expected) for arch in ARCHES})


def class_mark(bugs: Bugs, one: str, arch: str, expected: Expected) -> Mark:
    """`bugs`: those that were tried on the arch."""
    ids = [id_ for id_, known in expected.classes.items() if known == one]
    mine = [bugs[id_] for id_ in ids if id_ in bugs]
    asked = arch in LIMITS[one].arches
    if not mine:
        return Mark(text=NOTHING.text, reached=None, asked=asked)
    within, unknown, need = sum(map(in_time, mine)), len(ids) - len(mine), LIMITS[one].share * len(ids)
    text = f"{within} of {len(mine)}, {sum(bool(bug['found']) for bug in mine)} at all"
    reached = True if within >= need else False if within + unknown < need else None
    return Mark(text=f"{text}; {unknown} not tried" if unknown else text, reached=reached, asked=asked)


def in_time(bug: Mapping[str, Any]) -> bool:
    return bool(bug["found"]) and bug["guest_seconds"] <= LIMITS[bug["class"]].seconds


def median_mark(sides: Sequence[Bugs], one: str, arch: str, expected: Expected) -> Mark:
    """`sides`: the bugs that were tried on the arch without delay injection, and with."""
    chosen = [of_class(bugs, one) for bugs in sides]
    asked = [id_ for id_ in expected.asked(arch) if one in ("all", expected.classes[id_])]
    there = [bugs for bugs in chosen if bugs]
    if not there:
        return Mark(text=NOTHING.text, reached=None, asked=bool(asked))
    common = found_by_all(there)
    medians = [median_of(bugs, common) if bugs else None for bugs in chosen]
    text = " / ".join("-" if median is None else f"{median:.1f}" for median in medians)
    complete = all(id_ in bugs for bugs in chosen for id_ in asked)
    return Mark(text=f"{text} (of {len(common)})", reached=complete or None, asked=bool(asked))


def control_rows(watches: Sequence[Watch], expected: Expected) -> list[Row]:
    by_arch = {arch: [watch for watch in watches if watch.arch == arch] for arch in ARCHES}
    known = {arch: mine for arch, mine in by_arch.items() if mine}
    return [
        row("control: guest minutes", f">= {CONTROL_MINUTES}", {arch: minutes_mark(known[arch]) for arch in known}),
        row("control: variants x workloads", "all", {arch: pairs_mark(known[arch], expected) for arch in known}),
        row("control: false alarms", "0", {arch: alarms_mark(known[arch]) for arch in known}),
    ]


def minutes_mark(watches: Sequence[Watch]) -> Mark:
    minutes = sum(watch.seconds for watch in watches) / 60
    return Mark(text=f"{minutes:.1f} of {len(watches)} guests", reached=minutes >= CONTROL_MINUTES)


def pairs_mark(watches: Sequence[Watch], expected: Expected) -> Mark:
    pairs = {watch.pair for watch in watches} & expected.pairs
    return Mark(text=f"{len(pairs)} of {len(expected.pairs)}", reached=pairs == expected.pairs or None)


def alarms_mark(watches: Sequence[Watch]) -> Mark:
    alarms = sum(bool(watch.alarm) for watch in watches)
    return Mark(text=str(alarms), reached=not alarms)


def table_lines(rows: Sequence[Row]) -> Iterator[str]:
    head = ("requirement", *ARCHES, "to reach", "reached")
    body = [(one.what, *(mark.text for mark in one.marks.values()), one.reach, SAID[one.reached]) for one in rows]
    widths = [max(len(line[at]) for line in (head, *body)) for at in range(len(head))]
    for line in (head, tuple("-" * width for width in widths), *body):
        yield f"| {' | '.join(text.ljust(width) for text, width in zip(line, widths, strict=True))} |"


def class_rows(bugs: Mapping[tuple[str, str], Bugs], builds: Sequence[tuple[str, str]]) -> Iterator[tuple[str, ...]]:
    """A row for each class, and one for all: bugs found, of those tried; the median and the longest guest seconds."""
    for one in (*LIMITS, "all"):
        yield (one, *(found_text(of_class(tried(bugs[build]), one)) for build in builds))


def found_text(bugs: Bugs) -> str:
    seconds = [bug["guest_seconds"] for bug in bugs.values() if bug["found"]]
    count = f"{len(seconds)} of {len(bugs)}"
    return f"{count}; {statistics.median(seconds):.0f} s, {max(seconds):.0f} s" if seconds else count


def race_rows(bugs: Mapping[tuple[str, str], Bugs], builds: Sequence[tuple[str, str]]) -> Iterator[tuple[str, ...]]:
    """A row for each bug of class C: guest seconds until it was found, or what became of it."""
    ids = sorted({id_ for build in builds for id_ in of_class(bugs[build], "C")})
    for id_ in ids:
        yield (f"`{id_}`", *(seconds_text(bugs[build].get(id_)) for build in builds))


def seconds_text(bug: Mapping[str, Any] | None) -> str:
    if bug is None:
        return ""
    return f"{bug['guest_seconds']:.0f} s by {bug['workload']}" if bug["found"] else str(bug["status"])


def notes(measured: Measured, expected: Expected) -> dict[str, list[str]]:
    """Heading -> its lines; only of what there is."""
    best = best_run(measured.runs)
    bugs = latest_bugs(measured.reports, expected.classes)
    widened = {arch: bugs[WIDENED, arch] for arch in ARCHES if (WIDENED, arch) in bugs}
    lines = best.lines if best else {}
    took = f", whose builds took {best.build_seconds:.0f} s" if best and best.build_seconds else ""
    every = {
        f"Coverage is of {best.id if best else ''}{took}": [f"{arch}: {one.headline}" for arch, one in lines.items()],
        "Changed lines that never ran": [f"{arch}: {text}" for arch, one in lines.items() for text in one.not_run],
        "Bugs that missed their limit": [missed for arch in widened for missed in missed_bugs(widened[arch])],
        "Bugs that were not tried": [
            text for build, known in bugs.items() for text in not_tried(build, known, expected)
        ],
        "False alarms": [watch.alarm for watch in measured.watches if watch.alarm],
    }
    return {heading: lines for heading, lines in every.items() if lines}


def missed_bugs(bugs: Bugs) -> Iterator[str]:
    for id_, bug in sorted(tried(bugs).items(), key=lambda item: (item[1]["class"], item[0])):
        if bug["class"] in LIMITS and not in_time(bug):
            limit = LIMITS[bug["class"]]
            workloads = bug["workload"] or " ".join(dict.fromkeys(one["workload"] for one in bug["attempts"])) or "-"
            asked = "" if bug["arch"] in limit.arches else "; not asked for on this arch"
            yield (
                f"{id_} {bug['arch']} (class {bug['class']}): {bug['status']}, "
                f"{bug['guest_seconds']:.1f} guest s of {limit.seconds}, {workloads}{asked}"
            )


def not_tried(build: tuple[str, str], bugs: Bugs, expected: Expected) -> Iterator[str]:
    """The bugs of an arch that a flavour was not tried with, and why; `build` is flavour and arch."""
    missing = sorted(expected.asked(build[1]) - tried(bugs).keys())
    if missing:
        yield f"{'.'.join(build)}: " + ", ".join(
            f"{id_} ({bugs[id_]['status']})" if id_ in bugs else id_ for id_ in missing
        )


def exit_code(rows: Iterable[Row]) -> int:
    reached = [one.reached for one in rows]
    return ExitCode.BAD_KERNEL if False in reached else ExitCode.INFRA if None in reached else ExitCode.OK
