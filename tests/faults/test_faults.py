# SPDX-License-Identifier: GPL-2.0-or-later
"""The campaign of faults in its short form; `make faults` plays the long one."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.host.process import find_tool
from orchestrator.host.sandbox import sandbox_works
from orchestrator.model.outcomes import Outcome
from tests.faults import __main__ as command
from tests.faults import hostdisk
from tests.faults.campaign import Fault, Settings, play_fault
from tests.faults.hostile_guests import GUESTS, read_guest
from tests.faults.hostile_series import hostile_series
from tests.faults.rig import Template, make_template
from tests.faults.strace import Traced
from tests.faults.table import FAULTS
from tests.faults.tally import Finding, Kind, Played, Tally, markdown

_TOOLS = ("ccache", "strace", "setpriv", "prlimit", "make")


@pytest.fixture(scope="module")
def template() -> Iterator[Template]:
    if missing := [tool for tool in _TOOLS if find_tool(tool) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if not sandbox_works():
        pytest.skip("bubblewrap can't make a sandbox here")
    # Not below pytest's folder, which is too long for a socket's path.
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    folder.chmod(0o755)
    yield make_template(folder / "t")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_no_verdict_is_silently_wrong(fault: Fault, template: Template) -> None:
    said: list[str] = []
    settings = Settings(folder=template.folder.parent, short=True, keep=False, say=said.append)

    tally = play_fault(fault, template, settings)

    assert tally.good(), "\n".join(said)
    if not tally.tries():
        pytest.skip(tally.skipped())
    assert not tally.note


def test_each_hostile_series_says_what_it_tries_and_what_is_right() -> None:
    found = hostile_series()

    assert len(found) >= 40
    outcomes = {str(outcome) for outcome in Outcome} | {"refused"}
    for series in found:
        assert series.expect <= outcomes, series.file
        assert series.tries.split()[0].endswith("s"), f"{series.file}: a subject like: reads /etc/shadow"


def test_each_hostile_guest_says_what_it_tries_and_what_is_right() -> None:
    outcomes = {str(outcome) for outcome in Outcome}
    for file in GUESTS.glob("*.guest"):
        text = file.read_text()
        assert text.startswith("# "), file
        assert read_guest(text).expect <= outcomes, file


def test_a_row_counts_tries_and_says_what_was_not_played() -> None:
    played = [
        Played(name="a", findings=(Finding(Kind.WRONG, "x"), Finding(Kind.WRONG, "y"))),
        Played(name="b", skipped="libfaketime is not installed"),
        Played(name="c"),
    ]

    text = markdown([Tally(fault="F10", what="signals", played=played)], "2026-01-31")

    assert (
        text.splitlines()[2]
        == "| F10 | signals | 2 | 1 | 0 | 0 | 0 | 1 skipped: libfaketime is not installed | 2026-01-31 |"
    )


def test_a_file_is_on_the_disk_under_the_name_that_it_was_given_after_the_fsync() -> None:
    calls = [
        Traced("write", ("/c/new/image",), 4096),
        Traced("fsync", ("/c/new/image",), 0),
        Traced("write", ("/c/new/log",), 10),
        Traced("rename", ("/c/new", "/c/key"), 0),
        Traced("fsync", ("/c/other",), 0),
        Traced("write", ("/c/other",), 1),
    ]

    assert hostdisk.synced_files(calls) == {"/c/key/image"}


def test_the_table_has_its_place_in_the_threat_model() -> None:
    text = command.PAGE.read_text(encoding="utf-8")

    assert 0 < text.index(command.BEGIN) < text.index(command.END)
    assert [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| F")] == [
        fault.name for fault in FAULTS
    ]


def test_a_fault_without_a_campaign_has_a_row_that_says_so() -> None:
    table = markdown([Tally(fault="F2", what="new")], "2026-01-31")

    lines = command.merged_table("| F1 | old |\n", table)

    rows = {line.split("|")[1].strip(): line for line in lines if line.startswith("| F")}
    assert rows["F1"] == "| F1 | old |"
    assert rows["F2"].endswith("| 2026-01-31 |")
    assert list(rows) == [fault.name for fault in FAULTS]
    assert all("never run in full" in rows[fault.name] for fault in FAULTS[2:])
