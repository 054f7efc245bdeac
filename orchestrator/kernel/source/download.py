# SPDX-License-Identifier: GPL-2.0-or-later
"""HTTP into a file, resumed where the last attempt stopped. The only importer of requests and of urllib3."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, IncompleteRead
from urllib3.util import Retry

from orchestrator.host.deadline import Deadline, now
from orchestrator.host.files import trouble_named
from orchestrator.model.events import Download, Listener

# A mirror that accepts a connection and then says nothing must not cost minutes: the next place is tried instead.
SILENCE_SECONDS = 15.0
ATTEMPTS = 4
CHUNK = 1 << 20
EVENT_SECONDS = 0.2

# A server that is busy is asked again a little later; one that can't be reached is not: there is a next place.
_BUSY = (
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)
_RETRY = Retry(
    total=ATTEMPTS - 1,
    connect=0,
    read=0,
    status_forcelist=_BUSY,
    backoff_factor=0.5,
    # A server may ask for an hour.
    respect_retry_after_header=False,
    raise_on_status=False,
)

Progress = Callable[[int, int | None], None]


class PlaceFailed(Exception):
    """One place could not give the file; the next one may."""


def download(url: str, part: Path, *, on_event: Listener, until: Deadline) -> None:
    """Append the rest of `url` to `part` until it is whole; raises PlaceFailed with the reason."""
    progress = _throttled(url.rsplit("/", 1)[-1], on_event)
    version = ""
    with _session() as session:
        for _ in range(ATTEMPTS):
            before = _size(part)
            try:
                with _reply(session, url, start=before, version=version, until=until) as reply:
                    if reply.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                        # The part is as long as the file, or longer. Its hash decides; a wrong one is kept aside and
                        # not resumed again.
                        return
                    reply.raise_for_status()
                    version = _version(reply)
                    _receive(reply, part, progress, until)
                    return
            except (requests.RequestException, HTTPError) as error:
                reason = _reason(error, part)
            if _size(part) <= before:
                break  # Nothing came: the same again would not help.
    raise PlaceFailed(reason)


def is_there(url: str, until: Deadline) -> bool:
    """Whether the place has the file: nothing of it is downloaded."""
    with _session() as session:
        try:
            reply = session.head(url, allow_redirects=True, timeout=min(SILENCE_SECONDS, until.left()))
        except (requests.RequestException, HTTPError):
            return False
        return reply.ok


@contextmanager
def _session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=_RETRY))
        # The host's certificates, which an administrator can add to, and not those that come with requests.
        paths = ssl.get_default_verify_paths()
        session.verify = paths.cafile or paths.capath or True
        # What is compressed on the way has another length, and can't be resumed.
        session.headers["Accept-Encoding"] = "identity"
        yield session


def _reply(session: requests.Session, url: str, *, start: int, version: str, until: Deadline) -> requests.Response:
    """What the server answers when it is asked for all from `start` on, its body not read yet."""
    headers = {"Range": f"bytes={start}-"} if start else {}
    if start and version:
        # A file that is another one by now comes from its beginning.
        headers["If-Range"] = version
    return session.get(url, headers=headers, stream=True, timeout=min(SILENCE_SECONDS, until.left()))


def _version(reply: requests.Response) -> str:
    """The validator that If-Range takes: a strong one."""
    tag = reply.headers.get("ETag", "")
    return "" if tag.startswith("W/") else tag


def _receive(reply: requests.Response, part: Path, progress: Progress, until: Deadline) -> None:
    """Write the body to the part. urllib3 raises IncompleteRead where it is shorter than Content-Length says."""
    # A server that ignores Range answers 200 with the whole file.
    done = _size(part) if reply.status_code == HTTPStatus.PARTIAL_CONTENT else 0
    length: int | None = reply.raw.length_remaining
    total = None if length is None else done + length
    with trouble_named(part.parent), part.open("ab" if done else "wb") as file:
        # What is there already; read() would wait for a whole chunk, and the deadline would pass unseen.
        while chunk := reply.raw.read1(CHUNK):
            file.write(chunk)
            done += len(chunk)
            progress(done, total)
            until.left()
    progress(done, total)


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


def _reason(error: BaseException, part: Path) -> str:
    """What was wrong at the bottom of it: the libraries put what they say around it."""
    if isinstance(error, requests.HTTPError):
        return f"HTTP {error.response.status_code} {error.response.reason}"
    while error.__context__:
        error = error.__context__
    if isinstance(error, IncompleteRead):
        return f"the connection closed after {_size(part)} bytes"
    return str(error) or type(error).__name__
