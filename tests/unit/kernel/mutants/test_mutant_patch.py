# SPDX-License-Identifier: GPL-2.0-or-later
"""Mutants as a patch."""

from orchestrator.kernel.mutants.mutant_patch import file_patch


def test_files_of_the_same_length_differ_line_by_line() -> None:
    old = b"".join(b"%d\n" % number for number in range(1, 31))
    new = old.replace(b"2\n3\n", b"2\nx\n", 1).replace(b"30\n", b"y\n")

    assert file_patch("a/b.c", old, new) == (
        b"diff --git a/a/b.c b/a/b.c\n--- a/a/b.c\n+++ b/a/b.c\n"
        b"@@ -1,6 +1,6 @@\n 1\n 2\n-3\n+x\n 4\n 5\n 6\n"
        b"@@ -27,4 +27,4 @@\n 27\n 28\n 29\n-30\n+y\n"
    )


def test_a_new_file_and_one_that_is_the_same() -> None:
    new = b"diff --git a/x b/x\nnew file mode 100644\n--- /dev/null\n+++ b/x\n@@ -0,0 +1,2 @@\n+1\n+2\n"

    assert file_patch("x", None, b"1\n2\n") == new
    assert file_patch("x", b"1\n", b"1\n") == b""


def test_the_end_of_a_file_without_a_newline_is_kept() -> None:
    found = file_patch("x", b"1\n2", b"1\n2\n3\n")

    assert found.endswith(b" 1\n-2\n\\ No newline at end of file\n+2\n+3\n")
