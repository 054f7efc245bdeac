# SPDX-License-Identifier: GPL-2.0-or-later
"""A report of trials while it is made, and its files on the disk."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from orchestrator.host.deadline import now
from orchestrator.model.configuration import Matrix
from orchestrator.model.trials_report import TrialsReport
from orchestrator.report.run_files import write_whole
from orchestrator.report.store import Store, open_run_at

T = TypeVar("T", bound=TrialsReport)


class TrialLedger(ABC, Generic[T]):
    """A report while it is made. Threads may record at the same time; what is recorded is on the disk."""

    def __init__(self, report: T) -> None:
        self._report = report
        self._began = now()
        self._lock = threading.Lock()
        self.save()

    @abstractmethod
    def files(self, report: T) -> Mapping[str, str]:
        """The files of the report, by name: their texts."""

    @property
    def folder(self) -> Path:
        return self._report.folder

    def report(self) -> T:
        """What is known so far."""
        with self._lock:
            return self._as_of_now()

    def open_run(self, folder: Path, matrix: Matrix) -> AbstractContextManager[Store]:
        """The cells of one kernel, in its folder: a run as any other, for `patchrig repro`."""
        report = self.report()
        name = str(folder.relative_to(self.folder.parent))
        where, versions = report.matrix_path, report.versions
        return open_run_at(folder, name, argv=report.argv, matrix_path=where, matrix=matrix, versions=versions)

    def save(self, *, interrupted: bool = False) -> T:
        """Write the files as of now."""
        with self._lock:
            self._report = replace(self._report, interrupted=interrupted or self._report.interrupted)
            return self._written()

    def set(self, **fields: Any) -> None:
        """Fields of the report have new values."""
        with self._lock:
            self._report = replace(self._report, **fields)
            self._written()

    def add(self, **values: Any) -> None:
        """Each field, a tuple, has one value more."""
        with self._lock:
            longer: dict[str, Any] = {name: (*getattr(self._report, name), value) for name, value in values.items()}
            self._report = replace(self._report, **longer)
            self._written()

    def _as_of_now(self) -> T:
        return replace(self._report, seconds=round(now() - self._began, 1))

    def _written(self) -> T:
        report = self._as_of_now()
        for name, text in self.files(report).items():
            write_whole(self.folder / name, text)
        return report
