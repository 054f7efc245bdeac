# SPDX-License-Identifier: GPL-2.0-or-later
"""The sandbox: what a stranger wrote, and what reads it, runs in here and nowhere else.

bubblewrap gives it namespaces of its own and an allow-list of what it sees. Started by root, the command runs as an
unprivileged user id. Sources: bwrap(1), setpriv(1), prlimit(1), choom(1).
"""

import os
import pwd
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePath
from types import MappingProxyType

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError, ToolMissing
from orchestrator.host.process import EndsWithStdin, find_tool, run

PROBE_SECONDS = 10.0
# The user that administrators may make for patchrig when they start it as root.
USER = "patchrig"
# Debian's policy reserves 65000 to 65533: no user of a package's or an administrator's gets this number.
_RESERVED_ID = 65533
# Programs, libraries and headers that Debian installs; nothing in here is anybody's own.
_USR = "/usr"
# Links into /usr on a merged system, folders elsewhere.
_BESIDE_USR = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
# What the dynamic loader and Debian's alternatives need.
_ETC = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime")
_NO_NAMESPACES = (
    ("/proc/sys/user/max_user_namespaces", "0"),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0"),
    ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
)

GIB = 1 << 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What the processes of one sandbox may use."""

    processes: int = 256
    process_bytes: int = 8 * GIB  # address space of each process
    file_bytes: int = 4 * GIB  # length of each file
    scratch_bytes: int = GIB  # of each of the file systems in memory: /tmp and /dev/shm
    ended_first: bool = True  # by the kernel, where this machine runs out of memory


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or folder of the host, and the path that it has in the sandbox."""

    source: Path
    target: PurePath


@dataclass(frozen=True, kw_only=True, slots=True)
class Sandbox:
    """What a command may see, change and use. A path stands for a Mount at the same path."""

    readable: tuple[Path | Mount, ...] = ()
    writable: tuple[Path | Mount, ...] = ()
    devices: tuple[Path, ...] = ()
    folder: PurePath | None = None  # where the command starts; None: /tmp
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """The user that commands run as when patchrig is started by root."""

    uid: int
    gid: int


def identity() -> Identity | None:
    """Who commands in the sandbox run as; None: the user who started patchrig, who is not root."""
    if os.geteuid() != 0:
        return None
    try:
        user = pwd.getpwnam(USER)
    except KeyError:
        return Identity(uid=_RESERVED_ID, gid=_RESERVED_ID)
    return Identity(uid=user.pw_uid, gid=user.pw_gid)


def hand_over(*folders: Path) -> None:
    """Let commands in the sandbox write to folders that were just made; nothing to do unless started by root."""
    if who := identity():
        for folder in folders:
            os.chown(folder, who.uid, who.gid, follow_symlinks=False)


def hand_over_all(top: Path) -> None:
    """hand_over() for a folder with all that is in it."""
    hand_over(top)
    if identity():
        for folder, folders, files in os.walk(top):
            hand_over(*(Path(folder) / name for name in (*folders, *files)))


# Process 1 in the sandbox: with it the kernel ends all others. It ends with the command, or with its standard input.
# bubblewrap's own --die-with-parent leaves processes behind when we are killed while it makes its namespaces.
_WATCH = (
    "bash",
    "-c",
    'exec {life}<&0 0</dev/null; trap "exit 137" USR1; '
    '{ read -r -u "$life"; kill -USR1 1; } 2>/dev/null & "$@" & wait $!',
    "bash",
)


def sandbox_argv(argv: Sequence[str], sandbox: Sandbox) -> EndsWithStdin:
    """`argv` inside bubblewrap: no network, the allow-list, the limits, the environment that is given and no other.

    It reads nothing. Raises ToolMissing.
    """
    return EndsWithStdin(_bubblewrap(argv, sandbox, ("--as-pid-1",), _WATCH))


def terminal_sandbox_argv(argv: Sequence[str], sandbox: Sandbox) -> list[str]:
    """sandbox_argv() for a command that has the user's terminal, and ends with the process that starts it."""
    return _bubblewrap(argv, sandbox, ("--die-with-parent",), ())


def _bubblewrap(argv: Sequence[str], sandbox: Sandbox, ends: Sequence[str], first: Sequence[str]) -> list[str]:
    if find_tool("bwrap") is None:
        raise ToolMissing("bwrap")
    who = identity()
    return [
        # bubblewrap's own environment can be read by all that runs as the same user.
        *("env", "-i", f"PATH={os.environ.get('PATH', os.defpath)}", "bwrap"),
        *ends,
        *_namespaces(who),
        *_environment(sandbox.env),
        *_system(),
        *_scratch(sandbox.limits),
        *_mounts(sandbox),
        # bubblewrap makes these two file systems in memory, and their size has no limit.
        *("--remount-ro", "/dev", "--remount-ro", "/"),
        *("--chdir", str(sandbox.folder or "/tmp")),
        "--",
        *first,
        *(_become(who, sandbox.devices) if who else ()),
        *_limited(sandbox.limits),
        *argv,
    ]


def confined_argv(argv: Sequence[str], inside: Sandbox, *, sandbox: bool) -> list[str]:
    """sandbox_argv(), or plain_argv() where the user or the host does without a sandbox."""
    return sandbox_argv(argv, inside) if sandbox else plain_argv(argv, inside)


def plain_argv(argv: Sequence[str], sandbox: Sandbox) -> list[str]:
    """`argv` with the user's own rights, for a host without sandbox: the environment is all that is kept apart."""
    words = (f"{name}={value}" for name, value in _variables(sandbox.env).items())
    return ["env", "-i", "-C", str(sandbox.folder or "/tmp"), *words, *argv]


@cache
def sandbox_works() -> bool:
    """Does this host have bubblewrap, and let it make its namespaces? Tried once."""
    return not sandbox_trouble()


def sandbox_trouble() -> str:
    """Why a command can't run in the sandbox here; "" when it can."""
    with tempfile.TemporaryDirectory(prefix="patchrig-probe-") as scratch:
        log = Path(scratch) / "log"
        try:
            done = run(sandbox_argv(["true"], Sandbox()), log=log, until=Deadline.after(PROBE_SECONDS, "the sandbox"))
        except (ToolMissing, InfraError) as error:
            return str(error)
    return "" if done.status == 0 else done.output.strip() or f"bwrap ended with status {done.status}"


def tool_mounts(names: Iterable[str]) -> tuple[Path, ...]:
    """What has to be mounted for programs that lie outside /usr: the folders that they are installed in."""
    found = (find_tool(name) for name in names)
    programs = (path.resolve() for path in found if path and not str(path.resolve()).startswith(f"{_USR}/"))
    return tuple(dict.fromkeys(path.parent.parent if path.parent.name == "bin" else path for path in programs))


def _namespaces(who: Identity | None) -> Iterator[str]:
    yield from (
        "--new-session",  # Else a command could type into our terminal (TIOCSTI).
        *("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"),
        *("--hostname", "sandbox"),
        *("--cap-drop", "ALL"),
    )
    if who is None:
        yield from ("--unshare-user", "--disable-userns")
    else:
        # What it takes to become somebody else; _become() gives all of it up.
        yield from (word for name in ("SETUID", "SETGID", "SETPCAP") for word in ("--cap-add", f"CAP_{name}"))


def _environment(env: Mapping[str, str]) -> Iterator[str]:
    yield "--clearenv"
    for name, value in _variables(env).items():
        yield from ("--setenv", name, value)


def _variables(env: Mapping[str, str]) -> dict[str, str]:
    plain = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "HOME": "/tmp", "TMPDIR": "/tmp"}
    return {**plain, **env}


def _system() -> Iterator[str]:
    yield from ("--ro-bind", _USR, _USR)
    for place in map(Path, _BESIDE_USR):
        if place.is_symlink():
            yield from ("--symlink", str(place.readlink()), str(place))
        elif place.is_dir():
            yield from ("--ro-bind", str(place), str(place))
    yield from ("--perms", "0755", "--dir", "/etc")
    yield from (word for place in _ETC for word in ("--ro-bind-try", place, place))
    yield from ("--dev", "/dev", "--proc", "/proc")
    # As root the command's user namespace is made by an inner bubblewrap, which has a number to write there.
    if os.geteuid() != 0 or not _user_namespaces():
        yield from _SYSCTLS_READ_ONLY


_SYSCTLS_READ_ONLY = ("--ro-bind", "/proc/sys", "/proc/sys")


def _scratch(limits: Limits) -> Iterator[str]:
    for place in ("/tmp", "/dev/shm"):
        yield from ("--perms", "1777", "--size", str(limits.scratch_bytes), "--tmpfs", place)
    yield from ("--perms", "0755", "--dir", "/var", "--symlink", "/tmp", "/var/tmp")


def _mounts(sandbox: Sandbox) -> Iterator[str]:
    """Shallow ones first: a writable folder may lie in a readable one, and the other way round."""
    kinds = (("--ro-bind", sandbox.readable), ("--bind", sandbox.writable), ("--dev-bind", sandbox.devices))
    mounts = [(kind, _mount(place)) for kind, places in kinds for place in places]
    for kind, mount in sorted(mounts, key=lambda one: len(one[1].target.parts)):
        # Their parents would be made for root alone.
        for parent in reversed(mount.target.parents):
            yield from ("--perms", "0755", "--dir", str(parent))
        yield from (kind, str(mount.source), str(mount.target))


def _mount(place: Path | Mount) -> Mount:
    # A relative path would be taken from the folder that bubblewrap starts in.
    return place if isinstance(place, Mount) else Mount(place.absolute(), place.absolute())


def _become(who: Identity, devices: Sequence[Path]) -> Iterator[str]:
    groups = ",".join(str(device.stat().st_gid) for device in devices if device.exists())
    yield from ("setpriv", "--reuid", str(who.uid), "--regid", str(who.gid))
    yield from ("--groups", groups) if groups else ("--clear-groups",)
    yield from ("--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--")
    if _user_namespaces():
        # Limits of processes count by user namespace, and no further namespace may be made in this one.
        yield from ("bwrap", "--die-with-parent", "--unshare-user", "--disable-userns", "--dev-bind", "/", "/")
        yield from (*_SYSCTLS_READ_ONLY, "--")


@cache
def _user_namespaces() -> bool:
    """Whether an unprivileged user can make user namespaces; where not, no command in the sandbox can either."""
    return not any(Path(path).exists() and Path(path).read_text().strip() == off for path, off in _NO_NAMESPACES)


def _limited(limits: Limits) -> Iterator[str]:
    yield from (
        "prlimit",
        f"--nproc={limits.processes}",
        f"--as={limits.process_bytes}",
        f"--fsize={limits.file_bytes}",
        "--core=0",
        "--",
    )
    if limits.ended_first:
        yield from ("choom", "-n", "1000", "--")
