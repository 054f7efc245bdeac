# SPDX-License-Identifier: GPL-2.0-or-later
"""Each program of the guest compiles and links for each arch, as patchrig does it before a run."""

from pathlib import Path

import pytest

from orchestrator.guest.programs import Library, program_bytes
from orchestrator.host.deadline import Deadline
from orchestrator.host.elf import needed_libraries
from orchestrator.host.paths import GUEST_SCRIPTS
from orchestrator.model.arch import ARCHES, Arch

LIBRARY = GUEST_SCRIPTS / "lib"
PROGRAMS = [path for path in sorted(GUEST_SCRIPTS.rglob("*.c")) if path.parent != LIBRARY]


@pytest.mark.parametrize("arch", ARCHES.values(), ids=lambda arch: arch.name)
@pytest.mark.parametrize("source", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_is_made_without_a_warning_and_needs_no_library(source: Path, arch: Arch, tmp_path: Path) -> None:
    until = Deadline.after(300, "the compiler")

    made = program_bytes(source, arch, Library(folder=LIBRARY), cache=tmp_path, log=tmp_path / "log", until=until)

    program = tmp_path / "program"
    program.write_bytes(made)
    assert needed_libraries(program) == []
