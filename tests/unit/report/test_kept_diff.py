# SPDX-License-Identifier: GPL-2.0-or-later
"""What the series did, written to a run's folder and read back: whole, damaged, and as earlier versions kept it."""

import json
from pathlib import Path

import pytest

from orchestrator.model.cells import Build
from orchestrator.model.configuration import Variant
from orchestrator.model.series_diff import ChangedFile, ChangedFunction, DiffLine, SeriesDiff
from orchestrator.report.kept_diff import DIFF_FILE, load_diff, save_diff

BUILD = Build(variant=Variant.PATCHED, flavour="plain", arch="x86_64")
SECOND = ChangedFunction(file="mm/swap.c", name="second", first=3, last=9)
DIFF = SeriesDiff(
    files=(ChangedFile(path="mm/swap.c", hunks=((DiffLine(kind="+", old=0, new=4, text="\tuse(x);\udc80"),),)),),
    functions=(SECOND,),
    texts={"mm/swap.c": "int second(int x)\n"},
    digests={"mm/swap.c": "0" * 64},
)


def test_a_diff_is_read_back_as_it_was(tmp_path: Path) -> None:
    save_diff(DIFF, tmp_path)

    assert load_diff(tmp_path, BUILD) == DIFF


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000, '{"files": [], "functions": 1, "texts": {}}', "\0"])
def test_a_diff_that_cannot_be_read_is_not_known(tmp_path: Path, content: str) -> None:
    (tmp_path / DIFF_FILE).write_text(content)

    assert load_diff(tmp_path, BUILD) is None


def test_a_folder_without_one_does_not_tell(tmp_path: Path) -> None:
    assert load_diff(tmp_path, BUILD) is None


def test_an_earlier_version_kept_functions_and_files_in_the_folder_of_the_build(tmp_path: Path) -> None:
    folder = tmp_path / "builds" / BUILD.name
    (folder / "source" / "mm").mkdir(parents=True)
    (folder / "source" / "mm" / "swap.c").write_text("int second(int x)\n")
    row = {"file": "mm/swap.c", "first": 3, "last": 9, "name": "second"}
    (folder / "functions.json").write_text(json.dumps([row], indent=1))

    found = load_diff(tmp_path, BUILD)

    assert found == SeriesDiff(files=(), functions=(SECOND,), texts={"mm/swap.c": "int second(int x)\n"})
    assert found.changed("mm/swap.c", 9)
    assert not found.changed("mm/swap.c", 10)
    assert not found.changed("mm/other.c", 9)
