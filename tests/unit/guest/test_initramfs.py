# SPDX-License-Identifier: GPL-2.0-or-later
"""The archive that the kernel unpacks, read back by the tool that knows the form best."""

import shutil
import subprocess
from pathlib import Path

import pytest

from orchestrator.guest.initramfs import Entry, character_device, directory, newc, regular, symlink

BASE = [
    directory("bin"),
    regular("bin/busybox", b"\x7fELF" + bytes(1021), permissions=0o755),
    symlink("bin/sh", "busybox"),
    character_device("dev/console", 5, 1),
    regular("etc/empty", b""),
    regular("etc/host_key", b"first", permissions=0o600),
]
OWN = [regular("etc/host_key", b"the run's own", permissions=0o600)]

needs_cpio = pytest.mark.skipif(shutil.which("cpio") is None, reason="cpio is not installed")


def cpio(archive: bytes, *options: str, cwd: Path | None = None) -> bytes:
    return subprocess.run(["cpio", "--quiet", *options], input=archive, cwd=cwd, capture_output=True, check=True).stdout


@needs_cpio
def test_cpio_reads_every_kind_of_entry() -> None:
    lines = cpio(newc([directory("dev"), *BASE]), "--list", "--verbose", "--numeric-uid-gid").decode().splitlines()

    rows = [line.split() for line in lines]
    assert [(row[0], row[1], row[2], row[3]) for row in rows] == [
        ("drwxr-xr-x", "2", "0", "0"),
        ("drwxr-xr-x", "2", "0", "0"),
        ("-rwxr-xr-x", "1", "0", "0"),
        ("lrwxrwxrwx", "1", "0", "0"),
        ("crw-------", "1", "0", "0"),
        ("-rw-r--r--", "1", "0", "0"),
        ("-rw-------", "1", "0", "0"),
    ]
    assert lines[2].split()[4] == "1025"
    assert lines[3].endswith("bin/sh -> busybox")
    assert "5,   1" in lines[4]


@needs_cpio
def test_a_joined_archive_replaces_a_file_of_the_first(tmp_path: Path) -> None:
    files = [entry for entry in BASE if entry.path != "dev/console"]
    first, second = newc(files), newc(OWN)

    for archive in (first, second):
        cpio(archive, "--extract", "--make-directories", "--unconditional", cwd=tmp_path)

    assert (tmp_path / "etc/host_key").read_bytes() == b"the run's own"
    assert (tmp_path / "bin/busybox").stat().st_size == 1025
    assert (tmp_path / "bin/sh").readlink() == Path("busybox")


def test_the_same_entries_give_the_same_bytes() -> None:
    assert newc(BASE) == newc(list(BASE))


def test_archives_end_on_a_block_so_that_they_can_be_joined() -> None:
    for entries in ([], OWN, BASE):
        archive = newc(entries)
        assert len(archive) % 512 == 0
        assert b"TRAILER!!!" in archive[-512:]


@pytest.mark.parametrize("size", range(9))
def test_names_and_contents_of_any_length_stay_aligned(size: int) -> None:
    entries = [regular("a" * (size + 1), b"x" * size), regular("next", b"!")]

    archive = newc(entries)

    assert archive.index(b"070701", 6) % 4 == 0
    assert archive.count(b"070701") == 3


def test_a_device_keeps_its_numbers() -> None:
    archive = newc([Entry(path="dev/null", mode=0o020666, device=(1, 3))])

    fields = [archive[6 + 8 * n : 14 + 8 * n] for n in range(13)]
    assert (int(fields[9], 16), int(fields[10], 16)) == (1, 3)
