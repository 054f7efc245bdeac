# SPDX-License-Identifier: GPL-2.0-or-later
"""`--patch MESSAGE-ID`: b4 itself fetches the thread, from a lore of ours on this machine."""

import gzip
import json
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from orchestrator.host.process import find_tool
from tests.process import fake_host
from tests.process.cli.test_patch import mail
from tests.process.fake_host import PATCHRIG, Host, passing
from tests.process.toy_kernel import ToyKernel, patch

host = fake_host.host

B4 = PATCHRIG.with_name("b4")
pytestmark = [
    pytest.mark.skipif(find_tool("ccache") is None, reason="ccache is not installed"),
    pytest.mark.skipif(not B4.exists(), reason="b4 is not installed in .venv"),
]
IDENT = "20261129.1-a@example.org"


class Lore(BaseHTTPRequestHandler):
    """What b4 asks of a public-inbox: /all/MESSAGE-ID/t.mbox.gz."""

    def __init__(self, thread: Path, *rest: object) -> None:
        self.thread = thread
        super().__init__(*rest)  # type: ignore[arg-type]  # as the server gives them

    def do_GET(self) -> None:
        known = self.path == f"/all/{IDENT.replace('@', '%40')}/t.mbox.gz" and self.thread.exists()
        data = gzip.compress(self.thread.read_bytes()) if known else b""
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_words: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def kernel(host: Host) -> Iterator[ToyKernel]:
    """A host whose b4 asks a lore that has the file `thread`."""
    kernel = ToyKernel(host)
    host.scenario(passing())
    (host.programs / "b4").symlink_to(B4)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Lore, kernel.folder / "thread"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kernel.write("home/.gitconfig", f"[b4]\n\tmidmask = http://127.0.0.1:{server.server_address[1]}/all/%s\n")
    host.environment |= {"HOME": str(kernel.folder / "home"), "XDG_CACHE_HOME": str(kernel.folder / "home/cache")}
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        host.environment.pop(name, None)
    yield kernel
    server.shutdown()
    server.server_close()


def write_thread(kernel: ToyKernel, *mails: str) -> None:
    date = "Date: Sat, 01 Nov 2025 10:00:00 +0000\n"
    first, *others = (text.replace("Subject:", f"{date}Subject:", 1) for text in mails)
    whole = [first.replace("Date:", f"Message-ID: <{IDENT}>\nDate:", 1)]
    for number, text in enumerate(others):
        ident = f"Message-ID: <{number}@example.org>\nIn-Reply-To: <{IDENT}>\nReferences: <{IDENT}>\n"
        whole.append(text.replace("Date:", f"{ident}Date:", 1))
    kernel.write("thread", "".join(whole))


def run(kernel: ToyKernel, given: str, *words: str) -> subprocess.CompletedProcess[str]:
    return kernel.run("--patch", given, "--variant", "patched", *words)


@pytest.mark.parametrize("given", [IDENT, f"<{IDENT}>", f"https://lore.kernel.org/linux-mm/{IDENT}/T/#u"])
def test_the_series_of_the_thread_is_built_and_its_replies_are_not(kernel: ToyKernel, given: str) -> None:
    good, idea = patch("slots = 2;", "slots = 3;"), patch("slots = 3;", "slots = no_such_thing;")
    write_thread(kernel, mail("[PATCH] swap: three", good), mail("Re: [PATCH] swap: three", idea))

    done = run(kernel, given)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"fetching the thread of {IDENT} with b4" in done.stderr
    assert "not part of the series: 'Re: swap: three'" in done.stdout + done.stderr
    folder = (kernel.host.results / "latest").resolve()
    (kept,) = (folder / "threads").iterdir()
    assert IDENT in kept.read_text()
    assert json.loads((folder / "run.json").read_text())["argv"].count(given) == 1
    # The run goes on from what was fetched, and asks nobody again.
    (kernel.folder / "thread").unlink()
    again = subprocess.run(
        [str(PATCHRIG), "resume", "latest", "--results", str(kernel.host.results)],
        env=kernel.host.environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert again.returncode == 0, again.stdout + again.stderr
    assert "fetching" not in again.stderr


def test_a_mail_that_lore_does_not_have_is_the_users_mistake(kernel: ToyKernel) -> None:
    done = run(kernel, IDENT)

    assert done.returncode == 2, done.stdout + done.stderr
    assert f"{IDENT} is no file, and b4 finds no mail with the Message-ID {IDENT}" in done.stderr
    assert f"b4 mbox {IDENT}" in done.stderr
    assert not list(kernel.host.results.glob("*/run.json"))


def test_without_a_network_it_says_what_to_type_elsewhere(kernel: ToyKernel) -> None:
    kernel.write("home/.gitconfig", "[b4]\n\tmidmask = http://127.0.0.1:9/all/%s\n")

    done = run(kernel, IDENT)

    assert done.returncode == 3, done.stdout + done.stderr
    assert f"b4 can't fetch the thread of {IDENT}" in done.stderr
    assert f"b4 mbox {IDENT}  # where there is a network; then --patch FILE" in done.stderr


def test_a_thread_with_a_hostile_diff_is_refused_as_a_file_is(kernel: ToyKernel) -> None:
    outside = patch("slots = 2;", "slots = 3;").replace("/swap.c", "/../../../etc/passwd")
    write_thread(kernel, mail("[PATCH] swap: three", outside))
    kernel.write("file.mbox", (kernel.folder / "thread").read_text())

    fetched, of_file = run(kernel, IDENT), run(kernel, str(kernel.folder / "file.mbox"))

    assert fetched.returncode == of_file.returncode != 0
    assert kernel.host.guests() == []
