# SPDX-License-Identifier: GPL-2.0-or-later
"""Tarballs from a real HTTP server on this machine: whole, resumed, cut short, wrong."""

import contextlib
import hashlib
import io
import os
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError, OutOfTime
from orchestrator.kernel.source.content import content_sha256
from orchestrator.kernel.source.some_files import some_of_tarball
from orchestrator.kernel.source.tarball import Tarball, checked, damaged_tarballs, fetch
from orchestrator.kernel.source.tree import PreparedSource, pristine_tree
from orchestrator.model.configuration import KernelSource, SourceLocation
from orchestrator.model.events import Download, Event

CONTENT = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT under any name that does not begin with a fault's name."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str]] = []
        self.versions: list[str] = []
        self.content = CONTENT
        self.busy = 0  # so many requests are answered with 503

    def place(self, name: str, sha256: str = SHA256) -> SourceLocation:
        return SourceLocation(url=f"http://127.0.0.1:{self.server_port}/{name}", sha256=sha256)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        span = self.headers.get("Range", "")
        self.server.asked.append((self.path, span))
        self.server.versions.append(self.headers.get("If-Range", ""))
        start = int(span.removeprefix("bytes=").removesuffix("-")) if span else 0
        if "missing" in self.path:
            self.send_error(404)
        elif self.server.busy:
            self.server.busy -= 1
            self.send_error(503)
        elif start >= len(self.server.content):
            self.send_error(416)
        elif "trickle" in self.path:
            self._trickle()
        elif "no-range" in self.path or not start:
            self._send(200, self.server.content)
        else:
            self._send(206, self.server.content[start:])

    def _send(self, status: int, body: bytes) -> None:
        if "wrong" in self.path:
            body = body[:-1] + b"?"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if "tagged" in self.path:
            self.send_header("ETag", '"the-first"')
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if "short" in self.path else body)

    def _trickle(self) -> None:
        """A few bytes at a time, for as long as somebody reads them."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        with contextlib.suppress(OSError):
            for start in range(0, len(CONTENT), 16):
                self.wfile.write(CONTENT[start : start + 16])
                time.sleep(0.02)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def get(cache: Path, *places: SourceLocation, events: list[Event] | None = None, seconds: float = 60.0) -> Tarball:
    seen: list[Event] = [] if events is None else events
    source = KernelSource(version="6.19.6", places=places)
    return fetch(source, cache=cache, on_event=seen.append, until=Deadline.after(seconds, "a test's download"))


def test_a_tarball_is_fetched_with_progress_and_then_never_again(server: Server, tmp_path: Path) -> None:
    events: list[Event] = []

    first = get(tmp_path, server.place("linux.tar.xz"), events=events)
    again = get(tmp_path, server.place("linux.tar.xz"))

    assert first == again
    assert first.path.read_bytes() == CONTENT
    assert len(server.asked) == 1
    assert events[-1] == Download(what="linux.tar.xz", done=len(CONTENT), total=len(CONTENT))


def test_a_tarball_put_there_by_hand_is_verified_and_used(server: Server, tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources/linux.tar.xz").write_bytes(CONTENT)

    get(tmp_path, server.place("linux.tar.xz"))

    assert server.asked == []


def test_a_cached_tarball_that_changed_is_kept_aside_and_fetched_again(server: Server, tmp_path: Path) -> None:
    tarball = get(tmp_path, server.place("linux.tar.xz"))
    tarball.path.write_bytes(b"broken")

    get(tmp_path, server.place("linux.tar.xz"))

    assert tarball.path.read_bytes() == CONTENT
    (aside,) = tarball.path.parent.glob("*.wrong-*")
    assert aside.read_bytes() == b"broken"


def test_a_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    part = tmp_path / f"sources/linux.tar.xz.{SHA256[:12]}.part"
    part.parent.mkdir()
    part.write_bytes(CONTENT[:1000])

    tarball = get(tmp_path, server.place("linux.tar.xz"))

    assert server.asked == [("/linux.tar.xz", "bytes=1000-")]
    assert tarball.path.read_bytes() == CONTENT
    assert not part.exists()


def test_a_server_that_closes_early_is_asked_for_the_rest(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InfraError, match=r"short: the connection closed after \d+ bytes"):
        get(tmp_path, server.place("short"))

    starts = [int(span.removeprefix("bytes=").removesuffix("-") or 0) for _, span in server.asked if span]
    assert starts == sorted(starts)
    assert len(starts) == 3


def test_the_rest_is_asked_for_only_of_the_same_version_of_the_file(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InfraError):
        get(tmp_path, server.place("tagged-short"))

    assert server.versions == ["", *['"the-first"'] * 3]


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.busy = 2

    assert get(tmp_path, server.place("linux.tar.xz")).path.read_bytes() == CONTENT
    assert len(server.asked) == 3


def test_a_server_that_stays_busy_is_left_for_the_next_place(server: Server, tmp_path: Path) -> None:
    server.busy = 4

    assert get(tmp_path, server.place("busy.tar"), server.place("right.tar")).path.name == "right.tar"


def test_a_place_without_a_file_is_asked_once(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="missing: HTTP 404 Not Found"):
        get(tmp_path, server.place("missing"))

    assert len(server.asked) == 1


def test_the_deadline_ends_a_download_that_trickles(server: Server, tmp_path: Path) -> None:
    with pytest.raises(OutOfTime):
        get(tmp_path, server.place("trickle"), seconds=0.5)


def test_a_server_without_ranges_is_read_from_the_beginning(server: Server, tmp_path: Path) -> None:
    part = tmp_path / f"sources/no-range.tar.{SHA256[:12]}.part"
    part.parent.mkdir()
    part.write_bytes(b"x" * 1000)

    assert get(tmp_path, server.place("no-range.tar")).path.read_bytes() == CONTENT


def test_a_part_that_began_wrong_is_fetched_afresh(server: Server, tmp_path: Path) -> None:
    part = tmp_path / f"sources/linux.tar.xz.{SHA256[:12]}.part"
    part.parent.mkdir()
    part.write_bytes(b"x" * 1000)

    assert get(tmp_path, server.place("linux.tar.xz")).path.read_bytes() == CONTENT


def test_a_part_that_is_too_long_is_fetched_afresh(server: Server, tmp_path: Path) -> None:
    part = tmp_path / f"sources/linux.tar.xz.{SHA256[:12]}.part"
    part.parent.mkdir()
    part.write_bytes(CONTENT + b"more")

    assert get(tmp_path, server.place("linux.tar.xz")).path.read_bytes() == CONTENT


def test_a_wrong_hash_keeps_the_file_aside_and_the_next_place_is_tried(server: Server, tmp_path: Path) -> None:
    tarball = get(tmp_path, server.place("wrong.tar"), server.place("right.tar"))

    assert tarball.path.name == "right.tar"
    assert len(list((tmp_path / "sources").glob("wrong.tar.wrong-*"))) == 1


def test_when_no_place_is_right_each_is_named_with_what_was_wrong(server: Server, tmp_path: Path) -> None:
    closed = SourceLocation(url="http://127.0.0.1:9/refused.tar", sha256=SHA256)

    with pytest.raises(InfraError) as failure:
        get(tmp_path, server.place("missing.tar"), server.place("wrong.tar"), closed)

    text = str(failure.value)
    assert "missing.tar: HTTP 404" in text
    assert f"instead of {SHA256}; the file is kept as {tmp_path}/sources/wrong.tar.wrong-" in text
    assert "refused.tar:" in text
    assert "refused" in text.lower()
    assert failure.value.hint


def test_two_runs_at_once_download_once(server: Server, tmp_path: Path) -> None:
    threads = [threading.Thread(target=get, args=(tmp_path, server.place("linux.tar.xz"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(server.asked) == 1


def test_a_bit_that_flipped_is_seen_before_the_tarball_is_unpacked(server: Server, tmp_path: Path) -> None:
    tarball = get(tmp_path, server.place("linux.tar.xz"))
    assert checked(tarball) == tarball
    stat = tarball.path.stat()
    tarball.path.write_bytes(b"\x01" + CONTENT[1:])
    os.utime(tarball.path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    assert [path for path, _ in damaged_tarballs(tmp_path)] == [tarball.path]
    with pytest.raises(InfraError, match="has changed since it was downloaded") as failure:
        checked(tarball)

    assert "again" in failure.value.hint
    assert checked(get(tmp_path, server.place("linux.tar.xz"))).path.read_bytes() == CONTENT


def test_a_tarball_that_has_gone_is_our_trouble(server: Server, tmp_path: Path) -> None:
    tarball = get(tmp_path, server.place("linux.tar.xz"))
    tarball.path.unlink()

    with pytest.raises(InfraError, match="has gone"):
        checked(tarball)


@pytest.mark.parametrize("content", [b"", bytes(len(CONTENT)), CONTENT[:-1]])
def test_a_tarball_that_lost_its_content_with_the_power_is_fetched_again(
    content: bytes, server: Server, tmp_path: Path
) -> None:
    tarball = get(tmp_path, server.place("linux.tar.xz"))
    tarball.path.write_bytes(content)

    assert get(tmp_path, server.place("linux.tar.xz")).path.read_bytes() == CONTENT


def test_a_cache_that_can_not_be_written_is_our_trouble(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")

    with pytest.raises(InfraError, match="the cache can't be written"):
        get(tmp_path / "cache", server.place("linux.tar.xz"))


def archive(folder: Path, files: Mapping[str, str], *, top: str = "linux-6.19.6", owner: int = 0) -> bytes:
    """A tarball as somebody packs it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:xz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"{top}/{name}")
            member.size, member.uid, member.mtime = len(text), owner, owner
            member.mode = 0o755 if name.endswith(".sh") else 0o644
            tar.addfile(member, io.BytesIO(text.encode()))
    (folder / "made.tar.xz").write_bytes(made.getvalue())
    return made.getvalue()


FILES = {"Makefile": "VERSION = 6\n", "mm/swap.c": "int x;\n", "scripts/a.sh": "#!/bin/sh\n"}


def by_content(server: Server, name: str, content: str, *without: str) -> SourceLocation:
    url = f"http://127.0.0.1:{server.server_port}/{name}"
    return SourceLocation(url=url, content_sha256=content, without=without)


def test_an_archive_that_is_packed_otherwise_is_known_by_its_content(server: Server, tmp_path: Path) -> None:
    archive(tmp_path, FILES)
    content = content_sha256(tmp_path / "made.tar.xz")
    server.content = archive(tmp_path, dict(reversed(FILES.items())), top="linux", owner=7)

    tarball = get(tmp_path / "cache", by_content(server, "linux.tar.xz", content))
    again = get(tmp_path / "cache", by_content(server, "linux.tar.xz", content))

    assert tarball == again
    assert tarball.sha256 == hashlib.sha256(server.content).hexdigest()
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"mm/swap.c": "int y;\n"},
        {"mm/more.c": ""},
        {"mm/swap.c": None},
        {"scripts/a.sh": None, "scripts/a": "#!/bin/sh\n"},
    ],
)
def test_an_archive_of_other_content_is_kept_aside_and_the_next_place_is_tried(
    server: Server, tmp_path: Path, changed: dict[str, str | None]
) -> None:
    archive(tmp_path, FILES)
    content = content_sha256(tmp_path / "made.tar.xz")
    others = {name: text for name, text in {**FILES, **changed}.items() if text is not None}
    server.content = archive(tmp_path, others)

    with pytest.raises(InfraError, match=f"content_sha256 is [0-9a-f]+ instead of {content}"):
        get(tmp_path / "cache", by_content(server, "linux.tar.xz", content))

    assert list((tmp_path / "cache/sources").glob("linux.tar.xz.wrong-*"))
    right = hashlib.sha256(server.content).hexdigest()
    assert get(tmp_path / "cache", by_content(server, "a.xz", content), server.place("b.xz", right)).sha256 == right


def test_what_is_no_archive_is_not_taken_by_its_content(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="no archive that can be read"):
        get(tmp_path, by_content(server, "linux.tar.xz", "ab" * 32))


def test_what_a_content_hash_does_not_cover_is_not_unpacked(server: Server, tmp_path: Path) -> None:
    archive(tmp_path, FILES)
    content = content_sha256(tmp_path / "made.tar.xz")
    more = {"firmware/blob.h": "?\n", "mm/evil.c": "?\n"}
    server.content = archive(tmp_path, {**FILES, **more})
    place = by_content(server, "linux.tar.xz", content, "firmware", "mm/evil.c")

    tarball = get(tmp_path / "cache", place)

    until = Deadline.after(60, "unpacking")
    source = PreparedSource(key="k", sha256=tarball.sha256, version="6.19.6", origin=tarball)
    with pristine_tree(source, cache=tmp_path / "cache", on_event=lambda _: None, until=until) as tree:
        found = {path.relative_to(tree.src).as_posix() for path in tree.src.rglob("*") if path.is_file()}
    assert found == set(FILES)
    (tmp_path / "some").mkdir()
    some = some_of_tarball(tarball, ["mm/swap.c", "mm/evil.c", "mm/no.c"], tmp_path / "some", until=until)
    assert [path.name for path in some.src.rglob("*.c")] == ["swap.c"]
    # Without leaving that out it is another archive.
    with pytest.raises(InfraError, match="content_sha256 is"):
        get(tmp_path / "other", by_content(server, "linux.tar.xz", content, "firmware"))


def test_what_leads_into_a_content_hash_is_what_its_documentation_says(tmp_path: Path) -> None:
    archive(tmp_path, FILES)
    lines = sorted(
        f"{'100755' if name.endswith('.sh') else '100644'} {hashlib.sha256(text.encode()).hexdigest()} {name}\n"
        for name, text in FILES.items()
    )

    assert content_sha256(tmp_path / "made.tar.xz") == hashlib.sha256("".join(lines).encode()).hexdigest()
