# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a series a kernel leaves out, and what is said of it."""

from dataclasses import replace
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.kernel.code.not_compiled import LeftOut
from orchestrator.kernel.compile.image_cache import image_key, store_image
from orchestrator.kernel.series.load import Series
from orchestrator.model.cells import Build
from orchestrator.model.configuration import Variant
from orchestrator.model.matrix_choices import Base
from orchestrator.model.probes import Located, LocatedFunction
from orchestrator.model.series_diff import ChangedFile, ChangedFunction, DiffLine, SeriesDiff
from orchestrator.run.left_out_code import left_out_code, with_reasons
from orchestrator.run.series_base import ChosenBase
from tests.unit.kernel.compile.image_samples import BUILD, HASHES, built

TEXT = "#ifdef CONFIG_MEMCG_V1\nint f(void)\n{\nx\n}\n#endif\n#ifdef CONFIG_NOWHERE\nint g(void)\n{\nx\n}\n#endif\n"
DIFF = SeriesDiff(
    files=(
        ChangedFile(path="mm/x.c", hunks=(tuple(DiffLine(kind="+", old=0, new=line, text="x") for line in (4, 10)),)),
    ),
    functions=(
        ChangedFunction(file="mm/x.c", name="f", first=2, last=5),
        ChangedFunction(file="mm/x.c", name="g", first=8, last=11),
    ),
    texts={"mm/x.c": TEXT},
)
CHOSEN = ChosenBase(base=Base(source="6.19.6", why=""), version="6.19.6", diff=DIFF)
BUILDS = [Build(variant=Variant.PATCHED, flavour="plain", arch=arch) for arch in ("x86_64", "arm64")]


def said(cache: Path, *builds: Build) -> tuple[str, ...]:
    until = Deadline.after(60.0, "test")
    return left_out_code(CHOSEN, Series(), builds, tree=None, cache=cache, until=until)


def keep_kernel(tmp_path: Path, config: str, number: int = 0) -> None:
    files = built(tmp_path / f"out{number}")
    files.config.write_text(f"# Linux\n{config}")
    hashes = HASHES | {"config": str(number)}
    store_image(tmp_path / "cache", image_key(hashes, "x86_64"), BUILD, built=files, hashes=hashes)


def test_functions_without_code_are_named_with_the_option_and_the_flavour_that_has_it(tmp_path: Path) -> None:
    keep_kernel(tmp_path, "CONFIG_X86_64=y\n")

    assert said(tmp_path / "cache", *BUILDS) == (
        "f() (CONFIG_MEMCG_V1 is not set; --flavour memcg-v1 has it)",
        "g() (CONFIG_NOWHERE is not set)",
    )


def test_a_flavour_of_the_run_has_its_options(tmp_path: Path) -> None:
    keep_kernel(tmp_path, "CONFIG_X86_64=y\n")
    own = replace(BUILDS[0], flavour="plain+memcg-v1")

    assert said(tmp_path / "cache", BUILDS[0], own) == ("g() (CONFIG_NOWHERE is not set)",)


def test_what_one_arch_has_is_left_out_for_the_other(tmp_path: Path) -> None:
    keep_kernel(tmp_path, "CONFIG_X86_64=y\nCONFIG_NOWHERE=y\nCONFIG_MEMCG_V1=y\n")
    keep_kernel(tmp_path, "CONFIG_ARM64=y\nCONFIG_MEMCG_V1=y\n", 1)

    assert said(tmp_path / "cache", *BUILDS) == ("g() for arm64 (CONFIG_NOWHERE is not set)",)


def test_without_a_kernel_that_was_built_nothing_is_said(tmp_path: Path) -> None:
    assert said(tmp_path / "cache", *BUILDS) == ()


def test_a_function_that_has_code_needs_no_reason() -> None:
    gone = LocatedFunction(label="f", file="mm/x.c", first=2, last=5)
    there = replace(gone, label="g", first=8, sources=("mm/x.c",))
    left_out = [LeftOut(what="", why="CONFIG_NOWHERE is not set", file="mm/x.c", line=line) for line in (2, 8)]

    found = with_reasons(Located(sites={}, changed=(gone, there)), left_out)

    assert [one.left_out for one in found.changed] == ["CONFIG_NOWHERE is not set", ""]
