# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a series a kernel leaves out, and what is said of it."""

from collections.abc import Sequence
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
from orchestrator.run.left_out_code import LeftOutCode, left_out_code, with_reasons
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
G, SETS = "g() (CONFIG_NOWHERE is not set", "--config CONFIG_NOWHERE=y sets it"
BUILDS = [Build(variant=Variant.PATCHED, flavour="plain", arch=arch) for arch in ("x86_64", "arm64")]


def found_of(cache: Path, builds: Sequence[Build], tree: Path | None = None, **by_hand: str) -> LeftOutCode:
    until = Deadline.after(60.0, "test")
    return left_out_code(CHOSEN, Series(), builds, by_hand=by_hand, tree=tree, cache=cache, until=until)


def said(cache: Path, *builds: Build) -> tuple[str, ...]:
    return found_of(cache, builds).texts


def keep_kernel(tmp_path: Path, config: str, number: int = 0) -> None:
    files = built(tmp_path / f"out{number}")
    files.config.write_text(f"# Linux\n{config}")
    hashes = HASHES | {"config": str(number)}
    store_image(tmp_path / "cache", image_key(hashes, "x86_64"), BUILD, built=files, hashes=hashes)


def test_functions_without_code_are_named_with_the_option_and_the_flavour_that_has_it(tmp_path: Path) -> None:
    keep_kernel(tmp_path, "CONFIG_X86_64=y\n")

    assert said(tmp_path / "cache", *BUILDS) == (
        "f() (CONFIG_MEMCG_V1 is not set; --flavour memcg-v1 has it)",
        f"{G}; {SETS})",
    )


def test_a_flavour_of_the_run_has_its_options(tmp_path: Path) -> None:
    keep_kernel(tmp_path, "CONFIG_X86_64=y\n")
    own = replace(BUILDS[0], flavour="plain+memcg-v1")

    assert said(tmp_path / "cache", BUILDS[0], own) == (f"{G}; {SETS})",)


def test_what_one_arch_has_is_left_out_for_the_other(tmp_path: Path) -> None:
    keep_kernel(tmp_path, "CONFIG_X86_64=y\nCONFIG_NOWHERE=y\nCONFIG_MEMCG_V1=y\n")
    keep_kernel(tmp_path, "CONFIG_ARM64=y\nCONFIG_MEMCG_V1=y\n", 1)

    assert said(tmp_path / "cache", *BUILDS) == (f"g() for arm64 (CONFIG_NOWHERE is not set; {SETS})",)


def test_without_a_kernel_that_was_built_nothing_is_said(tmp_path: Path) -> None:
    assert said(tmp_path / "cache", *BUILDS) == ()


KCONFIG = """\
config NOWHERE
	bool "Nowhere"
	depends on NEARBY
config NEARBY
	bool "Nearby"
"""


def tree_with(tmp_path: Path, kconfig: str) -> Path:
    tree = tmp_path / "tree"
    (tree / "mm").mkdir(parents=True)
    (tree / "mm/Kconfig").write_text(kconfig)
    return tree


def test_options_behind_which_code_is_changed_are_wanted_with_what_they_need(tmp_path: Path) -> None:
    keep_kernel(tmp_path, "CONFIG_X86_64=y\nCONFIG_MEMCG_V1=y\n")

    found = found_of(tmp_path / "cache", BUILDS[:1], tree_with(tmp_path, KCONFIG))

    assert found == LeftOutCode(wanted=("NEARBY", "NOWHERE"), shown=("NEARBY", "NOWHERE"), by="6.19.6")


def test_options_are_wanted_before_any_kernel_was_built_too(tmp_path: Path) -> None:
    found = found_of(tmp_path / "cache", BUILDS, tree_with(tmp_path, KCONFIG))

    assert found.wanted == ("NEARBY", "NOWHERE")
    assert not found.by


def test_an_option_that_the_user_turns_off_stays_off_and_one_that_is_given_is_not_wanted(tmp_path: Path) -> None:
    keep_kernel(tmp_path, "CONFIG_X86_64=y\nCONFIG_MEMCG_V1=y\n")
    cache, tree = tmp_path / "cache", tree_with(tmp_path, KCONFIG)

    off = found_of(cache, BUILDS[:1], tree, NOWHERE="n")
    given = found_of(cache, BUILDS[:1], tree, NOWHERE="y", NEARBY="y")

    assert off.wanted == ()
    assert [text.partition(" (")[0] for text in off.texts] == ["g()"]
    assert given == LeftOutCode(by="6.19.6")


def test_an_option_that_kconfig_will_refuse_is_no_promise(tmp_path: Path) -> None:
    keep_kernel(tmp_path, "CONFIG_X86_64=y\nCONFIG_MEMCG_V1=y\n")
    kconfig = 'config NOWHERE\n\tbool "Nowhere"\n\tdepends on HARDWARE\n'

    found = found_of(tmp_path / "cache", BUILDS[:1], tree_with(tmp_path, kconfig))

    assert found.wanted == ("NOWHERE",)
    assert [text.partition(" (")[0] for text in found.texts] == ["g()"]
    assert "HARDWARE" in found.texts[0]


def test_a_function_that_has_code_needs_no_reason() -> None:
    gone = LocatedFunction(label="f", file="mm/x.c", first=2, last=5)
    there = replace(gone, label="g", first=8, sources=("mm/x.c",))
    left_out = [LeftOut(what="", why="CONFIG_NOWHERE is not set", file="mm/x.c", line=line) for line in (2, 8)]

    found = with_reasons(Located(sites={}, changed=(gone, there)), left_out)

    assert [one.left_out for one in found.changed] == ["CONFIG_NOWHERE is not set", ""]
