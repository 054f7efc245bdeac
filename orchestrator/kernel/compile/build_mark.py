# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a build folder can be built on: what was built in it last, and whether it is still what that build left."""

import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError
from orchestrator.host.files import write_json
from orchestrator.host.process import check
from orchestrator.host.removal import move_aside, remove_tree
from orchestrator.host.sandbox import hand_over
from orchestrator.host.untrusted import files_below
from orchestrator.kernel.source.manifest import check_manifest, write_manifest
from orchestrator.model.events import Listener, Notice

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_BUILDING, _WHOLE = "building", "whole"


@dataclass(frozen=True, slots=True)
class BuildMark:
    """The file beside a build folder that says how its last build went; no build can write it."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.json")

    @property
    def manifest(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.manifest")

    def begin(self, on_event: Listener) -> None:
        """A build begins, in a folder that can be built on, or in an empty one; the build may write there."""
        self.drop_if_wrong(on_event)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.path, {"state": _BUILDING, "boot": boot_id()})
        self.folder.mkdir(exist_ok=True)
        hand_over(self.folder)

    def drop_if_wrong(self, on_event: Listener) -> None:
        """Throw the folder away where it is not what the last build left.

        make goes by times: it would take an object that lost its content with the power for a whole one.
        """
        if self.folder.exists() and (why := self._wrong()):
            on_event(Notice(text=f"{self.folder} can't be built on: {why}; it is made again"))
            discard(self.folder)

    def _wrong(self) -> str:
        said = self._said()
        if said.get("state") == _BUILDING:
            return "" if said.get("boot") == boot_id() else "this machine went down while it was written"
        if said.get("state") != _WHOLE:
            return "nothing says what was built in it"
        changed = check_manifest(self.folder, self.manifest, content=said.get("boot") != boot_id())
        if changed is None:
            return "its list of files is damaged"
        if changed:
            return f"{changed[0]}{f' and {len(changed) - 1} other files' if len(changed) > 1 else ''} changed"
        if said.get("boot") != boot_id():
            write_json(self.path, {**said, "boot": boot_id()})
        return ""

    def end(self, inputs: Mapping[str, str]) -> None:
        """The build is done, and on the disk."""
        write_manifest(self.folder, self.manifest)
        write_json(self.path, {"state": _WHOLE, "boot": boot_id(), "inputs": dict(inputs)})

    def whole(self) -> dict[str, str]:
        """What the folder's objects were built from; nothing where no build in it came to its end."""
        said = self._said()
        whole = said.get("state") == _WHOLE and self.folder.exists()
        return dict(said.get("inputs", {})) if whole else {}

    def _said(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self.path.read_text()))
        except (OSError, ValueError, TypeError):
            return {}


def copy_folder(source: Path, target: Path, *, log: Path, until: Deadline) -> None:
    """Copy a build folder whole, with the times that make goes by; a copy that is cut short is none."""
    fresh = target.with_name(f"{target.name}.new")
    discard(fresh)
    target.parent.mkdir(parents=True, exist_ok=True)
    check(["cp", "--archive", "--reflink=auto", str(source), str(fresh)], log=log, until=until)
    mark = BuildMark(target)
    mark.path.unlink(missing_ok=True)
    fresh.rename(target)
    mark.end({})


def drop_setuid(folder: Path) -> None:
    """Take away the set-user-ID and set-group-ID bits that a build gave its files: they count outside the sandbox.

    Raises BadFile as files_below() does.
    """
    for entry in files_below(folder):
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
            Path(entry.path).chmod(stat.S_IMODE(mode) & 0o777)


def boot_id() -> str:
    """Another one after each start of this machine."""
    return _BOOT_ID.read_text().strip()


def discard(folder: Path) -> None:
    """Remove a folder: in one step for everybody else. Raises InfraError where something of it stays."""
    if not folder.exists():
        return
    if troubles := remove_tree(move_aside(folder, folder.parent)):
        raise InfraError(f"{folder} can't be removed: {troubles[0]}", hint="patchrig clean --all")
