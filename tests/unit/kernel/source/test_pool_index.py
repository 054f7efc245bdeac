# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's indexes and .dsc files: which kernel sources they list, and with which hash."""

from orchestrator.kernel.source.pool_index import (
    PoolFile,
    dsc_file,
    index_sha256,
    near,
    newest_first,
    of_release,
    pool_files,
)

A, B = "a" * 64, "b" * 64
INDEX = f"""\
Package: linux
Version: 6.12.9-1
Directory: pool/main/l/linux
Checksums-Sha1:
 {"c" * 40} 1 linux_6.12.9.orig.tar.xz
Checksums-Sha256:
 {B} 12 linux_6.12.9-1.dsc
 {A} 151398592 linux_6.12.9.orig.tar.xz
Files:
 {"d" * 32} 1 linux_6.12.9.orig.tar.xz

Package: linux-base
Directory: pool/main/l/linux-base
Checksums-Sha256:
 {B} 12 linux_7.0.orig.tar.xz

Package: linux
Directory: pool/updates/main/l/linux
Checksums-Sha256:
 {B} 12 linux_7.3~rc7.orig.tar.xz
"""


def test_an_index_lists_the_kernel_sources_of_its_suite() -> None:
    assert list(pool_files(INDEX.splitlines(keepends=True))) == [
        PoolFile(version="6.12.9", path="pool/main/l/linux/linux_6.12.9.orig.tar.xz", sha256=A),
        PoolFile(version="7.3~rc7", path="pool/updates/main/l/linux/linux_7.3~rc7.orig.tar.xz", sha256=B),
    ]


def test_a_folder_outside_of_the_pool_is_not_followed() -> None:
    bad = INDEX.replace("pool/main/l/linux\n", "pool/../../elsewhere\n").replace("pool/updates", "http://other/pool")

    assert list(pool_files(bad.splitlines())) == []


def test_a_release_lists_its_indexes_and_only_the_right_field_counts() -> None:
    text = f"Suite: x\nMD5Sum:\n {'e' * 32} 1 main/source/Sources.xz\nSHA256:\n {A} 1 main/source/Sources.xz\n"

    assert index_sha256(text, "main/source/Sources.xz") == A
    assert index_sha256(text.replace("SHA256:", "SHA1:"), "main/source/Sources.xz") == ""
    assert index_sha256(text, "main/source/Sources.gz") == ""


def test_a_dsc_lists_the_archive_of_its_version_alone() -> None:
    text = f"Source: linux\nChecksums-Sha256:\n {A} 1 linux_6.12.9.orig.tar.xz\n {B} 2 linux_6.12.9-1.debian.tar.xz\n"

    assert dsc_file(text, "6.12.9") == A
    assert dsc_file(text, "6.12.10") == ""


def test_versions_are_in_the_order_of_their_numbers() -> None:
    given = ["6.12.9", "7.3~rc7", "6.12.10", "7.3", "6.1"]

    assert newest_first(given) == ("7.3", "7.3~rc7", "6.12.10", "6.12.9", "6.1")


def test_of_a_release_there_are_its_stable_kernels_and_then_its_candidates() -> None:
    known = ("7.3~rc7", "7.3~rc10", "7.2~rc9", "7.2.9", "7.2.13", "7.20.1")

    assert of_release("7.2", known) == ("7.2.13", "7.2.9", "7.2~rc9")
    assert of_release("7.3", known) == ("7.3~rc10", "7.3~rc7")
    assert of_release("7", ("6.1",)) == ()


def test_the_versions_near_one_that_is_not_there_are_those_of_its_release_and_then_of_others() -> None:
    known = ("7.3~rc7", "7.2.13", "6.12.107", "6.12.94", "6.1.9", "6.18.3")

    assert near("6.12.99", known, most=3) == ("6.12.94", "6.12.107", "6.18.3")
    assert near("9.9", known, most=2) == ("7.3~rc7", "7.2.13")
    assert near("6.12.99", ()) == ()
