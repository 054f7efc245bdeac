"""Where things lie: the project's own folders, and the user cache."""

import os
import tempfile
from pathlib import Path

import platformdirs

PROJECT = Path(__file__).resolve().parent.parent
CONFIGS = PROJECT / "configs"
KCONFIG = CONFIGS / "kconfig"
WORKLOADS = CONFIGS / "workloads"
GUEST_SCRIPTS = PROJECT / "guest-scripts"
KERNELS = PROJECT / "kernels"
OVERLAYS = KERNELS / "overlays"
RESULTS = PROJECT / "results"


def cache_root() -> Path:
    """The user cache directory (PATCHRIG_CACHE overrides it); safe to delete at any time."""
    override = os.environ.get("PATCHRIG_CACHE")
    return Path(override) if override else Path(platformdirs.user_cache_dir("patchrig"))


_SCRATCH = "patchrig-"


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for the length of a with block: sockets, disks and key files. Its name says whose it is."""
    return tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{os.getpid()}-")


def abandoned_scratch() -> list[Path]:
    """Scratch folders whose process is gone: killed in a way that nobody can clean up after."""
    found = sorted(Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*-*"))
    return [folder for folder in found if (owner := folder.name.split("-")[1]).isdigit() and not _runs(int(owner))]


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, so it is none of ours to judge
        return True
    return True
