# SPDX-License-Identifier: GPL-2.0-or-later
"""Removing the cache. Killed at any point, it leaves a cache that is right or empty, and the rest to the next time."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from orchestrator.host.errors import InfraError
from orchestrator.host.files import trouble_named
from orchestrator.host.lock import IN_USE, locked_at_once, unused
from orchestrator.host.removal import TRASH, left_trash, move_aside, remove_tree
from orchestrator.vm.accelerator import REMEMBERED

CACHES = {
    "images": "built kernels",
    "trees": "private source trees and their build folders",
    "sources": "downloaded tarballs",
    "ccache": "compiler cache",
    "rootfs": "guest root file systems",
    "programs": "compiled guest programs",
    "threads": "series that b4 fetched",
    "reach": "reach maps",
    "mutants": "which mutants do not compile",
    "suites": "compiled test suites",
    "sysroots": "libraries that test suites are linked with",
    "objects": "how many objects a build has",
    "cluster": "files and cells of runs on a cluster, of which this machine is a worker",
    "peers": "what benchmarks/peers.py compares with",
}
# Of this version and of earlier ones, and what a writer leaves that was killed.
_FILES = (f"{REMEMBERED}.*", f".{REMEMBERED}.*")


def remove_caches(cache: Path) -> Iterator[Path]:
    """Remove all that is ours in the cache; yields each folder when it can no longer be seen.

    Nothing else goes: PATCHRIG_CACHE may name a folder with other things in it. Raises InfraError, with all as it was,
    when a run uses the cache; and where something can't be removed.
    """
    if not cache.is_dir():
        return
    with trouble_named(cache), ExitStack() as locks:
        _keep_runs_away(cache, locks)
        for name in CACHES:
            if (cache / name).exists():
                _take_away(cache / name)
                yield cache / name
        for file in (file for pattern in _FILES for file in cache.glob(pattern)):
            file.unlink(missing_ok=True)
    remove_trash(cache)
    with unused(cache) as alone:
        if alone and {path.name for path in cache.iterdir()} == {IN_USE}:
            (cache / IN_USE).unlink()
            with suppress(OSError):
                cache.rmdir()


def remove_trash(cache: Path) -> None:
    """Remove what has been taken away and is still there: this takes long, and nobody has to wait for it.

    Raises InfraError where something can't be removed.
    """
    troubles = [error for folder in trash_of(cache) for error in remove_tree(folder)]
    if troubles:
        raise InfraError(
            f"{len(troubles)} files and folders of the cache can't be removed; the first: {troubles[0]}",
            hint=f"sudo rm -rf {cache}/{TRASH}*",
        )


def trash_of(cache: Path) -> list[Path]:
    """What clean or a run has taken away and not removed yet."""
    return list(left_trash(cache, *(cache / name for name in CACHES)))


def size_of(folder: Path) -> int:
    """Bytes in the files that can be seen: a build may be at work here, and may have nested folders without end."""
    total, waiting = 0, [os.fspath(folder)]
    while waiting:
        # What has just been removed has no size; neither has what lies deeper than a path is long.
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
    return total


def _keep_runs_away(cache: Path, locks: ExitStack) -> None:
    used = InfraError(f"a run is using {cache}: nothing was removed", hint="patchrig clean --all  # when it has ended")
    if not locks.enter_context(unused(cache)):
        raise used
    for lock in sorted([*cache.glob("trees/*.lock"), *cache.glob("trees/*/layers/*.lock")]):
        if not locks.enter_context(locked_at_once(lock)):
            raise used


def _take_away(folder: Path) -> None:
    if folder.is_symlink() or folder.is_mount():
        # Its name is the user's, and on another file system nothing can be moved away from there.
        for entry in sorted(folder.iterdir()):
            if not entry.name.startswith(TRASH):
                move_aside(entry, folder)
    else:
        move_aside(folder, folder.parent)
