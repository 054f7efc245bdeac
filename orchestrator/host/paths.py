# SPDX-License-Identifier: GPL-2.0-or-later
"""Where things lie: the project's own folders, and the user cache.

A checkout has configs/, guest-scripts/ and kernels/ beside the package; a wheel has them in it, in data/ (setup.py).
"""

import os
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path

import platformdirs

PACKAGE = Path(__file__).resolve().parents[1]
_DATA = PACKAGE / "data"
INSTALLED = _DATA.is_dir()
PROJECT = _DATA if INSTALLED else PACKAGE.parent
CONFIGS = PROJECT / "configs"
KCONFIG = CONFIGS / "kconfig"
WORKLOADS = CONFIGS / "workloads"
# Matrices, each of which shows one bug of a released kernel.
FOUND = CONFIGS / "found"
GUEST_SCRIPTS = PROJECT / "guest-scripts"
KERNELS = PROJECT / "kernels"
OVERLAYS = KERNELS / "overlays"
# Nobody looks for results among the packages of a Python.
RESULTS = Path("results") if INSTALLED else PROJECT / "results"


def cache_is_named() -> bool:
    """Whether the user named the cache directory, which may then have other things in it."""
    return bool(os.environ.get("PATCHRIG_CACHE"))


def cache_root() -> Path:
    """The user cache directory (PATCHRIG_CACHE overrides it), absolute; safe to delete at any time.

    A relative one counts from where the command was started, whatever folder it works in later.
    """
    override = os.environ.get("PATCHRIG_CACHE")
    return Path(override or platformdirs.user_cache_dir("patchrig")).absolute()


def why_unusable(cache: Path) -> str:
    """Why a cache can't be written, or made where there is none yet; "" when it can."""
    try:
        place = next(path for path in (cache, *cache.parents) if path.exists())
    except OSError as error:
        return f"{cache} can't be reached: {error.strerror}"
    if not place.is_dir():
        return f"{place} is no folder"
    return "" if os.access(place, os.R_OK | os.W_OK | os.X_OK) else f"{place} can't be written"


_SCRATCH = "patchrig-"


def _scratch_root() -> Path:
    """TMPDIR as it is now, where that can be written; else Python's choice, which it makes once for each process."""
    named = Path(os.environ.get("TMPDIR") or tempfile.gettempdir()).absolute()
    return named if os.access(named, os.R_OK | os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for the length of a with block: sockets, disks and key files. Its name says whose it is."""
    return tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{os.getpid()}-", dir=_scratch_root())


# A file system in memory; guests' memory is not to be written to a disk for nothing.
IN_MEMORY = Path("/dev/shm")


def memory_folder(need_bytes: int, *, in_memory: Path = IN_MEMORY) -> tempfile.TemporaryDirectory[str]:
    """A scratch folder in memory; where so much does not fit there (containers are often given little), on the disk.

    A guest whose memory is a file there dies of a full file system at any time, so `need_bytes` is generous.
    """
    fits = os.access(in_memory, os.W_OK) and shutil.disk_usage(in_memory).free >= need_bytes
    return tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{os.getpid()}-", dir=in_memory if fits else _scratch_root())


def abandoned_scratch(*, in_memory: Path = IN_MEMORY, owners: Collection[int] = ()) -> list[Path]:
    """Scratch folders of ours whose process is gone: killed in a way that nobody can clean up after.

    `owners`: the user ids beside our own that such folders may have been handed over to.
    """
    places = dict.fromkeys((_scratch_root(), in_memory))
    found = sorted(folder for place in places for folder in place.glob(f"{_SCRATCH}*-*"))
    ours = [folder for folder in found if folder.is_dir() and folder.lstat().st_uid in (os.geteuid(), *owners)]
    return [folder for folder in ours if (owner := folder.name.split("-")[1]).isdigit() and not _runs(int(owner))]


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, so it is none of ours to judge
        return True
    return True
