# SPDX-License-Identifier: GPL-2.0-or-later
"""What all commands that try kernels which are broken on purpose know of their run. Nothing here does anything."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialsReport(ABC):
    """What `patchrig sensitivity` and `patchrig mutate` both keep."""

    id: str
    folder: Path
    argv: tuple[str, ...]
    matrix_path: str
    started: str  # ISO 8601, UTC
    versions: Mapping[str, str]
    seconds: float = 0.0
    interrupted: bool = False

    @property
    @abstractmethod
    def tried(self) -> bool:
        """Whether anything is known of a kernel that was broken."""
