# SPDX-License-Identifier: GPL-2.0-or-later
"""Changed lines to blocks: on programs that are compiled with the overlay's own flags, and run where this host can."""

import platform
import re
import shutil
import subprocess
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from orchestrator.guest.block_counts import blocks_text, counted_of
from orchestrator.host.elf import open_binary
from orchestrator.host.paths import OVERLAYS
from orchestrator.kernel.code.c_functions import extents_at
from orchestrator.kernel.code.flow import BRANCHES
from orchestrator.kernel.code.symboliser import Places, bulk_argv, places_in
from orchestrator.kernel.code.targets import (
    _DECLARATION,
    MOST_PARTNER_BLOCKS,
    Kernel,
    Quiet,
    coverage_map,
    gaps,
    quiet_lines,
    with_room,
)
from orchestrator.kernel.compile.make import OBJDUMP
from orchestrator.model.arch import ARCHES
from orchestrator.model.blocks import Block, BlockCount, CoverageMap, LineState, Partner
from orchestrator.model.cells import Build
from orchestrator.model.configuration import Variant
from orchestrator.model.series_diff import ChangedFile, DiffLine
from orchestrator.report.coverage.figures import BuildCoverage, line_counts, not_run

HEADER = """\
static inline int tryget(int entry, int *si) /* + */
{
	int found = entry % 7; /* + */

	/* A comment. + */
	if (si)
		*si = found;
	return found != 0; /* + */
}

static inline int unused(int entry) /* + */
{
	return entry * 5; /* + */
}
"""
LOOKUP = """\
#include "swap.h"

extern int limit;
void put(int si);

static int confirm(int entry)
{
	return entry > 3 ? 0 : -1;
}

int untouched(int entry)
{
	return entry + 1;
}

int lookup(int entry)
{
	int si; /* + */

	if (!tryget(entry, &si)) /* + */
		return -1; /* + */
	if (si > limit) {
		put(si);
		return si * 3; /* + */
	}
	for (int i = 0; i < limit; i += 40)
		put(i); /* + */
	if (confirm(entry))
		put(7); /* + */
	return si;
}
"""
MAIN = """\
#include "swap.h"
int lookup(int entry);
int untouched(int entry);
int puts_done;
int limit = 100;
void put(int si)
{
	puts_done += si;
}

int main(void)
{
	int sum = 0;

	for (int entry = 0; entry < 70; entry++)
		sum += lookup(entry) + untouched(entry);
	return tryget(sum, 0) == 5;
}
"""
# Gone, in a kernel, when the boot is over.
BOOT = """\
#include "swap.h"

int prepared;

__attribute__((section(".init.text"), used)) int prepare(int entry)
{
	int si; /* + */

	if (tryget(entry, &si)) /* + */
		prepared = si; /* + */
	return prepared; /* + */
}
"""
CALLBACK = """\
#include <stdio.h>
extern char _stext[];
static unsigned counts[1 << 22];
void __sanitizer_cov_trace_pc(void)
{
	unsigned long at = (char *)__builtin_return_address(0) - _stext;

	if (at < sizeof(counts) / sizeof(*counts))
		counts[at]++;
}
__attribute__((destructor)) static void said(void)
{
	for (unsigned at = 0; at < sizeof(counts) / sizeof(*counts); at++)
		if (counts[at])
			printf("%x any %u 0 0 0\\n", at, counts[at]);
}
"""
SOURCES = {"swap.h": HEADER, "mm/lookup.c": LOOKUP, "mm/boot.c": BOOT, "mm/main.c": MAIN}
ON_THIS_HOST = {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine())


def overlay_flags() -> list[str]:
    text = (OVERLAYS / "widened" / "appended" / "scripts" / "Makefile.lib").read_text().replace("\\\n", " ")
    match = re.search(r"^patchrig-flags := (.*)$", text, re.MULTILINE)
    assert match
    return match[1].split()


def marked(path: str, text: str) -> ChangedFile:
    """A file whose marked lines the series adds."""
    lines = enumerate(text.splitlines(), start=1)
    hunk = tuple(DiffLine(kind="+" if "+ */" in line else " ", old=0, new=at, text=line) for at, line in lines)
    return ChangedFile(path=path, hunks=(hunk,))


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), start=1) if part in line)


@pytest.fixture(scope="module", params=sorted(ARCHES))
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of one arch; main.c is compiled as the kernel's other files are."""
    compiler = f"{ARCHES[request.param].compiler_prefix}gcc"
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "mm").mkdir()
    for name, text in {**SOURCES, "callback.c": CALLBACK}.items():
        (folder / name).write_text(text)
    base = [compiler, "-O2", "-g", "-gdwarf-5", "-fno-pie", "-no-pie", f"-I{folder}"]
    objects = []
    instrumented = {"mm/lookup.c": overlay_flags(), "mm/boot.c": overlay_flags()}
    for name, flags in {**instrumented, "mm/main.c": [], "callback.c": []}.items():
        made = folder / f"{Path(name).stem}.o"
        subprocess.run([*base, *flags, "-c", str(folder / name), "-o", str(made)], check=True)
        objects.append(str(made))
    binary = folder / f"program.{request.param}"
    # As in the kernel's link, what no source is known of comes first.
    edges = ("_stext=__executable_start", "_etext=etext")
    apart = "-Wl,--section-start=.init.text=0x8000000"
    link = ["-static", *(f"-Wl,--defsym={edge}" for edge in edges), apart, *objects, "-o", str(binary)]
    subprocess.run([*base, *link], check=True)
    return binary


@contextmanager
def opened(program: Path) -> Iterator[Kernel]:
    """The program as what looks into kernels sees it."""
    arch = program.suffix[1:]

    def disassemble(start: int, end: int) -> str:
        span = [f"--start-address={start:#x}", f"--stop-address={end:#x}"]
        argv = [f"{ARCHES[arch].compiler_prefix}objdump", *OBJDUMP, *span, str(program)]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    def places(addresses: Collection[int]) -> Places:
        argv = bulk_argv(program, addresses, program.with_suffix(".addresses"))
        output = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
        return places_in(output, f"{program.parent}/")

    with open_binary(program, program.parent) as binary:
        yield Kernel(
            binary=binary,
            sources=lambda path: SOURCES.get(path, ""),
            disassemble=disassemble,
            places=places,
            branches=BRANCHES[arch],
        )


def mapped(
    program: Path,
    *changed: ChangedFile,
    quiets: tuple[Quiet, ...] = (),
    instrumented: tuple[str, ...] = (),
    files: tuple[str, ...] = (),
    partners: tuple[Partner, ...] = (),
) -> CoverageMap:
    with opened(program) as kernel:
        return coverage_map(
            changed, "new", kernel, quiets=quiets, instrumented=instrumented, whole=files, partners=partners
        )


def whole(program: Path) -> CoverageMap:
    return mapped(program, *(marked(path, SOURCES[path]) for path in ("swap.h", "mm/lookup.c")))


def states(found: CoverageMap) -> dict[tuple[str, int], LineState]:
    return {(line.file, line.line): line.state for line in found.lines}


def counted(found: CoverageMap, executed: Mapping[int, BlockCount]) -> BuildCoverage:
    build = Build(variant=Variant.PATCHED, flavour="widened", arch="x86_64")
    return BuildCoverage(build=build.name, map=found, by_workload={"all": executed}, sites=(), unknown=0)


def test_comments_and_declarations_are_told_from_lines_with_code(program: Path) -> None:
    seen = states(whole(program))

    assert seen["swap.h", line_of(HEADER, "A comment")] is LineState.NO_CODE
    assert seen["mm/lookup.c", line_of(LOOKUP, "int si;")] is LineState.NO_CODE
    assert seen["mm/lookup.c", line_of(LOOKUP, "return si * 3")] is LineState.CODE
    # A call of what was inlined has no instruction of its own.
    assert seen["mm/lookup.c", line_of(LOOKUP, "tryget(")] is LineState.CODE
    assert seen["swap.h", line_of(HEADER, "entry % 7")] is LineState.CODE
    # Nobody calls it, so the compiler has thrown it away.
    assert seen["swap.h", line_of(HEADER, "entry * 5")] is LineState.NO_CODE


def test_lines_of_functions_that_are_gone_after_the_boot_are_not_counted(program: Path) -> None:
    found = mapped(program, marked("mm/boot.c", BOOT))
    seen = states(found)

    assert seen["mm/boot.c", line_of(BOOT, "prepared = si")] is LineState.BOOT_ONLY
    assert seen["mm/boot.c", line_of(BOOT, "return prepared")] is LineState.BOOT_ONLY
    assert seen["mm/boot.c", line_of(BOOT, "int si")] is LineState.NO_CODE
    assert found.blocks == ()
    # Its copy of a header's function does not hide the copies elsewhere.
    both = mapped(
        program, *(marked(path, SOURCES[path]) for path in ("swap.h", "mm/boot.c")), instrumented=("mm/lookup.c",)
    )
    assert states(both)["swap.h", line_of(HEADER, "entry % 7")] is LineState.CODE


def test_targets_are_the_changed_functions_and_their_inlined_copies(program: Path) -> None:
    blocks = whole(program).blocks

    assert {block.target for block in blocks} == {"lookup"}
    assert {block.inside for block in blocks} == {"lookup"}
    # Of a changed header's function alone, the copies are the targets.
    assert {block.target for block in mapped(program, marked("swap.h", HEADER)).blocks} <= {"tryget"}


def test_all_functions_of_a_file_are_targets_where_nothing_is_changed(program: Path) -> None:
    found = mapped(program, files=("mm/lookup.c", "mm/missing.c"))

    assert found.whole == ("mm/lookup.c", "mm/missing.c")
    assert (found.lines, found.diff, found.gaps) == ((), (), ())
    # What was inlined from a header belongs to the function of the file.
    assert {block.target for block in found.blocks} == {"lookup", "untouched"}
    assert {block.file for block in found.blocks} <= {"mm/lookup.c", "swap.h"}
    changed = {block.offset for block in whole(program).blocks}
    assert changed == {block.offset for block in found.blocks if block.target == "lookup"}


def test_partners_are_targets_beside_the_changed_functions(program: Path) -> None:
    untouched, tryget, lookup, missing = (
        Partner(file=file, function=function, shares=("entry",))
        for file, function in (
            ("mm/lookup.c", "untouched"),
            ("swap.h", "tryget"),
            ("mm/lookup.c", "lookup"),
            ("mm/lookup.c", "missing"),
        )
    )
    changed = marked("mm/lookup.c", LOOKUP)

    found = mapped(program, changed, partners=(missing, untouched, lookup, tryget))

    # What is a part of a changed function belongs to that.
    assert found.partners == (untouched,)
    assert {block.target for block in found.blocks if block.partner} == {"untouched"}
    own = [block for block in found.blocks if not block.partner]
    assert own == list(mapped(program, changed).blocks)
    assert found.lines == mapped(program, changed).lines


def test_the_best_partners_have_as_many_blocks_as_there_is_room_for() -> None:
    def of(name: str, count: int, start: int) -> list[Block]:
        block = Block(offset=start, target=name, inside=name, file="mm/a.c", line=1, partner=True)
        return [replace(block, offset=start + at) for at in range(count)]

    names = ("first", "too_large", "last", "missing")
    partners = [Partner(file="mm/a.c", function=name, shares=()) for name in names]
    blocks = [*of("first", 3, 0), *of("too_large", MOST_PARTNER_BLOCKS - 2, 10_000), *of("last", 4, 20_000)]

    assert [one.function for one in with_room(partners, blocks)] == ["first", "last"]


def test_a_header_alone_is_counted_and_widened_where_it_was_inlined(program: Path) -> None:
    alone = marked("swap.h", SOURCES["swap.h"])

    nothing, found = mapped(program, alone), mapped(program, alone, instrumented=("mm/lookup.c",))

    at = ("swap.h", line_of(HEADER, "entry % 7"))
    assert (states(nothing)[at], nothing.blocks) == (LineState.NOT_INSTRUMENTED, ())
    assert states(found)[at] is LineState.CODE
    assert {block.target for block in found.blocks} == {"tryget"}
    assert {block.inside for block in found.blocks} == {"lookup"}


def test_code_outside_of_the_touched_files_is_not_instrumented(program: Path) -> None:
    found = mapped(program, marked("mm/main.c", MAIN.replace("sum += lookup", "/* + */ sum += lookup")))

    assert [line.state for line in found.lines] == [LineState.NOT_INSTRUMENTED]
    assert found.blocks == ()


def test_a_file_that_is_not_compiled_is_said_to_be_so(program: Path) -> None:
    found = mapped(program, marked("mm/other.c", "int other(void) /* + */\n{\n}\n"))

    assert [line.state for line in found.lines] == [LineState.NOT_BUILT]


def test_a_series_without_c_code_has_nothing_to_count(program: Path) -> None:
    found = mapped(program, marked("Documentation/mm/swap.rst", "Swap /* + */\n"))

    assert (found.lines, found.blocks) == ((), ())


def test_no_time_is_lost_between_two_named_calls(program: Path) -> None:
    quiet = Quiet(function="lookup", first=r"\btryget\(", last=r"\breturn -1", reason="a test")

    found = mapped(program, marked("mm/lookup.c", LOOKUP), quiets=(quiet,))

    first, last = line_of(LOOKUP, "tryget("), line_of(LOOKUP, "return -1")
    own = {block.line for block in found.blocks if block.file == "mm/lookup.c" and block.quiet}
    assert own <= set(range(first, last + 1))
    assert {block.file for block in found.blocks if block.quiet}
    loud = {block.line for block in found.blocks if block.file == "mm/lookup.c" and not block.quiet}
    assert not loud & set(range(first, last + 1))


def diff(*texts: str) -> ChangedFile:
    """A hunk of lines with their signs in front; both sides begin with line 1."""
    old = new = 0
    lines = []
    for text in texts:
        old += text[0] != "+"
        new += text[0] != "-"
        numbers = (old if text[0] != "+" else 0, new if text[0] != "-" else 0)
        lines.append(DiffLine(kind=cast("Any", text[0]), old=numbers[0], new=numbers[1], text=text[1:]))
    return ChangedFile(path="mm/lookup.c", hunks=(tuple(lines),))


def test_a_gap_is_where_one_side_has_nothing_for_the_statements_of_the_other() -> None:
    lost = diff(" a", "-\tif (!tryget(entry, &si))", "-\t\tcontinue;", " b", "-\tput(si);", "+\tput(entry, si);", " c")

    assert gaps(lost, "new") == [2]
    assert gaps(lost, "old") == []


@pytest.mark.parametrize("text", ["\t/* put(si); */", "\t * put(si);", "\tbool pinned = false;", "\t}", "", "out:"])
def test_comments_declarations_and_braces_leave_no_gap(text: str) -> None:
    assert gaps(diff(" a", f"-{text}", " b"), "new") == []
    assert gaps(diff(" a", f"-{text}", "-\tput(si);", " b"), "new") == [2]


def test_what_follows_a_gap_is_found_in_the_code(program: Path) -> None:
    lines = LOOKUP.splitlines()
    at = line_of(LOOKUP, "if (confirm(entry))") - 1
    lost = diff(*(f" {line}" for line in lines[:at]), "-\tput(entry);", *(f" {line}" for line in lines[at:]))

    found = mapped(program, lost)

    assert [line for line in found.lines if line.pieces] == []
    gates = re.findall(r"^(\w+) lookup g$", blocks_text(found), re.MULTILINE)
    assert {((int(gate, 16), 1),) for gate in gates} & {piece.terms for piece in found.gaps}


def test_the_guest_is_told_each_block_once(program: Path) -> None:
    lines = blocks_text(whole(program)).splitlines()

    assert len({line.split()[0] for line in lines}) == len(lines) > 5
    assert all(re.fullmatch(r"[0-9a-f]+ lookup [-ga]", line) for line in lines)


def test_counts_of_a_real_run_are_those_of_the_source(program: Path) -> None:
    if program.suffix != f".{ON_THIS_HOST}":
        pytest.skip(f"this host does not run {program.name}")
    found = whole(program)

    executed = counted_of(subprocess.run([str(program)], check=False, capture_output=True, text=True).stdout).executed

    counts = {(one.line.file, one.line.line): one.count for one in line_counts(counted(found, executed))}
    assert counts["mm/lookup.c", line_of(LOOKUP, "if (!tryget")] == 70
    assert counts["swap.h", line_of(HEADER, "entry % 7")] == 70
    assert counts["mm/lookup.c", line_of(LOOKUP, "return -1;")] == 10
    # Each of the others runs the loop three times.
    assert counts["mm/lookup.c", line_of(LOOKUP, "put(i);")] == 180
    # Entries 1, 2 and 3 are not confirmed; 0 has been turned down before.
    assert counts["mm/lookup.c", line_of(LOOKUP, "put(7);")] == 3
    (missed,) = not_run(counted(found, executed))
    assert "return si * 3;" in missed.line.text


def test_a_quiet_stretch_whose_text_is_another_one_by_now_is_none() -> None:
    (extent,) = extents_at([line_of(LOOKUP, "int lookup")], LOOKUP)

    assert extent.last == len(LOOKUP.splitlines())
    assert quiet_lines(Quiet(function="lookup", first="no such", last="", reason=""), extent, LOOKUP) == (0, 0)


@pytest.mark.parametrize(
    ("text", "declares"),
    [
        ("\tbool pinned = false;", True),
        ("\tswp_entry_t pinned_entry = {};", True),
        ("\tstruct swap_info_struct *si = NULL, *other;", False),
        ("\tint error, nr_pages, order;", False),
        ("\tstruct folio *folio;", True),
        ("\tstruct swap_info_struct *si = get_swap_device(entry);", False),
        ("\tint found = entry % 7;", False),
        ("\tpinned = true;", False),
        ("\treturn error;", False),
        ("\tgoto out;", False),
    ],
)
def test_a_variable_with_a_constant_is_a_declaration(text: str, declares: bool) -> None:
    assert bool(_DECLARATION.match(text)) is declares
