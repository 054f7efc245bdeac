# SPDX-License-Identifier: GPL-2.0-or-later
"""Which mails of a mailbox or a folder are the series: all of it, one version, and nothing else."""

from pathlib import Path

import pytest

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import UserError
from orchestrator.kernel.series.load import Series, load_series


def diff(name: str, new: str = "b") -> str:
    path = f"mm/{name}.c"
    return f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-int a;\n+int {new};\n"


def mail(subject: str, body: str = "", **headers: str) -> str:
    more = "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in headers.items())
    return f"From: A <a@localhost>\nSubject: {subject}\n{more}\nwhy\n---\n{body}-- \n2.47.3\n"


def series(folder: Path, *mails: str, version: str = "") -> Series:
    """The series of a mailbox of these mails."""
    box = folder / "t.mbox"
    box.write_text("".join(f"From a@localhost Sat Nov  1 10:00:00 2025\n{one}\n" for one in mails))
    return load(box, version=version)


def load(*paths: Path, version: str = "") -> Series:
    log = paths[0].parent / "git.log"
    return load_series(paths, tree=None, log=log, until=Deadline.after(60, "a test"), version=version)


def subjects(found: Series) -> list[str]:
    return [patch.subject for patch in found.patches]


def test_patches_are_sorted_and_replies_are_left_out(tmp_path: Path) -> None:
    found = series(
        tmp_path,
        mail("Re: [PATCH v2 2/2] two", diff("z")),
        mail("[PATCH v2 2/2] two", diff("two"), Message_ID="<2@x>"),
        mail("[PATCH v2 0/2] cover", "base-commit: " + "1" * 40 + "\nprerequisite-patch-id: " + "2" * 40 + "\n"),
        mail("mm: how about this", diff("y"), In_Reply_To="<2@x>"),
        mail("[PATCH] mm: a fix of it", diff("w"), In_Reply_To="<2@x>"),
        mail("Re: [PATCH v2 1/2] one"),
        mail("[PATCH v2 1/2] one", diff("one")),
    )  # fmt: skip

    assert subjects(found) == ["one", "two"]
    assert (found.version, found.noted.commit, found.noted.prerequisites) == ("2", "1" * 40, 1)
    assert [one.what for one in found.left_out if one.diff] == [
        "Re: [v2 2/2] two",
        "mm: how about this",
        "mm: a fix of it",
    ]
    assert len(found.notices) == 3


def test_the_diff_of_a_reply_alone_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'Re: x' is a reply") as refused:
        series(tmp_path, mail("Re: [PATCH] x", diff("x")), mail("[PATCH] x"))

    assert "save it by itself" in refused.value.hint


def test_missing_numbers_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"t\.mbox: 2/4, 3/4 are missing"):
        series(tmp_path, mail("[PATCH 1/4] a", diff("a")), mail("[PATCH 4/4] d", diff("d")))
    with pytest.raises(UserError, match=r"'\[2/2\] b' has no diff in it"):
        series(tmp_path, mail("[PATCH 1/2] a", diff("a")), mail("[PATCH 2/2] b"))
    with pytest.raises(UserError, match=r"3/2 .* is none of the series"):
        series(tmp_path, *(mail(f"[PATCH {n}/2] x{n}", diff(f"x{n}")) for n in (1, 2, 3)))


def test_one_mail_that_was_chosen_is_taken_with_a_notice(tmp_path: Path) -> None:
    found = series(tmp_path, mail("[PATCH 2/4] b", diff("b")))

    assert subjects(found) == ["b"]
    assert found.notices == ("t.mbox is 2/4; the other patches of that series were not given, and are not tested",)


def test_one_file_of_a_folder_was_not_chosen(tmp_path: Path) -> None:
    (tmp_path / "0002-b.patch").write_text(mail("[PATCH 2/3] b", diff("b")))

    with pytest.raises(UserError, match="1/3, 3/3 are missing"):
        load(tmp_path)


def test_single_files_of_a_series_are_one_series(tmp_path: Path) -> None:
    files = []
    for number, name in ((0, "cover"), (3, "c"), (1, "a"), (2, "b")):
        files.append(tmp_path / f"{number}.eml")
        files[-1].write_text(mail(f"[PATCH v2 {number}/3] {name}", diff(name) if number else ""))

    assert subjects(load(*files)) == ["a", "b", "c"]
    with pytest.raises(UserError, match="2/3 is missing"):
        load(*files[:3])
    (tmp_path / "other.eml").write_text(mail("[PATCH 1/2] x", diff("x")))
    (tmp_path / "other2.eml").write_text(mail("[PATCH 2/2] y", diff("y")))
    assert subjects(load(*files, tmp_path / "other.eml", tmp_path / "other2.eml")) == ["a", "b", "c", "x", "y"]


def test_versions_in_one_place_are_refused_and_one_can_be_chosen(tmp_path: Path) -> None:
    mails = [
        mail(f"[PATCH{mark} {n}/2] {name}", diff(name, f"v{version}"))
        for version, mark in ((1, ""), (2, " v2"), (10, " v10"))
        for n, name in ((1, "a"), (2, "b"))
    ]

    with pytest.raises(UserError, match=r"v1 \(2 patches\), v2 \(2 patches\), v10 \(2 patches\)") as refused:
        series(tmp_path, *mails)
    assert "--series-version 10" in refused.value.hint
    with pytest.raises(UserError, match="has no v3; it has v1"):
        series(tmp_path, *mails, version="3")

    chosen = series(tmp_path, *mails, version="2")
    assert all(b"+int v2;" in patch.diff for patch in chosen.patches)
    assert chosen.version == "2"


def test_versions_in_several_files_are_refused(tmp_path: Path) -> None:
    for name, subject in (("a", "[PATCH] mm: x"), ("b", "[PATCH v2] mm: x")):
        (tmp_path / f"{name}.eml").write_text(mail(subject, diff("x", name)))

    with pytest.raises(UserError, match=r"two versions of one patch, v1 and v2"):
        load(tmp_path / "a.eml", tmp_path / "b.eml")
    with pytest.raises(UserError, match="several versions"):
        load(tmp_path)


def test_a_patch_that_is_there_twice_is_taken_once(tmp_path: Path) -> None:
    twice = mail("[PATCH 1/2] a", diff("a"), Message_ID="<1@x>")
    footer = "_______________________________________________\nlist mailing list\n"

    found = series(tmp_path, twice, mail("[PATCH 2/2] b", diff("b")), twice + footer)

    assert subjects(found) == ["a", "b"]
    assert [(one.what, one.why) for one in found.left_out] == [("[1/2] a", "the same patch once more")]
    assert found.notices == ()
    (tmp_path / "1.eml").write_text(twice)
    assert subjects(load(tmp_path / "t.mbox", tmp_path / "1.eml")) == ["a", "b"]


def test_two_patches_of_one_number_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1/2 more than once, and they differ"):
        series(tmp_path, *(mail(f"[PATCH {n}/2] x", diff("x", new)) for n, new in ((1, "b"), (1, "c"), (2, "d"))))


def test_two_series_in_one_mailbox_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"several series: of 1 and of 2 patches"):
        series(tmp_path, *(mail(f"[PATCH {n}] x{n}", diff("x")) for n in ("1/1", "1/2", "2/2")))
    with pytest.raises(UserError, match="has no number, and the other patches have"):
        series(tmp_path, *(mail(f"[PATCH{n}] x{n}", diff("x")) for n in (" 1/2", " 2/2", "")))


def test_patches_without_numbers_stay_in_their_order(tmp_path: Path) -> None:
    assert subjects(series(tmp_path, *(mail(f"[PATCH] {name}", diff(name)) for name in "zay"))) == ["z", "a", "y"]


def test_a_folder_of_versions_is_refused_and_its_other_files_are_named(tmp_path: Path) -> None:
    for version, mark in (("", ""), ("v2-", " v2")):
        for n, name in ((0, "cover"), (1, "a")):
            text = mail(f"[PATCH{mark} {n}/1] {name}", diff("a", f"x{mark.strip()}") if n else "")
            (tmp_path / f"{version}000{n}-{name}.patch").write_text(text)
    (tmp_path / "notes").write_text("x\n")

    with pytest.raises(UserError, match=r"several versions"):
        load(tmp_path)
    found = load(tmp_path, version="2")
    assert [patch.name for patch in found.patches] == ["v2-0001-a.patch"]
    assert ("notes", "not named like a patch") in [(one.what, one.why) for one in found.left_out]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text.replace("@@ -1 +1 @@", "@@ -1 +1 @"), "no hunk header"),
        (lambda text: text + "+int more;\n", "no hunk counts"),
        (lambda text: text + " int same;\n+int more;\n", "no hunk counts"),
        (lambda text: text + "Binary files a/mm/x.bin and b/mm/x.bin differ\n", "leaves out"),
        (lambda text: text + "Only in b/mm: y.c\n", "leaves out"),
    ],
)  # fmt: skip
def test_what_git_would_pass_over_is_refused(damage: object, said: str, tmp_path: Path) -> None:
    assert callable(damage)
    (tmp_path / "x.diff").write_text(damage(diff("w") + diff("x")))

    with pytest.raises(UserError, match=said):
        load(tmp_path / "x.diff")


def test_a_diff_of_git_and_one_of_patch_without_prefix_are_told_apart(tmp_path: Path) -> None:
    bare = diff("x").replace("a/mm", "mm").replace("b/mm", "mm")
    (tmp_path / "git.diff").write_text(bare)
    (tmp_path / "old.diff").write_text(bare.partition("\n")[2])
    (tmp_path / "mixed.diff").write_text(bare + diff("y"))

    found = load(tmp_path / "git.diff")
    assert ([str(file) for file in found.touched], found.patches[0].strip) == (["mm/x.c"], 0)
    assert "diff.noprefix" in found.notices[0]
    with pytest.raises(UserError, match="does that begin with a prefix") as refused:
        load(tmp_path / "old.diff")
    assert "-p0" in refused.value.hint
    with pytest.raises(UserError, match=r"with a prefix .* and names without one"):
        load(tmp_path / "mixed.diff")


def test_attached_files_of_format_patch_are_patches_of_their_own(tmp_path: Path) -> None:
    parts = "".join(
        f"--b\nContent-Type: text/x-patch\nContent-Disposition: attachment\n\nFrom 1 Mon Sep 17 00:00:00 2001\n{one}"
        for one in (mail("[PATCH 2/2] two", diff("two")), mail("[PATCH 1/2] one", diff("one")))
    )
    head = 'From: A <a@localhost>\nSubject: {}\nContent-Type: multipart/mixed; boundary="b"\n\n'
    text = "--b\nContent-Type: text/plain\n\nsee below\n"
    (tmp_path / "x.eml").write_text(head.format("two patches") + text + parts + "--b--\n")
    (tmp_path / "re.eml").write_text(head.format("Re: [PATCH] x") + text + parts + "--b--\n")

    assert subjects(load(tmp_path / "x.eml")) == ["one", "two"]
    with pytest.raises(UserError, match="is a reply"):
        load(tmp_path / "re.eml")


def test_a_flowed_mail_is_put_together_as_git_does_it(tmp_path: Path) -> None:
    stuffed = "".join(f" {line}\n" if line.startswith(" ") else f"{line}\n" for line in diff("x").splitlines())
    flowed = mail("[PATCH] x", stuffed, Content_Type="text/plain; format=flowed")
    (tmp_path / "x.eml").write_text(flowed)

    assert load(tmp_path / "x.eml").patches[0].diff.decode() == diff("x")


def test_a_mail_that_was_cut_off_between_two_files_is_said(tmp_path: Path) -> None:
    stat = " mm/x.c | 2 +-\n mm/y.c | 2 +-\n 2 files changed, 2 insertions(+), 2 deletions(-)\n\n"

    whole = series(tmp_path, mail("[PATCH] x", stat + diff("x") + diff("y")))
    cut = series(tmp_path, mail("[PATCH] x", stat + diff("x")))

    assert whole.notices == ()
    assert "says 2 files +2 -2, its diff has 1 files +1 -1: cut off" in cut.notices[0]


@pytest.mark.parametrize(
    ("line", "commit"),
    [
        ("base-commit: " + "ab" * 20, "ab" * 20),
        ("Base-Commit: 05f7e89ab973 (tag: v6.19)", "05f7e89ab973"),
        ("base-commit: v6.19-rc4", "v6.19-rc4"),
        ("base-commit: next-20260702", "next-20260702"),
        ("base-commit: 6.19", ""),
        ("> base-commit: " + "ab" * 20, ""),
        ("base-commit: mm-unstable", ""),
    ],
)
def test_a_base_is_noted_by_a_hash_or_a_tag_and_where_it_stands(line: str, commit: str, tmp_path: Path) -> None:
    found = series(tmp_path, mail("[PATCH 0/1] cover", line + "\n"), mail("[PATCH 1/1] one", diff("one")))

    assert found.noted.commit == commit
    assert not commit or found.noted.place == "the cover letter"
