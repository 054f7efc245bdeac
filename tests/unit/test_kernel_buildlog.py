"""What a build log says."""

from pathlib import PurePosixPath

import pytest

from orchestrator.kernel.buildlog import first_error, host_trouble, warnings_in

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
    ("log", "hint"),
    [
        ("elf.h:10: fatal error: gelf.h: No such file or directory", "apt install libelf-dev"),
        ("certs/x.c:1:10: fatal error: openssl/bio.h: No such file", "apt install libssl-dev"),
        ("fatal error: error writing to a.o: No space left on device", "patchrig clean"),
        ("bwrap: No permissions to create new namespace", "patchrig doctor  # or --no-sandbox"),
    ],
)
def test_what_this_host_lacks_is_not_held_against_the_kernel(log: str, hint: str) -> None:
    found = host_trouble(log)

    assert found is not None
    assert found[1] == hint


def test_a_plain_compiler_error_is_the_kernels_own() -> None:
    assert host_trouble("mm/x.c:1:1: error: unknown type name\n") is None


def test_only_warnings_about_touched_files_are_new_and_each_is_said_once() -> None:
    log = (
        f"{SRC}/mm/swap.c:10:5: warning: unused variable 'a' [-Wunused-variable]\n"
        f"{SRC}/fs/ext4/x.c:10:5: warning: unused variable 'b'\n"
        f"{SRC}/mm/swap.c:10:5: warning: unused variable 'a' [-Wunused-variable]\n"
    )

    found = warnings_in(log, SRC, (PurePosixPath("mm/swap.c"),))

    assert found == ("mm/swap.c:10:5: warning: unused variable 'a' [-Wunused-variable]",)
