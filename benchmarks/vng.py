# SPDX-License-Identifier: GPL-2.0-or-later
"""virtme-ng's `vng` as a benchmark runs it: installed for itself, with a root for its guests, timed from QEMU's start.

What vng does was read from the release that VNG names. With another one look again at: how it calls QEMU (--qemu), what
its init scripts call in the guest's root (PACKAGES), and what they need of the kernel (vng*.config).
"""

import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.host.debian import SUITE, apt_sources
from orchestrator.host.process import check
from orchestrator.model.arch import Arch

VNG = "virtme-ng==1.42"

# What vng's init calls in the guest. Unpacked only: nothing runs that would need an emulator for a foreign arch.
PACKAGES = (
    *("base-files", "base-passwd", "bash", "busybox-static", "coreutils", "dash", "grep", "hostname", "iproute2"),
    # Without udev the ports of the command's output have no names, and vng runs no command.
    *("mount", "sed", "udev", "util-linux"),
)
# Mount points that no package has, and what their scripts would have made.
FOLDERS = ("dev", "opt", "srv")
EMPTY_FILES = ("etc/fstab", "etc/hosts", "etc/shadow")

# The guest works out what it says, so that no echo of the command is taken for its output.
COMMAND = "echo vng-$((40 + 2))"
SAID = b"vng-42"

SETUP_SECONDS = 600.0
BOOT_SECONDS = 180.0
POWER_OFF_SECONDS = 20.0

# Where vng looks for a virtiofsd, in its order. It can use the one that is written in Rust; QEMU's own it tries in vain
# for 3 s when run by root.
_VIRTIOFSD = (
    *("/usr/libexec/virtiofsd", "/usr/lib/virtiofsd/virtiofsd", "/usr/lib/virtiofsd"),
    "/usr/lib/qemu/virtiofsd",
)
# vng has virtiofs on PCI alone, which patchrig's arm64 kernel does without.
_BY_VIRTIOFS = ("x86_64",)


@dataclass(frozen=True, kw_only=True, slots=True)
class Guest:
    """A guest as vng is asked for it."""

    arch: Arch
    image: Path
    root: Path
    cpus: int
    memory_mib: int
    virtiofs: bool  # else 9p


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """Seconds until the output of the guest's first command was there."""

    of_qemu: float
    of_vng: float


class GuestSilent(Exception):
    """The output of the command in the guest never came."""


def say(text: str) -> None:
    """What takes long, beside the table."""
    sys.stderr.write(f"{text}\n")


def install(place: Path) -> Path:
    """vng, in a virtual environment of its own that is made where there is none yet."""
    home = place / VNG.replace("==", "-")
    program = home / "bin" / "vng"
    if not program.exists():
        say(f"installing {VNG} into {home}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        subprocess.run([home / "bin" / "pip", "install", "--quiet", VNG], check=True)
    return program


def vng_env(program: Path, home: Path) -> dict[str, str]:
    """vng's whole environment: it finds its other programs on PATH; no settings of the user's, none of make's."""
    home.mkdir(parents=True, exist_ok=True)
    path = f"{program.parent}:{os.environ.get('PATH', os.defpath)}"
    return {"PATH": path, "HOME": str(home), "LC_ALL": "C.UTF-8", "CCACHE_DISABLE": "1"}


def virtiofs_usable(arch: Arch) -> bool:
    """Whether vng gives a guest its root by virtiofs here; else by 9p, and has to be told so."""
    places = (shutil.which("virtiofsd"), *_VIRTIOFSD)
    found = next((place for place in places if place and Path(place).is_file()), None)
    if found is None or arch.name not in _BY_VIRTIOFS:
        return False
    said = subprocess.run([found, "--help"], capture_output=True, text=True, check=False)
    return "--shared-dir" in said.stdout


def guest_root(arch: Arch, place: Path) -> Path:
    """A folder with a small Debian of the arch, made where there is none yet (seconds)."""
    root = place / f"root.{arch.name}"
    if root.exists():
        return root
    say(f"unpacking Debian packages into {root}")
    until = Deadline.after(SETUP_SECONDS, f"a root file system for vng's {arch.name} guests")
    log, sources, archive = (place / f"root.{name}" for name in ("log", "list", "tar"))
    fresh = place / "root.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    sources.write_text("\n".join(apt_sources(log=log, until=until)) + "\n")
    check(root_argv(arch, archive=archive, sources=sources), log=log, until=until)
    # By way of an archive all of it is the user's, root or not.
    check(["tar", "--extract", "--no-same-owner", f"--file={archive}", f"--directory={fresh}"], log=log, until=until)
    archive.unlink()
    complete_root(fresh)
    fresh.rename(root)
    return root


def root_argv(arch: Arch, *, archive: Path, sources: Path) -> list[str]:
    return [
        *("mmdebstrap", "--variant=extract", f"--architectures={arch.debian}"),
        f"--include={','.join(PACKAGES)}",
        *("--skip=check/empty,output/dev", SUITE, str(archive), str(sources)),
    ]


def complete_root(root: Path) -> None:
    """What the packages' own scripts would have done of what vng asks for."""
    for name in FOLDERS:
        (root / name).mkdir(exist_ok=True)
    for name in EMPTY_FILES:
        (root / name).write_text("")
    for name in ("passwd", "group"):
        shutil.copyfile(root / f"usr/share/base-passwd/{name}.master", root / "etc" / name)
    # By which the guest's bash init ends; the one in Rust needs no program for it.
    (root / "sbin" / "poweroff").symlink_to("/bin/busybox")


def vng_argv(program: Path, guest: Guest, *, qemu: Path) -> list[str]:
    """vng boots the image, runs the command in the guest and ends."""
    return [
        str(program),
        *("--run", str(guest.image)),
        *("--arch", guest.arch.debian),
        *("--root", str(guest.root)),
        "--disable-kvm",
        *(() if guest.virtiofs else ("--force-9p",)),
        *("--cpus", str(guest.cpus)),
        *("--memory", f"{guest.memory_mib}M"),
        *("--qemu", str(qemu)),
        *("--exec", COMMAND),
    ]


def stamping_qemu(qemu: str, stamp: Path) -> str:
    """A script that is QEMU to vng and notes when it started: the last time, as vng first asks for its version."""
    return f'#!/bin/sh\ndate +%s.%N >{shlex.quote(str(stamp))}\nexec {shlex.quote(qemu)} "$@"\n'


def boot(program: Path, guest: Guest, *, scratch: Path, env: Mapping[str, str]) -> Start:
    """One guest of vng's, to the output of its first command. A busy host may spoil a start: it is tried once more."""
    stamp, qemu = scratch / "qemu.started", scratch / "qemu"
    qemu.write_text(stamping_qemu(f"qemu-system-{guest.arch.qemu}", stamp))
    qemu.chmod(0o755)
    stamp.unlink(missing_ok=True)
    argv = vng_argv(program, guest, qemu=qemu)
    for _ in range(2):
        try:
            return start(argv, stamp=stamp, cwd=scratch, env=env)
        except GuestSilent as silent:
            say(str(silent))
    # Slower, so that it would be no figure, but with the guest's console.
    try:
        start([*argv, "--verbose"], stamp=stamp, cwd=scratch, env=env)
    except GuestSilent as silent:
        sys.exit(str(silent))
    sys.exit("vng's guest said nothing twice, and what it had to when asked with --verbose")


def start(argv: Sequence[str], *, stamp: Path, cwd: Path, env: Mapping[str, str]) -> Start:
    """Run vng until the guest has said it; the stamp holds the time of QEMU's start. Raises GuestSilent."""
    begun = time.time()
    with _group(argv, cwd=cwd, env=env) as child:
        said, text = _read_until(child, SAID)
        if said is None:
            last = "\n".join(text.decode(errors="replace").splitlines()[-40:])
            raise GuestSilent(f"{shlex.join(argv)}: no output of the command in the guest\n{last}")
    return Start(of_qemu=said - float(stamp.read_text()), of_vng=said - begun)


def _read_until(child: subprocess.Popen[bytes], wanted: bytes) -> tuple[float | None, bytes]:
    """When what is wanted had been printed (None: never), and all that was."""
    text, end = b"", time.monotonic() + BOOT_SECONDS
    assert child.stdout is not None
    while wanted not in text:
        if not select.select([child.stdout], [], [], max(0.0, end - time.monotonic()))[0]:
            return None, text
        piece = os.read(child.stdout.fileno(), 65536)
        if not piece:
            return None, text
        text += piece
    return time.time(), text


@contextmanager
def _group(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """vng and all that it starts. The guest may go down by itself; after a while, or a failure, the group is ended."""
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        # Not a file: QEMU opens it again, once for each port, and each would write at the beginning.
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        env=dict(env),
        start_new_session=True,
    ) as child:
        try:
            yield child
            with suppress(subprocess.TimeoutExpired):
                child.wait(POWER_OFF_SECONDS)
        finally:
            if child.poll() is None:
                # Gently first: vng then ends its virtiofsd and takes away its files.
                os.killpg(child.pid, signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    child.wait(2)
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
