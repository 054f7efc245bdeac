# SPDX-License-Identifier: GPL-2.0-or-later
"""Which functions a series changes, by the files before and after it."""

from difflib import unified_diff
from pathlib import Path

import pytest

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError
from orchestrator.host.files import sha256_of
from orchestrator.host.process import check
from orchestrator.kernel.code.changes import Changes, changes_of, load_changes, save_changes
from orchestrator.kernel.series.load import BASELINE, parse_series
from orchestrator.kernel.source.layer import patched
from orchestrator.kernel.source.tarball import Tarball
from orchestrator.kernel.source.tree import PreparedSource

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


def changed(cache: Path, *diffs: str) -> Changes:
    digest = sha256_of(cache.parent / "linux.tar")
    return changes_of(
        parse_series("".join(diffs).encode(), "s.patch"), cache=cache, source_sha256=digest, until=until()
    )


def names(changes: Changes) -> list[tuple[str, str]]:
    return [(one.file, one.name) for one in changes.functions]


def test_only_functions_with_a_changed_line_are_changed(cache: Path) -> None:
    changes = changed(cache, SERIES)

    assert names(changes) == [("mm/swap.c", "second"), ("mm/tryget.h", "tryget")]
    assert changes.changed("mm/swap.c", 13)
    assert not changes.changed("mm/swap.c", 5)
    assert not changes.changed("mm/other.c", 13)
    assert set(changes.texts) == {"mm/swap.c", "mm/tryget.h"}


def test_a_later_patch_moves_the_lines_of_an_earlier_one(cache: Path) -> None:
    changes = changed(cache, SERIES, MOVED)

    second = changes.functions[0]
    assert (second.name, second.first, second.last) == ("second", 13, 18)
    assert names(changes) == [("mm/swap.c", "second"), ("mm/tryget.h", "tryget")]


def test_a_function_that_was_taken_away_changes_no_neighbour(cache: Path) -> None:
    assert names(changed(cache, CUT)) == []


@pytest.mark.parametrize("applied", [(SERIES,), (CUT,)])
def test_what_series_the_private_tree_has_on_it_does_not_matter(cache: Path, applied: tuple[str, ...]) -> None:
    on(cache.parent, *applied)

    assert names(changed(cache, SERIES)) == [("mm/swap.c", "second"), ("mm/tryget.h", "tryget")]


def test_a_tree_that_holds_another_source_by_now_is_not_used(cache: Path) -> None:
    with pytest.raises(InfraError, match="tree is gone"):
        changes_of(parse_series(SERIES.encode(), "s"), cache=cache, source_sha256="0" * 64, until=until())


def test_changes_are_read_back_from_the_results_as_they_were(cache: Path, tmp_path: Path) -> None:
    changes = changed(cache, SERIES)

    save_changes(changes, tmp_path / "build")

    assert load_changes(tmp_path / "build") == changes
    assert load_changes(tmp_path) is None


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
