"""The argv that shuts a build in: no network, nothing writable but what it is given."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.deadline import Deadline
from orchestrator.errors import ToolMissing
from orchestrator.process import run

# Where people and services keep what a build has no business with: keys, and sockets that reach beyond any network
# namespace because they are files. Each becomes an empty folder.
_HIDDEN = ("/root", "/home", "/run", "/tmp", "/var/tmp", "/mnt", "/media")

PROBE_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Sandbox:
    """What one build may see and change."""

    writable: tuple[Path, ...]
    readable: tuple[Path, ...]
    home: Path  # of the user who builds; hidden like the rest
    hidden: tuple[Path, ...] = tuple(Path(place) for place in _HIDDEN)


def sandbox_argv(argv: Sequence[str], sandbox: Sandbox) -> list[str]:
    """`argv` inside bubblewrap. Later mounts lie on earlier ones: all is read-only, some hidden, a few brought back."""
    hidden = dict.fromkeys(place for place in (*sandbox.hidden, sandbox.home) if place.is_dir() and place != Path("/"))
    return [
        "bwrap",
        "--die-with-parent",
        # Else the build could type into our terminal (TIOCSTI).
        "--new-session",
        "--unshare-user-try",
        "--unshare-ipc",
        "--unshare-pid",
        "--unshare-net",
        "--unshare-uts",
        "--unshare-cgroup-try",
        # Run as root, bubblewrap would otherwise leave what it takes to mount everything writable again.
        "--cap-drop", "ALL",
        "--ro-bind", "/", "/",
        "--dev", "/dev",
        "--proc", "/proc",
        *(word for place in hidden for word in ("--tmpfs", str(place))),
        *(word for place in sandbox.readable for word in ("--ro-bind", str(place), str(place))),
        *(word for place in sandbox.writable for word in ("--bind", str(place), str(place))),
        "--",
        *argv,
    ]  # fmt: skip


def sandbox_usable(log: Path) -> bool:
    """Does this host have bubblewrap, and let it make its namespaces?"""
    probe = sandbox_argv(["true"], Sandbox(writable=(), readable=(), home=Path.home()))
    try:
        return run(probe, log=log, until=Deadline.after(PROBE_SECONDS, "a trial of the sandbox")).status == 0
    except ToolMissing:
        return False
