# SPDX-License-Identifier: GPL-2.0-or-later
"""What a build log says."""

from pathlib import PurePosixPath

import pytest

from orchestrator.kernel.compile.build_log import Suspicion, first_error, suspicions, warnings_in

SRC = "/cache/trees/6.19/src"


@pytest.mark.parametrize(
    ("log", "title"),
    [
        (
            "  CC      mm/memory.o\n"
            f"{SRC}/mm/memory.c: In function 'do_swap_page':\n"
            f"{SRC}/mm/memory.c:4701:9: error: implicit declaration of function 'tryget'\n"
            f"{SRC}/mm/memory.c:4702:9: error: second\n"
            f"make[4]: *** [{SRC}/scripts/Makefile.build:287: mm/memory.o] Error 1\n",
            "mm/memory.c:4701:9: error: implicit declaration of function 'tryget'",
        ),
        ("../mm/x.c:1:10: fatal error: nosuch.h: No such file\n", "mm/x.c:1:10: fatal error: nosuch.h: No such file"),
        (
            "  LD      .tmp_vmlinux1\nld: mm/swap.o: in function `f':\nswap.c:(.text+0x5): undefined reference to `g'\n"
            "make[2]: *** [vmlinux] Error 1\n",
            "swap.c:(.text+0x5): undefined reference to `g'",
        ),
        ("ccX.s:12: Error: no such instruction\nmake: *** [x] Error 1\n", "ccX.s:12: Error: no such instruction"),
        ("mm/Kconfig:12: syntax error\nmake[2]: *** [Makefile:1] Error 1\n", "mm/Kconfig:12: syntax error"),
        (
            "make[3]: *** No rule to make target 'mm/nosuch.o', needed by 'mm/built-in.a'.  Stop.\n",
            "make[3]: *** No rule to make target 'mm/nosuch.o', needed by 'mm/built-in.a'.  Stop.",
        ),
        ("  CC a.o\nmake: *** [Makefile:9: all] Error 2\n", "make: *** [Makefile:9: all] Error 2"),
        ("something odd\n\n", "something odd"),
        ("", "make failed and printed nothing"),
    ],
)  # fmt: skip
def test_the_line_that_says_most_is_the_title(log: str, title: str) -> None:
    assert first_error(log, SRC) == title


@pytest.mark.parametrize(
    ("log", "what"),
    [
        ("elf.h:10: fatal error: gelf.h: No such file or directory", Suspicion.LIBELF),
        ("certs/x.c:1:10: fatal error: openssl/bio.h: No such file", Suspicion.OPENSSL),
        ("fatal error: error writing to a.o: No space left on device", Suspicion.DISK),
        ("ld: final link failed: Disk quota exceeded", Suspicion.DISK),
        ("bwrap: No permissions to create new namespace", Suspicion.SANDBOX),
        ("gcc: fatal error: Killed signal terminated program cc1", Suspicion.KILLED),
        ("make[2]: *** [Makefile:5: a.o] Killed", Suspicion.KILLED),
        ("cc1: out of memory allocating 65536 bytes after a total of 1", Suspicion.KILLED),
    ],
)
def test_words_make_one_look_at_the_host(log: str, what: Suspicion) -> None:
    assert suspicions(f"  CC a.o\n{log}\n") == {what}


def test_a_plain_compiler_error_is_the_kernels_own() -> None:
    assert not suspicions("mm/x.c:1:1: error: unknown type name\n")


def test_only_warnings_about_touched_files_are_new_and_each_is_said_once() -> None:
    log = (
        f"{SRC}/mm/swap.c:10:5: warning: unused variable 'a' [-Wunused-variable]\n"
        f"{SRC}/fs/ext4/x.c:10:5: warning: unused variable 'b'\n"
        f"{SRC}/mm/swap.c:10:5: warning: unused variable 'a' [-Wunused-variable]\n"
    )

    found = warnings_in(log, SRC, (PurePosixPath("mm/swap.c"),))

    assert found == ("mm/swap.c:10:5: warning: unused variable 'a' [-Wunused-variable]",)
