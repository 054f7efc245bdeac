# SPDX-License-Identifier: GPL-2.0-or-later
"""Overlays: what they add to a tree, and to whose."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from orchestrator.host.errors import UserError
from orchestrator.host.paths import KCONFIG, OVERLAYS
from orchestrator.kernel.series.load import BASELINE, parse_series
from orchestrator.kernel.source.overlay import (
    OBJECTS,
    folders_text,
    instrumented,
    lay,
    load_files_overlay,
    load_folder_overlay,
    load_overlay,
    objects_text,
)
from orchestrator.model.blocks import Partner

SERIES = parse_series(
    b"--- a/mm/swap.c\n+++ b/mm/swap.c\n@@ -1 +1 @@\n-a\n+b\n"
    b"--- a/include/linux/swap.h\n+++ b/include/linux/swap.h\n@@ -1 +1 @@\n-a\n+b\n"
    b"--- a/drivers/x/y.c\n+++ b/drivers/x/y.c\n@@ -1 +1 @@\n-a\n+b\n",
    "x.patch",
)
OVERLAY = load_overlay(OVERLAYS / "widened", SERIES)


def tree(folder: Path) -> Path:
    for path in OVERLAY.appended:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("# the kernel's own\n")
    return folder


def test_the_objects_of_the_touched_c_files_are_instrumented() -> None:
    assert instrumented(SERIES, ["mm/zswap.c"]) == ("drivers/x/y.c", "mm/swap.c")
    assert objects_text(instrumented(SERIES, ())) == "patchrig-objects := drivers/x/y.o mm/swap.o\n"
    assert objects_text(instrumented(BASELINE, ["mm/zswap.c"])) == "patchrig-objects := \n"


def test_of_a_series_of_headers_the_files_that_workloads_are_meant_for_are_instrumented() -> None:
    headers = parse_series(b"--- a/include/linux/swap.h\n+++ b/include/linux/swap.h\n@@ -1 +1 @@\n-a\n+b\n", "x.patch")

    assert instrumented(headers, ["mm/zswap.c", "mm/memory.c", "include/linux/mm.h"]) == ("mm/memory.c", "mm/zswap.c")
    found = load_overlay(OVERLAYS / "widened", headers, ["mm/zswap.c"])
    assert (found.sources, found.files[OBJECTS]) == (("mm/zswap.c",), b"patchrig-objects := mm/zswap.o\n")


def test_an_overlay_adds_files_and_lines_and_changes_none(tmp_path: Path) -> None:
    lay(OVERLAY, tree(tmp_path))

    assert (tmp_path / OBJECTS).read_text() == objects_text(OVERLAY.sources)
    assert (tmp_path / "lib/patchrig/widen.c").is_file()
    assert all((tmp_path / path).read_text().startswith("# the kernel's own\n") for path in OVERLAY.appended)


def test_a_tree_that_is_no_kernels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not in this tree"):
        lay(OVERLAY, tmp_path)


def test_a_file_of_the_series_is_never_replaced(tmp_path: Path) -> None:
    (tree(tmp_path) / "lib/patchrig").mkdir()
    (tmp_path / "lib/patchrig/widen.c").write_text("int mine;\n")

    with pytest.raises(UserError, match="is in this tree already"):
        lay(OVERLAY, tmp_path)


def test_another_series_is_another_overlay() -> None:
    assert load_overlay(OVERLAYS / "widened", BASELINE).sha256 != OVERLAY.sha256
    assert load_overlay(OVERLAYS / "widened", SERIES).sha256 == OVERLAY.sha256


def test_the_files_of_partners_are_instrumented_too() -> None:
    zswap = Partner(file="mm/zswap.c", function="zswap_load", shares=("zswap",))
    swap = Partner(file="mm/swap.c", function="swap", shares=("swap_map",))

    found = OVERLAY.with_partners((zswap, swap))

    assert found.partners == (zswap, swap)
    assert found.sources == ("drivers/x/y.c", "mm/swap.c", "mm/zswap.c")
    assert found.files[OBJECTS] == b"patchrig-objects := drivers/x/y.o mm/swap.o mm/zswap.o\n"
    assert OVERLAY.with_partners(()).files == OVERLAY.files


def test_an_overlay_of_folders_is_aimed_at_no_series() -> None:
    found = load_folder_overlay(OVERLAYS / "reach", ("mm/", "fs/proc"))

    assert found.files[OBJECTS] == b"patchrig-objects := mm/% fs/proc/%\n"
    assert (found.aimed_at, found.folders) == (BASELINE, ("mm/", "fs/proc"))
    assert found.sha256 != load_folder_overlay(OVERLAYS / "reach", ("mm/",)).sha256
    assert b"config PATCHRIG_REACH\n" in found.files["lib/patchrig/Kconfig"]
    assert folders_text(["$(shell x)"]) == "patchrig-objects := \n"


def test_an_overlay_of_files_is_another_one_for_other_files() -> None:
    found = load_files_overlay(OVERLAYS / "widened", ("mm/zswap.c", "mm/swapfile.c"))

    assert found.files[OBJECTS] == b"patchrig-objects := mm/zswap.o mm/swapfile.o\n"
    assert (found.aimed_at, found.sources, found.whole) == (BASELINE, ("mm/zswap.c", "mm/swapfile.c"), True)
    others = (load_files_overlay(OVERLAYS / "widened", ("mm/zswap.c",)), load_overlay(OVERLAYS / "widened", BASELINE))
    assert found.sha256 not in {one.sha256 for one in others}


def test_the_flavours_symbol_is_the_overlays() -> None:
    assert "CONFIG_PATCHRIG_WIDEN=y" in (KCONFIG / "widened.config").read_text()
    assert b"config PATCHRIG_WIDEN\n" in OVERLAY.files["lib/patchrig/Kconfig"]


MAKEFILE = """\
_c_flags = -O2
real-obj-y := mm/swap.o mm/other.o
is-kernel-object = $(if $(filter $(basename $@).o,$(real-obj-y)),y)
CONFIG_PATCHRIG_WIDEN := y
srctree := .
include scripts/Makefile.lib
mm/swap.o mm/other.o mm/boot.o:
	@echo $@: $(_c_flags) / $(objtool-args-y)
"""


@pytest.mark.parametrize(
    ("target", "settings", "instrumented"),
    [
        ("mm/swap.o", (), True),
        ("mm/other.o", (), False),
        # The kernel's own word that a whole folder must not be.
        ("mm/swap.o", ("KCOV_INSTRUMENT=n",), False),
        ("mm/swap.o", ("real-obj-y=mm/other.o",), False),
    ],
)
def test_only_what_is_named_is_compiled_in_another_way(
    tmp_path: Path, target: str, settings: tuple[str, ...], instrumented: bool
) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    lay(OVERLAY, tree(tmp_path))
    (tmp_path / "Makefile").write_text(MAKEFILE)

    # Under `make test` this make would be a sub-make of that one: it would take its options and announce its folder.
    unrelated = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
    said = subprocess.run(
        ["make", target, *settings], cwd=tmp_path, check=True, capture_output=True, text=True, env=unrelated
    ).stdout

    flags = said.partition(": ")[2].split()
    expected = {"-fsanitize-coverage=trace-pc", "--no-unreachable"} if instrumented else set()
    assert {flag for flag in flags if "san" in flag or flag.startswith("--")} == expected
    assert instrumented or flags == ["-O2", "/"]
