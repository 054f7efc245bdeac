# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig series`: what a run would test, for people and for scripts."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli.series_commands import series
from orchestrator.host.errors import ExitCode, UserError
from tests.unit.kernel.series.test_arrange import diff, mail


def run(*arguments: str) -> str:
    # Its lines about the work go to standard error.
    done = CliRunner(env={"PATCHRIG_CACHE": "/nonexistent"}).invoke(series, arguments, standalone_mode=False)
    if isinstance(done.exception, Exception):
        raise done.exception
    assert done.return_value == ExitCode.OK
    return done.stdout


@pytest.fixture
def box(tmp_path: Path) -> Path:
    mails = (
        mail("[PATCH v2 0/2] cover", "base-commit: " + "1" * 40 + "\n"),
        mail("[PATCH v2 2/2] mm: two", diff("two")),
        mail("Re: [PATCH v2 2/2] mm: two", diff("idea")),
        mail("[PATCH v2 1/2] mm: one", diff("one") + diff("more")),
    )
    (tmp_path / "t.mbox").write_text("".join(f"From a@b Sat Nov  1 10:00:00 2025\n{one}\n" for one in mails))
    return tmp_path / "t.mbox"


def test_a_reader_sees_patches_files_and_what_is_left_out(box: Path) -> None:
    assert run(str(box)).splitlines() == [
        "  1  mm: one",
        "     t.mbox 1/2, by A <a@localhost>",
        "       +1 -1    mm/one.c",
        "       +1 -1    mm/more.c",
        "  2  mm: two",
        "     t.mbox 2/2, by A <a@localhost>",
        "       +1 -1    mm/two.c",
        "2 patches, 3 files, version 2, base-commit 111111111111",
        "left out: '[v2 0/2] cover': the cover letter",
        "left out: 'Re: [v2 2/2] mm: two': a reply; its diff is not taken",
        "base: not known: there is no kernel to try the series on:; 7.1.8: not in the cache: a run downloads it; "
        "6.19.6: not in the cache: a run downloads it; 6.12.107: not in the cache: a run downloads it",
    ]


def test_a_script_gets_the_same_as_json(box: Path) -> None:
    said = json.loads(run(str(box), "--json"))

    assert [patch["subject"] for patch in said["patches"]] == ["mm: one", "mm: two"]
    assert said["patches"][1]["files"] == [{"path": "mm/two.c", "added": 1, "removed": 1}]
    assert (said["version"], said["base_commit"]) == ("2", "1" * 40)
    assert [one["diff"] for one in said["left_out"]] == [False, True]
    assert len(said["notices"]) == 1


def test_what_a_run_would_refuse_is_refused_and_a_version_can_be_chosen(box: Path) -> None:
    text = box.read_text()
    box.write_text(text + "\n" + text.replace(" v2 ", " v3 "))

    with pytest.raises(UserError, match="several versions"):
        run(str(box))
    assert "version 3" in run(str(box), "--series-version", "v3")
