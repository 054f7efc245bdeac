# SPDX-License-Identifier: GPL-2.0-or-later
"""Sites and changed functions in a program that gcc made: out of line, renamed, inlined, called through another one."""

import subprocess
from pathlib import Path

import pytest

from orchestrator.host.elf import Copy, Subprogram, open_binary
from orchestrator.kernel.code.calls import CALLS
from orchestrator.kernel.code.probe_places import MachineCode, located, starts
from orchestrator.model.configuration import Failure, SiteWay
from orchestrator.model.probes import Caller, Located, LocatedSite, WantedSite
from orchestrator.model.series_diff import ChangedFunction

SOURCE = """\
#include "inline.h"
#define OUT __attribute__((noinline, noclone))
#define IN static inline __attribute__((always_inline))
volatile int sink;
OUT void *get_device(int entry) { sink = entry; return entry ? (void *)&sink : 0; }
OUT void helper(int entry) { sink += get_device(entry) != 0; }
IN void walk(int entry) { sink++; sink += get_device(entry + 1) != 0; sink++; }
OUT void fault(int entry) { sink = 7; sink += get_device(entry) != 0; sink = 8; }
OUT void through(int entry) { sink = 3; helper(entry); sink = 4; }
OUT void outer(int entry) { sink = 5; walk(entry); sink = 6; }
OUT void alone(int entry) { sink = entry; }
OUT void counts(int entry) { sink = 1; count_up(entry); sink = 2; }
OUT void ups(int entry) { sink = 1; up(entry); sink = 2; }
OUT void counts_too(int entry) { sink = 9; count_up(entry + 1); sink = 10; }
static __attribute__((noinline)) int part(int a, int b) { sink = a; return sink + 1; }
void _stext(void) { }
int main(int argc, char **argv)
{
	fault(argc);
	through(argc);
	outer(argc);
	alone(argc);
	counts(argc);
	counts_too(argc);
	ups(argc);
	return part(argc, 5);
}
"""
HEADER = """\
extern volatile int sink;
static inline __attribute__((always_inline)) void count_up(int n)
{
	sink += n;
	sink += 2 * n;
}
static inline __attribute__((always_inline)) void up(int n)
{
	sink -= n;
	sink -= 2 * n;
}
"""
COMPILERS = {"x86_64": "gcc", "arm64": "aarch64-linux-gnu-gcc"}


@pytest.fixture(scope="module", params=sorted(COMPILERS))
def code_of(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("program")
    (folder / "mm").mkdir()
    (folder / "mm" / "one.c").write_text(SOURCE)
    (folder / "mm" / "inline.h").write_text(HEADER)
    argv = [COMPILERS[request.param], "-O2", "-g", "-gdwarf-5", "-static", "-fno-optimize-sibling-calls"]
    subprocess.run([*argv, "-o", folder / "program", "mm/one.c"], cwd=folder, check=True, timeout=120)
    return folder / "program", request.param


def find(code: tuple[Path, str], *ways: SiteWay, changed: tuple[ChangedFunction, ...] = ()) -> Located:
    program, arch = code
    with open_binary(program, program.parent) as binary:
        machine = MachineCode(binary=binary, calls=CALLS[arch], symbols=binary.functions())
        return located({"load": (WantedSite(name="site", ways=ways),)}, changed, machine)


def site(code: tuple[Path, str], *ways: SiteWay) -> LocatedSite:
    (found,) = find(code, *ways).sites["load"]
    return found


def test_a_call_by_a_function_is_seen_at_the_return_of_what_it_calls(code_of: tuple[Path, str]) -> None:
    found = site(code_of, SiteWay(call="get_device", by=("fault",), failure=Failure.NULL_POINTER))

    assert (found.returns, found.callers, found.entries) == (("get_device",), (Caller(symbol="fault"),), ())
    assert (found.way, found.failure) == ("call of get_device() by fault()", Failure.NULL_POINTER)


def test_a_call_through_another_function_counts(code_of: tuple[Path, str]) -> None:
    assert site(code_of, SiteWay(call="get_device", by=("through",))).returns == ("get_device",)


def test_a_caller_that_was_inlined_is_a_part_of_the_function_that_it_is_in(code_of: tuple[Path, str]) -> None:
    found = site(code_of, SiteWay(call="get_device", by=("walk",)))

    assert found.returns == ("get_device",)
    assert {caller.symbol for caller in found.callers} == {"outer"}
    assert all(0 < caller.first < caller.end for caller in found.callers)


def test_the_first_way_that_the_kernel_has_is_used(code_of: tuple[Path, str]) -> None:
    found = site(
        code_of,
        SiteWay(call="tryget_device", by=("fault",)),
        SiteWay(call="get_device", by=("alone",)),
        SiteWay(call="alone"),
    )

    assert (found.way, found.returns, found.callers) == ("alone()", ("alone",), ())


def test_a_site_that_the_kernel_does_not_have_says_what_was_looked_for(code_of: tuple[Path, str]) -> None:
    found = site(code_of, SiteWay(call="get_device", by=("alone",)), SiteWay(call="nothing"))

    assert (found.way, found.why) == ("", "no call of get_device() by alone(); no nothing()")


def test_below_asks_for_no_call_that_can_be_seen(code_of: tuple[Path, str]) -> None:
    found = site(code_of, SiteWay(call="get_device", below=("main", "no_such_function")))

    assert (found.returns, found.callers) == (("get_device",), (Caller(symbol="main"),))
    assert site(code_of, SiteWay(call="get_device", below=("no_such_function",))).way == ""


def test_an_inlined_function_is_seen_where_each_of_its_copies_begins(code_of: tuple[Path, str]) -> None:
    every = site(code_of, SiteWay(call="count_up", failure=Failure.FALSE))
    one = site(code_of, SiteWay(call="count_up", by=("counts",), failure=Failure.FALSE))

    assert {place.partition("+")[0] for place in every.entries} == {"counts", "counts_too"}
    assert {place.partition("+")[0] for place in one.entries} == {"counts"}
    # Nobody sees what an inlined copy returns.
    assert (one.returns, one.failure) == ((), None)


def test_a_name_that_is_shorter_than_an_offset_is_found(code_of: tuple[Path, str]) -> None:
    found = site(code_of, SiteWay(call="up", by=("ups",)))

    assert [place.partition("+")[0] for place in found.entries] == ["ups"]


def test_a_copy_under_a_name_of_the_compilers_is_the_function(code_of: tuple[Path, str]) -> None:
    found = site(code_of, SiteWay(call="part"))

    assert len(found.returns) == 1
    assert found.returns[0].partition(".")[0] == "part"


def line_of(text: str, start: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), start=1) if line.startswith(start))


def test_changed_functions_are_found_by_their_lines_with_all_copies(code_of: tuple[Path, str]) -> None:
    fault = line_of(SOURCE, "OUT void fault")
    changed = (
        ChangedFunction(file="mm/one.c", name="fault", first=fault, last=fault),
        ChangedFunction(file="mm/inline.h", name="count_up", first=2, last=6),
        ChangedFunction(file="mm/two.c", name="fault", first=1, last=90),
    )

    one, inline, other = find(code_of, changed=changed).changed

    assert (one.label, one.entries, one.sources, one.why) == ("fault (mm/one.c)", ("fault",), ("mm/one.c",), "")
    assert {place.partition("+")[0] for place in inline.entries} == {"counts", "counts_too"}
    assert (inline.label, inline.sources, inline.partly) == ("count_up", ("mm/one.c",), False)
    assert (other.entries, other.sources, other.why) == ((), (), "this kernel has no code of it")


def test_an_inlined_copy_shows_in_each_of_its_pieces() -> None:
    """memfd_add_seals() of 6.19: gcc has put the piece that returns -EINVAL first, and calls that the entry."""
    pieces = ((0x58, 0x5F), (0x71, 0x62B), (0x700, 0x707))
    place = Subprogram(name="memfd_add_seals", file="mm/memfd.c", line=231)

    assert starts(Copy(place, 0x58, pieces, inlined=True)) == (0x58, 0x71)
    assert starts(Copy(place, 0x58, pieces, inlined=False)) == (0x58,)
