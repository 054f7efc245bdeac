# SPDX-License-Identifier: GPL-2.0-or-later
"""F11: another user of the host looks at patchrig's files, knocks at its guests and tries its signals."""

import json
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.faults import phases
from tests.faults.campaign import Plan, Try
from tests.faults.hostile_series import ordinary_user
from tests.faults.leftovers import descendants
from tests.faults.rig import NOBODY, As, Call, Rig
from tests.faults.tally import Skip

# What is tried as the other user; prints a line for each thing that was possible.
_VISITOR = """
import json, os, socket, sys
asked = json.load(sys.stdin)
for path in asked["private"]:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK)); print("could read", path)
    except OSError: pass
for path in asked["private"] + asked["files"]:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK)); print("could write", path)
    except OSError: pass
for path in asked["folders"]:
    if os.access(path, os.W_OK): print("could make files in", path)
for path in asked["sockets"]:
    try:
        socket.socket(socket.AF_UNIX).connect(path); print("could connect to", path)
    except OSError: pass
for port in asked["ports"]:
    try:
        socket.create_connection(("127.0.0.1", port), 2); print("could connect to port", port)
    except OSError: pass
for pid in asked["processes"]:
    try:
        os.kill(pid, 0); print("could signal", pid)
    except OSError: pass
    for name in ("environ", "mem", "fd/0"):
        try:
            open(f"/proc/{pid}/{name}", "rb").close(); print("could open", name, "of", pid)
        except OSError: pass
"""
_PRIVATE_RESULTS = ("id_ed25519", "host_key")
_UMASKS = ("022", "000", "077", "002")


def visited(plan: Plan) -> list[Try]:
    if os.geteuid() != 0:
        raise Skip("another user can be taken on by root only")
    work = {"a build": _begin_build, "a guest": _begin_run}
    tries = [
        Try(name=f"beside {name}, umask {umask}, of {who}", play=_visit(begin, umask, user=who == "a user"))
        for umask in _UMASKS
        for name, begin in work.items()
        for who in ("root", "a user")
        # The fake QEMU of an ordinary user is F7's: it only builds.
        if (name, who) != ("a guest", "a user")
    ]
    return plan.random("F11").sample(tries, min(plan.count, len(tries)))


def _begin_build(rig: Rig, umask: str) -> Call:
    patch = phases.slow_series(rig)
    patch.chmod(0o644)
    call = rig.start("build", "--variant", "patched", "--patch", str(patch), wrap=_masked(umask))
    phases.await_build(call, "before")
    return call


def _begin_run(rig: Rig, umask: str) -> Call:
    phases.guest_scenario(rig, "at work")
    call = rig.start("run", "--variant", "patched", wrap=_masked(umask))
    phases.await_guest(rig, call)
    return call


def _masked(umask: str) -> list[str]:
    return ["sh", "-c", f'umask {umask}; exec "$@"', "sh"]


def _visit(begin: Callable[[Rig, str], Call], umask: str, *, user: bool) -> Callable[[Rig], None]:
    def play(rig: Rig) -> None:
        # Made by patchrig itself, with the umask: the template's was made with another one.
        rig.call("clean", "--all")
        if user:
            who = ordinary_user(rig.folder)
            # Not the visitor's number.
            rig.give_to(As(NOBODY - 1, who.python, who.path))
        call = begin(rig, umask)
        for line in _possible(rig, call):
            rig.silent(f"another user {line}")
        call.kill()
        call.ended()

    return play


def _possible(rig: Rig, call: Call) -> list[str]:
    below = [call.child.pid, *descendants(call.child.pid)]
    asked: dict[str, Any] = {
        "private": [*_regular(rig.cache), *_regular(rig.scratch), *_private_results(rig)],
        "files": list(_regular(rig.results)),
        "folders": [path for top in (rig.cache, rig.results, rig.scratch) for path in _folders(top)],
        "sockets": [str(path) for path in rig.scratch.rglob("*") if _is(path, stat.S_ISSOCK)],
        "ports": sorted(set(_ports(below))),
        "processes": below,
    }
    argv = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", "/usr/bin/python3", "-I", "-c"]
    said = subprocess.run(
        [*argv, _VISITOR], input=json.dumps(asked), capture_output=True, text=True, check=True, cwd="/"
    ).stdout.splitlines()
    return _a_few(said)


def _a_few(said: list[str]) -> list[str]:
    """One line of each kind, with how many there are."""
    kinds: dict[str, list[str]] = {}
    for line in said:
        kinds.setdefault(" ".join(line.split()[:3])[:24], []).append(line)
    return [f"{lines[0]} (and {len(lines) - 1} more)" for lines in kinds.values()]


def _is(path: Path, kind: Callable[[int], bool]) -> bool:
    with suppress(OSError):
        return kind(path.lstat().st_mode)
    return False


def _regular(top: Path) -> Iterator[str]:
    yield from (str(path) for path in top.rglob("*") if _is(path, stat.S_ISREG))


def _folders(top: Path) -> Iterator[str]:
    yield from (str(path) for path in (top, *top.rglob("*")) if _is(path, stat.S_ISDIR))


def _private_results(rig: Rig) -> Iterator[str]:
    for name in _PRIVATE_RESULTS:
        yield from (str(path) for path in rig.results.rglob(name))


def _ports(processes: list[int]) -> Iterator[int]:
    """The ports of TCP at which these processes listen, in the host's network."""
    inodes = set()
    for pid in processes:
        for file in Path(f"/proc/{pid}/fd").glob("*"):
            with suppress(OSError):
                if m := str(file.readlink()).partition("socket:[")[2]:
                    inodes.add(m.rstrip("]"))
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[3] == "0A" and words[9] in inodes:
            yield int(words[1].partition(":")[2], 16)
