# SPDX-License-Identifier: GPL-2.0-or-later
"""Which of the changed lines ran: figures, an annotated patch, lcov and Cobertura. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree

from orchestrator.host.text import printable
from orchestrator.model.blocks import (
    NOTHING,
    Block,
    BlockCount,
    ChangedLine,
    CoverageMap,
    Early,
    Executed,
    LineState,
    added,
    early_executed,
    summed,
)
from orchestrator.model.images import BuildFailure
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.model.series_diff import DiffLine
from orchestrator.report.coverage.site_counts import SiteCount, site_counts

PAGE_FILE = "coverage.html"  # in the folder of a run that has coverage
# What stands where a count would, in the annotated patch.
MARKS = {
    LineState.NO_CODE: "-",
    LineState.NOT_INSTRUMENTED: "?",
    LineState.BOOT_ONLY: "^",
    LineState.NOT_BUILT: "=",
}
NOT_RUN = "#####"
NOT_COUNTED = "~"
AT_BOOT = "boot"
MEANINGS = {
    NOT_RUN: "did not run",
    AT_BOOT: "ran before the load began only",
    NOT_COUNTED: "did not run in the inlined copies that can be counted",
    MARKS[LineState.NO_CODE]: "has no code",
    MARKS[LineState.NOT_INSTRUMENTED]: "is not instrumented",
    MARKS[LineState.BOOT_ONLY]: "runs at boot only",
    MARKS[LineState.NOT_BUILT]: "is in a file that is not built",
}
LEGEND = ", ".join(f"{mark} {meaning}" for mark, meaning in MEANINGS.items())


@dataclass(frozen=True, kw_only=True, slots=True)
class LineCount:
    """A changed line and how often it ran."""

    line: ChangedLine
    count: int
    # Those that ran it, and how often each. Of a line in several pieces this may add up to more than the count.
    by_workload: Mapping[str, int]
    # It could not be told from its neighbours in some of the functions that it was inlined into.
    partly: bool = False
    early: bool = False  # it ran before a load began: in the boot, or while devices and settings were prepared

    @property
    def workloads(self) -> tuple[str, ...]:
        return tuple(self.by_workload)

    @property
    def ran(self) -> bool:
        """Under load, or before it began."""
        return self.count > 0 or self.early

    @property
    def missed(self) -> bool:
        """It has code that can be counted, and it never ran."""
        return self.counts and not self.ran

    @property
    def counts(self) -> bool:
        """Whether its silence would tell anything."""
        return self.line.state is LineState.CODE and (self.ran or not self.partly)

    @property
    def shown(self) -> str:
        """What stands in front of the line: its count, or the mark that says why there is none."""
        if self.line.state is not LineState.CODE:
            return MARKS[self.line.state]
        if self.partly:
            return f"{self.count}+" if self.count else AT_BOOT if self.early else NOT_COUNTED
        return str(self.count) if self.count else AT_BOOT if self.early else NOT_RUN


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetCount:
    """A changed function of one build: its blocks, and what they did."""

    name: str
    blocks: int
    ran: int
    missed: tuple[str, ...]  # "mm/memory.c:4733": where in the series' files its blocks begin that did not run
    total: BlockCount


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildCoverage:
    """What the cells of one instrumented build ran, repeats added up."""

    build: str
    map: CoverageMap
    by_workload: Mapping[str, Executed]
    sites: tuple[SiteCount, ...]
    unknown: int  # cells that could not say what they ran
    early: Early = field(default_factory=dict)  # of the guest that ran a block most often before its load

    @property
    def executed(self) -> Executed:
        """What ran under load."""
        return added(self.by_workload.values())


def coverage_of(report: RunReport) -> tuple[BuildCoverage, ...]:
    """One for each instrumented build of the run; none of a hunt's, whose counts are not of what a series changed."""
    return tuple(
        _build_coverage(image.build.name, image.coverage, report.cells)
        for image in report.builds
        if not isinstance(image, BuildFailure) and image.coverage and not image.coverage.whole
    )


def line_counts(coverage: BuildCoverage) -> tuple[LineCount, ...]:
    """Each changed line of a C file, in the order of the diff."""
    executed, early = coverage.executed, early_executed(coverage.early)
    partly = _partly_counted(coverage.map.lines)
    return tuple(
        LineCount(
            line=line,
            count=_count(line, executed),
            by_workload={name: own for name, counts in coverage.by_workload.items() if (own := _count(line, counts))},
            partly=(line.file, line.line) in partly,
            early=_count(line, early) > 0,
        )
        for line in coverage.map.lines
    )


def target_counts(coverage: BuildCoverage) -> tuple[TargetCount, ...]:
    """Each changed function, by name."""
    executed = coverage.executed
    seen = executed.keys() | coverage.early.keys()
    own = {file.path for file in coverage.map.diff}
    groups = by_target(_changed_blocks(coverage.map))
    return tuple(
        TargetCount(
            name=name,
            blocks=len(blocks),
            ran=sum(block.offset in executed for block in blocks),
            missed=_places(block for block in blocks if block.offset not in seen and block.file in own),
            total=summed(executed.get(block.offset, NOTHING) for block in blocks),
        )
        for name, blocks in sorted(groups.items())
    )


def _changed_blocks(found: CoverageMap) -> tuple[Block, ...]:
    return tuple(block for block in found.blocks if not block.partner)


def by_target(blocks: Iterable[Block]) -> dict[str, list[Block]]:
    """The blocks of each function."""
    groups: dict[str, list[Block]] = {}
    for block in blocks:
        groups.setdefault(block.target, []).append(block)
    return groups


def not_run(coverage: BuildCoverage) -> tuple[LineCount, ...]:
    """The changed lines with code that no workload reached."""
    return tuple(one for one in line_counts(coverage) if one.missed)


def headline(coverage: BuildCoverage) -> str:
    """ "41 of 43 changed lines with code ran, 350 of 402 blocks; 12 lines have no code"."""
    lines, own = line_counts(coverage), _changed_blocks(coverage.map)
    if not lines and not own:
        return "the series changes no C code: nothing to count or to widen"
    executed = coverage.executed
    blocks = sum(block.offset in executed for block in own)
    if not lines:
        return f"the series adds no line of C code; {blocks} of {len(own)} blocks of the functions that it changes ran"
    if not own:
        return (
            "nothing that the series changes is instrumented in this kernel: nothing was counted, and nothing widened"
        )
    coded = [one for one in lines if one.counts]
    ran = sum(one.ran for one in coded)
    said = f"{ran} of {len(coded)} changed lines with code ran, {blocks} of {len(own)} blocks"
    early = sum(one.ran and not one.count for one in coded)
    said += f"; {early} of the lines ran before the load began only" if early else ""
    untold = sum(one.partly and not one.ran for one in lines)
    others = [f"{untold} did not run where they can be told from their neighbours"] if untold else []
    others += [f"{count} {text}" for state, text in _OTHERS.items() if (count := _in_state(lines, state))]
    unknown = [could_not_say(coverage.unknown)] if coverage.unknown else []
    return "; ".join([said, *others, *unknown])


def could_not_say(cells: int) -> str:
    """ "1 cell could not say": a guest that is gone took its counts along."""
    return f"{cells} {'cell' if cells == 1 else 'cells'} could not say"


_OTHERS = {
    LineState.NO_CODE: "have no code",
    LineState.NOT_INSTRUMENTED: "are not instrumented",
    LineState.BOOT_ONLY: "run at boot only",
    LineState.NOT_BUILT: "are not built",
}


def _in_state(lines: Iterable[LineCount], state: LineState) -> int:
    return sum(one.line.state is state for one in lines)


# --- the annotated patch -----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Annotated:
    """A line of the patch with its count; `mark` is "ran", "not-run" or "" for whoever colours it."""

    text: str
    mark: str = ""


def annotated_patch(coverage: BuildCoverage) -> Iterator[Annotated]:
    """The series as one diff, each changed line with its count in front."""
    counts = {(one.line.file, one.line.line): one for one in line_counts(coverage)}
    kind = "+" if coverage.map.side == "new" else "-"
    for file in coverage.map.diff:
        yield Annotated(text=f"{'':>9} --- {printable(file.path)}")
        for hunk in file.hunks:
            yield Annotated(text=f"{'':>9} @@ {hunk_start(hunk)} @@")
            for line in hunk:
                number = line.new if coverage.map.side == "new" else line.old
                yield _annotated(line, counts.get((file.path, number)) if line.kind == kind else None)


def _annotated(line: DiffLine, counted: LineCount | None) -> Annotated:
    text = f"{line.kind}{printable(line.text)}"
    if counted is None:
        return Annotated(text=f"{'':>9} {text}")
    mark = "not-run" if counted.missed else "ran" if counted.ran else ""
    return Annotated(text=f"{counted.shown:>9} {text}", mark=mark)


def hunk_start(hunk: Sequence[DiffLine]) -> str:
    """ "-80 +80": the first line of each side; 0 where a side has none."""
    old = next((line.old for line in hunk if line.old), 0)
    new = next((line.new for line in hunk if line.new), 0)
    return f"-{old} +{new}"


# --- for the tools that read coverage ----------------------------------------------------------


def lcov_text(builds: Iterable[BuildCoverage]) -> str:
    """A tracefile of lcov's: a test for each build; only changed lines with code are in it. Source: geninfo(1)."""
    return "".join(f"{line}\n" for coverage in _of_one_side(builds) for line in _lcov(coverage))


def _of_one_side(builds: Iterable[BuildCoverage]) -> list[BuildCoverage]:
    """Readers go by path and number. A baseline has other numbers: its lines are left out beside the series' own."""
    every = list(builds)
    own = [one for one in every if one.map.side == "new"]
    return own or every


def _lcov(coverage: BuildCoverage) -> Iterator[str]:
    for path, lines in _by_file(coverage).items():
        yield f"TN:{''.join(c if c.isalnum() else '_' for c in coverage.build)}"
        yield f"SF:{printable(path)}"
        yield from (f"DA:{one.line.line},{max(one.count, int(one.early))}" for one in lines)
        yield f"LF:{len(lines)}"
        yield f"LH:{sum(one.ran for one in lines)}"
        yield "end_of_record"


def cobertura_text(builds: Sequence[BuildCoverage], *, timestamp: int) -> str:
    """Cobertura's coverage-04 XML: a package for each build, a class for each file; only changed lines with code."""
    chosen = _of_one_side(builds)
    every = [one for coverage in chosen for lines in _by_file(coverage).values() for one in lines]
    root = ElementTree.Element("coverage", {**_rates(every), "version": "patchrig", "timestamp": str(timestamp)})
    ElementTree.SubElement(ElementTree.SubElement(root, "sources"), "source").text = "."
    packages = ElementTree.SubElement(root, "packages")
    for coverage in chosen:
        files = _by_file(coverage)
        own = [one for lines in files.values() for one in lines]
        package = ElementTree.SubElement(packages, "package", {"name": coverage.build, **_part_rates(own)})
        classes = ElementTree.SubElement(package, "classes")
        for path, lines in files.items():
            _cobertura_class(classes, path, lines)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _cobertura_class(classes: ElementTree.Element, path: str, lines: Sequence[LineCount]) -> None:
    path = printable(path)
    name = path.removesuffix(".c").removesuffix(".h").replace("/", ".")
    element = ElementTree.SubElement(classes, "class", {"name": name, "filename": path, **_part_rates(lines)})
    ElementTree.SubElement(element, "methods")
    numbered = ElementTree.SubElement(element, "lines")
    for one in lines:
        said = {"number": str(one.line.line), "hits": str(max(one.count, int(one.early))), "branch": "false"}
        ElementTree.SubElement(numbered, "line", said)


def _rates(lines: Sequence[LineCount]) -> dict[str, str]:
    covered = sum(one.ran for one in lines)
    counts = {"lines-covered": str(covered), "lines-valid": str(len(lines))}
    return {**_part_rates(lines), **counts, "branches-covered": "0", "branches-valid": "0"}


def _part_rates(lines: Sequence[LineCount]) -> dict[str, str]:
    # Where nothing was counted, nothing is proved.
    rate = sum(one.ran for one in lines) / len(lines) if lines else 0.0
    return {"line-rate": f"{rate:.4f}", "branch-rate": "0", "complexity": "0"}


def _by_file(coverage: BuildCoverage) -> dict[str, list[LineCount]]:
    files: dict[str, list[LineCount]] = {}
    for one in line_counts(coverage):
        if one.counts:
            files.setdefault(one.line.file, []).append(one)
    return files


# --- counting ----------------------------------------------------------------------------------


def _build_coverage(name: str, found: CoverageMap, every: Iterable[CellReport]) -> BuildCoverage:
    cells = [cell for cell in every if cell.cell.build.name == name]
    by_workload: dict[str, dict[int, BlockCount]] = {}
    early: dict[int, int] = {}
    for cell in cells:
        known = by_workload.setdefault(cell.cell.workload.name, {})
        if cell.run is not None and cell.run.executed is not None:
            by_workload[cell.cell.workload.name] = added((known, cell.run.executed))
            early.update({at: max(hits, early.get(at, 0)) for at, hits in cell.run.early.items()})
    return BuildCoverage(
        build=name,
        map=found,
        by_workload=by_workload,
        sites=tuple(site_counts(found, cells, by_workload)),
        unknown=sum(cell.run is None or cell.run.executed is None for cell in cells),
        early=early,
    )


def _places(blocks: Iterable[Block]) -> tuple[str, ...]:
    return tuple(f"{file}:{line}" for file, line in sorted({(block.file, block.line) for block in blocks}))


def _partly_counted(lines: Sequence[ChangedLine]) -> set[tuple[str, int]]:
    """Lines of headers that have pieces in fewer functions than others of the same inline function have.

    Where the compiler made one piece of a line and its neighbours, that copy of it is counted under them alone.
    """
    found: set[tuple[str, int]] = set()
    for run in _runs(line for line in lines if line.file.endswith(".h")):
        inside = {(line.file, line.line): {piece.inside for piece in line.pieces} for line in run}
        whole = set().union(*inside.values())
        found |= {place for place, own in inside.items() if own and own != whole}
    return found


def _runs(lines: Iterable[ChangedLine]) -> Iterator[list[ChangedLine]]:
    """Changed lines that follow each other, up to the brace that ends a function."""
    run: list[ChangedLine] = []
    for line in lines:
        if run and (_ends_a_function(run[-1]) or (run[-1].file, run[-1].line + 1) != (line.file, line.line)):
            yield run
            run = []
        run.append(line)
    if run:
        yield run


def _ends_a_function(line: ChangedLine) -> bool:
    """A brace in the first column, or one that closes a function of one line."""
    return line.text.startswith("}") or (not line.text[:1].isspace() and line.text.rstrip().endswith("}"))


def _count(line: ChangedLine, executed: Executed) -> int:
    # A line in several pieces of one function ran as often as the busiest of them; each copy of it adds up.
    copies: dict[str, int] = {}
    for piece in line.pieces:
        count = sum(times * executed.get(offset, NOTHING).hits for offset, times in piece.terms)
        copies[piece.inside] = max(copies.get(piece.inside, 0), count)
    return sum(copies.values())
