# SPDX-License-Identifier: GPL-2.0-or-later
"""Series as they arrive in the field (../shared/cases/mails): each gives the right tree, or the right refusal."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import UserError
from orchestrator.host.paths import PROJECT
from orchestrator.host.process import check
from orchestrator.kernel.series.load import Series, load_series
from orchestrator.kernel.source.apply import NotApplied, apply_series

CASES = PROJECT.parent / "shared/cases"
RIGHT: dict[str, dict[str, str]] = json.loads((CASES / "mails.json").read_text()) if CASES.exists() else {}
# How the answers that are no tree are recognised here: words of mails.json -> what has to be said, and changed.
REFUSALS = {
    "several versions": "several versions of a series: v1 .* v2 .* v3 ",
    "two versions of one patch": "several versions of a series: v1 .* v2 ",
    "is missing": "2/3 is missing",
}
pytestmark = pytest.mark.skipif(not RIGHT, reason="../shared is not beside this checkout")


def until() -> Deadline:
    return Deadline.after(60, "a test")


class Repository:
    """base.bundle, unpacked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder.with_suffix(".log")
        check(["git", "clone", "-q", "--mirror", str(CASES / "mails/base.bundle"), str(folder)],
              log=self.log, until=until())  # fmt: skip

    def git(self, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        argv = ["git", f"--git-dir={self.folder}", *arguments]
        return check(argv, log=self.log, until=until(), env={"PATH": os.environ["PATH"], **(env or {})}).strip()

    def tree(self, branch: str) -> str:
        return self.git("rev-parse", f"{branch}^{{tree}}")

    def check_out(self, branch: str, folder: Path) -> Path:
        folder.mkdir()
        index = {"GIT_INDEX_FILE": str(folder.with_suffix(".index"))}
        self.git(f"--work-tree={folder}", "read-tree", branch, env=index)
        self.git(f"--work-tree={folder}", "checkout-index", "--all", env=index)
        return folder

    def tree_of(self, folder: Path) -> str:
        index = {"GIT_INDEX_FILE": str(folder.with_suffix(".index"))}
        check(["git", f"--git-dir={self.folder}", f"--work-tree={folder}", "add", "-A", "-f", "."],
              log=self.log, until=until(), cwd=folder, env={"PATH": os.environ["PATH"], **index})  # fmt: skip
        return self.git("write-tree", env=index)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository(tmp_path_factory.mktemp("cases") / "base.git")


def read(name: str, tmp_path: Path) -> Series:
    return load_series([CASES / "mails" / name], tree=None, log=tmp_path / "log", until=until())


def apply(series: Series, base: str, repository: Repository, tmp_path: Path) -> Path | NotApplied:
    folder = repository.check_out(base, tmp_path / "tree")
    problem = apply_series(series, folder, log_dir=tmp_path, until=until())
    return problem or folder


def names(word: str) -> list[str]:
    return sorted(name for name, case in RIGHT.items() if word in case["right"])


@pytest.mark.parametrize("name", names("tree "))
def test_the_tree_is_the_one_that_git_am_makes(name: str, repository: Repository, tmp_path: Path) -> None:
    series = read(name, tmp_path)
    folder = apply(series, RIGHT[name]["base"], repository, tmp_path)

    assert isinstance(folder, Path), folder.title
    assert repository.tree_of(folder) == repository.tree(RIGHT[name]["right"].split()[1].strip(",;"))
    if "diff in a reply is not taken" in RIGHT[name]["right"]:
        assert "a reply; its diff is not taken" in series.notices[0]


@pytest.mark.parametrize("name", names("refused:"))
def test_what_is_no_single_whole_series_is_refused(name: str, tmp_path: Path) -> None:
    said = next(words for key, words in REFUSALS.items() if key in RIGHT[name]["right"])

    with pytest.raises(UserError, match=said) as refused:
        read(name, tmp_path)

    assert refused.value.hint


@pytest.mark.parametrize("name", sorted({*names("one line more"), *names("newfile.c is made"), *names("sorted by")}))
def test_diffs_of_other_programs_apply_to_the_files_that_they_mean(
    name: str, repository: Repository, tmp_path: Path
) -> None:
    series = read(name, tmp_path)
    folder = apply(series, RIGHT[name]["base"], repository, tmp_path)

    assert isinstance(folder, Path), folder.title
    assert [str(file) for file in series.touched] == ["mm/newfile.c" if "newfile" in name else "mm/swap.h"]
    assert repository.tree_of(folder) != repository.tree(RIGHT[name]["base"])


@pytest.mark.parametrize("name", ["31-tabs", "07-reverse.diff", "90-quilt-R"])
def test_what_does_not_fit_is_not_applied_and_says_where(name: str, repository: Repository, tmp_path: Path) -> None:
    problem = apply(read(name, tmp_path), RIGHT[name]["base"], repository, tmp_path)

    assert isinstance(problem, NotApplied)
    assert problem.file.startswith("mm/")
    assert problem.hunk or problem.reason


def test_a_compressed_mailbox_is_read_as_the_one_in_it(tmp_path: Path) -> None:
    packed, plain = read("41-t.mbox.gz", tmp_path), read("20-t.mbox", tmp_path)

    assert packed.sha256 == plain.sha256


def test_each_case_is_looked_at() -> None:
    looked_at = {
        name for word in ("tree ", "refused:", "one line more", "is made", "sorted by") for name in names(word)
    }
    assert looked_at | {"31-tabs", "07-reverse.diff", "90-quilt-R", "41-t.mbox.gz"} >= set(RIGHT)
