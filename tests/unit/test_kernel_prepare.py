"""What a build folder that began as a copy of another takes over."""

import os
from pathlib import Path

from orchestrator.kernel.prepare import move_tools


def test_the_tools_of_a_copied_build_folder_are_not_built_again(tmp_path: Path) -> None:
    """The notes of tools/objtool have whole paths: in the copy its commands would differ, and all objects with it."""
    sibling, out, fresh = tmp_path / "kasan.x86_64", tmp_path / "widened+kasan.x86_64", tmp_path / "new"
    note = fresh / "tools" / "objtool" / "arch" / ".decode.o.cmd"
    note.parent.mkdir(parents=True)
    note.write_bytes(b"cmd_%b/tools/decode.o := gcc -o %b/tools/decode.o \xff" % (bytes(sibling), bytes(sibling)))
    tool = fresh / "tools" / "objtool" / "objtool"
    tool.write_text(f"{sibling}/")
    os.utime(tool, (1, 1))

    move_tools(fresh, sibling, out)

    assert note.read_bytes() == b"cmd_%b/tools/decode.o := gcc -o %b/tools/decode.o \xff" % (bytes(out), bytes(out))
    assert (tool.read_text(), tool.stat().st_mtime) == (f"{sibling}/", 1)
