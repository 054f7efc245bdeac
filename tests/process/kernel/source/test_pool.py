# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels of a Debian pool: found by indexes that are really signed, on a mirror of our own."""

import hashlib
import lzma
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import UserError
from orchestrator.host.process import find_tool
from orchestrator.kernel.source.pool import Pool
from orchestrator.kernel.source.pool_index import PoolFile

pytestmark = pytest.mark.skipif(not (find_tool("gpg") and find_tool("gpgv")), reason="gpg is not installed")
HASH = "a" * 64
INDEX = f"""\
Package: linux
Directory: pool/main/l/linux
Checksums-Sha256:
 {HASH} 12 linux_6.12.9.orig.tar.xz
"""
DSC = f"Source: linux\nChecksums-Sha256:\n {HASH} 12 linux_5.9.1.orig.tar.xz\n"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


class Mirror:
    """A mirror with one suite, that apt names, and the keyrings of a host."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url, self.home = folder / "mirror", url, folder / "gnupg"
        self.keyrings, self.cache = folder / "keyrings", folder / "cache"
        for made in (self.home, self.keyrings):
            made.mkdir(mode=0o700)
        self._gpg("--quick-generate-key", "Archive <a@localhost>", "ed25519", "sign", "never")
        self.apt(folder / "bin")

    def _gpg(self, *words: str) -> None:
        argv = ["gpg", "--homedir", str(self.home), "--batch", "--yes", "--pinentry-mode", "loopback"]
        subprocess.run([*argv, "--passphrase", "", *words], check=True, capture_output=True)

    def end(self) -> None:
        """gpg has started an agent, which would run on."""
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "all"], check=True)

    def trust(self, keyring: str) -> None:
        self._gpg("--output", str(self.keyrings / keyring), "--export")

    def apt(self, programs: Path) -> None:
        programs.mkdir()
        (programs / "apt-get").write_text(f'#!/bin/sh\ncase "$*" in *SITE*) echo "{self.url}";; esac\n')
        (programs / "apt-get").chmod(0o755)

    def signed(self, place: str, text: str) -> None:
        (self.folder / place).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / "text").write_text(text)
        self._gpg("--output", str(self.folder / place), "--clear-sign", str(self.folder / "text"))

    def suite(self, name: str, index: str) -> None:
        packed = lzma.compress(index.encode())
        listed = f"SHA256:\n {hashlib.sha256(packed).hexdigest()} {len(packed)} main/source/Sources.xz\n"
        self.signed(f"dists/{name}/InRelease", f"Suite: {name}\n{listed}")
        target = self.folder / f"dists/{name}/main/source/Sources.xz"
        target.parent.mkdir(parents=True)
        target.write_bytes(packed)

    def archive(self, version: str) -> None:
        place = self.folder / f"pool/main/l/linux/linux_{version}.orig.tar.xz"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"")

    def pool(self) -> Pool:
        until = Deadline.after(120, "a test's pool")
        return Pool(cache=self.cache, listener=lambda _: None, until=until, keyrings=self.keyrings)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    (tmp_path / "mirror").mkdir()
    handler = partial(Quiet, directory=str(tmp_path / "mirror"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/local/bin:/usr/bin:/bin")
        mirror = Mirror(tmp_path, f"http://127.0.0.1:{server.server_port}")
        yield mirror
        mirror.end()
        server.shutdown()
        thread.join()


def test_a_version_is_found_by_a_signed_index_and_then_without_the_mirror(mirror: Mirror) -> None:
    mirror.trust("debian-archive-keyring.gpg")
    mirror.suite("stable", INDEX)
    expected = PoolFile(version="6.12.9", path="pool/main/l/linux/linux_6.12.9.orig.tar.xz", sha256=HASH)

    assert mirror.pool().find("6.12.9") == expected

    assert mirror.pool().find("6.12") == expected
    (mirror.folder / "dists/stable/InRelease").unlink()
    assert mirror.pool().find("6.12.9") == expected


def test_an_index_that_is_not_the_signed_one_is_not_read(mirror: Mirror) -> None:
    mirror.trust("debian-archive-keyring.gpg")
    mirror.suite("stable", INDEX)
    (mirror.folder / "dists/stable/main/source/Sources.xz").write_bytes(lzma.compress(b"Package: linux\n"))

    with pytest.raises(UserError, match=r"neither kernels/ nor Debian's pool has Linux 6\.12\.9"):
        mirror.pool().find("6.12.9")


def test_a_release_file_with_other_text_around_what_is_signed_gives_only_that(mirror: Mirror) -> None:
    mirror.trust("debian-archive-keyring.gpg")
    mirror.suite("stable", INDEX)
    forged = INDEX.replace("6.12.9", "9.9.9")
    packed = lzma.compress(forged.encode())
    release = mirror.folder / "dists/stable/InRelease"
    listed = f"SHA256:\n {hashlib.sha256(packed).hexdigest()} {len(packed)} main/source/Sources.xz\n"
    release.write_text(listed + release.read_text())
    (mirror.folder / "dists/stable/main/source/Sources.xz").write_bytes(packed)

    with pytest.raises(UserError):
        mirror.pool().find("9.9.9")


def test_a_suite_that_a_stranger_signed_is_not_read(mirror: Mirror) -> None:
    mirror.suite("stable", INDEX)
    (mirror.keyrings / "debian-archive-keyring.gpg").write_bytes(b"")

    with pytest.raises(UserError, match="neither"):
        mirror.pool().find("6.12.9")


def test_a_version_that_left_all_suites_is_found_by_a_dsc_that_is_signed(mirror: Mirror) -> None:
    mirror.trust("debian-keyring.gpg")
    mirror.signed("pool/main/l/linux/linux_5.9.1-1.dsc", DSC)

    assert mirror.pool().find("5.9.1").sha256 == HASH


def test_a_hash_that_can_not_be_verified_is_refused_and_the_file_to_write_is_shown(mirror: Mirror) -> None:
    mirror.signed("pool/main/l/linux/linux_5.9.1-1.dsc", DSC)

    with pytest.raises(UserError, match="can't be verified") as refused:
        mirror.pool().find("5.9.1")

    assert "write kernels/5.9.1.yaml" in str(refused.value)
    assert f"sha256: {HASH}" in str(refused.value)
    assert "debian: pool/main/l/linux/linux_5.9.1.orig.tar.xz" in str(refused.value)


def test_the_versions_that_are_still_there_are_listed_newest_first(mirror: Mirror) -> None:
    mirror.trust("debian-archive-keyring.gpg")
    mirror.suite("stable-backports", "\n".join(INDEX.replace("6.12.9", one) for one in ("6.12.8", "6.12.9", "6.12.10")))
    mirror.archive("6.12.10")
    mirror.archive("6.12.8")

    assert mirror.pool().versions() == ("6.12.10", "6.12.8")


def test_of_a_release_the_newest_that_is_still_there_is_taken(mirror: Mirror) -> None:
    mirror.trust("debian-archive-keyring.gpg")
    mirror.suite("stable", "\n".join(INDEX.replace("6.12.9", one) for one in ("6.12.9", "6.12.10", "6.13~rc2")))

    assert mirror.pool().find("6.12").version == "6.12.10"
    mirror.archive("6.12.9")
    assert mirror.pool().find("6.12").version == "6.12.9"
    assert mirror.pool().find("6.13").version == "6.13~rc2"
