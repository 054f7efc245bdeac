"""Whether a build folder can be built on: what was built in it last, and whether this machine crashed meanwhile."""

import ctypes
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.deadline import Deadline
from orchestrator.errors import InfraError
from orchestrator.kernel.files import write_json
from orchestrator.kernel.trash import remove
from orchestrator.process import check

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class BuildMark:
    """The file beside a build folder that says how its last build went; no build can write it."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.json")

    def begin(self) -> None:
        """A build begins. A folder is thrown away where the machine went down in the middle of the one before.

        make goes by times, and would take an object that lost its content with the power for a whole one.
        """
        self.drop_if_torn()
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.path, {"state": "building", "boot": _boot_id()})

    def drop_if_torn(self) -> None:
        said = self._said()
        torn = said.get("state") == "building" and said.get("boot") != _boot_id()
        if self.folder.exists() and (torn or not said):
            remove(self.folder)

    def end(self, inputs: Mapping[str, str]) -> None:
        """The build is done, and on the disk."""
        sync(self.folder)
        write_json(self.path, {"state": "whole", "inputs": dict(inputs)})

    def whole(self) -> dict[str, str]:
        """What the folder's objects were built from; nothing where no build in it came to its end."""
        said = self._said()
        whole = said.get("state") == "whole" and self.folder.exists()
        return dict(said.get("inputs", {})) if whole else {}

    def _said(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self.path.read_text()))
        except (OSError, ValueError):
            return {}


def copy_folder(source: Path, target: Path, *, log: Path, until: Deadline) -> None:
    """Copy a build folder whole, with the times that make goes by; a copy that is cut short is none."""
    fresh = target.with_name(f"{target.name}.new")
    remove(fresh)
    target.parent.mkdir(parents=True, exist_ok=True)
    check(["cp", "--archive", "--reflink=auto", str(source), str(fresh)], log=log, until=until)
    mark = BuildMark(target)
    mark.path.unlink(missing_ok=True)
    fresh.rename(target)
    mark.end({})


def sync(folder: Path) -> None:
    """Bring everything that was written to the folder's file system to the disk. Source: syncfs(2)."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(handle) != 0:
            raise InfraError(f"{folder} can't be brought to the disk: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(handle)


def _boot_id() -> str:
    return _BOOT_ID.read_text().strip()
