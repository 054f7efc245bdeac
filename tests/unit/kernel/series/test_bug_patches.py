# SPDX-License-Identifier: GPL-2.0-or-later
"""Seeded bugs: headers, folders, and that each of the project's own is a bug of the series that it breaks."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.host import paths
from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import UserError
from orchestrator.host.paths import scratch_folder
from orchestrator.kernel.series.bug_patches import load_bugs, parse_header
from orchestrator.kernel.series.load import load_series
from orchestrator.model.bugs import SeededBug
from orchestrator.plan.config import load_workload

BUGS = paths.KERNELS / "bugs"
SERIES = paths.KERNELS / "patches" / "swapoff-lockout"
OWN = sorted(BUGS.glob("*.patch"))
UNSEEN = sorted((paths.KERNELS / "unseen-bugs").glob("*.patch"))
DIFF = "--- a/swap.c\n+++ b/swap.c\n@@ -1 +1 @@ int swap(void)\n-a\n+b\n"
each_own = pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)


def until() -> Deadline:
    return Deadline.after(60, "git")


def read(place: Path, *ids: str) -> tuple[SeededBug, ...]:
    with scratch_folder() as scratch:
        return load_bugs(place, ids, log=Path(scratch) / "git.log", until=until())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "bugs"
    made.mkdir()
    return made


def test_a_plain_patch_is_a_bug_named_after_its_file(folder: Path) -> None:
    (folder / "my bug.diff").write_text(DIFF)

    (bug,) = read(folder)

    assert (bug.id, bug.touched, bug.bug_class, bug.workloads, bug.undetectable) == ("my bug", ("swap.c",), "", (), "")
    assert bug.diff == DIFF


def test_a_header_says_what_it_says(folder: Path) -> None:
    head = "Id: other\nClass: B\nBroken: it leaks,\n badly\nSymptom: hung: ever\nWorkload: swapin, zswap-writeback\n"
    (folder / "leak.patch").write_text(f"{head}\n{DIFF}")

    (bug,) = read(folder)

    assert (bug.id, bug.bug_class, bug.broken) == ("leak", "B", "it leaks, badly")
    assert (bug.symptom, bug.workloads) == ("hung: ever", ("swapin", "zswap-writeback"))


def test_a_mailed_patch_has_its_header_in_the_message(folder: Path) -> None:
    head = "From 0123 Mon Sep 17 00:00:00 2001\nFrom: me <m@localhost>\nSubject: [PATCH] mm: break it\n\nProse: more.\n"
    (folder / "0001-break.patch").write_text(f"{head}\nWorkload: shmem\nClass: C\n---\n swap.c | 2 +-\n\n{DIFF}")

    (bug,) = read(folder)

    assert (bug.workloads, bug.bug_class) == (("shmem",), "C")


def test_what_nothing_can_detect_has_its_reason(folder: Path) -> None:
    (folder / "same.patch").write_text(f"Detectable: no, because it is the same\n\n{DIFF}")
    (folder / "unlike.patch").write_text(f"Detectable: yes\n\n{DIFF}")

    assert [bug.undetectable for bug in read(folder)] == ["it is the same", ""]


def test_only_the_bugs_asked_for(folder: Path) -> None:
    for name in ("one", "two", "three"):
        (folder / f"{name}.patch").write_text(DIFF)

    assert [bug.id for bug in read(folder, "two", "one", "two")] == ["two", "one"]
    assert [bug.id for bug in read(folder / "three.patch")] == ["three"]


def test_an_unknown_bug_is_named_with_its_nearest(folder: Path) -> None:
    (folder / "swapin-leak.patch").write_text(DIFF)

    with pytest.raises(UserError, match=r"no seeded bug .swapin-leek.*the nearest is swapin-leak"):
        read(folder, "swapin-leek")


def test_a_folder_without_a_patch_and_a_file_without_a_diff_are_the_users_to_mend(folder: Path) -> None:
    with pytest.raises(UserError, match="has no patches"):
        read(folder)
    with pytest.raises(UserError, match="does not exist"):
        read(folder / "gone")
    (folder / "prose.patch").write_text("Class: A\n")
    with pytest.raises(UserError, match="is no patch"):
        read(folder)


def test_two_files_of_one_stem_are_refused(folder: Path) -> None:
    (folder / "a.patch").write_text(DIFF)
    (folder / "a.diff").write_text(DIFF)

    with pytest.raises(UserError, match="would both be the bug 'a'"):
        read(folder)


@given(st.text())
def test_no_text_breaks_the_header(text: str) -> None:
    assert all("\n" not in value for value in parse_header(text).values())


@each_own
def test_an_own_bug_says_all_that_the_readme_promises(path: Path) -> None:
    (bug,) = read(path)
    header = parse_header(path.read_text())

    assert path.read_text().startswith(f"Id: {path.stem}\nFile: {bug.touched[0]}\n")
    assert header["Broken"]
    if bug.undetectable:
        assert "Class" not in header
    else:
        assert bug.bug_class
        assert bug.symptom.partition(":")[0] in ("failed", "crashed", "hung", "corrupted", "crashed or hung")
    for name in bug.workloads:
        load_workload(name, beside=paths.CONFIGS)
    assert bug.workloads
    assert f"| `{bug.id}` | {bug.touched[0]} |" in (BUGS / "README.md").read_text()


def test_the_readme_lists_no_bug_that_is_not_there() -> None:
    listed = re.findall(r"^\| `([a-z-]+)` \| \S+\.[ch] \|", (BUGS / "README.md").read_text(), re.MULTILINE)

    assert sorted(listed) == sorted(path.stem for path in OWN)


@pytest.fixture(scope="module")
def patched_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the series and the bugs touch, with the series on them, copied out of a tree in the cache."""
    trees = sorted(tree for tree in (paths.cache_root() / "trees").glob("6.19.6-*") if tree.is_dir())
    if not trees:
        pytest.skip(f"no Linux 6.19.6 in {paths.cache_root() / 'trees'}: patchrig build  # unpacks one")
    copy = tmp_path_factory.mktemp("linux")
    wanted = {file for path in [*OWN, *UNSEEN] for bug in read(path) for file in bug.touched}
    series = load_series((SERIES,), tree=None, log=copy / "git.log", until=until())
    for file in sorted(wanted | {str(file) for file in series.touched}):
        pristine = trees[0] / "pristine" / file
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(pristine if pristine.exists() else trees[0] / "src" / file, copy / file)
    for patch in sorted(SERIES.glob("*.patch")):
        apply(patch, copy)
    return copy


def apply(patch: Path, folder: Path, *options: str) -> None:
    argv = ["git", "apply", *options, str(patch)]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", [*OWN, *UNSEEN], ids=lambda path: path.stem)
def test_a_bug_applies_on_top_of_the_series(path: Path, patched_tree: Path) -> None:
    apply(path, patched_tree, "--check")
