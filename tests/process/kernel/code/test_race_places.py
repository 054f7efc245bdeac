# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a program that gcc made takes and puts an object: functions, inlined copies, calls."""

import subprocess
from pathlib import Path

import pytest

from orchestrator.host.elf import open_binary
from orchestrator.kernel.code.parameter_names import names_in
from orchestrator.kernel.code.race_places import RaceRequest, points_in
from orchestrator.model.race_points import PointKind, RacePoints

LIB = """\
#include "ref.h"
OUT void ref_switch(struct head *head) { struct ref *ref = (void *)head; sink += ref->count; head->next = 0; }
OUT void ref_kill(struct ref *ref) { sink = 1; ref->count = -1; sink = 2; }
"""
DEVICE = """\
#include "ref.h"
OUT struct device *get_device(int entry) { sink = entry; ref_tryget(&devices[entry].users); return &devices[entry]; }
OUT void swapoff(int entry) { sink = 9; ref_kill(&devices[entry].users); sink = 8; }
"""
FAULT = """\
#include "ref.h"
OUT void fault(int entry) { struct device *d = get_device(entry); sink = 3; put_device(d); sink = 4; }
OUT void other(int entry) { sink = entry; }
int main(int argc, char **argv) { fault(argc); other(argc); swapoff(argc); ref_switch(&devices[argc].head); return 0; }
struct device devices[8];
volatile int sink;
"""
HEADER = """\
#define OUT __attribute__((noinline, noclone))
#define IN static inline __attribute__((always_inline))
struct head { struct head *next; };
struct ref { long count; };
struct device { struct ref users; struct head head; };
extern struct device devices[];
extern volatile int sink;
void ref_switch(struct head *head);
void ref_kill(struct ref *ref);
struct device *get_device(int entry);
void swapoff(int entry);
IN int ref_tryget(struct ref *ref) { sink++; return ref->count++ > 0; }
IN void ref_put_many(struct ref *ref, int nr) { sink++; ref->count -= nr; }
IN void ref_put(struct ref *ref) { sink += 2; ref_put_many(ref, 1); }
IN void put_device(struct device *device) { sink += 3; ref_put(&device->users); }
"""
COMPILERS = {"x86_64": "gcc", "arm64": "aarch64-linux-gnu-gcc"}


@pytest.fixture(scope="module", params=sorted(COMPILERS))
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder: Path = tmp_path_factory.mktemp("program")
    for name, text in (("lib.c", LIB), ("device.c", DEVICE), ("fault.c", FAULT), ("ref.h", HEADER)):
        (folder / name).write_text(text)
    argv = [COMPILERS[request.param], "-O2", "-g", "-gdwarf-5", "-static", "-fno-var-tracking"]
    argv += ["-fno-optimize-sibling-calls", "-o", str(folder / "program"), "lib.c", "device.c", "fault.c"]
    subprocess.run(argv, cwd=folder, check=True, timeout=120)
    return request.param, folder / "program"


@pytest.fixture(scope="module")
def found(program: tuple[str, Path]) -> RacePoints:
    arch, path = program
    asked = RaceRequest(arch=arch, crashed=("ref_switch",), changed=("fault",), files=("fault.c",))
    with open_binary(path, path.parent) as binary:
        return points_in(binary, asked)


def test_the_types_are_those_that_the_crashed_function_works_on(found: RacePoints) -> None:
    assert found.types == ("head", "ref")


@pytest.mark.parametrize(
    ("inlined", "types"),
    [((), ("device",)), (("ref_put", "put_device"), ("ref",)), (("unknown", "put_device"), ("device",))],
)
def test_what_was_inlined_around_the_instruction_says_what_the_crash_is_about(
    program: tuple[str, Path], inlined: tuple[str, ...], types: tuple[str, ...]
) -> None:
    arch, path = program
    asked = RaceRequest(arch=arch, crashed=("fault",), inlined=inlined, changed=("fault",), files=("fault.c",))
    with open_binary(path, path.parent) as binary:
        assert points_in(binary, asked).types == types


def test_functions_copies_and_calls_that_are_given_such_an_object(found: RacePoints) -> None:
    seen = {(point.kind, point.role.value, point.function, point.host) for point in found.points}

    assert {
        (PointKind.ENTRY, "kills", "ref_kill", "ref_kill"),
        (PointKind.ENTRY, "uses", "ref_switch", "ref_switch"),
        (PointKind.COPY, "puts", "ref_put", "fault"),
        (PointKind.CALL, "takes", "get_device", "fault"),
        (PointKind.COPY, "takes", "ref_tryget", "get_device"),
        (PointKind.CALL, "kills", "ref_kill", "swapoff"),
    } <= seen


def test_a_copy_within_a_copy_that_does_the_same_is_left_out(found: RacePoints) -> None:
    assert not [point for point in found.points if point.function == "ref_put_many"]


def test_the_names_of_arguments_are_those_of_the_source(found: RacePoints) -> None:
    (kill,) = [point for point in found.points if point.kind is PointKind.ENTRY and point.function == "ref_kill"]

    assert kill.names == ("ref",)
    assert kill.typed == (0,)


def test_each_page_with_a_copy_or_a_call_is_split_between_the_bytes_of_an_instruction(found: RacePoints) -> None:
    inside = {point.address for point in found.points if point.kind is not PointKind.ENTRY}

    assert {split // 4096 for split in found.splits} == {address // 4096 for address in inside}
    assert {split - 1 for split in found.splits} <= inside


def test_what_parameters_are_called(program: tuple[str, Path]) -> None:
    with open_binary(program[1], program[1].parent) as binary:
        assert names_in(binary, {"ref_kill", "main", "nobody"}) == {"ref_kill": ("ref",), "main": ("argc", "argv")}
