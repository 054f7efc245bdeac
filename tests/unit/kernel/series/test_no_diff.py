# SPDX-License-Identifier: GPL-2.0-or-later
"""What is no patch, and only looks like one, is refused by name, with the command that gets a patch."""

import shlex
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import UserError
from orchestrator.kernel.series.load import Series, load_series, parse_series
from tests.unit.kernel.series.test_load import DIFF, mail, mbox

PULL = """\
The following changes since commit 0123456789abcdef0123456789abcdef01234567:

  Linux 7.1 (2026-08-01 10:00:00 +0000)

are available in the Git repository at:

  https://git.example.org/linux.git {ref}

for you to fetch changes up to 89abcdef0123456789abcdef0123456789abcdef:

 mm/swap.c | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)
"""
CONTEXT = """\
*** a/mm/swap.c\t2026-01-01
--- b/mm/swap.c\t2026-01-02
***************
*** 1,2 ****
  x
! y
--- 1,2 ----
"""
MERGE = """\
diff --cc mm/swap.c
index 1,2..3
--- a/mm/swap.c
+++ b/mm/swap.c
@@@ -1,2 -1,2 +1,3 @@@
  x
++y
  z
"""
COLOURS = "".join(f"\x1b[1m{line}\x1b[m\n" for line in DIFF.splitlines())


def load(path: Path, tree: Path | None = None) -> Series:
    return load_series([path], tree=tree, log=(tree or path).parent / "log", until=Deadline.after(60, "a test"))


def refused(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(UserError) as caught:
        call()
    return str(caught.value), caught.value.hint


@pytest.mark.parametrize(
    ("content", "what", "command"),
    [
        (b"", "it is empty", "ls -l"),
        (CONTEXT.encode(), "a context diff", "diff -urN OLD NEW"),
        (MERGE.encode(), "a merge's diff", r"git diff COMMIT^1 COMMIT"),
        (COLOURS.encode(), "colours of a terminal", "git diff --no-color"),
        (b"3c3\n< int x;\n---\n> int y;\n", "without names and context", "diff -urN"),
        (b"3c\nint y;\n.\n", "a script for ed", "diff -urN"),
        (b"commit 1234567\n\n mm/swap.c | 2 +-\n 1 file changed, 1 insertion(+)\n", "a diffstat", "git format-patch"),
        (DIFF.encode("utf-16-le"), "UTF-16 text", "iconv -f utf-16le"),
        (DIFF.encode("utf-16-be"), "UTF-16 text", "iconv -f utf-16be"),
        (b"\x7fELF\2\1\0\0\0\0", "no text", "file "),
        (b"A page of notes.\n", "no diff in it", "less "),
    ],
)
def test_a_file_without_a_diff_is_called_what_it_is(content: bytes, what: str, command: str, tmp_path: Path) -> None:
    file = tmp_path / "a file.patch"
    file.write_bytes(content)

    message, hint = refused(lambda: load(file))

    assert what in message
    assert command in hint
    assert shlex.quote(str(file)) in hint or command.startswith(("diff", "git"))


def test_a_pull_request_is_told_what_to_fetch() -> None:
    raw = b"From: A <a@localhost>\nSubject: [GIT PULL] mm for 7.2\n\n" + PULL.format(ref="tags/mm").encode()

    message, hint = refused(lambda: parse_series(raw, "x.eml"))

    assert "a pull request" in message
    assert hint.startswith(
        "git -C DIR fetch https://git.example.org/linux.git tags/mm; patchrig run --patch 0123456789ab.."
    )


def test_a_pull_request_puts_no_command_into_the_next_command() -> None:
    raw = b"Subject: [GIT PULL] mm\nFrom: A <a@localhost>\n\n" + PULL.format(ref="$(touch$IFS/tmp/x)").encode()

    hint = refused(lambda: parse_series(raw, "x.eml"))[1]

    assert "touch" not in hint


def test_a_mail_that_is_html_alone_is_called_so() -> None:
    raw = mail("[PATCH 1/2] x", DIFF).replace(b"text/plain", b"text/html")

    message, hint = refused(lambda: parse_series(raw, "x.eml"))

    assert "sent as HTML alone" in message
    assert "b4 am" in hint
    assert "sent as HTML alone" in refused(lambda: parse_series(mbox(mail("[PATCH 2/2] y", DIFF), raw), "x.mbox"))[0]


@pytest.mark.parametrize("charset", ["utf-16", "utf-7"])
def test_a_mail_in_a_charset_that_is_no_ascii_gives_the_diff_that_was_sent(charset: str) -> None:
    headers = mail("[PATCH] x", DIFF, "quoted-printable").split(b"\n\n", 1)[0]
    headers = headers.replace(b"charset=utf-8", b"charset=" + charset.encode()).replace(b"quoted-printable", b"8bit")
    text = mail("[PATCH] x", DIFF).split(b"\n\n", 1)[1].decode()

    series = parse_series(headers + b"\n\n" + text.encode(charset), "x.eml")

    assert series.patches[0].diff.decode() == DIFF


@pytest.mark.parametrize("scissors", ["-- >8 --", "---8<------8<---", "- - - cut here - >8 - -"])
def test_below_a_scissors_line_are_subject_and_author_of_the_patch(scissors: str) -> None:
    text = f"Hello,\n\n{scissors}\nFrom: B <b@localhost>\nSubject: [PATCH] mm: do it\n\nWhy.\n---\n{DIFF}"
    raw = b"From: A <a@localhost>\nSubject: a question\nMessage-ID: <1@x>\n\n" + text.encode()

    (patch,) = parse_series(raw, "x.eml").patches

    assert (patch.subject, patch.author) == ("mm: do it", "B <b@localhost>")


def test_a_quilt_series_file_and_the_folder_above_it_lead_to_the_patches(tmp_path: Path) -> None:
    patches = tmp_path / "patches"
    patches.mkdir()
    (patches / "a.patch").write_text(DIFF)
    (patches / "series").write_text("a.patch\n")

    for given in (patches / "series", tmp_path):
        assert refused(partial(load, given))[1] == f"--patch {patches}"


def test_files_of_a_folder_that_are_not_named_like_patches_can_be_given_by_themselves(tmp_path: Path) -> None:
    (tmp_path / "1").write_text(DIFF)

    assert f"--patch {tmp_path / '1'}" in refused(lambda: load(tmp_path))[1]


def test_an_absolute_name_of_the_new_file_alone_is_refused() -> None:
    raw = b"--- /dev/null\n+++ /etc/cron.d/x\n@@ -0,0 +1 @@\n+x\n"

    assert "outside of the tree" in refused(lambda: parse_series(raw, "x.diff"))[0]


def _git(*words: str, cwd: Path) -> None:
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@x", *words], cwd=cwd, check=True, capture_output=True
    )


def _repository(tmp_path: Path) -> Path:
    _git("init", "-q", "-b", "topic", "tree", cwd=tmp_path)
    _git("commit", "-q", "--allow-empty", "-m", "x", cwd=tmp_path / "tree")
    return tmp_path / "tree"


@pytest.mark.parametrize("name", ["topic", "HEAD", "HEAD^!"])
def test_a_commit_is_told_how_to_be_a_range(name: str, tmp_path: Path) -> None:
    tree = _repository(tmp_path)

    message, hint = refused(lambda: load(Path(name), tree))

    assert f"{name} is a commit of {tree}" in message
    last = name.removesuffix("^!")
    assert hint.startswith(shlex.join(["--patch", f"{last}^..{last}", "--tree", str(tree)]))


def test_a_range_that_a_shallow_repository_lacks_says_so(tmp_path: Path) -> None:
    _git("init", "-q", "full", cwd=tmp_path)
    for subject in ("a", "b", "c"):
        _git("commit", "-q", "--allow-empty", "-m", subject, cwd=tmp_path / "full")
    _git("clone", "-q", "--depth=1", (tmp_path / "full").as_uri(), "shallow", cwd=tmp_path)

    message, hint = refused(lambda: load(Path("HEAD~2..HEAD"), tmp_path / "shallow"))

    assert "a shallow repository" in message
    assert hint == f"git -C {tmp_path / 'shallow'} fetch --unshallow --tags"


def test_two_ranges_are_told_to_be_one(tmp_path: Path) -> None:
    tree = _repository(tmp_path)
    for subject in ("y", "z"):
        _git("commit", "-q", "--allow-empty", "-m", subject, cwd=tree)
    until = Deadline.after(60, "a test")
    ranges = [Path("HEAD~2..HEAD~1"), Path("HEAD~1..topic")]

    hint = refused(lambda: load_series(ranges, tree=tree, log=tmp_path / "log", until=until))[1]

    assert hint.endswith("..topic")


def test_a_link_that_is_not_of_lore_is_told_to_be_downloaded(tmp_path: Path) -> None:
    link, until = Path("https://example.org/linux/commit/1.patch"), Deadline.after(60, "a test")

    hint = refused(lambda: load_series([link], tree=None, log=tmp_path / "log", until=until))[1]

    assert hint == "curl -fLo series.patch https://example.org/linux/commit/1.patch; --patch series.patch"


def test_what_a_range_does_not_know_is_asked_of_git(tmp_path: Path) -> None:
    tree = _repository(tmp_path)

    assert "rev-parse nope HEAD" in refused(lambda: load(Path("nope..HEAD"), tree))[1]
