# SPDX-License-Identifier: GPL-2.0-or-later
"""Series that a stranger made to do harm: refused by name, or read as the data that they are."""

import base64
import gzip
import os
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import OrchestratorError, UserError
from orchestrator.kernel.series.diff_paths import reversed_names, strip_of
from orchestrator.kernel.series.diff_text import done_in, find_diff
from orchestrator.kernel.series.load import Series, load_series, parse_series
from orchestrator.kernel.series.packed import read_packed
from orchestrator.kernel.source.apply import NotApplied, apply_series

DIFF = "diff --git a/mm/x.c b/mm/x.c\n--- a/mm/x.c\n+++ b/mm/x.c\n@@ -1 +1 @@\n-int a;\n+int b;\n"


def until() -> Deadline:
    return Deadline.after(120, "a test")


def load(path: Path) -> Series:
    return load_series([path], tree=None, log=path.with_name("log"), until=until())


def quoted(name: str) -> str:
    """As git writes a name with special characters."""
    special = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
    encoded = "".join(special.get(c, c if " " <= c <= "~" else "".join(f"\\{b:03o}" for b in c.encode())) for c in name)
    return f'"{encoded}"'


def new_file(name: str) -> bytes:
    a, b = quoted(f"a/{name}"), quoted(f"b/{name}")
    return f"diff --git {a} {b}\nnew file mode 100644\n--- /dev/null\n+++ {b}\n@@ -0,0 +1 @@\n+x\n".encode()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../x", "outside"),
        ("mm/../../x", "outside"),
        ("/etc/passwd", "outside"),
        ("/", "outside"),
        (".git/config", "outside"),
        ("mm/.GIT/hooks/x", "outside"),
        (".Git", "outside"),
        (".git./x", "outside"),
        ("GIT~1/config", "outside"),
        ("mm/a\nb.c", "characters"),
        ("mm/a\x1b[2J.c", "characters"),
        ("mm/a\tb", "characters"),
        ("mm/\u202ec.x", "characters"),
        ("mm/\x7f", "characters"),
        ("mm/./x", "no path"),
        ("mm/" + "x" * 256, "longer"),
        ("d/" * 200 + "x", "longer"),
    ],
)
def test_a_name_that_no_kernel_tree_has_is_refused(name: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        parse_series(new_file(name), "evil.patch")


@pytest.mark.parametrize("header", ["rename", "copy"])
@pytest.mark.parametrize("name", ["../x", ".git/config", "/etc/passwd"])
def test_what_is_only_read_is_looked_at_too(header: str, name: str) -> None:
    diff = f"diff --git a/{name} b/mm/y.c\nsimilarity index 100%\n{header} from {name}\n{header} to mm/y.c\n"

    with pytest.raises(UserError, match="outside"):
        parse_series(diff.encode(), "evil.patch")


def test_a_name_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(UserError, match="characters"):
        parse_series(new_file("mm/x").replace(b"/mm/x", b"/mm/\\377"), "evil.patch")


@pytest.mark.parametrize(
    "name", ["HEAD", "$(shell touch pwned)", "`id`.c", "-rf", "a b;c", "%s%n", "objects/x", "'q'", "mm/näh.c"]
)
def test_a_strange_name_is_data(name: str, tmp_path: Path) -> None:
    series = parse_series(new_file(name), "strange.patch")
    (tmp_path / "tree").mkdir()

    assert apply_series(series, tmp_path / "tree", log_dir=tmp_path, until=until()) is None

    assert [str(file) for file in series.touched] == [name]
    assert [path.name for path in (tmp_path / "tree").iterdir()] == [name.split("/")[0]]
    assert (tmp_path / "tree" / name).read_text() == "x\n"


def packed_lines(content: bytes) -> bytes:
    """zlib and base85, as in a git binary patch."""
    packed = zlib.compress(content, 9)
    lines = []
    for at in range(0, len(packed), 52):
        line = packed[at : at + 52]
        length = bytes([64 + len(line) if len(line) <= 26 else 96 - 26 + len(line)])
        lines.append(length + base64.b85encode(line.ljust(-(-len(line) // 4) * 4, b"\0")) + b"\n")
    return b"".join(lines)


def binary(kind: str, size: int, content: bytes) -> bytes:
    head = f"diff --git a/mm/x.bin b/mm/x.bin\nindex {1:040}..{2:040}\nGIT binary patch\n{kind} {size}\n"
    return head.encode() + packed_lines(content) + b"\n"


def number(value: int) -> bytes:
    digits = []
    while True:
        value, digit = value >> 7, value & 0x7F
        digits.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(digits)


def test_a_binary_patch_that_says_that_it_unpacks_to_gigabytes_is_refused() -> None:
    bomb = binary("literal", 8 << 30, bytes(1 << 20))

    assert len(bomb) < 10_000
    with pytest.raises(UserError, match="unpack to 8192 MiB; at most 256 MiB"):
        parse_series(bomb, "bomb.patch")


def test_a_binary_delta_that_makes_gigabytes_of_a_small_file_is_refused() -> None:
    copy_all = b"\xf0\xff\xff\xff"
    delta = number(1 << 24) + number(4 << 30) + copy_all * 256
    bomb = binary("delta", len(delta), delta)

    with pytest.raises(UserError, match="unpack to 4096 MiB; at most 256 MiB"):
        parse_series(bomb, "bomb.patch")


def test_a_binary_patch_that_unpacks_to_more_than_it_says_is_not_applied(tmp_path: Path) -> None:
    series = parse_series(binary("literal", 100, bytes(64 << 20)), "bomb.patch")
    (tmp_path / "tree").mkdir()

    assert isinstance(apply_series(series, tmp_path / "tree", log_dir=tmp_path, until=until()), NotApplied)


def test_many_binary_patches_that_are_too_much_together_are_refused(tmp_path: Path) -> None:
    text = binary("literal", 100 << 20, bytes(100 << 20))
    for at in range(3):
        (tmp_path / f"{at}.patch").write_bytes(text.replace(b"x.bin", b"x%d.bin" % at))

    with pytest.raises(UserError, match="more than 256 MiB, with what"):
        load(tmp_path)


def test_a_file_that_is_too_large_is_refused_unread_or_packed(tmp_path: Path) -> None:
    with (tmp_path / "x.patch").open("wb") as file:
        file.truncate((256 << 20) + 1)
    (tmp_path / "x.gz").write_bytes(gzip.compress(bytes(3 << 20)))

    with pytest.raises(UserError, match="more than 256 MiB"):
        load(tmp_path / "x.patch")
    with pytest.raises(UserError, match="more than 2 MiB"):
        read_packed(tmp_path / "x.gz", largest=2 << 20)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(DIFF.encode())[:-9], "damaged compressed"),
        (b"\x28\xb5\x2f\xfd" + bytes(9), "zstd"),
        (b"PK\x03\x04" + bytes(9), "zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + DIFF.encode(), "Outlook"),
        (DIFF.encode("utf-16"), "UTF-16"),
        (b"<!DOCTYPE html><pre>" + DIFF.encode(), "web page"),
        (bytes(257) + b"ustar" + bytes(250), "tar file"),
        (DIFF.replace("int b", "int\0b").encode(), "NUL bytes"),
        (bytes(5000), "no patch"),
        (os.urandom(64).replace(b"\n", b"") + b"\n", "no patch"),
        (b"", "no patch"),
    ],
    ids=["cut", "zstd", "zip", "outlook", "utf-16", "html", "tar", "nul", "nuls", "random", "empty"],
)
def test_what_is_no_text_of_a_patch_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "x.patch").write_bytes(content)

    with pytest.raises(UserError, match=said):
        load(tmp_path / "x.patch")


def test_a_pipe_and_a_missing_right_to_read_do_not_keep_us_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.patch")

    with pytest.raises(UserError, match="no plain file"):
        load(tmp_path / "x.patch")


def test_thousands_of_mails_are_read(tmp_path: Path) -> None:
    reply = b"From a@localhost Sat Nov  1 10:00:00 2025\nSubject: Re: [PATCH] x\nMessage-ID: <%d@x>\n\nhm\n\n"
    patch = b"From a@localhost Sat Nov  1 10:00:00 2025\nSubject: [PATCH] x\nMessage-ID: <p@x>\n\n---\n" + DIFF.encode()
    (tmp_path / "box").write_bytes(b"".join(reply % at for at in range(3_000)) + patch)

    series = load(tmp_path / "box")

    assert len(series.patches) == 1
    assert len(series.left_out) == 3_000


def test_a_series_that_claims_to_be_endless_is_refused(tmp_path: Path) -> None:
    mails = ["[PATCH 1/999999] x", "[PATCH 0/999999] cover"]
    separator = "From a@localhost Sat Nov  1 10:00:00 2025\n"
    (tmp_path / "box").write_text("".join(f"{separator}Subject: {one}\n\n---\n{DIFF}\n" for one in mails))

    with pytest.raises(UserError, match="a series of 999999 patches"):
        load(tmp_path / "box")


def test_a_mail_of_endless_parts_is_refused() -> None:
    text = "Subject: [PATCH] x\n" + "".join(
        f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n' for n in range(5000)
    )

    with pytest.raises(UserError, match="parts"):
        parse_series((text + "\n" + DIFF).encode(), "deep.eml")


def test_a_series_file_that_names_files_elsewhere_is_refused(tmp_path: Path) -> None:
    for name in ("/etc/passwd", "../x.patch", "a/../../x"):
        (tmp_path / "series").write_text(f"{name}\n")
        with pytest.raises(UserError, match="outside"):
            load(tmp_path)


def test_a_submodule_is_refused() -> None:
    diff = new_file("mm/sub").replace(b"100644", b"160000").replace(b"+x\n", b"+Subproject commit " + b"1" * 40 + b"\n")

    with pytest.raises(UserError, match="submodule"):
        parse_series(diff, "sub.patch")


def test_a_link_in_the_place_of_a_reject_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("token\n")
    header = "diff --git a/x.c.rej b/x.c.rej\nnew file mode 120000\n--- /dev/null\n+++ b/x.c.rej\n"
    link = f"{header}@@ -0,0 +1 @@\n+{secret}\n"
    bad = "--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-other\n+more\n"
    series = parse_series((link + "\\ No newline at end of file\n").encode(), "1.patch")
    both = Series(patches=(*series.patches, *parse_series(bad.encode(), "2.patch").patches))
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/x.c").write_text("int x;\n")

    problem = apply_series(both, tmp_path / "tree", log_dir=tmp_path, until=until())

    assert isinstance(problem, NotApplied)
    assert problem.title == "2.patch: x.c: hunk #1: does not apply"
    assert secret.read_text() == "token\n"
    kept = (
        [path for path in (tmp_path / "rejects").rglob("*") if path.is_file()]
        if (tmp_path / "rejects").exists()
        else []
    )
    assert not any("token" in path.read_text() for path in kept)


def test_a_patch_that_git_would_apply_to_more_than_is_known_is_an_error(tmp_path: Path) -> None:
    known = parse_series(new_file("mm/a.c"), "x.patch")
    more = parse_series(new_file("mm/a.c") + new_file("mm/b.c"), "x.patch").patches[0]
    short = Series(patches=(type(more)(name="x", subject="x", diff=more.diff, files=known.touched),))
    (tmp_path / "tree").mkdir()

    with pytest.raises(OrchestratorError, match=r"git changed 'mm/b\.c'"):
        apply_series(short, tmp_path / "tree", log_dir=tmp_path, until=until())


MAIL = (
    b"From 1 Mon Sep 17 00:00:00 2001\nFrom: A <a@localhost>\nSubject: [PATCH 1/1] x\nMIME-Version: 1.0\n"
    b'Content-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: text/plain; format=flowed\n'
    b"Content-Transfer-Encoding: quoted-printable\n\nwhy\n---\n" + DIFF.encode() + b"--b--\n"
)


@settings(
    max_examples=settings().max_examples * 6 // 10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    cuts=st.lists(
        st.tuples(st.integers(0, len(MAIL)), st.integers(0, 9), st.binary(max_size=12)), min_size=1, max_size=6
    )
)
def test_a_damaged_mail_is_read_or_refused(cuts: list[tuple[int, int, bytes]]) -> None:
    raw = MAIL
    for at, length, instead in cuts:
        raw = raw[:at] + instead + raw[at + length :]

    try:
        series = parse_series(raw, "x.eml")
    except UserError:
        return
    assert len(series.patches) == 1


LINES = (
    "diff --git a/mm/x.c b/mm/x.c",
    "diff --git mm/x.c mm/x.c",
    "diff --git ",
    "diff --git b/x a/x",
    "--- a/mm/x.c",
    "+++ b/mm/x.c",
    "--- ",
    "+++ ",
    "--- mm/x.c",
    "+++ mm/x.c",
    "@@ -1 +1 @@",
    "@@ -1,3 +1,3 @@",
    "@@ -0,0 +1,99 @@",
    "@@ ",
    "-int a;",
    "+int b;",
    " int c;",
    "",
    "-- ",
    "\\ No newline at end of file",
    "GIT binary patch",
    "literal 3",
    "delta 9",
    "Dcmb=I",
    "rename from x",
    "rename to y",
    "copy from ",
    "Binary files a and b differ",
    "From now",
    "\r",
    "+\r",
    "new mode",
)


@settings(max_examples=settings().max_examples * 5)
@given(st.lists(st.sampled_from(LINES), max_size=25), st.sampled_from(["\n", "\r\n", "\r"]))
def test_lines_in_any_order_are_read_or_refused(lines: list[str], line_end: str) -> None:
    diff = find_diff(line_end.join(lines).encode())

    assert find_diff(diff.text).text == diff.text
    for segment in diff.segments:
        done_in(diff, segment)
    reversed_names(diff)
    with suppress(UserError):
        strip_of(diff, "x.patch")
