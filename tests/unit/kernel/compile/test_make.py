# SPDX-License-Identifier: GPL-2.0-or-later
"""What is typed for a build: values, before anything runs."""

from itertools import pairwise
from pathlib import Path

from orchestrator.kernel.compile.image_cache import image_key
from orchestrator.kernel.compile.make import BuildDirs, in_sandbox, make_argv, make_env
from orchestrator.kernel.source.apply import first_error, first_reject
from orchestrator.model.arch import ARCHES
from orchestrator.model.cells import Build
from orchestrator.model.configuration import Variant

HASHES = {"source": "1", "series": "2", "config": "3", "toolchain": "4"}


def shop(*, sandbox: bool = True, trusted: bool = False) -> BuildDirs:
    return BuildDirs(
        build=Build(variant=Variant.PATCHED, flavour="plain", arch="arm64"),
        arch=ARCHES["arm64"],
        src=Path("/cache/t/src"),
        out=Path("/cache/t/build/plain.arm64"),
        ccache=Path("/cache/ccache"),
        log=Path("/results/build.log"),
        sandbox=sandbox,
        trusted=trusted,
    )


def test_make_is_told_where_for_whom_and_with_what() -> None:
    assert make_argv(shop(), "Image", jobs=2) == [
        "make",
        "-C", "/patchrig/src",
        "O=/patchrig/build",
        "ARCH=arm64",
        "CROSS_COMPILE=aarch64-linux-gnu-",
        "CC=ccache aarch64-linux-gnu-gcc",
        "LOCALVERSION=",
        "-j2",
        "Image",
    ]  # fmt: skip


def test_nothing_of_the_users_environment_reaches_a_build() -> None:
    names = set(make_env(shop()))

    assert {name for name in names if not name.startswith(("CCACHE_", "KBUILD_", "KCONFIG_"))} == {
        "LC_ALL",
    }  # fmt: skip
    assert {"KBUILD_BUILD_USER", "KBUILD_BUILD_HOST", "KBUILD_BUILD_TIMESTAMP", "KBUILD_BUILD_VERSION"} <= names


def test_a_build_is_shut_in_unless_it_was_asked_not_to_be() -> None:
    assert "bwrap" in in_sandbox(["make"], shop())
    assert "bwrap" not in in_sandbox(["make"], shop(sandbox=False))


def test_every_input_changes_the_key_of_an_image() -> None:
    keys = {image_key(HASHES | {name: "other"}, "arm64") for name in HASHES}

    assert len(keys | {image_key(HASHES, "arm64"), image_key(HASHES, "x86_64")}) == 6


def test_kernels_for_other_test_suites_are_kept_apart() -> None:
    """A kernel for kselftest:mm was once taken for kselftest:cgroup."""
    keys = {image_key(HASHES | {"wished": suites}, "x86_64") for suites in ("mm", "cgroup")}

    assert len(keys | {image_key(HASHES, "x86_64")}) == 3


def test_the_first_rejected_hunk_is_named() -> None:
    output = (
        "Checking patch a.c...\nApplied patch a.c cleanly.\nApplying patch mm/b.c with 1 reject...\n"
        "Hunk #1 applied cleanly.\nRejected hunk #2.\n"
    )

    assert first_reject(output) == ("mm/b.c", 2)


def test_a_missing_file_a_corrupt_patch_and_silence_have_their_own_reasons() -> None:
    assert first_error("error: mm/x.c: No such file or directory\n") == ("mm/x.c", "No such file or directory")
    assert first_error("error: corrupt patch at line 12\n")[1].startswith("corrupt patch at line 12: edited by hand")
    assert first_error("error: patch failed: mm/x.c:7\n") == ("mm/x.c", "does not apply at line 7")
    assert first_error("") == ("", "git apply failed and did not say why")


def test_only_a_trusted_build_writes_to_the_compiler_cache() -> None:
    assert ("--bind", "/cache/ccache") in pairwise(in_sandbox(["make"], shop(trusted=True)))
    assert ("--ro-bind", "/cache/ccache") in pairwise(in_sandbox(["make"], shop()))
    assert "CCACHE_READONLY" in make_env(shop())
    assert "CCACHE_READONLY" not in make_env(shop(trusted=True))
