# SPDX-License-Identifier: GPL-2.0-or-later
"""Series on real trees: applied, changed, taken back, refused; never in the user's own tree."""

import os
import tarfile
from pathlib import Path

import pytest

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import UserError
from orchestrator.host.files import sha256_of
from orchestrator.host.paths import KERNELS, PROJECT, cache_root
from orchestrator.host.process import check
from orchestrator.kernel.series.load import BASELINE, Series, load_series, parse_series
from orchestrator.kernel.source.apply import NotApplied
from orchestrator.kernel.source.layer import patched
from orchestrator.kernel.source.prepared import from_tree
from orchestrator.kernel.source.tarball import Tarball
from orchestrator.kernel.source.tree import PreparedSource

FILES = {
    "Makefile": "VERSION = 6\nPATCHLEVEL = 19\nSUBLEVEL = 6\nEXTRAVERSION = -rc1\n",
    "Kconfig": "",
    "Kbuild": "",
    "a.c": "".join(f"line {n}\n" for n in range(1, 30)),
    "mm/b.c": "int b = 1;\n",
    "mm/gone.c": "int gone;\n",
}
CHANGE_A = "--- a/a.c\n+++ b/a.c\n@@ -1,3 +1,3 @@\n line 1\n-line 2\n+LINE 2\n line 3\n"
CHANGE_B = "--- a/mm/b.c\n+++ b/mm/b.c\n@@ -1 +1 @@\n-int b = 1;\n+int b = 2;\n"
ADD_AND_REMOVE = (
    "--- /dev/null\n+++ b/new/c.c\n@@ -0,0 +1 @@\n+int c;\n"
    "diff --git a/mm/gone.c b/mm/gone.c\ndeleted file mode 100644\n--- a/mm/gone.c\n+++ /dev/null\n@@ -1 +0,0 @@\n"
    "-int gone;\n"
)


def until() -> Deadline:
    return Deadline.after(60, "a test")


def series(*diffs: str) -> Series:
    return Series(
        patches=tuple(p for n, d in enumerate(diffs, 1) for p in parse_series(d.encode(), f"{n}.patch").patches),
        origin="the series of this file",
    )


def write_tree(folder: Path) -> Path:
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def git(folder: Path, *arguments: str) -> str:
    who = {"NAME": "T", "EMAIL": "t@localhost"}
    env = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
    argv = ["git", "-C", str(folder), *arguments]
    return check(argv, log=folder.with_suffix(".log"), until=until(), env={**env, "PATH": os.environ["PATH"]})


def commit(folder: Path, message: str) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD").strip()


class Lab:
    """A kernel source and the private tree of it."""

    def __init__(self, tmp_path: Path) -> None:
        self.tmp_path = tmp_path
        self.cache = tmp_path / "cache"
        self.logs = tmp_path / "logs"
        self.logs.mkdir()
        tarball = tmp_path / "linux-6.19.6.tar"
        with tarfile.open(tarball, "w") as archive:
            archive.add(write_tree(tmp_path / "upstream"), arcname="linux-6.19.6")
        digest = sha256_of(tarball)
        self.source = PreparedSource(
            key=digest[:12], sha256=digest, version="6.19.6", origin=Tarball(path=tarball, sha256=digest)
        )

    def state(self, wanted: Series, source: PreparedSource | None = None) -> dict[str, str] | NotApplied:
        """The text of each file of the private tree while the series is on it."""
        with patched(
            source or self.source, wanted, cache=self.cache, log_dir=self.logs, on_event=lambda _: None, until=until()
        ) as tree:
            if isinstance(tree, NotApplied):
                return tree
            self.src = tree.src
            return {str(path.relative_to(tree.src)): path.read_text() for path in tree.src.rglob("*") if path.is_file()}

    def times(self) -> dict[str, int]:
        return {str(p.relative_to(self.src)): p.stat().st_mtime_ns for p in self.src.rglob("*") if p.is_file()}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_a_series_is_on_the_tree_and_the_baseline_takes_it_back(lab: Lab) -> None:
    with_series = lab.state(series(CHANGE_A, CHANGE_B, ADD_AND_REMOVE))
    without = lab.state(BASELINE)

    assert isinstance(with_series, dict)
    assert with_series["a.c"].splitlines()[1] == "LINE 2"
    assert with_series["mm/b.c"] == "int b = 2;\n"
    assert with_series["new/c.c"] == "int c;\n"
    assert "mm/gone.c" not in with_series
    assert without == FILES


def test_only_files_that_differ_get_a_new_time(lab: Lab) -> None:
    lab.state(series(CHANGE_A, CHANGE_B))
    before = lab.times()

    lab.state(series(CHANGE_A, ADD_AND_REMOVE))

    after = lab.times()
    assert {name for name in after if after[name] != before.get(name)} == {"mm/b.c", "new/c.c"}
    # Its object was compiled from the other content: an old time would hide that from make.
    assert after["mm/b.c"] > before["mm/b.c"]


def test_the_same_series_again_touches_nothing(lab: Lab) -> None:
    lab.state(series(CHANGE_A))
    before = lab.times()

    lab.state(series(CHANGE_A))

    assert lab.times() == before


def test_two_patches_of_one_file_build_on_each_other(lab: Lab) -> None:
    second = CHANGE_B.replace("b = 2", "b = 3").replace("b = 1", "b = 2")

    state = lab.state(series(CHANGE_B, second))

    assert isinstance(state, dict)
    assert state["mm/b.c"] == "int b = 3;\n"


def test_what_does_not_apply_names_patch_file_and_hunk_and_keeps_the_reject(lab: Lab) -> None:
    lab.state(series(CHANGE_A))
    bad = CHANGE_A + "@@ -20,3 +20,3 @@\n line 20\n-other\n+more\n line 22\n"

    problem = lab.state(series(CHANGE_B, bad))

    assert isinstance(problem, NotApplied)
    assert problem.title == "2.patch: a.c: hunk #2: does not apply"
    assert "+more" in (lab.logs / "rejects/a.c.rej").read_text()
    assert "int b = 2" not in (lab.src / "mm/b.c").read_text()
    assert "LINE 2" in (lab.src / "a.c").read_text()


def test_a_patch_of_a_file_that_is_not_there_says_so(lab: Lab) -> None:
    problem = lab.state(series(CHANGE_B.replace("mm/b.c", "mm/nosuch.c")))

    assert isinstance(problem, NotApplied)
    assert problem.title == "1.patch: mm/nosuch.c: No such file or directory"


@pytest.mark.parametrize("diffs", [[CHANGE_A], [CHANGE_B, ADD_AND_REMOVE]])
def test_what_the_tree_has_already_is_said_to_be_there(diffs: list[str], lab: Lab) -> None:
    tree = lab.tmp_path / "mine"
    write_tree(tree)
    (tree / "mm/b.c").write_text("int b = 2;\n")
    (tree / "a.c").write_text(FILES["a.c"].replace("line 2\n", "LINE 2\n", 1))

    problem = lab.state(series(*diffs), from_tree(tree, log=lab.logs / "list.log"))

    assert isinstance(problem, NotApplied)
    assert (problem.number, problem.reason) == (1, "what it changes is there already")
    assert "is there already" in problem.brief


def test_a_binary_file_without_its_content_says_what_makes_a_patch_that_has_it(lab: Lab) -> None:
    diff = "diff --git a/a.c b/a.c\nindex 1234567..2345678 100644\nBinary files a/a.c and b/a.c differ\n"

    problem = lab.state(series(diff))

    assert isinstance(problem, NotApplied)
    assert "git format-patch --binary" in problem.title


def test_a_patch_that_was_cut_off_is_not_applied_in_part(lab: Lab) -> None:
    problem = lab.state(series("".join(CHANGE_A.splitlines(keepends=True)[:-1])))

    assert isinstance(problem, NotApplied)
    assert "corrupt patch" in problem.title


def test_a_moved_hunk_applies_and_the_log_says_by_how_much(lab: Lab) -> None:
    state = lab.state(series(CHANGE_A.replace("@@ -1,3 +1,3 @@", "@@ -4,3 +4,3 @@")))

    assert isinstance(state, dict)
    assert "LINE 2" in state["a.c"]
    assert "offset -3 lines" in (lab.logs / "apply.log").read_text()


def test_a_crash_between_two_files_is_mended_by_the_next_call(lab: Lab) -> None:
    lab.state(series(CHANGE_A, CHANGE_B))
    # As if the machine had stopped while the tree went back to the baseline: one file is back, one is half written.
    (lab.src / "a.c").write_text(FILES["a.c"])
    (lab.src / "mm/b.c").write_text("int b")

    assert lab.state(BASELINE) == FILES


def test_a_link_that_a_series_brings_is_never_written_through(lab: Lab) -> None:
    outside = lab.tmp_path / "outside"
    outside.mkdir()
    link = f"diff --git a/out b/out\nnew file mode 120000\n--- /dev/null\n+++ b/out\n@@ -0,0 +1 @@\n+{outside}\n"
    link += "\\ No newline at end of file\n"
    through = "--- /dev/null\n+++ b/out/c.c\n@@ -0,0 +1 @@\n+int c;\n"

    both = lab.state(series(link, through))
    lab.state(series(link))
    afterwards = lab.state(series(through))

    assert isinstance(both, NotApplied)
    assert isinstance(afterwards, dict)
    assert afterwards["out/c.c"] == "int c;\n"
    assert list(outside.iterdir()) == []


def test_a_new_copy_of_the_source_has_no_old_objects_beside_it(lab: Lab) -> None:
    lab.state(BASELINE)
    stale = lab.src.parent / "build/plain.x86_64/a.o"
    stale.parent.mkdir(parents=True)
    stale.touch()
    check(["rm", "-r", str(lab.src)], log=lab.tmp_path / "rm.log", until=until())

    lab.state(BASELINE)

    assert not stale.exists()


def test_a_plain_tree_is_copied_without_what_a_build_left_in_it(lab: Lab) -> None:
    own = write_tree(lab.tmp_path / "own")
    for built in (".config", "a.o", "include/config/auto.conf", "include/generated/x.h", "vmlinux"):
        (own / built).parent.mkdir(parents=True, exist_ok=True)
        (own / built).write_text("built\n")

    state = lab.state(series(CHANGE_A), from_tree(own, log=lab.logs / "list.log"))

    assert isinstance(state, dict)
    assert set(state) == set(FILES)
    assert (own / "a.c").read_text() == FILES["a.c"]


def test_a_git_checkout_comes_with_what_is_not_committed_and_without_git(lab: Lab) -> None:
    own = write_tree(lab.tmp_path / "own")
    git(own, "init", "-q")
    (own / ".gitignore").write_text("*.o\n")
    commit(own, "base")
    clean = from_tree(own, log=lab.logs / "list.log")
    (own / "mm/b.c").write_text("int b = 7;\n")
    (own / "mm/new.c").write_text("int n;\n")
    (own / "mm/gone.c").unlink()
    (own / "a.o").touch()

    dirty = from_tree(own, log=lab.logs / "list.log")
    state = lab.state(BASELINE, dirty)

    assert isinstance(state, dict)
    assert state["mm/b.c"] == "int b = 7;\n"
    assert set(state) == {*FILES, "mm/new.c", ".gitignore"} - {"mm/gone.c"}
    assert clean.sha256 != dirty.sha256
    assert clean.key == dirty.key
    assert dirty.version == "6.19.6-rc1"


def test_going_on_in_a_tree_copies_only_what_was_changed_even_below_a_series(lab: Lab) -> None:
    own = write_tree(lab.tmp_path / "own")
    lab.state(series(CHANGE_A), from_tree(own, log=lab.logs / "list.log"))
    before = lab.times()
    (own / "a.c").write_text(FILES["a.c"] + "a last line\n")

    state = lab.state(series(CHANGE_A), from_tree(own, log=lab.logs / "list.log"))

    assert isinstance(state, dict)
    assert "LINE 2" in state["a.c"]
    assert state["a.c"].endswith("a last line\n")
    after = lab.times()
    assert {name for name in after if after[name] != before[name]} == {"a.c"}
    assert lab.state(BASELINE, from_tree(own, log=lab.logs / "list.log")) == FILES | {
        "a.c": FILES["a.c"] + "a last line\n"
    }


def test_a_touched_tree_is_the_same_source_and_nothing_is_copied(lab: Lab) -> None:
    own = write_tree(lab.tmp_path / "own")
    first = from_tree(own, cache=lab.tmp_path / "cache", log=lab.logs / "list.log")
    lab.state(BASELINE, first)
    before = lab.times()
    for name in FILES:
        (own / name).touch()

    again = from_tree(own, cache=lab.tmp_path / "cache", log=lab.logs / "list.log")
    lab.state(BASELINE, again)

    assert again.sha256 == first.sha256
    assert lab.times() == before


def test_a_commit_of_what_lies_there_makes_no_other_source(lab: Lab) -> None:
    own = write_tree(lab.tmp_path / "own")
    git(own, "init", "-q")
    commit(own, "base")
    (own / "mm/b.c").write_text("int b = 7;\n")
    before = from_tree(own, log=lab.logs / "list.log")

    commit(own, "mm: b: 7")

    assert from_tree(own, log=lab.logs / "list.log").sha256 == before.sha256


def test_a_git_range_is_built_on_the_commit_that_it_starts_from(lab: Lab) -> None:
    own = write_tree(lab.tmp_path / "own")
    git(own, "init", "-q", "-b", "master")
    base = commit(own, "base")
    (own / "mm/b.c").write_text("int b = 2;\n")
    commit(own, "mm: b: second")
    (own / "mm/b.c").write_text("int b = 3;\n")
    commit(own, "mm: b: third")
    head = git(own, "status", "--porcelain", "--branch")

    wanted = load_series([Path(f"{base}..master")], tree=own, log=lab.logs / "git.log", until=until())
    source = from_tree(own, revision=wanted.base, log=lab.logs / "list.log")

    assert [patch.subject for patch in wanted.patches] == ["mm: b: second", "mm: b: third"]
    assert lab.state(BASELINE, source) == FILES
    state = lab.state(wanted, source)
    assert isinstance(state, dict)
    assert state["mm/b.c"] == "int b = 3;\n"
    assert git(own, "status", "--porcelain", "--branch") == head


def test_a_range_that_git_does_not_know_is_the_users_to_mend(lab: Lab) -> None:
    own = write_tree(lab.tmp_path / "own")
    git(own, "init", "-q")
    commit(own, "base")

    with pytest.raises(UserError, match=r"v1\.\.v2 is no range of commits"):
        load_series([Path("v1..v2")], tree=own, log=lab.logs / "git.log", until=until())


def test_a_folder_that_is_no_kernel_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("all:\n")

    with pytest.raises(UserError, match="is no kernel tree: it lacks a Makefile with VERSION and PATCHLEVEL, Kconfig"):
        from_tree(tmp_path, log=tmp_path / "list.log")


@pytest.mark.parametrize(
    "path", [KERNELS / "patches/swapoff-lockout", PROJECT.parent / "shared/patches/v3-03of20-swapoff-lockout.eml"]
)
def test_the_lock_out_series_applies_to_the_kernel_that_we_name(path: Path, tmp_path: Path) -> None:
    unpacked = [src for src in (cache_root() / "trees").glob("6.19.6-*/src") if (src / "mm/zswap.c").exists()]
    if not path.exists() or not unpacked:
        pytest.skip("../shared is not beside this checkout, or no Linux 6.19.6 is in the cache yet")
    wanted = load_series([path], tree=None, log=tmp_path / "git.log", until=until())
    journal = unpacked[0].parent / "pristine"
    for file in wanted.touched:
        pristine = journal / file if (journal / file).exists() else unpacked[0] / file
        (tmp_path / "tree" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / file).write_bytes(pristine.read_bytes())
    write_tree(tmp_path / "tree")

    with patched(
        from_tree(tmp_path / "tree", log=tmp_path / "list.log"),
        wanted,
        cache=tmp_path / "cache",
        log_dir=tmp_path,
        on_event=lambda _: None,
        until=until(),
    ) as tree:
        assert not isinstance(tree, NotApplied), tree.title
        assert "tryget_swap_entry" in (tree.src / "mm/zswap.c").read_text()


def test_a_folder_takes_the_place_of_a_file_and_goes_again(lab: Lab) -> None:
    swap = (
        "diff --git a/a.c b/a.c\ndeleted file mode 100644\n--- a/a.c\n+++ /dev/null\n@@ -1,20 +0,0 @@\n"
        + "".join(f"-{line}\n" for line in FILES["a.c"].splitlines())
        + "diff --git a/a.c/inside b/a.c/inside\nnew file mode 100644\n"
        + "--- /dev/null\n+++ b/a.c/inside\n@@ -0,0 +1 @@\n+x\n"
    ).replace("-1,20", f"-1,{len(FILES['a.c'].splitlines())}")

    state = lab.state(series(swap))
    again = lab.state(series(CHANGE_B))

    assert isinstance(state, dict)
    assert state["a.c/inside"] == "x\n"
    assert isinstance(again, dict)
    assert again["a.c"] == FILES["a.c"]


def test_a_file_below_a_file_does_not_apply(lab: Lab) -> None:
    below = "diff --git a/a.c/x b/a.c/x\nnew file mode 100644\n--- /dev/null\n+++ b/a.c/x\n@@ -0,0 +1 @@\n+x\n"

    assert isinstance(lab.state(series(below)), NotApplied)


@pytest.mark.parametrize("name", ["source.sha256", "layout", "src.manifest", "read-after-boot"])
def test_a_damaged_file_of_a_tree_makes_it_again(lab: Lab, name: str) -> None:
    lab.state(BASELINE)
    (folder,) = (path for path in (lab.cache / "trees").iterdir() if path.is_dir())
    (folder / name).write_bytes(b"\xb0\xe5\xff")

    assert lab.state(BASELINE) == FILES
