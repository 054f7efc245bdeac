# SPDX-License-Identifier: GPL-2.0-or-later
"""F7: series that try to get out, to stay behind, or to make a verdict wrong; each followed by a clean baseline.

series/NAME.patch is a mail, or several, with what it tries as its subject, and a line for each thing to be known:

    Expect: build-failed, lost       the outcomes that are right
    Needs: 1 GiB of /tmp             nothing, if it is not there

@WITNESS@ is a folder that anybody may write and that must stay empty, @SECRET@ a file that only we may read, @OUT@ a
folder beside the cache. A trick that worked prints ESCAPED.
"""

import base64
import hashlib
import os
import re
import socket
import string
import subprocess
import sys
import sysconfig
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.faults import PROJECT
from tests.faults.campaign import Plan, Try
from tests.faults.rig import NOBODY, As, Ran, Rig
from tests.faults.tally import Finding, Kind, Skip

SERIES = Path(__file__).with_name("series")
# A symbol's name: what reads Kconfig files would show it.
TOKEN = "F4U1T_T0K3N_OF_THE_HOST"
ESCAPED = b"ESCAPED"
# What terminals obey: C0 but for tab and newline, DEL, C1, and what turns the direction of text.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_SHOWN = ("summary.txt", "junit.xml")
_MOST_BYTES = 1 << 30  # of results and scratch files of one small series
_CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")


@dataclass(frozen=True, kw_only=True, slots=True)
class Hostile:
    """A series of the folder."""

    file: Path
    tries: str
    expect: frozenset[str]


def hostile_series() -> list[Hostile]:
    return [_read(file) for file in sorted(SERIES.glob("*.patch"))]


def _read(file: Path) -> Hostile:
    text = file.read_text(encoding="utf-8")
    subject = re.search(r"^Subject: (?:\[.*?\] )?(.+)$", text, re.MULTILINE)
    expect = re.search(r"^Expect: (.+)$", text, re.MULTILINE)
    if subject is None or expect is None:
        raise ValueError(f"{file}: no Subject or no Expect")
    return Hostile(file=file, tries=subject[1], expect=frozenset(re.split(r",\s*", expect[1].strip())))


def series_tried(plan: Plan) -> list[Try]:
    """Each by whoever calls us, and by an ordinary user where we are root; `count` series at most."""
    found = hostile_series()
    chosen = found if plan.count >= len(found) else plan.random("F7").sample(found, plan.count)
    tries = [Try(name=f"{one.file.stem} as ourselves", play=_Play(one, user=False)) for one in chosen]
    return [*tries, *(Try(name=f"{one.file.stem} as a user", play=_Play(one, user=True)) for one in chosen)]


def ordinary_user(folder: Path) -> As:
    """Somebody else, with a Python that they can run. Raises Skip where there is none."""
    if os.geteuid() != 0:
        raise Skip("another user can be taken on by root only")
    # A root's Python of its own lies where nobody else may look; Debian's runs the same packages.
    packages = sysconfig.get_paths()["purelib"]
    for python in (os.path.realpath(sys.executable), "/usr/bin/python3"):
        who = As(NOBODY, python, f"{PROJECT}:{packages}")
        argv = [*who.wrap(), "env", f"PYTHONPATH={who.path}", python, "-c", "import orchestrator.cli.reported_runs"]
        if subprocess.run(argv, cwd=folder, capture_output=True, check=False).returncode == 0:
            return who
    raise Skip("an ordinary user can't read the project or its Python packages")


class _Play:
    """The series through `patchrig run`; then the baseline. As another user through `patchrig build`."""

    def __init__(self, one: Hostile, *, user: bool) -> None:
        self.one = one
        self.user = user

    def __call__(self, rig: Rig) -> None:
        patch = self._prepare(rig)
        pattern = _CORE_PATTERN.read_text()
        if self.user:
            rig.give_to(ordinary_user(rig.folder))
            self._check_build(rig, rig.build("patched", "--patch", str(patch)))
        else:
            self._check_run(rig, rig.call("run", "--variant", "patched", "--patch", str(patch)))
        self._check_host(rig, pattern)
        # Else the images of before would do.
        rig.call("clean", "--keep-gib", "0")
        rig.clean_baseline()
        if not self.user:
            rig.clean_patched()
        _check_secrets(rig)

    def _prepare(self, rig: Rig) -> Path:
        witness, secret = rig.folder / "witness", rig.folder / "secret"
        for folder in (witness, secret):
            folder.mkdir()
        witness.chmod(0o777)
        (secret / "token").write_text(f"config SWAP\n\tbool\n\tdepends on {TOKEN}\n")
        (secret / "token").chmod(0o600)
        rig.environment["CI_JOB_TOKEN"] = TOKEN
        words = {"WITNESS": str(witness), "SECRET": str(secret / "token"), "OUT": str(rig.folder), "UP": _up(rig)}
        words["PORT"] = str(_listener().getsockname()[1])
        text = self.one.file.read_bytes()
        for name, value in words.items():
            text = text.replace(f"@{name}@".encode(), value.encode())
        if b"@ZLIB_BOMB@" in text:
            text = text.replace(b"1" * 40, _blob_of_zeros().encode()).replace(b"@ZLIB_BOMB@", _binary_patch())
        patch = rig.folder / "hostile.mbox"
        patch.write_bytes(text)
        return patch

    def _check_run(self, rig: Rig, ran: Ran) -> None:
        outcomes = set(ran.cells())
        if ran.code == 2:
            outcomes = {"refused"}
        elif not outcomes and ran.code == 3:
            outcomes = {"lost"}
        self._check_outcomes(rig, ran, outcomes)
        right = {"passed": 0, "lost": 3, "refused": 2}
        for outcome in outcomes & self.one.expect:
            if ran.code != right.get(outcome, 1):
                rig.wrong(f"{outcome}, and {ran.end()}")

    def _check_build(self, rig: Rig, ran: Ran) -> None:
        outcome = str(ran.said[0]["outcome"]) if ran.said else {2: "refused", 3: "lost"}.get(ran.code or 0, "nothing")
        self._check_outcomes(rig, ran, {"passed" if outcome == "built" else outcome})

    def _check_outcomes(self, rig: Rig, ran: Ran, outcomes: set[str]) -> None:
        if ran.code not in (None, 70) and (not outcomes or outcomes - self.one.expect):
            rig.wrong(f"{sorted(outcomes)}, not {sorted(self.one.expect)}: {ran.end()}")
        check_shown(rig, ran)

    def _check_host(self, rig: Rig, pattern: str) -> None:
        if left := [path.name for path in (rig.folder / "witness").iterdir()]:
            rig.silent(f"it wrote on the host: {left}")
        for top in (rig.results, rig.scratch):
            if (used := _used(top)) > _MOST_BYTES:
                rig.silent(f"{used >> 20} MiB were written to {top.name}")
        if _CORE_PATTERN.read_text() != pattern:
            _CORE_PATTERN.write_text(pattern)
            rig.silent("it changed core_pattern of the host")


@cache
def _listener() -> socket.socket:
    """A service of the host, for a series to find."""
    return socket.create_server(("127.0.0.1", 0))


_BOMB_BYTES = 1 << 30
_CHUNK = bytes(1 << 20)


def _blob_of_zeros() -> str:
    digest = hashlib.sha1(f"blob {_BOMB_BYTES}\0".encode(), usedforsecurity=False)
    for _ in range(_BOMB_BYTES // len(_CHUNK)):
        digest.update(_CHUNK)
    return digest.hexdigest()


def _binary_patch() -> bytes:
    """So many zeros as a git binary patch: lines of up to 52 bytes, each with its length as a letter."""
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(_CHUNK) for _ in range(_BOMB_BYTES // len(_CHUNK))) + packer.flush()
    lines = [b"literal %d" % _BOMB_BYTES]
    for at in range(0, len(data), 52):
        part = data[at : at + 52]
        lines.append(_LENGTHS[len(part) - 1 : len(part)] + base64.b85encode(part, pad=True))
    return b"\n".join(lines)


_LENGTHS = (string.ascii_uppercase + string.ascii_lowercase).encode()


def _up(rig: Rig) -> str:
    """From a source tree in the cache to the root."""
    return "../" * 24 + str(rig.folder).lstrip("/")


def _used(top: Path) -> int:
    """Bytes on the disk."""
    found = subprocess.run(["du", "-sk", str(top)], capture_output=True, text=True, check=False).stdout
    return int(found.split()[0]) << 10 if found else 0


def check_shown(rig: Rig, ran: Ran) -> None:
    shown = {"the terminal": ran.out + ran.err}
    for name in _SHOWN:
        for file in rig.results.glob(f"*/{name}"):
            shown[name] = file.read_text(errors="replace")
    for place, text in shown.items():
        if m := _CONTROLS.search(text):
            around = text[max(0, m.start() - 30) : m.end() + 20]
            rig.silent(f"a control character reached {place}: {m[0]!r} in {around!r}")


def _check_secrets(rig: Rig) -> None:
    """Neither a token nor the word of a trick that worked is in anything that patchrig or the build wrote."""
    for top in (rig.cache, rig.results, *rig.folder.glob("call*")):
        argv = ["grep", "-rlaE", f"{TOKEN}|^root:[^:]*:[0-9]+:|{ESCAPED.decode()}", str(top)]
        for name in subprocess.run(argv, capture_output=True, text=True, check=False).stdout.splitlines():
            rig.findings.append(Finding(Kind.SILENT, f"a secret, or the word of a trick that worked, is in {name}"))
