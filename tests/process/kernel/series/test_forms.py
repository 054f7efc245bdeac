# SPDX-License-Identifier: GPL-2.0-or-later
"""A branch with every kind of change, in each form that a series comes in: the files are those of the branch."""

import bz2
import gzip
import lzma
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.host.errors import UserError
from orchestrator.kernel.source.apply import NotApplied
from tests.process.series_lab import SeriesLab


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SeriesLab:
    return SeriesLab(tmp_path_factory.mktemp("made"))


@pytest.fixture
def lab(made: SeriesLab, tmp_path: Path) -> SeriesLab:
    return made.copied(tmp_path)


def check_is_topic(lab: SeriesLab, *paths: Path) -> None:
    found = lab.applied(lab.read(*paths))
    assert not isinstance(found, NotApplied), found.title
    assert found == lab.files("topic")


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--no-prefix",),
        ("--src-prefix=i/", "--dst-prefix=w/"),
        ("--src-prefix=c/", "--dst-prefix=o/"),
        ("--src-prefix=linux.orig/", "--dst-prefix=linux/"),
        ("--no-renames", "-U0"),
        ("--find-copies-harder", "-C1"),
        ("--irreversible-delete", "--full-index"),
        ("-B1", "-M1", "--patch-with-stat"),
    ],
    ids=" ".join,
)
def test_git_diff(lab: SeriesLab, options: tuple[str, ...]) -> None:
    diff = lab.file("all.diff", "diff", "--binary", *options, "master", "topic")
    series = lab.read(diff)
    if "-U0" in options:
        # git apply wants context; it is not given up for a diff without.
        assert isinstance(lab.applied(series), NotApplied)
        return

    found = lab.applied(series)
    if "--irreversible-delete" in options:
        assert isinstance(found, NotApplied)
        return
    assert found == lab.files("topic")
    assert bool(series.notices) == ("--no-prefix" in options)


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--attach",),
        ("--inline",),
        ("-v", "3", "--cover-letter", "--base=master"),
        ("--subject-prefix=RFC PATCH mm-unstable", "-v2", "--thread=deep"),
        ("-N", "--subject-prefix=PATCH"),
        ("-k",),
        ("--no-prefix",),
        ("--zero-commit",),
    ],
    ids=" ".join,
)
def test_git_format_patch(lab: SeriesLab, options: tuple[str, ...]) -> None:
    folder = lab.mails("mails", *options)
    series = lab.read(folder)
    box = lab.folder / "series.mbox"
    box.write_bytes(b"".join(path.read_bytes() for path in sorted(folder.iterdir())))

    check_is_topic(lab, folder)
    check_is_topic(lab, box)
    check_is_topic(lab, *sorted(folder.iterdir()))
    assert [patch.subject for patch in series.patches] == ["mm: swap: one", "lib: two", "lib: three"]
    assert {patch.author for patch in series.patches} == {"A U Thor <a@localhost>"}
    assert series.version == ("3" if "-v" in options else "2" if "-v2" in options else "" if "-k" in options else "1")
    assert bool(series.noted.commit) == ("--base=master" in options)


@pytest.mark.parametrize("packed", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_mailbox(lab: SeriesLab, packed: Callable[[bytes], bytes]) -> None:
    raw = b"".join(path.read_bytes() for path in sorted(lab.mails("mails").iterdir()))
    (lab.folder / "box").write_bytes(packed(raw))

    check_is_topic(lab, lab.folder / "box")


def test_a_maildir(lab: SeriesLab) -> None:
    for name in ("cur", "new", "tmp"):
        (lab.folder / "box" / name).mkdir(parents=True)
    for number, path in enumerate(sorted(lab.mails("mails").iterdir()), start=1):
        path.rename(lab.folder / "box" / ("new" if number % 2 else "cur") / f"{9 - number}.M{number}.host:2,S")

    check_is_topic(lab, lab.folder / "box")


def test_a_range_is_the_same_whatever_the_users_settings(lab: SeriesLab) -> None:
    plain = lab.read(Path("master..topic"), tree=True)
    order = lab.folder / "order"
    order.write_text("*.h\n*.sh\nlib/*\n")
    for setting in (
        "diff.noprefix=true", "diff.mnemonicPrefix=true", "diff.renames=copies", "diff.context=0", "diff.relative=true",
        "diff.algorithm=patience", "diff.suppressBlankEmpty=true", "diff.external=/bin/false", "core.autocrlf=true",
        "core.quotePath=false", f"diff.orderFile={order}", "diff.interHunkContext=9", "diff.submodule=log",
        "format.attach=true", "format.thread=true", "format.coverLetter=true", "format.subjectPrefix=X",
        "format.numbered=false", "format.signOff=true", "format.noprefix=true", "apply.whitespace=fix",
        "apply.ignoreWhitespace=change", "core.safecrlf=true", "log.showSignature=true",
        "i18n.logOutputEncoding=latin1",
    ):  # fmt: skip
        lab.git("config", *setting.split("=", 1))
    before = sorted((lab.work / ".git").rglob("*"))

    assert lab.read(Path("master..topic"), tree=True).sha256 == plain.sha256

    (lab.work / ".git/info/attributes").write_text("*.c diff=cpp text eol=crlf\n*.rst -diff\n")
    series = lab.read(Path("master..topic"), tree=True)
    (lab.work / ".git/info/attributes").unlink()
    assert [patch.subject for patch in series.patches] == [patch.subject for patch in plain.patches]
    assert sorted((lab.work / ".git").rglob("*")) == before
    for name in ("core.autocrlf", "core.safecrlf", "diff.external", "apply.whitespace"):
        lab.git("config", "--unset", name)
    assert lab.applied(series) == lab.applied(plain) == lab.files("topic")


def test_a_range_with_a_commit_message_that_has_a_diff_in_it(lab: SeriesLab) -> None:
    lab.git("checkout", "-q", "topic")
    lab.write("mm/swap.h", "int h2;\n")
    quoted = "--- a/mm/swap.h\n+++ b/mm/swap.h\n@@ -1 +1 @@\n-x\n+y\n"
    lab.commit(f"mm: four\n\nInstead of\n\n{quoted}\n---\nFrom 1 Mon Sep 17 00:00:00 2001")

    assert lab.applied(lab.read(Path("master..topic"), tree=True)) == lab.files("topic")


def test_a_merge_that_changes_nothing_itself_is_no_obstacle(lab: SeriesLab) -> None:
    lab.git("checkout", "-q", "-b", "side", "master")
    lab.write("mm/side.c", "int side;\n")
    lab.commit("mm: side")
    lab.git("checkout", "-q", "topic")
    lab.git("merge", "-q", "--no-edit", "side")

    series = lab.read(Path("master..topic"), tree=True)

    assert len(series.patches) == 4
    assert lab.applied(series) == lab.files("topic")


def test_a_merge_with_a_change_of_its_own_is_refused_by_name(lab: SeriesLab) -> None:
    lab.git("checkout", "-q", "-b", "side", "master")
    lab.write("mm/side.c", "int side;\n")
    lab.commit("mm: side")
    lab.git("checkout", "-q", "topic")
    lab.git("merge", "-q", "--no-edit", "--no-commit", "side")
    lab.write("mm/evil.c", "int evil;\n")
    lab.commit("Merge side")
    merge = lab.git("rev-parse", "--short=7", "HEAD").strip()

    with pytest.raises(UserError, match=f"has merges .*{merge}.* do not make topic") as refused:
        lab.read(Path("master..topic"), tree=True)

    assert "git diff" in refused.value.hint


def test_a_range_backwards_and_an_option_for_a_range_are_refused(lab: SeriesLab) -> None:
    with pytest.raises(UserError, match="has no commits"):
        lab.read(Path("topic..master"), tree=True)
    with pytest.raises(UserError, match="no range of commits"):
        lab.read(Path("--output=x..topic"), tree=True)


def test_a_diff_that_git_diff_turned_round_is_not_applied(lab: SeriesLab) -> None:
    for options in (("-R",), ("-R", "--src-prefix=i/", "--dst-prefix=w/")):
        backwards = lab.file("back.diff", "diff", "--binary", *options, "master", "topic")

        found = lab.applied(lab.read(backwards), base="topic")

        assert isinstance(found, NotApplied)
        assert "goes backwards" in found.title


@pytest.mark.parametrize("options", ["", " -p1", " -p0", " -pab", " -R", " -p0 -R", " -p 1 # why"])
def test_quilt_options_are_followed(lab: SeriesLab, options: str) -> None:
    turned = "-R" in options
    # A diff with new and changed text files only: what the diff program can say.
    before, after = ("topic", "master") if turned else ("master", "topic")
    diff = lab.file("x.patch", "diff", *(["--no-prefix"] if "-p0" in options else []), before, after, "--", "mm/swap.c")
    diff.rename(lab.folder / "q.patch")
    (lab.folder / "q").mkdir()
    (lab.folder / "q.patch").rename(lab.folder / "q/x.patch")
    (lab.folder / "q/series").write_bytes(b"# M\xfcller's\n\nx.patch" + options.encode() + b"\n#y.patch\n")

    found = lab.applied(lab.read(lab.folder / "q"))

    assert not isinstance(found, NotApplied), found.title
    assert found == lab.files("master") | {"mm/swap.c": lab.files("topic")["mm/swap.c"]}


def test_a_new_file_that_quilt_takes_back_is_gone(lab: SeriesLab) -> None:
    lab.file("add.patch", "diff", "master", "topic", "--", "mm/new file.c")
    (lab.folder / "series").write_text("add.patch -R\n")

    found = lab.applied(lab.read(lab.folder), base="topic")

    assert found == {name: mode for name, mode in lab.files("topic").items() if name != "mm/new file.c"}


@pytest.mark.parametrize("option", ["-F3", "--dry-run", "-p", "-pX", "-E"])
def test_a_quilt_option_that_is_not_followed_is_refused_by_name(lab: SeriesLab, option: str) -> None:
    lab.file("x.patch", "diff", "master", "topic")
    (lab.folder / "series").write_text(f"x.patch {option}\n")

    with pytest.raises(UserError, match=rf"gives x\.patch the option '{option}'"):
        lab.read(lab.folder)


def diff_program(lab: SeriesLab, *options: str) -> Path:
    """What diff -r says of two unpacked trees, one beside the other."""
    for name, branch in (("linux.orig", "master"), ("linux", "topic")):
        (lab.folder / name).mkdir()
        lab.git("--work-tree", str(lab.folder / name), "checkout", branch, "--", ".")
        lab.git("reset", "-q", "--hard")
    (lab.folder / "linux/link").unlink()
    done = subprocess.run(
        ["diff", *options, "linux.orig", "linux"], cwd=lab.folder, capture_output=True, check=False,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
    )  # fmt: skip
    (lab.folder / "tree.diff").write_bytes(done.stdout)
    return lab.folder / "tree.diff"


def test_a_tree_diff_with_new_files_and_names_with_spaces(lab: SeriesLab) -> None:
    text = diff_program(lab, "-urN", "-x", "*.bin", "-x", "na*").read_bytes()
    series = lab.read(lab.folder / "tree.diff")

    assert text.count(b"\n+++ ") == len(series.patches[0].changes)
    found = lab.applied(series)
    assert not isinstance(found, NotApplied), found.title
    wanted = lab.files("topic")
    for name in ("mm/new file.c", "mm/swap.c", "lib/list_sort.c", "lib/dos.c", "docs/my file.rst"):
        assert found[name] == wanted[name], name
    assert not {"lib/sort.c", "docs/gone.rst"} & set(found)


@pytest.mark.parametrize("options", [("-ur",), ("-urN",), ("-rcN", "-x", "*.bin")])
def test_what_git_would_pass_over_in_a_tree_diff_is_refused(lab: SeriesLab, options: tuple[str, ...]) -> None:
    path = diff_program(lab, *options)

    with pytest.raises(UserError, match=r"leaves out|no diff in it|context diff"):
        lab.read(path)


def test_a_merges_own_diff_is_refused(lab: SeriesLab) -> None:
    lab.git("checkout", "-q", "-b", "side", "master")
    lab.write("mm/swap.c", "int other;\n" + (lab.work / "mm/swap.c").read_text().replace("line5;", "line5_side;"))
    lab.commit("mm: side")
    lab.git("checkout", "-q", "topic")
    lab.git("merge", "-q", "--no-edit", "-s", "ours", "side")
    lab.write("mm/swap.c", "int both;\n")
    lab.git("commit", "-qa", "--amend", "--no-edit")
    diff = lab.file("merge.diff", "diff", "master", "topic", "--", "mm/new file.c")
    diff.write_bytes(diff.read_bytes() + lab.git("show", "--cc", "HEAD").encode())

    with pytest.raises(UserError, match="merge's diff"):
        lab.read(diff)
