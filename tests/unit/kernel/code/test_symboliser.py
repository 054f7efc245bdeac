# SPDX-License-Identifier: GPL-2.0-or-later
"""What llvm-symbolizer prints -> places."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.host.errors import InfraError
from orchestrator.kernel.code.symboliser import bulk_argv, places_in, symboliser_argv
from orchestrator.model.stacks import SourceLine

VMLINUX = Path("/cache/vmlinux")
SRC = "/b/plain.x86_64/../../src"


def place(function: str, file: str, line: int) -> dict[str, object]:
    # LLVM 14.
    more = {"Column": 2, "Discriminator": 0, "StartAddress": "0xffffffff81000100", "StartFileName": "", "StartLine": 7}
    return {"FunctionName": function, "FileName": file, "Line": line, **more}


def answer(address: int, *places: dict[str, object]) -> dict[str, object]:
    return {"Address": f"{address:#x}", "ModuleName": str(VMLINUX), "Symbol": list(places)}


ANSWERS = [
    answer(
        0xFFFFFFFF81000141,
        place("percpu_ref_put", f"{SRC}/include/linux/percpu-refcount.h", 334),
        place("f", f"{SRC}/mm/swapfile.c", 1610),
    ),
    answer(0xFFFFFFFF81000200, place("", "", 0)),
    answer(0xFFFFFFFF81000210, place("h", f"{SRC}/mm/x.c", 0)),
    {"Address": "0x2", "ModuleName": str(VMLINUX), "Error": {"Message": "no such section"}},
]
WARNING = "warning: address table at offset 0x20 has a wrong version"


@pytest.mark.parametrize("output", [json.dumps(ANSWERS), f"{WARNING}\n{json.dumps(ANSWERS)}\n{WARNING}\n"])
def test_places_are_innermost_first_and_what_has_no_line_is_left_out(output: str) -> None:
    found = places_in(output, "/src/")

    header = SourceLine(function="percpu_ref_put", file="include/linux/percpu-refcount.h", line=334, inlined=True)
    assert found == {
        0xFFFFFFFF81000141: (header, SourceLine(function="f", file="mm/swapfile.c", line=1610)),
        0xFFFFFFFF81000200: (),
        0xFFFFFFFF81000210: (),
        0x2: (),
    }


def test_without_a_root_files_are_named_as_the_compiler_did() -> None:
    assert places_in(json.dumps(ANSWERS[:1]))[0xFFFFFFFF81000141][1].file == "/src/mm/swapfile.c"


@pytest.mark.parametrize("output", ['[{"Address": "0x1"', '[{"Address": 1, "Symbol": []}]', '[{"Symbol": [{}]}]'])
def test_an_answer_that_cannot_be_read_is_trouble_of_ours(output: str) -> None:
    with pytest.raises(InfraError, match="llvm-symbolizer printed what can't be read"):
        places_in(output)


def test_more_addresses_than_a_command_line_holds_are_in_a_file(tmp_path: Path) -> None:
    listing = tmp_path / "addresses"

    assert bulk_argv(VMLINUX, [1, 0x20], listing)[:-1] == symboliser_argv(VMLINUX, [])
    assert bulk_argv(VMLINUX, [1, 0x20], listing)[-1] == f"@{listing}"
    assert listing.read_text().split() == symboliser_argv(VMLINUX, [1, 0x20])[-2:] == ["0x1", "0x20"]


@given(st.text(alphabet='0x19af?:\n [{}]",'))
def test_any_output_is_survived(text: str) -> None:
    with suppress(InfraError):
        places_in(text)
