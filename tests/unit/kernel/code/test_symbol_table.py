# SPDX-License-Identifier: GPL-2.0-or-later
"""What nm prints -> the addresses of frames; and where the source tree was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.host.errors import InfraError
from orchestrator.kernel.code.symbols import source_root, symbol_table
from orchestrator.model.stacks import SourceLine, StackFrame

NM = """0000000000000000 A __per_cpu_start
ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff81000100 t f
ffffffff81000100 t f
ffffffff81000130 t f
ffffffff81000180 T g
ffffffff810001f0 T __pfx_h
                 U undefined
ffffffff81000200 T h
ffffffff81000300 T _etext
"""


@pytest.mark.parametrize(
    ("frame", "address"),
    [
        (StackFrame(function="f", offset=0x20, size=0x30), 0xFFFFFFFF8100011F),
        (StackFrame(function="f", offset=0x20, size=0x50), 0xFFFFFFFF8100014F),
        (StackFrame(function="f", offset=0x20, size=0x50, exact=True), 0xFFFFFFFF81000150),
        (StackFrame(function="g", offset=0x70, size=0x70), 0xFFFFFFFF810001EF),  # behind a call without return
        (StackFrame(function="h", offset=0, size=0x100), 0xFFFFFFFF81000200),
        (StackFrame(function="h", offset=0x10, size=0), 0xFFFFFFFF8100020F),
        (StackFrame(function="f", offset=0x10, size=0), None),
        (StackFrame(function="g", offset=0x10, size=0x71), None),
        (StackFrame(function="g", offset=0x10, size=0x70, module="m"), None),
        (StackFrame(function="x", offset=0x10, size=0x70), None),
    ],
)
def test_a_frame_has_an_address_where_name_and_size_fit(frame: StackFrame, address: int | None) -> None:
    assert symbol_table(NM).address(frame) == address


@pytest.mark.parametrize(("file", "root"), [("/a/src/init/main.c", "/a/src/"), ("init/main.c", "")])
def test_the_source_root_is_what_stands_before_a_file_that_every_kernel_has(file: str, root: str) -> None:
    assert source_root((SourceLine(function="start_kernel", file=file, line=900),)) == root


@pytest.mark.parametrize("file", ["", "/a/src/uninit/main.c"])
def test_a_kernel_without_debug_information_is_called_so(file: str) -> None:
    with pytest.raises(InfraError, match="no debug information"):
        source_root((SourceLine(function="start_kernel", file=file, line=900),) if file else ())


@given(st.text(alphabet="0x19af?:\n /.cT"))
def test_any_output_is_survived(text: str) -> None:
    symbol_table(text)
