# SPDX-License-Identifier: GPL-2.0-or-later
"""format=flowed, which our reader undoes itself: git mailinfo, given the same mail, has the last word."""

import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.kernel.series.mail import unflowed

HEADER = b"From: A <a@localhost>\nSubject: x\nContent-Type: text/plain; charset=utf-8; format=flowed%s\n\n---\n"
LINES = st.lists(st.sampled_from(["-- ", " -- ", "", " ", "  ", "+a ", "+a", " context", "  context ", "-b  ", " +c "]))


def of_git(body: bytes, *, delete_space: bool) -> bytes:
    """What git mailinfo takes for the patch, without the line that makes it one."""
    mail = HEADER % (b"; delsp=yes" if delete_space else b"") + body
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "mailinfo", "msg", "patch"], input=mail, cwd=folder, check=True, capture_output=True)
        return (Path(folder) / "patch").read_bytes().removeprefix(b"---\n")


@pytest.mark.parametrize("delete_space", [False, True])
@settings(max_examples=60)
@given(LINES)
def test_the_lines_are_put_together_as_git_does_it(delete_space: bool, lines: list[str]) -> None:
    # A last line that is whole: what is left over at the end of a mail is none of a patch.
    body = "".join(f"{line}\n" for line in [*lines, "+end"]).encode()

    assert unflowed(body, delete_space=delete_space) == of_git(body, delete_space=delete_space)
