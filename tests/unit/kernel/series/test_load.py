# SPDX-License-Identifier: GPL-2.0-or-later
"""A series in each of its forms becomes the same diffs."""

import base64
import quopri
from pathlib import Path

import pytest

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import UserError
from orchestrator.host.paths import KERNELS, PROJECT
from orchestrator.kernel.series.diff_paths import GitScratch
from orchestrator.kernel.series.diff_text import find_diff, normal_line_ends
from orchestrator.kernel.series.load import BASELINE, load_series, parse_series
from orchestrator.kernel.series.mail import Piece, pieces_in

DIFF = """\
diff --git a/mm/swap.c b/mm/swap.c
index 1111111..2222222 100644
--- a/mm/swap.c
+++ b/mm/swap.c
@@ -1,3 +1,3 @@
 first
-second = 1; /* häß */
+second = 2; /* häß */
 third
"""
OTHER = DIFF.replace("mm/swap.c", "mm/other.c")
SHARED_MAIL = PROJECT.parent / "shared/patches/v3-03of20-swapoff-lockout.eml"


def mail(subject: str, diff: str, encoding: str = "8bit") -> bytes:
    body = (
        f"Why this is right.\n\nSigned-off-by: A <a@localhost>\n---\n mm/swap.c | 2 +-\n\n{diff}-- \n2.47.3\n".encode()
    )
    encoded = {
        "8bit": lambda: body,
        "quoted-printable": lambda: quopri.encodestring(body),
        "base64": lambda: base64.encodebytes(body),
    }[encoding]()
    headers = (
        f"From: A <a@localhost>\nSubject: {subject}\nMIME-Version: 1.0\n"
        f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: {encoding}\n\n"
    )
    return headers.encode() + encoded


def mbox(*mails: bytes) -> bytes:
    return b"\n".join(b"From 1234567890 Mon Sep 17 00:00:00 2001\n" + text for text in mails)


def pieces(raw: bytes, tmp_path: Path) -> tuple[Piece, ...]:
    (tmp_path / "git").mkdir()
    return pieces_in(raw, "x.eml", GitScratch(folder=tmp_path / "git", log=tmp_path / "log", until=until()))


def until() -> Deadline:
    return Deadline.after(60, "a test")


def load(tmp_path: Path, *paths: Path) -> list[str]:
    series = load_series(paths, tree=None, log=tmp_path / "git.log", until=until())
    return [str(file) for patch in series.patches for file in patch.files]


@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable", "base64"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_mail_gives_the_diff_that_was_sent(encoding: str, line_end: str, tmp_path: Path) -> None:
    raw = mail("[PATCH v3 03/20] mm: swap: do it", DIFF, encoding).replace(b"\n", line_end.encode())

    (patch,) = pieces(raw, tmp_path)

    assert patch.diff.text.decode() == DIFF
    assert patch.subject.title == "mm: swap: do it"
    assert patch.subject.place == "3/20"
    assert patch.author == "A <a@localhost>"


def test_base64_of_a_body_with_crlf_gives_lf(tmp_path: Path) -> None:
    body = base64.encodebytes(DIFF.replace("\n", "\r\n").encode())
    raw = b"Subject: [PATCH] x\nContent-Transfer-Encoding: base64\nContent-Type: text/plain\n\n" + body

    (patch,) = pieces(raw, tmp_path)

    assert patch.diff.text.decode() == DIFF


@pytest.mark.parametrize(("before", "behind"), [("My fix.\n\n", ""), ("", "\n"), ("", "_____\nA list's footer.\n")])
def test_a_diff_with_crlf_between_lines_with_lf_gives_lf(before: str, behind: str, tmp_path: Path) -> None:
    (patch,) = pieces((before + DIFF.replace("\n", "\r\n") + behind).encode(), tmp_path)

    assert patch.diff.text.decode() == DIFF


def test_one_mail_of_a_mailbox_may_have_crlf() -> None:
    raw = mbox(mail("[PATCH 1/2] a", DIFF), mail("[PATCH 2/2] b", OTHER).replace(b"\n", b"\r\n"))

    assert [patch.diff.decode() for patch in parse_series(raw, "x.mbox").patches] == [DIFF, OTHER]


def test_a_carriage_return_inside_an_lf_patch_is_content() -> None:
    text = DIFF.replace("-second = 1; /* häß */\n", "-second\r\n").encode()

    assert normal_line_ends(text) == text


def test_a_patch_of_a_file_that_has_crlf_keeps_it() -> None:
    head, hunk, lines = DIFF.partition("@@ -1,3 +1,3 @@\n")
    text = (head + hunk + lines.replace("\n", "\r\n")).encode()

    assert normal_line_ends(text) == text


def test_a_clear_signed_mail_gives_the_diff_that_was_signed(tmp_path: Path) -> None:
    escaped = "".join("- " * line.startswith("-") + line + "\n" for line in DIFF.splitlines())
    raw = (
        "From: A <a@localhost>\nSubject: [PATCH] x\n\n"
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nWhy.\n- ---\n\n"
        f"{escaped}\n-----BEGIN PGP SIGNATURE-----\n\niQIzBAEB\n-----END PGP SIGNATURE-----\n"
    ).encode()

    (patch,) = pieces(raw, tmp_path)

    assert patch.diff.text.decode() == DIFF
    assert not patch.diff.strays


def test_an_attached_patch_is_found_and_the_html_copy_is_not(tmp_path: Path) -> None:
    raw = (
        "Subject: [PATCH] x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B\n\n"
        "--B\nContent-Type: text/html\n\n<pre>\n" + DIFF + "</pre>\n"
        "--B\nContent-Type: text/plain\n\nSee the attachment.\n"
        "--B\nContent-Type: text/x-patch; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" + DIFF + "\n--B--\n"
    ).encode()

    (patch,) = pieces(raw, tmp_path)

    assert patch.diff.text.decode() == DIFF


def test_a_mailbox_is_sorted_by_number_and_its_cover_letter_is_passed_over() -> None:
    raw = mbox(
        mail("[PATCH 2/2] second", OTHER, "base64"),
        mail("[PATCH 0/2] cover", "no diff here\n"),
        mail("[PATCH 1/2] first", DIFF, "quoted-printable"),
    )

    series = parse_series(raw, "series.mbox")

    assert [patch.subject for patch in series.patches] == ["first", "second"]
    assert [patch.name for patch in series.patches] == ["series.mbox 1/2", "series.mbox 2/2"]


def test_a_reply_that_quotes_a_patch_is_no_patch() -> None:
    quoted = "".join(f"> {line}\n" for line in DIFF.splitlines())
    raw = mbox(mail("[PATCH 1/1] it", DIFF), mail("Re: [PATCH 1/1] it", quoted))

    assert len(parse_series(raw, "x.mbox").patches) == 1


@pytest.mark.parametrize("line", ["From now on 12 callers use it.", "From 0123456789 Mon Sep 17 00:00:00 2001"])
def test_prose_that_begins_with_from_does_not_split_a_mail(line: str, tmp_path: Path) -> None:
    raw = mbox(mail("[PATCH] it", f"It says:\n\n{line}\nso it is.\n\n{DIFF}"))

    (patch,) = pieces(raw, tmp_path)

    assert (patch.subject.title, patch.diff.text.decode()) == ("it", DIFF)


def test_two_versions_in_one_mailbox_are_refused_and_one_can_be_chosen(tmp_path: Path) -> None:
    box = tmp_path / "x.mbox"
    box.write_bytes(mbox(mail("[PATCH 1/1] it", DIFF), mail("[PATCH v2 1/1] it", OTHER)))

    with pytest.raises(UserError, match=r"several versions of a series: v1 \(1 patches\), v2 \(1 patches\)") as refused:
        load(tmp_path, box)

    assert "--series-version 2" in refused.value.hint
    chosen = load_series([box], tree=None, log=tmp_path / "log", until=until(), version="2")
    assert [str(file) for file in chosen.touched] == ["mm/other.c"]
    assert chosen.version == "2"


def test_a_mail_signature_and_a_list_footer_are_no_part_of_the_diff() -> None:
    assert find_diff((DIFF + "-- \n2.47.3\n\n").encode()).text.decode() == DIFF


def test_a_removed_line_of_two_dashes_is_no_signature() -> None:
    diff = "--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n keep\n-- \n"

    assert find_diff(diff.encode()).text.decode() == diff


def test_a_diff_that_was_cut_off_is_left_to_git_as_it_is() -> None:
    cut = "".join(DIFF.splitlines(keepends=True)[:-2])

    assert find_diff(cut.encode()).text.decode() == cut


def test_renamed_new_and_removed_files_are_all_touched() -> None:
    diff = (
        "diff --git a/old.c b/new.c\nsimilarity index 100%\nrename from old.c\nrename to new.c\n"
        "diff --git a/added.c b/added.c\nnew file mode 100644\n--- /dev/null\n+++ b/added.c\n@@ -0,0 +1 @@\n+x\n"
        "diff --git a/gone.h b/gone.h\ndeleted file mode 100644\n--- a/gone.h\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
    )

    assert [str(path) for path in parse_series(diff.encode(), "x").touched] == ["added.c", "gone.h", "new.c", "old.c"]


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", ".git/hooks/post-checkout"])
def test_a_patch_of_files_outside_the_tree_is_refused(name: str) -> None:
    diff = f"--- /dev/null\n+++ b/{name}\n@@ -0,0 +1 @@\n+x\n"

    with pytest.raises(UserError, match="lies outside"):
        parse_series(diff.encode(), "evil.patch")


def test_what_is_no_patch_is_named_with_what_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("buy milk\n")

    with pytest.raises(UserError, match=r"notes\.txt is no patch: .*a git range A\.\.B of --tree"):
        load(tmp_path, tmp_path / "notes.txt")


def test_a_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.patch does not exist") as refused:
        load(tmp_path, tmp_path / "nofolder" / "nowhere.patch")

    assert refused.value.hint == f"ls {tmp_path}"


def test_a_name_that_does_not_exist_lists_the_folder_in_which_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        load(tmp_path, Path("NOSUCH"))

    assert refused.value.hint == "ls ."


def test_a_range_without_a_git_tree_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no git checkout"):
        load(tmp_path, Path("v6.19..HEAD"))


def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "patches"
    folder.mkdir()
    (folder / "0000-cover-letter.patch").write_bytes(mail("[PATCH 0/2] cover", "text\n"))
    (folder / "0000-b.patch").write_bytes(mail("[PATCH 2/2] b", OTHER))
    (folder / "0001-a.patch").write_bytes(mail("[PATCH 1/2] a", DIFF))
    (folder / "README.md").write_text("not a patch\n")

    assert load(tmp_path, folder) == ["mm/swap.c", "mm/other.c"]


def test_a_folder_without_numbers_in_its_subjects_is_read_in_the_order_of_its_names_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "patches"
    folder.mkdir()
    for name, subject, diff in (("9-a", "first", DIFF), ("10-b", "second", OTHER)):
        (folder / f"{name}.patch").write_bytes(mail(f"[PATCH] {subject}", diff))

    assert load(tmp_path, folder) == ["mm/swap.c", "mm/other.c"]


def test_a_quilt_series_file_decides_the_order(tmp_path: Path) -> None:
    folder = tmp_path / "patches"
    folder.mkdir()
    (folder / "a.patch").write_text(DIFF)
    (folder / "b.patch").write_text(OTHER)
    (folder / "series").write_text("# order\nb.patch -p1\na.patch # last\n\n")

    assert load(tmp_path, folder) == ["mm/other.c", "mm/swap.c"]


def test_a_quilt_series_file_that_names_a_missing_patch_is_refused(tmp_path: Path) -> None:
    (tmp_path / "series").write_text("gone.patch\n")

    with pytest.raises(UserError, match=r"gone\.patch, which is not in"):
        load(tmp_path, tmp_path)


def test_a_folder_without_patches_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no patches"):
        load(tmp_path, tmp_path)


def test_of_a_folder_whose_patches_lie_one_folder_deeper_that_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "v2").mkdir()
    (tmp_path / "v2" / "0001-x.patch").write_text(DIFF)

    with pytest.raises(UserError) as raised:
        load(tmp_path, tmp_path)
    assert raised.value.hint == f"--patch {tmp_path}/v2"


def test_the_same_diff_has_the_same_hash_in_whatever_mail_it_came() -> None:
    plain = parse_series(DIFF.encode(), "a.patch")
    mailed = parse_series(mail("[PATCH] x", DIFF, "base64"), "b.eml")

    assert plain.sha256 == mailed.sha256 != BASELINE.sha256


def test_our_own_series_touches_the_seven_files_of_the_lock_out(tmp_path: Path) -> None:
    files = set(load(tmp_path, KERNELS / "patches/swapoff-lockout"))

    assert files == {
        "include/linux/swap.h", "mm/memory.c", "mm/mincore.c", "mm/shmem.c", "mm/swap_state.c", "mm/userfaultfd.c",
        "mm/zswap.c",
    }  # fmt: skip


@pytest.mark.skipif(not SHARED_MAIL.exists(), reason="../shared is not beside this checkout")
def test_the_mail_from_the_list_and_our_own_series_touch_the_same_files(tmp_path: Path) -> None:
    assert set(load(tmp_path, SHARED_MAIL)) == set(load(tmp_path, KERNELS / "patches/swapoff-lockout"))


def test_what_is_done_to_a_file_is_told_apart_whatever_the_lines_are_numbered() -> None:
    first = "--- a/mm/x.c\n+++ b/mm/x.c\n@@ -{at},2 +{at},2 @@\n int a;\n-int b;\n+int {name};\n"
    second = "--- a/mm/y.c\n+++ b/mm/y.c\n@@ -1 +1 @@\n-int y;\n+int z;\n"

    def files(at: int, name: str) -> dict[str, str]:
        return parse_series((first.format(at=at, name=name) + second).encode(), "p").by_file

    was, moved, edited = files(10, "c"), files(30, "c"), files(10, "d")

    assert set(was) == {"mm/x.c", "mm/y.c"}
    assert was == moved
    assert {file for file in was if was[file] != edited[file]} == {"mm/x.c"}
