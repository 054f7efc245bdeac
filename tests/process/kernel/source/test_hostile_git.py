# SPDX-License-Identifier: GPL-2.0-or-later
"""Series that try to make git run their code."""

import subprocess
from pathlib import Path

import pytest

from orchestrator.host.deadline import Deadline
from orchestrator.kernel.series.load import Series, parse_series
from orchestrator.kernel.source.apply import apply_series
from orchestrator.kernel.source.git import is_git_checkout


def new_file(name: str, text: str) -> str:
    lines = text.splitlines()
    body = "".join(f"+{line}\n" for line in lines)
    head = f"diff --git a/{name} b/{name}\nnew file mode 100644\n--- /dev/null\n+++ b/{name}\n"
    return f"{head}@@ -0,0 +1,{len(lines)} @@\n{body}"


def patches(*diffs: str) -> Series:
    each = (parse_series(diff.encode(), f"{number}.patch") for number, diff in enumerate(diffs, start=1))
    return Series(patches=tuple(patch for series in each for patch in series.patches))


@pytest.fixture
def witness(tmp_path: Path) -> Path:
    # /tmp is hidden in the sandbox, but not to a git that runs outside of it.
    return tmp_path / "witness"


def applied(series: Series, tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "a.c").write_text("one\n")
    logs = tmp_path / "logs"
    logs.mkdir()
    apply_series(series, folder, log_dir=logs, until=Deadline.after(30, "git apply"))


def test_files_that_look_like_a_repository_do_not_become_one(tmp_path: Path, witness: Path) -> None:
    core = "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n"
    config = f'{core}[filter "x"]\n\tclean = touch {witness}; cat\n\tsmudge = touch {witness}; cat\n'
    repository = (
        new_file("HEAD", "ref: refs/heads/x"), new_file("config", config), new_file("objects/x", "x"),
        new_file("refs/x", "x"), new_file(".gitattributes", "* filter=x"),
    )  # fmt: skip
    change = "--- a/a.c\n+++ b/a.c\n@@ -1 +1 @@\n-one\n+two\n"

    applied(patches("".join(repository), change), tmp_path)

    assert not witness.exists()
    assert (tmp_path / "tree" / "a.c").read_text() == "two\n"


def test_a_monitor_or_a_pager_of_a_strangers_checkout_is_not_run(tmp_path: Path, witness: Path) -> None:
    tree = tmp_path / "checkout"
    subprocess.run(["git", "init", "-q", str(tree)], check=True)
    with (tree / ".git" / "config").open("a") as config:
        config.write(f'[core]\n\tfsmonitor = "touch {witness}"\n\tpager = "touch {witness}"\n')

    assert is_git_checkout(tree, log=tmp_path / "log", until=Deadline.after(30, "git"))
    assert not witness.exists()
