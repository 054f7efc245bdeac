# SPDX-License-Identifier: GPL-2.0-or-later
"""One try's own place: a toy kernel, a cache, results, and the command `patchrig` as users call it."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults import PROJECT
from tests.faults.leftovers import descendants, kill_descendants, left_behind, reap
from tests.faults.stand_in import put_beside
from tests.faults.tally import Finding, Kind
from tests.faults.toy import Toy
from tests.process.fake_host import PATCHRIG, Host, passing

# A toy takes seconds. What a busy machine makes of that is no overlong wait; what passes this is.
LIMIT_SECONDS = 120.0
NOBODY = 65532
_TRACES = ("Traceback (most recent call last)", "this is a bug of patchrig's own", "Exception in thread")
# A patchrig that reads a link to /dev/zero to its end is to fail, and not to take this machine down.
_NO_MORE_MEMORY = ("prlimit", f"--as={6 << 30}:", "--")
FILES = ("image", "vmlinux", "config")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """A call of patchrig that has ended; code is negative for a signal, None for one that had to be ended."""

    argv: tuple[str, ...]
    code: int | None
    out: str
    err: str
    seconds: float

    @property
    def said(self) -> Any:
        """What --json printed; None when that is no JSON."""
        try:
            return json.loads(self.out)
        except ValueError:
            return None

    def cells(self) -> list[str]:
        """The outcomes of `run --json`."""
        said = self.said
        return [str(cell["outcome"]) for cell in said["cells"]] if isinstance(said, dict) else []

    def end(self) -> str:
        """The last words, for a finding."""
        return f"exit {self.code}: {' / '.join(self.err.strip().splitlines()[-3:])[-300:]}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """A cache and results as finished runs leave them, and what right images are."""

    folder: Path
    right: Mapping[str, Mapping[str, bytes]]  # "baseline", "patched", "baseline/debug" -> name of a file -> content

    @property
    def linux(self) -> Path:
        return self.folder / "linux"


@dataclass(frozen=True, slots=True)
class As:
    """Who calls patchrig: a user id, and the Python that this user can run."""

    uid: int
    python: str
    path: str

    def wrap(self) -> list[str]:
        if self.uid == os.geteuid():
            return []
        return ["setpriv", "--reuid", str(self.uid), "--regid", str(self.uid), "--clear-groups", "--"]


OURSELVES = As(os.geteuid(), sys.executable, str(PROJECT))


class Rig:
    """A scratch folder of one try, and what the try found."""

    def __init__(self, folder: Path, *, template: Template | None, seed: str, who: As = OURSELVES) -> None:
        self.folder = folder
        self.template = template
        self.random = random.Random(seed)
        self.who = who
        self.findings: list[Finding] = []
        self.calls = 0
        self.running = 0
        self.excused: set[str] = set()
        self.scratch = folder / "tmp"
        self.scratch.mkdir(parents=True)
        self.host = Host(folder, scratch=str(self.scratch))
        self.toy = Toy(self.host)
        self.host.scenario(passing())
        put_beside(self.host)
        self.cache, self.results = folder / "cache", folder / "results"
        self.linux = folder / "linux"
        self.environment = dict(self.host.environment) | {"PYTHONPATH": who.path}

    def warm(self) -> None:
        """Begin with the cache and results of the template, and with its tree."""
        assert self.template is not None
        for name in ("cache", "results"):
            subprocess.run(["cp", "-a", str(self.template.folder / name), str(self.folder)], check=True)
        self.linux = self.template.linux

    def give_to(self, who: As) -> None:
        """Let another user call patchrig here."""
        self.who = who
        self.environment["PYTHONPATH"] = who.path
        self.environment |= {"HOME": str(self.folder), "USER": "nobody", "LOGNAME": "nobody"}
        subprocess.run(["chown", "-R", f"{who.uid}:{who.uid}", str(self.folder)], check=True)

    def wrong(self, text: str) -> None:
        self.findings.append(Finding(Kind.WRONG, text))

    def silent(self, text: str) -> None:
        self.findings.append(Finding(Kind.SILENT, text))

    # Calls of patchrig

    def argv(self, command: str, *words: str) -> list[str]:
        """patchrig with this rig's matrix, tree and results where the command takes them."""
        placed = [str(self.folder / "matrix.yaml"), "--tree", str(self.linux), "--results", str(self.results), "--json"]
        more = placed if command in ("run", "build") else []
        return [*_NO_MORE_MEMORY, *self.who.wrap(), self.who.python, str(PATCHRIG), command, *more, *words]

    def start(self, command: str, *words: str, wrap: Sequence[str] = (), name: str = "") -> "Call":
        """Start patchrig; its output goes to files, as what it leaves behind may keep a pipe open."""
        self.calls += 1
        return Call(self, [*wrap, *self.argv(command, *words)], name or f"call{self.calls}")

    def call(self, command: str, *words: str, wrap: Sequence[str] = (), limit: float = LIMIT_SECONDS) -> Ran:
        """patchrig to its end; a traceback, a wait past the limit and what is left behind are findings."""
        return self.start(command, *words, wrap=wrap).ended(limit)

    def build(self, variant: str, *words: str, **how: Any) -> Ran:
        return self.call("build", "--variant", variant, *words, **how)

    # What must hold

    def check_image(self, ran: Ran, right: str, *, also: Sequence[int | None] = ()) -> None:
        """Exit 0 and the right files; `also` are exit codes that are honest here as well."""
        if ran.code != 0:
            # None and 70 are findings already.
            if ran.code not in (*also, None, 70):
                self.wrong(f"{right}: {ran.end()}")
            return
        assert self.template is not None
        said = ran.said[0]
        for name in FILES:
            if Path(said[name]).read_bytes() != self.template.right[right][name]:
                self.wrong(f"{right}: {name} is not what a clean build gives")

    def clean_baseline(self) -> None:
        """What has to work after anything: the baseline, and it is the right one."""
        self.check_image(self.build("baseline"), "baseline")

    def clean_patched(self) -> None:
        self.check_image(self.build("patched"), "patched")

    def note_leftovers(self) -> None:
        """Look for what is left, and end it."""
        if self.running:
            return
        for text in left_behind(self.folder, self.scratch):
            if text not in self.excused:
                self.silent(text)
        kill_descendants(os.getpid())
        reap()

    def excuse_killed(self) -> None:
        """After kill -9 nobody could put away scratch folders; `patchrig clean` does, which F12 looks at."""
        time.sleep(0.1)
        self.excused |= {text for text in left_behind(self.folder, self.scratch) if "scratch folder" in text}

    def forget(self) -> None:
        """Remove the try's folder, however deep or read-only a series made it."""
        for name in ("linux", "cache", "results"):
            subprocess.run(["chmod", "-R", "u+rwX", str(self.folder / name)], check=False, capture_output=True)
        subprocess.run(["rm", "-rf", str(self.folder)], check=False, capture_output=True)


class Call:
    """patchrig at work."""

    def __init__(self, rig: Rig, argv: Sequence[str], name: str) -> None:
        self.rig = rig
        self.argv = tuple(argv)
        self.out, self.err = rig.folder / f"{name}.out", rig.folder / f"{name}.err"
        self.began = time.monotonic()
        rig.running += 1
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=rig.environment, start_new_session=True
            )

    def patchrig(self) -> int:
        """The process id of patchrig itself, below strace or setpriv."""
        below = descendants(self.child.pid)
        named = [pid for pid, name in below.items() if name in ("patchrig", "python3", "python", "python3.11")]
        return named[0] if named and "strace" in self.argv[0] else self.child.pid

    def send(self, number: signal.Signals) -> None:
        if self.child.poll() is None:
            os.kill(self.patchrig(), number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)

    def ended(self, limit: float = LIMIT_SECONDS) -> Ran:
        """Wait for its end; note a traceback, an overlong wait, and what is left behind."""
        code: int | None
        try:
            code = self.child.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            code = None
            said = self.err.read_text(errors="replace").strip()[-200:]
            self.rig.findings.append(Finding(Kind.OVERLONG, f"not over after {limit:.0f} s; it said {said!r}"))
            kill_descendants(os.getpid())
            self.child.wait()
        self.rig.running -= 1
        ran = Ran(
            argv=self.argv,
            code=code,
            out=self.out.read_text(errors="replace"),
            err=self.err.read_text(errors="replace"),
            seconds=time.monotonic() - self.began,
        )
        if code == 70 or any(trace in ran.err for trace in _TRACES):
            self.rig.findings.append(Finding(Kind.UNCAUGHT, ran.end()))
        if code is not None and code >= 0:
            self.rig.note_leftovers()
        else:
            self.rig.excuse_killed()
        return ran


def make_template(folder: Path) -> Template:
    """Build and run the toy once, undisturbed. Raises RuntimeError when that fails: nothing can be compared then."""
    rig = Rig(folder, template=None, seed="template")
    # In a cache of its own: no try is to find this flavour built.
    other = Rig(folder / "other", template=None, seed="template")
    other.linux = rig.linux
    right = {
        "baseline": _files_of(rig.build("baseline")),
        "patched": _files_of(rig.build("patched")),
        "baseline/debug": _files_of(other.build("baseline", "--flavour", "debug")),
        "patched/debug": _files_of(other.build("patched", "--flavour", "debug")),
    }
    ran = rig.call("run", "--variant", "patched")
    if ran.cells() != ["passed"] or rig.findings:
        raise RuntimeError(f"the toy kernel does not pass: {ran.end()} {ran.cells()} {rig.findings}")
    return Template(folder=folder, right=right)


def _files_of(ran: Ran) -> dict[str, bytes]:
    if ran.code != 0 or not ran.said:
        raise RuntimeError(f"the toy kernel can't be built: {ran.end()}")
    return {file: Path(ran.said[0][file]).read_bytes() for file in FILES}
