# SPDX-License-Identifier: GPL-2.0-or-later
"""How the tests of a tree are built, what their build says, and how they are kept."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.kernel.compile.kconfig import NotGranted
from orchestrator.kernel.compile.suite_archive import packed, unpacked_files
from orchestrator.kernel.compile.suite_build import KUNIT_NAMES, compiler_script, kunit_names, not_built, steps
from orchestrator.kernel.compile.wishes import (
    added_options,
    note_refused,
    wished_fragments,
    wished_options,
    wishes_hash,
)
from orchestrator.kernel.series.load import BASELINE, Patch, Series
from orchestrator.model.arch import ARCHES, Arch
from orchestrator.model.suites import SuiteFile, SuiteFiles

LOG = """gcc -o ksm_tests ksm_tests.c -lnuma
ksm_tests.c:12:10: fatal error: numa.h: No such file or directory
make[1]: [../lib.mk:222: /patchrig/build/objects/kselftest/mm/ksm_tests] Error 1 (ignored)
make[1]: [../lib.mk:222: /patchrig/build/objects/kselftest/mm/ksm_tests] Error 1 (ignored)
make[2]: [../../lib.mk:9: /patchrig/build/objects/kselftest/net/lib/csum] Error 1 (ignored)
make[1]: [Makefile:3: other] Error 2 (ignored)
make[1]: *** [Makefile:3: /patchrig/build/objects/kselftest/mm/cow] Error 1
"""


def test_what_make_went_on_without_is_named_once() -> None:
    assert not_built(LOG) == ("mm/ksm_tests", "net/lib/csum")


@pytest.mark.parametrize("arch", ARCHES.values(), ids=lambda arch: arch.name)
def test_the_tests_are_compiled_for_the_arch_with_the_libraries_of_its_packages(arch: Arch) -> None:
    copy, headers, tests = steps(arch, ("mm", "cgroup"))

    kbuild = {"x86_64": "x86_64", "arm64": "arm64"}[arch.name]
    assert copy[0] == "cp"
    assert {f"ARCH={kbuild}", "headers"} <= set(headers)
    assert {"-i", f"ARCH={kbuild}", "TARGETS=mm cgroup", "CC=/patchrig/build/cc", "install"} <= set(tests)
    assert "--sysroot=/patchrig/sysroot" in compiler_script(arch)


@given(
    st.builds(
        SuiteFiles,
        parser=st.dictionaries(st.sampled_from(["kunit_parser.py", "kunit_printer.py"]), st.binary(max_size=50)),
        tests=st.lists(
            st.builds(
                SuiteFile,
                path=st.text("abc/._-", min_size=1, max_size=20).map(lambda text: f"x{text.replace('//', '')}y"),
                data=st.binary(min_size=1, max_size=50),
                executable=st.booleans(),
            )
        ).map(tuple),
        not_built=st.lists(st.sampled_from(["mm/a", "mm/b"]), unique=True).map(tuple),
    )
)
def test_suites_come_out_of_the_cache_as_they_went_in(suites: SuiteFiles) -> None:
    assert unpacked_files(packed(suites)) == suites


def test_a_link_stays_a_link() -> None:
    suites = SuiteFiles(parser={}, tests=(SuiteFile(path="mm/a", data=b"../../etc/passwd", link=True),))

    assert unpacked_files(packed(suites)) == suites


def test_options_of_a_tree_s_suite_are_wished_without_modules_and_without_tests_that_run_at_boot(
    tmp_path: Path,
) -> None:
    (fragment,) = wished_fragments(["mm"])
    (tmp_path / fragment).parent.mkdir(parents=True)
    (tmp_path / fragment).write_text(
        "CONFIG_USERFAULTFD=y\nCONFIG_ZRAM=m\nCONFIG_TEST_VMALLOC=m\nCONFIG_X_TEST=m\n"
        "# CONFIG_OFF is not set\nCONFIG_N=8\n"
    )

    assert wished_options(tmp_path, [fragment]) == {"USERFAULTFD": "y", "ZRAM": "y", "OFF": "n", "N": "8"}


@pytest.mark.parametrize("text", [None, "rm -rf /", "CONFIG_A=y\nCONFIG_A=n\n"])
def test_a_fragment_that_is_missing_or_none_wishes_nothing(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "config").write_text(text)

    assert wished_options(tmp_path, ["config"]) == {}


def test_a_fragment_that_leads_out_of_the_tree_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("CONFIG_SECRET=y\n")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/config").symlink_to("../secret")

    assert wished_options(tmp_path / "tree", ["config", "../secret"]) == {}


def test_what_was_not_granted_is_in_the_build_s_log(tmp_path: Path) -> None:
    note_refused(tmp_path / "log", [NotGranted(symbol="A", asked="y", got="n")])

    assert (tmp_path / "log").read_text() == "patchrig: not granted: CONFIG_A: asked for y, became n\n"


def test_other_suites_make_another_kernel() -> None:
    assert wishes_hash(wished_fragments(["mm"])) != wishes_hash(wished_fragments(["mm", "cgroup"]))


HINTS = """\
diff --git a/mm/Kconfig b/mm/Kconfig
--- a/mm/Kconfig
+++ b/mm/Kconfig
@@ -1,2 +1,7 @@
 config SWAP
 \tbool "Swap"
+config SWAP_HINTS
+\tbool "Hints"
+config SWAP_HINTS_TEST
+\tbool "Test that runs at boot"
+
"""


def test_an_option_that_a_series_adds_is_wished_but_for_tests_that_run_at_boot() -> None:
    add = Patch(name="a", subject="a", diff=HINTS.encode(), files=())
    mangled = replace(add, diff=b"--- a/mm/Kconfig\n+++ b/mm/Kconfig\n@@ -1 +1,9 @@\n+config X\n")

    assert added_options(Series(patches=(add,))) == ("SWAP_HINTS",)
    assert added_options(Series(patches=(replace(add, problem="cut off"), mangled))) == ()
    assert added_options(BASELINE) == ()


KUNIT_C = """
static struct kunit_suite first_suite = {
	.test_cases = cases, .init = init,
	.name = "first",
};
static int f(struct kunit_suite *suite) { return 0; }
struct kunit_suite second={.name="second-suite"};
"""


def test_a_folder_stands_for_the_kunit_suites_in_its_sources(tmp_path: Path) -> None:
    files = {"mm/damon/tests/core-kunit.h": KUNIT_C, "mm/x_test.c": KUNIT_C.replace("first", "x"), "mm/x.c": KUNIT_C}
    for path, text in files.items():
        (tmp_path / "src" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "src" / path).write_text(text)
    (tmp_path / "src/mm/outside_test.c").symlink_to("/etc/passwd")

    (names,) = kunit_names(tmp_path / "src", ["mm/damon", "mm", "damon*", "../src/mm", "/etc"])

    assert names.path == KUNIT_NAMES
    assert names.data.decode().splitlines() == [
        *("mm/damon first", "mm/damon second-suite", "mm first", "mm second-suite", "mm x")
    ]


def test_without_a_folder_there_is_no_list(tmp_path: Path) -> None:
    assert list(kunit_names(tmp_path, ["damon*"])) == []
