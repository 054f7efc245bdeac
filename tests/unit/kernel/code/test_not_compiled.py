# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a series a kernel configuration leaves out."""

import pytest

from orchestrator.kernel.code.not_compiled import makefiles_of, new_options, not_compiled
from orchestrator.model.series_diff import ChangedFile, ChangedFunction, DiffLine, SeriesDiff

MAKEFILES = {"mm/Makefile": "obj-y += swapfile.o\nobj-$(CONFIG_CMA) += cma.o\n", "mm/Kbuild": ""}


def added(path: str, *numbers: int, text: str = "x") -> ChangedFile:
    return ChangedFile(path=path, hunks=(tuple(DiffLine(kind="+", old=0, new=one, text=text) for one in numbers),))


def function(file: str, name: str, first: int, last: int) -> ChangedFunction:
    return ChangedFunction(file=file, name=name, first=first, last=last)


def left_out(diff: SeriesDiff, *, arch: str = "x86_64") -> dict[str, str]:
    return {one.what: one.why for one in not_compiled(diff, {"SWAP": "y"}, MAKEFILES, arch=arch)}


def test_functions_of_a_file_that_is_not_compiled_are_named_with_the_option() -> None:
    files = (added("mm/cma.c", 3), added("mm/swapfile.c", 3))
    functions = (function("mm/cma.c", "cma_release", 1, 5), function("mm/swapfile.c", "swapoff", 1, 5))
    texts = {"mm/cma.c": "", "mm/swapfile.c": "int swapoff(void)\n{\nx\n}\n"}

    assert left_out(SeriesDiff(files=files, functions=functions, texts=texts)) == {
        "cma_release()": "CONFIG_CMA is not set"
    }


def test_a_function_and_a_part_of_one_below_ifdef_are_named() -> None:
    text = "#ifdef CONFIG_CMA\nint f(void)\n{\nx\n}\n#endif\nint g(void)\n{\n#ifdef CONFIG_NUMA\nx\nx\n#endif\nx\n}\n"
    functions = (function("mm/swapfile.c", "f", 2, 5), function("mm/swapfile.c", "g", 7, 14))
    diff = SeriesDiff(
        files=(added("mm/swapfile.c", 4, 10, 11, 13),), functions=functions, texts={"mm/swapfile.c": text}
    )

    assert left_out(diff) == {"f()": "CONFIG_CMA is not set", "mm/swapfile.c:10-11": "CONFIG_NUMA is not set"}


@pytest.mark.parametrize(
    ("arch", "left"),
    [("x86_64", {"arch/arm64/mm/mteswap.c": "arch/arm64/ is of another arch"}), ("arm64", {})],
)
def test_code_of_another_arch_is_left_out(arch: str, left: dict[str, str]) -> None:
    diff = SeriesDiff(files=(added("arch/arm64/mm/mteswap.c", 1),), functions=(), texts={})

    assert left_out(diff, arch=arch) == left


def test_a_page_of_documentation_is_no_code_that_is_left_out() -> None:
    assert left_out(SeriesDiff(files=(added("mm/cma.rst", 1),), functions=(), texts={})) == {}


def test_the_makefiles_of_a_file_are_those_of_its_folders() -> None:
    assert makefiles_of(["mm/damon/core.c"]) == ("mm/Kbuild", "mm/Makefile", "mm/damon/Kbuild", "mm/damon/Makefile")


def kconfig(*lines: str, path: str = "mm/Kconfig") -> ChangedFile:
    kinds = {"+": "+", "-": "-", " ": " "}
    hunk = [DiffLine(kind=kinds[line[0]], old=1, new=1, text=line[1:]) for line in lines]  # type: ignore[arg-type]
    return ChangedFile(path=path, hunks=(tuple(hunk),))


def test_a_new_option_is_one_that_kconfig_asks_and_that_was_not_there() -> None:
    new = kconfig("+config SWAP_HINTS", '+\tbool "Hints"', "+\tdefault y", " config ZSWAP", '+\tbool "Other"')
    moved = kconfig("-config MOVED", "+config MOVED", '+\tbool "Moved"')
    silent = kconfig("+config ARCH_HAS_HINTS", "+\tbool", "+config HINTS_SIZE", '+\tint "Size"')
    elsewhere = kconfig("+config DOC", '+\tbool "x"', path="Documentation/kbuild.rst")

    assert new_options([new, moved, silent, elsewhere]) == ("SWAP_HINTS",)
