# SPDX-License-Identifier: GPL-2.0-or-later
"""Removing folders of the cache: gone in one step for everybody else, and whatever a build has left in them."""

import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from orchestrator.host.files import flush

TRASH = ".trash-"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def move_aside(path: Path, trash: Path) -> Path:
    """Take a file or folder away in one durable step, into a fresh folder below `trash`. Raises OSError.

    Whoever looks sees all of it or nothing, also when we are killed before remove_tree() is through with it.
    """
    aside = trash / f"{TRASH}{secrets.token_hex(4)}"
    aside.mkdir(mode=0o700)
    try:
        path.rename(aside / path.name)
    except OSError:
        aside.rmdir()
        raise
    flush(path.parent)
    return aside


def left_trash(*folders: Path) -> Iterator[Path]:
    """What move_aside() took away and nobody has removed."""
    for folder in folders:
        yield from sorted(path for path in folder.glob(f"{TRASH}*") if path.is_dir() and not path.is_symlink())


def remove_tree(folder: Path) -> list[OSError]:
    """Remove a folder and all that is in it; returns what could not be removed, and why.

    A build may leave thousands of nested folders, names of any bytes, folders without any permission. So no path is
    put together, nothing recurses, and at most two folders are open: each folder that is found is moved up into
    `folder` itself, and has its turn there. Symbolic links go, and nothing is touched behind them. `folder` may be a
    link or a file, too.
    """
    try:
        if folder.is_symlink() or not folder.is_dir():
            folder.unlink(missing_ok=True)
            return []
        root = _opened(None, str(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        return [error]
    try:
        troubles = _empty(root)
    finally:
        os.close(root)
    try:
        folder.rmdir()
    except OSError as error:
        _note(error, troubles)
    return troubles


def _empty(root: int) -> list[OSError]:
    troubles: list[OSError] = []
    _open_to_us(root, troubles)
    waiting = _without_files(root, troubles)
    while waiting:
        name = waiting.pop()
        try:
            inner = _opened(root, name)
        except OSError as error:
            _note(error, troubles)
            continue
        try:
            waiting += _moved_up(inner, root, troubles)
        finally:
            os.close(inner)
        try:
            os.rmdir(name, dir_fd=root)
        except OSError as error:
            _note(error, troubles)
    return troubles


def _opened(root: int | None, name: str) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=root)
    except PermissionError:
        _permit(name, root)
        return os.open(name, _FOLDER, dir_fd=root)


def _moved_up(inner: int, root: int, troubles: list[OSError]) -> Iterator[str]:
    _open_to_us(inner, troubles)
    for name in _without_files(inner, troubles):
        fresh = f"{TRASH}{secrets.token_hex(8)}"
        try:
            _rename_up(name, fresh, inner, root)
        except OSError as error:
            _note(error, troubles)
        else:
            yield fresh


def _rename_up(name: str, fresh: str, inner: int, root: int) -> None:
    try:
        os.rename(name, fresh, src_dir_fd=inner, dst_dir_fd=root)
    except PermissionError:
        # A folder that is moved has its ".." changed: it has to be writable itself.
        _permit(name, inner)
        os.rename(name, fresh, src_dir_fd=inner, dst_dir_fd=root)


def _permit(name: str, parent: int | None) -> None:
    """chmod for a folder that can't be opened; never of what a link leads to."""
    handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        Path(f"/proc/self/fd/{handle}").chmod(stat.S_IRWXU)
    finally:
        os.close(handle)


def _without_files(folder: int, troubles: list[OSError]) -> list[str]:
    """Remove all but the folders in an open folder; returns their names."""
    folders = []
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in found:
        if is_folder:
            folders.append(name)
            continue
        try:
            os.unlink(name, dir_fd=folder)
        except OSError as error:
            _note(error, troubles)
    return folders


def _note(error: OSError, troubles: list[OSError]) -> None:
    # What has gone already, another process is removing, too.
    if not isinstance(error, FileNotFoundError):
        troubles.append(error)


def _open_to_us(folder: int, troubles: list[OSError]) -> None:
    if os.fstat(folder).st_mode & stat.S_IRWXU == stat.S_IRWXU:
        return
    try:
        os.fchmod(folder, stat.S_IRWXU)
    except OSError as error:
        _note(error, troubles)
