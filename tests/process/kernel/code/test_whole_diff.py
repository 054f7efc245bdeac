# SPDX-License-Identifier: GPL-2.0-or-later
"""What a series does to its source: files, hunks and functions, by the files before and after it."""

import shutil
from difflib import unified_diff
from pathlib import Path

import pytest

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError
from orchestrator.host.files import sha256_of
from orchestrator.host.process import check
from orchestrator.kernel.code.whole_diff import SeriesDiffs
from orchestrator.kernel.series.load import BASELINE, parse_series
from orchestrator.kernel.source.layer import patched
from orchestrator.kernel.source.tarball import Tarball
from orchestrator.kernel.source.tree import PreparedSource, Tree
from orchestrator.model.series_diff import SeriesDiff

SWAP = """#include "swap.h"

int first(void)
{
	return 1;
}

static int second(int x)
{
	if (x)
		return 2;
	use(x);
	return 0;
}

int third(void)
{
	return 3;
}
"""
MAKEFILE = "obj-y += swap.o\n"
PATCHED = '#include "tryget.h"\n' + SWAP.replace("\tuse(x);\n", "")
# Moves what the first patch changed.
ON_TOP = PATCHED.replace("int first", "/*\n * Four lines more,\n * in no function.\n */\nint first")
WITHOUT_SECOND = SWAP[: SWAP.index("static")] + SWAP[SWAP.index("int third") :]


def diff(path: str, before: str, after: str) -> str:
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return "".join(unified_diff(old, new, f"a/{path}" if before else "/dev/null", f"b/{path}"))


SERIES = (
    diff("mm/swap.c", SWAP, PATCHED)
    + diff("mm/tryget.h", "", "static inline int tryget(void)\n{\n\treturn 1;\n}\n")
    + diff("mm/Makefile", MAKEFILE, f"{MAKEFILE}obj-y += tryget.o\n")
)
MOVED = diff("mm/swap.c", PATCHED, ON_TOP)
CUT = diff("mm/swap.c", SWAP, WITHOUT_SECOND)


def until() -> Deadline:
    return Deadline.after(60, "a test")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache whose private tree is as it was left without a series."""
    tarball = tmp_path / "linux.tar"
    mm = tmp_path / "linux" / "mm"
    mm.mkdir(parents=True)
    (mm / "swap.c").write_text(SWAP)
    (mm / "Makefile").write_text(MAKEFILE)
    check(["tar", "-C", str(tmp_path), "-cf", str(tarball), "linux"], log=tmp_path / "log", until=until())
    on(tmp_path)
    return tmp_path / "cache"


def on(folder: Path, *diffs: str) -> None:
    """Switch the private tree to a series."""
    digest = sha256_of(folder / "linux.tar")
    origin = Tarball(path=folder / "linux.tar", sha256=digest)
    source = PreparedSource(key=f"6.19-{digest[:12]}", sha256=digest, version="6.19", origin=origin)
    patches = parse_series("".join(diffs).encode(), "s.patch") if diffs else BASELINE
    with patched(source, patches, cache=folder / "cache", log_dir=folder, on_event=lambda _: None, until=until()):
        pass


def changed(cache: Path, *diffs: str, diffs_of_run: SeriesDiffs | None = None) -> SeriesDiff:
    digest = sha256_of(cache.parent / "linux.tar")
    series = parse_series("".join(diffs).encode(), "s.patch")
    return (diffs_of_run or SeriesDiffs()).of_source(series, cache=cache, source_sha256=digest)


def names(diff: SeriesDiff) -> list[tuple[str, str]]:
    return [(one.file, one.name) for one in diff.functions]


def test_only_functions_with_a_changed_line_are_changed(cache: Path) -> None:
    found = changed(cache, SERIES)

    assert names(found) == [("mm/swap.c", "second"), ("mm/tryget.h", "tryget")]
    assert found.changed("mm/swap.c", 13)
    assert not found.changed("mm/swap.c", 5)
    assert not found.changed("mm/other.c", 13)
    assert set(found.texts) == {"mm/swap.c", "mm/tryget.h"}


def test_a_later_patch_moves_the_lines_of_an_earlier_one(cache: Path) -> None:
    found = changed(cache, SERIES, MOVED)

    second = found.functions[0]
    assert (second.name, second.first, second.last) == ("second", 13, 18)
    assert names(found) == [("mm/swap.c", "second"), ("mm/tryget.h", "tryget")]


def test_a_function_that_was_taken_away_changes_no_neighbour(cache: Path) -> None:
    assert names(changed(cache, CUT)) == []


@pytest.mark.parametrize("applied", [(SERIES,), (CUT,)])
def test_what_series_the_private_tree_has_on_it_does_not_matter(cache: Path, applied: tuple[str, ...]) -> None:
    on(cache.parent, *applied)

    assert names(changed(cache, SERIES)) == [("mm/swap.c", "second"), ("mm/tryget.h", "tryget")]


def test_a_tree_that_holds_another_source_by_now_is_not_used(cache: Path) -> None:
    with pytest.raises(InfraError, match="tree is gone"):
        SeriesDiffs().of_source(parse_series(SERIES.encode(), "s"), cache=cache, source_sha256="0" * 64)


def test_a_series_that_does_not_fit_the_tree_has_no_diff(cache: Path) -> None:
    with pytest.raises(InfraError, match=r"does not fit the private tree: s\.patch: mm/swap\.c"):
        changed(cache, SERIES.replace("-\tuse(x);", "-\tuse(y);"))


def test_files_have_the_hunks_of_all_patches_together_and_the_digest_of_each(cache: Path) -> None:
    whole = changed(cache, SERIES, MOVED)

    assert [file.path for file in whole.files] == ["mm/Makefile", "mm/swap.c", "mm/tryget.h"]
    assert whole.files[1].lines("old") == {12: "\tuse(x);"}
    assert list(whole.files[1].lines("new").values()) == [
        '#include "tryget.h"', "/*", " * Four lines more,", " * in no function.", " */"
    ]  # fmt: skip
    assert whole.digests.keys() == {"mm/Makefile", "mm/swap.c", "mm/tryget.h"}


def test_a_file_may_have_any_name_that_a_patch_can_write(cache: Path) -> None:
    whole = changed(cache, SERIES.replace("mm/tryget.h", "mm/tr\u00ffget it.h"))

    assert ("mm/tr\u00ffget it.h", "tryget") in names(whole)


def test_the_functions_of_both_ends_of_a_file_are_not_changed_by_what_goes_beside_them(cache: Path) -> None:
    without_ends = SWAP[SWAP.index("static") : SWAP.index("int third")].rstrip("\n") + "\n"

    assert names(changed(cache, diff("mm/swap.c", SWAP, without_ends))) == []


def test_within_a_run_a_series_is_compared_once(cache: Path) -> None:
    of_run = SeriesDiffs()

    first = changed(cache, SERIES, diffs_of_run=of_run)

    assert changed(cache, SERIES, diffs_of_run=of_run) is first
    assert changed(cache, CUT, diffs_of_run=of_run) is not first


def test_trees_with_the_same_files_share_what_a_series_does_to_them(cache: Path) -> None:
    of_run, series = SeriesDiffs(), parse_series(SERIES.encode(), "s")
    trees = [Tree(folder=cache / name) for name in ("one", "two", "other")]
    (kept,) = (cache / "trees").glob("*/src")
    for tree in trees:
        shutil.copytree(kept, tree.src)
    (trees[1].src / "mm" / "unrelated.c").write_text("int unrelated;\n")
    (trees[2].src / "mm" / "swap.c").write_text(f"/* other */\n{SWAP}")

    one, two, other = (of_run.of(series, tree, until=until()) for tree in trees)

    assert two is one
    assert isinstance(one, SeriesDiff)
    assert other is not one


def test_a_link_of_the_series_is_no_text_to_report(cache: Path) -> None:
    secret = cache.parent / "secret.c"
    secret.write_text("int key = 42;\n")
    link = (
        "diff --git a/mm/link.c b/mm/link.c\nnew file mode 120000\n--- /dev/null\n+++ b/mm/link.c\n"
        f"@@ -0,0 +1 @@\n+{secret}\n\\ No newline at end of file\n"
    )

    found = changed(cache, link)

    assert found.texts == {}
    assert found.functions == ()
