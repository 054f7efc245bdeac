# SPDX-License-Identifier: GPL-2.0-or-later
"""Consoles as people posted them, where they lie beside the project, each with what is right."""

import json
import os
import re
from pathlib import Path

import pytest

from orchestrator.judge.scan import crashes_in
from orchestrator.model.crashes import CrashKind, Severity

CASES = Path(os.environ.get("CASES") or Path(__file__).parents[4] / "shared" / "cases")
CONSOLES = CASES / "consoles.json"
RIGHT: dict[str, str] = (
    {name: case["right"] for name, case in json.loads(CONSOLES.read_text(encoding="utf-8")).items()}
    if CONSOLES.is_file()
    else {}
)
KIND = re.compile(rf"(?:a )?({'|'.join(CrashKind)})\b")

pytestmark = pytest.mark.skipif(not RIGHT, reason=f"{CONSOLES} is not here: CASES=DIR")


@pytest.mark.parametrize(("name", "right"), RIGHT.items(), ids=RIGHT)
def test_what_is_right_is_found(name: str, right: str) -> None:
    crashes = list(crashes_in([(CASES / "consoles" / name).read_bytes()]))
    fatal = [crash for crash in crashes if crash.severity is Severity.FATAL]

    if right == "nothing":
        assert crashes == []
    elif right.startswith("note"):
        assert crashes
        assert all("fatal ok" in right and crash.title in right for crash in fatal)
    elif kind := KIND.match(right):
        assert [crash.kind for crash in fatal][:1] == [kind[1]]
        assert len(fatal) == 1 or "once" not in right
