# SPDX-License-Identifier: GPL-2.0-or-later
"""Which of several kernels a series is for: tried on small tarballs and on a git tree."""

import hashlib
import io
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError
from orchestrator.kernel.series.load import parse_series
from orchestrator.model.configuration import KernelSource, SourceLocation
from orchestrator.model.events import Event, Step
from orchestrator.run.series_base import ChosenBase, Kernel, Trials, newest_first, release_of

V5 = "5" * 40
NO_COMMITS: Mapping[str, str] = {}


def source(version: str, sha256: str = "0" * 64, commits: Mapping[str, str] = NO_COMMITS) -> KernelSource:
    place = SourceLocation(debian=f"pool/linux_{version}.tar", sha256=sha256)
    return KernelSource(version=version, commits=commits, places=(place,))


def kernel(
    cache: Path, version: str, files: Mapping[str, str], *, cached: bool = True, commits: Mapping[str, str] = NO_COMMITS
) -> Kernel:
    """A kernel whose tarball is in the cache, or one that no mirror has."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"linux-{version}/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    content = made.getvalue()
    if cached:
        (cache / "sources").mkdir(parents=True, exist_ok=True)
        (cache / f"sources/linux_{version}.tar").write_bytes(content)
    name = ".".join(version.split(".")[:2])
    return Kernel(name=name, source=source(version, hashlib.sha256(content).hexdigest(), commits))


def text(second: str) -> dict[str, str]:
    return {"mm/a.c": "one\ntwo\nthree\n", "mm/b.c": f"int f(void)\n{{\n\treturn {second};\n}}\n", "fs/c.c": "x\n"}


A = "diff --git a/mm/a.c b/mm/a.c\n--- a/mm/a.c\n+++ b/mm/a.c\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"


def b(old: str) -> str:
    head = "diff --git a/mm/b.c b/mm/b.c\n--- a/mm/b.c\n+++ b/mm/b.c\n@@ -1,4 +1,4 @@\n int f(void)\n {\n"
    return f"{head}-\treturn {old};\n+\treturn 7;\n }}\n"


def box(*diffs: str, cover: str = "") -> str:
    mails = [cover, *diffs]
    return "".join(
        f"From a@b Sat Nov  1 10:00:00 2025\nFrom: A <a@b>\nSubject: [PATCH {at}/{len(diffs)}] t{at}\n\n{body}\n"
        for at, body in enumerate(mails)
    )


def trials(cache: Path, mbox: str, events: list[Event] | None = None, *, downloads: bool = True) -> Trials:
    seen: list[Event] = [] if events is None else events
    return Trials(
        series=parse_series(mbox.encode(), "t.mbox"),
        paths=(Path("t.mbox"),),
        cache=cache,
        listener=seen.append,
        until=Deadline.after(120, "a test's trials"),
        downloads=downloads,
    )


def tried(chosen: ChosenBase) -> list[tuple[str, str]]:
    return [(one.source, one.problem) for one in chosen.base.tried]


def test_the_newest_kernel_that_takes_all_of_the_series_is_the_base(tmp_path: Path) -> None:
    kernels = [kernel(tmp_path, "5.4.1", text("1")), kernel(tmp_path, "5.10.2", text("1"))]
    kernels += [kernel(tmp_path, "6.1.9", text("3"))]
    events: list[Event] = []

    chosen = trials(tmp_path, box(A, b("1")), events).on_any(kernels)

    assert (chosen.kernel, chosen.base.fits) == ("5.10", True)
    assert chosen.base.text == ("base: 5.10.2: the series applies to it; 6.1.9: patch 2/2 does not apply in mm/b.c")
    assert events == [Step(text=f"trying the series on {version}") for version in ("6.1.9", "5.10.2")]
    assert chosen.diff is not None
    assert [function.name for function in chosen.diff.functions] == ["f"]


def test_a_later_patch_is_tried_on_top_of_the_earlier_ones(tmp_path: Path) -> None:
    chosen = trials(tmp_path, box(b("1"), b("7").replace("+\treturn 7", "+\treturn 8"))).on_any(
        [kernel(tmp_path, "5.4.1", text("1"))]
    )

    assert chosen.base.fits


def test_the_kernel_of_the_base_commit_goes_first_whatever_is_newer(tmp_path: Path) -> None:
    kernels = [kernel(tmp_path, "5.4.1", text("1"), commits={"v5.4": V5}), kernel(tmp_path, "6.1.9", text("1"))]

    by_hash = trials(tmp_path, box(A, cover=f"base-commit: {V5}")).on_any(kernels)
    by_tag = trials(tmp_path, box(A, cover="base-commit: v5.4-rc3")).on_any(kernels)

    assert by_hash.base.text == "base: 5.4.1: base-commit v5.4 in the cover letter"
    assert by_tag.base.text == "base: 5.4.1: base-commit v5.4-rc3 in the cover letter"


def test_a_base_commit_that_does_not_take_the_series_is_passed_over_and_says_so(tmp_path: Path) -> None:
    kernels = [kernel(tmp_path, "5.4.1", text("3"), commits={"v5.4": V5}), kernel(tmp_path, "6.1.9", text("1"))]

    chosen = trials(tmp_path, box(b("1"), cover=f"base-commit: {V5}")).on_any(kernels)

    assert chosen.kernel == "6.1"
    assert tried(chosen) == [("5.4.1", "base-commit v5.4 in the cover letter, but it does not apply in mm/b.c")]


def test_an_unknown_base_commit_and_prerequisites_are_noted(tmp_path: Path) -> None:
    cover = f"base-commit: {'9' * 40}\nprerequisite-patch-id: {'8' * 40}"

    chosen = trials(tmp_path, box(A, cover=cover)).on_any([kernel(tmp_path, "5.4.1", text("1"))])

    assert chosen.base.notes == (
        "base-commit 999999999999 in the cover letter: no tree or kernel here is known to be that",
        "made on top of 1 other patch that the series does not have",
    )


def test_where_nothing_fits_the_nearest_is_taken_and_the_next_command_is_named(tmp_path: Path) -> None:
    kernels = [kernel(tmp_path, "6.1.9", {"fs/c.c": ""}), kernel(tmp_path, "5.4.1", text("3"))]

    chosen = trials(tmp_path, box(A, b("1"))).on_any(kernels)

    assert (chosen.kernel, chosen.base.fits, chosen.diff) == ("5.4", False, None)
    assert "the nearest of those that were tried, but patch 2/2 does not apply in mm/b.c" in chosen.base.text
    assert tried(chosen) == [("6.1.9", "patch 1/2 does not apply: mm/a.c: No such file or directory")]
    assert chosen.base.hint.startswith("patchrig run --patch t.mbox --tree DIR")


def test_what_is_not_in_the_cache_comes_last_and_can_be_missing(tmp_path: Path) -> None:
    kernels = [kernel(tmp_path, "6.1.9", text("1"), cached=False), kernel(tmp_path, "5.4.1", text("1"))]

    assert trials(tmp_path, box(A)).on_any(kernels).kernel == "5.4"
    with pytest.raises(InfraError, match=r"no kernel to try the series on:\n  6\.1\.9: not in the cache"):
        trials(tmp_path, box(A), downloads=False).on_any(kernels[:1])


def test_a_series_that_no_tree_can_take_is_tried_once(tmp_path: Path) -> None:
    plain = A.replace("diff --git a/mm/a.c b/mm/a.c\n--- a/mm/a.c\n+++ b/mm/a.c", "--- b/mm/a.c\n+++ a/mm/a.c")
    events: list[Event] = []
    kernels = [kernel(tmp_path, "6.1.9", text("1")), kernel(tmp_path, "5.4.1", text("1"))]

    backwards = plain.replace("--- b/", "diff --git b/mm/a.c a/mm/a.c\n--- b/")
    chosen = trials(tmp_path, backwards, events).on_any(kernels)

    assert not chosen.base.fits
    assert len(events) == 1


def test_a_git_tree_is_tried_as_it_lies_there_and_stays_as_it_is(tmp_path: Path) -> None:
    top = tmp_path / "linux"
    files = {**text("1"), "Makefile": "VERSION = 6\nPATCHLEVEL = 1\n", "Kconfig": "", "Kbuild": ""}
    for name, content in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(content)
    own = ["git", "-C", str(top), "-c", "user.name=A", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "base"]):
        subprocess.run([*own, *words], check=True)

    chosen = trials(tmp_path, box(A)).on_tree(top)

    assert chosen.base.fits
    assert "--tree, as it lies there at " in chosen.base.text
    # What is tried is a copy.
    assert (top / "mm/a.c").read_text() == "one\ntwo\nthree\n"


@pytest.mark.parametrize(
    ("commit", "release"),
    [
        (V5, "v5.4"),
        (V5[:12], "v5.4"),
        (V5[:8], ""),  # could be anybody's
        ("6" * 40, ""),
        ("v5.4", "v5.4"),
        ("v5.4.77", "v5.4.77"),
        ("v5.40", ""),
        ("v5.4-rc1", "v5.4-rc1"),
        ("", ""),
    ],
)
def test_a_release_is_known_by_its_commit_or_its_tag(commit: str, release: str) -> None:
    assert release_of(commit, source("5.4.1", commits={"v5.4": V5})) == release


def test_newest_is_by_number_and_not_by_letter() -> None:
    kernels = [Kernel(name=version, source=source(version)) for version in ("5.4.9", "5.10.2", "5.4.10")]

    assert [one.name for one in sorted(kernels, key=newest_first)] == ["5.10.2", "5.4.10", "5.4.9"]
