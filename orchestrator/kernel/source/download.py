# SPDX-License-Identifier: GPL-2.0-or-later
"""HTTP into a file, resumed where the last attempt stopped. The only importer of urllib."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from orchestrator.host.deadline import Deadline, now
from orchestrator.host.files import trouble_named
from orchestrator.model.events import Download, Listener

# A mirror that accepts a connection and then says nothing must not cost minutes: the next place is tried instead.
SILENCE_SECONDS = 15.0
ATTEMPTS = 4
CHUNK = 1 << 20
EVENT_SECONDS = 0.2

Progress = Callable[[int, int | None], None]


class PlaceFailed(Exception):
    """One place could not give the file; the next one may."""


def download(url: str, part: Path, *, on_event: Listener, until: Deadline) -> None:
    """Append the rest of `url` to `part` until it is whole; raises PlaceFailed with the reason."""
    progress = _throttled(url.rsplit("/", 1)[-1], on_event)
    for _ in range(ATTEMPTS):
        before = _size(part)
        try:
            if _one_attempt(url, part, progress, until):
                return
            reason = f"the connection closed after {_size(part)} bytes"
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            reason = _reason(error)
        if _size(part) <= before:
            break  # Nothing came: the same again would not help.
    raise PlaceFailed(reason)


def _one_attempt(url: str, part: Path, progress: Progress, until: Deadline) -> bool:
    start = _size(part)
    headers = {"Range": f"bytes={start}-"} if start else {}
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=min(SILENCE_SECONDS, until.left())) as reply:
            # A server that ignores Range answers 200 with the whole file.
            return _receive(
                reply, part, start if reply.status == http.HTTPStatus.PARTIAL_CONTENT else 0, progress, until
            )
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        # The part is as long as the file, or longer. Its hash decides; a wrong one is kept aside and not resumed again.
        return True


def _receive(reply: http.client.HTTPResponse, part: Path, start: int, progress: Progress, until: Deadline) -> bool:
    length = reply.headers.get("Content-Length")
    total = start + int(length) if length else None
    done = start
    with trouble_named(part.parent), part.open("ab" if start else "wb") as file:
        while chunk := reply.read1(CHUNK):
            file.write(chunk)
            done += len(chunk)
            progress(done, total)
            until.left()
    progress(done, total)
    return total is None or done == total


def _throttled(what: str, on_event: Listener) -> Progress:
    last = 0.0

    def show(done: int, total: int | None) -> None:
        nonlocal last
        if done == total or now() - last >= EVENT_SECONDS:
            last = now()
            on_event(Download(what=what, done=done, total=total))

    return show


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return str(error) or type(error).__name__
