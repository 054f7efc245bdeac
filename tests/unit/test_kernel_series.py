"""A series in each of its forms becomes the same diffs."""

import base64
import quopri
from pathlib import Path, PurePosixPath

import pytest

from orchestrator.deadline import Deadline
from orchestrator.errors import UserError
from orchestrator.kernel.mail import find_diff, mailed_patches, normal_line_ends, split_mailbox
from orchestrator.kernel.series import BASELINE, load_series, parse_series, touched_files
from orchestrator.paths import KERNELS, PROJECT

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


def until() -> Deadline:
    return Deadline.after(60, "a test")


def load(tmp_path: Path, *paths: Path) -> list[str]:
    series = load_series(paths, tree=None, log=tmp_path / "git.log", until=until())
    return [str(file) for patch in series.patches for file in patch.files]


@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable", "base64"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_mail_gives_the_diff_that_was_sent(encoding: str, line_end: str) -> None:
    raw = mail("[PATCH v3 03/20] mm: swap: do it", DIFF, encoding).replace(b"\n", line_end.encode())

    (patch,) = mailed_patches(raw)

    assert patch.diff.decode() == DIFF
    assert patch.subject == "mm: swap: do it"
    assert (patch.number, patch.total) == (3, 20)


def test_base64_of_a_body_with_crlf_gives_lf() -> None:
    body = base64.encodebytes(DIFF.replace("\n", "\r\n").encode())
    raw = b"Subject: [PATCH] x\nContent-Transfer-Encoding: base64\nContent-Type: text/plain\n\n" + body

    (patch,) = mailed_patches(raw)

    assert patch.diff.decode() == DIFF


def test_a_carriage_return_inside_an_lf_patch_is_content() -> None:
    text = DIFF.replace("-second = 1; /* häß */\n", "-second\r\n").encode()

    assert normal_line_ends(text) == text


def test_an_attached_patch_is_found_and_the_html_copy_is_not() -> None:
    raw = (
        "Subject: [PATCH] x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B\n\n"
        "--B\nContent-Type: text/html\n\n<pre>\n" + DIFF + "</pre>\n"
        "--B\nContent-Type: text/plain\n\nSee the attachment.\n"
        "--B\nContent-Type: text/x-patch; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" + DIFF + "\n--B--\n"
    ).encode()

    (patch,) = mailed_patches(raw)

    assert patch.diff.decode().strip() == DIFF.strip()


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


def test_prose_that_begins_with_from_does_not_split_a_mail() -> None:
    raw = mbox(mail("[PATCH] it", "From now on 12 callers use it.\n\n" + DIFF))

    assert len(split_mailbox(raw)) == 1


def test_two_versions_in_one_mailbox_are_refused() -> None:
    raw = mbox(mail("[PATCH 1/1] it", DIFF), mail("[PATCH v2 1/1] it", OTHER))

    with pytest.raises(UserError, match="1/1 more than once"):
        parse_series(raw, "x.mbox")


def test_a_mail_signature_and_a_list_footer_are_no_part_of_the_diff() -> None:
    assert find_diff((DIFF + "-- \n2.47.3\n\n").encode()).decode() == DIFF


def test_a_removed_line_of_two_dashes_is_no_signature() -> None:
    diff = "--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n keep\n-- \n"

    assert find_diff(diff.encode()).decode() == diff


def test_a_diff_that_was_cut_off_is_left_to_git_as_it_is() -> None:
    cut = "".join(DIFF.splitlines(keepends=True)[:-2])

    assert find_diff(cut.encode()).decode() == cut


def test_renamed_new_and_removed_files_are_all_touched() -> None:
    diff = (
        "diff --git a/old.c b/new.c\nsimilarity index 100%\nrename from old.c\nrename to new.c\n"
        "diff --git a/added.c b/added.c\nnew file mode 100644\n--- /dev/null\n+++ b/added.c\n@@ -0,0 +1 @@\n+x\n"
        "diff --git a/gone.h b/gone.h\ndeleted file mode 100644\n--- a/gone.h\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
    )

    assert [str(path) for path in touched_files(diff)] == ["added.c", "gone.h", "new.c", "old.c"]


def test_wrong_line_counts_do_not_hide_which_files_are_touched() -> None:
    assert PurePosixPath("mm/swap.c") in touched_files(DIFF.replace("@@ -1,3 +1,3 @@", "@@ -1,9 +1,9 @@"))


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
    with pytest.raises(UserError, match=r"nowhere\.patch does not exist"):
        load(tmp_path, tmp_path / "nowhere.patch")


def test_a_range_without_a_git_tree_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no git checkout"):
        load(tmp_path, Path("v6.19..HEAD"))


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    folder = tmp_path / "patches"
    folder.mkdir()
    (folder / "0000-cover-letter.patch").write_bytes(mail("[PATCH 0/2] cover", "text\n"))
    (folder / "0002-b.patch").write_text(OTHER)
    (folder / "0001-a.patch").write_bytes(mail("[PATCH 1/2] a", DIFF))
    (folder / "README.md").write_text("not a patch\n")

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


def test_the_same_diff_has_the_same_hash_in_whatever_mail_it_came() -> None:
    plain = parse_series(DIFF.encode(), "a.patch")
    mailed = parse_series(mail("[PATCH] x", DIFF, "base64"), "b.eml")

    assert plain.sha256 == mailed.sha256 != BASELINE.sha256


def test_documentation_is_no_c_file() -> None:
    series = parse_series((DIFF + OTHER.replace("mm/other.c", "Documentation/mm/x.rst")).encode(), "a.patch")

    assert [str(path) for path in series.c_files] == ["mm/swap.c"]


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
