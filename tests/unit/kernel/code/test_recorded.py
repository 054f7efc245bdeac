# SPDX-License-Identifier: GPL-2.0-or-later
"""All functions of some folders, with the blocks that are recorded: on the programs of test_targets."""

import re
import subprocess
from pathlib import Path

import pytest

from orchestrator.guest.block_counts import counted_of
from orchestrator.host.paths import OVERLAYS
from orchestrator.kernel.code.recorded import recorded_code
from orchestrator.model.reach import CodeFunction, Recorded, SourceFunction
from orchestrator.run.reach_maps import functions_run
from tests.unit.kernel.code import test_targets as programs

program = programs.program


def functions(program: Path) -> dict[SourceFunction, CodeFunction]:
    with programs.opened(program) as kernel:
        return {one.source: one for one in recorded_code(["mm/"], kernel).functions}


def test_functions_are_recorded_where_they_were_inlined_too(program: Path) -> None:
    found = functions(program)

    recorded = {source for source, one in found.items() if one.recorded is Recorded.YES}
    # What the compiler made a single comparison of has no block, and may have no code.
    assert recorded - {SourceFunction("mm/lookup.c", "confirm")} == {
        SourceFunction("mm/lookup.c", "lookup"),
        SourceFunction("mm/lookup.c", "untouched"),
        SourceFunction("swap.h", "tryget"),
    }


def test_code_without_the_callback_is_said_not_to_be_recorded(program: Path) -> None:
    found = functions(program)

    assert found[SourceFunction("mm/main.c", "put")].recorded is Recorded.NO
    assert found[SourceFunction("mm/main.c", "main")].blocks == ()
    # Nobody calls it, so there is no code of it.
    assert SourceFunction("swap.h", "unused") not in found


def test_other_folders_are_left_alone(program: Path) -> None:
    with programs.opened(program) as kernel:
        assert recorded_code(["fs/"], kernel).functions == ()


def test_lines_are_those_of_the_source_by_the_blocks_that_run_them(program: Path) -> None:
    found = functions(program)[SourceFunction("mm/lookup.c", "lookup")]

    never = found.lines[programs.line_of(programs.LOOKUP, "return si * 3")]
    assert set(never) < set(found.blocks)
    assert never != found.lines[programs.line_of(programs.LOOKUP, "if (si > limit)")]


def test_what_a_real_run_reaches_is_what_its_source_says(program: Path) -> None:
    if program.suffix != f".{programs.ON_THIS_HOST}":
        pytest.skip(f"this host does not run {program.name}")
    with programs.opened(program) as kernel:
        code = recorded_code(["mm/"], kernel)

    executed = counted_of(subprocess.run([str(program)], check=False, capture_output=True, text=True).stdout).executed
    ran = functions_run(code, executed)

    lookup = ran[SourceFunction("mm/lookup.c", "lookup")]
    assert set(ran) == {one.source for one in code.functions if one.recorded is Recorded.YES}
    assert programs.line_of(programs.LOOKUP, "if (si > limit)") in lookup.lines
    assert programs.line_of(programs.LOOKUP, "return si * 3") not in lookup.lines
    whole = next(one for one in code.functions if one.source == SourceFunction("mm/lookup.c", "lookup"))
    assert lookup.blocks < len(whole.blocks)


def test_both_overlays_compile_with_the_same_flags() -> None:
    texts = [(OVERLAYS / name / "appended/scripts/Makefile.lib").read_text() for name in ("widened", "reach")]

    flags = [re.findall(r"^patchrig-flags := (?:.*\\\n)*.*$", text, re.MULTILINE) for text in texts]
    assert flags[0] == flags[1] != []
