# SPDX-License-Identifier: GPL-2.0-or-later
"""What is probed in a kernel, written to the folder of its build and read back."""

from pathlib import Path

from orchestrator.model.configuration import Failure
from orchestrator.model.probes import Caller, Located, LocatedFunction, LocatedSite
from orchestrator.report.kept_probes import PROBES_FILE, load_located, save_located

SITE = LocatedSite(
    name="fault",
    way="call of f() by g()",
    returns=("f",),
    failure=Failure.FALSE,
    callers=(Caller(symbol="g", first=3, end=9),),
    entries=("h+0x4",),
)
CHANGED = LocatedFunction(label="f", file="mm/f.c", first=3, last=9, sources=("mm/f.c",), entries=("f",), partly=True)
LOCATED = Located(sites={"swapin": (SITE, LocatedSite(name="gone", why="no x()"))}, changed=(CHANGED,))


def test_what_was_kept_is_read_back(tmp_path: Path) -> None:
    save_located(LOCATED, tmp_path)

    assert load_located(tmp_path) == LOCATED


def test_what_is_not_there_or_no_longer_whole_is_none(tmp_path: Path) -> None:
    assert load_located(tmp_path) is None
    save_located(LOCATED, tmp_path)
    text = (tmp_path / PROBES_FILE).read_text()
    for damaged in (text[:-9], "[]", text.replace('"name"', '"label"')):
        (tmp_path / PROBES_FILE).write_text(damaged)
        assert load_located(tmp_path) is None
