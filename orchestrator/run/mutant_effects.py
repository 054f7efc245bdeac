# SPDX-License-Identifier: GPL-2.0-or-later
"""Mutants that survived because they change nothing: their files are compiled with them and without, and compared."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.kernel.compile.image_cache import objects_of
from orchestrator.kernel.compile.object_build import ObjectCodes, same_code
from orchestrator.kernel.mutants.mutant_patch import bug_name, patch_of_one
from orchestrator.kernel.series.load import BASELINE, Series, load_series
from orchestrator.model.events import Listener, Step
from orchestrator.model.images import KernelImage
from orchestrator.model.mutants import Mutant
from orchestrator.model.mutation import MutantReport, MutantStatus
from orchestrator.run.kernels import Building, Kernels

# A header that many files include would take longer than all guests.
_MOST_OBJECTS = 8
# The build wrote these names, and they become arguments of make.
_OBJECT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]*\.o")
_READING_SECONDS = 1800.0


@dataclass(kw_only=True, slots=True)
class EffectCheck:
    """Compiles what survived, outside of any guard."""

    kernels: Kernels
    image: KernelImage  # of the kernel with all mutants: it tells what is compiled from which file
    texts: Mapping[str, str]  # path -> the patched file
    folder: Path
    listener: Listener
    _without: dict[str, ObjectCodes | None] = field(default_factory=dict)  # file -> its objects without any mutant

    def without_effect(self, survivors: Sequence[MutantReport]) -> Iterator[MutantReport]:
        """Those of them that compile to the same code, as what they are then; all else stays a survivor."""
        for number, report in enumerate(survivors, start=1):
            mutant = report.mutant
            objects = self._objects(mutant.file)
            if objects and (before := self._before(mutant.file, objects)):
                text = f"{number} of {len(survivors)} survivors: does {bug_name(mutant)} change the code at all?"
                self.listener(Step(text=text))
                after = self._compiled(mutant, objects)
                if after is not None and same_code(before, after):
                    why = f"compiles to the same code: {', '.join(objects)}"
                    yield replace(report, status=MutantStatus.NO_EFFECT, title=why, hint="")

    def _objects(self, file: str) -> tuple[str, ...]:
        objects = objects_of(self.image, file)
        usable = len(objects) <= _MOST_OBJECTS and all(_OBJECT.fullmatch(name) for name in objects)
        return objects if usable else ()

    def _before(self, file: str, objects: Sequence[str]) -> ObjectCodes | None:
        if file not in self._without:
            self._without[file] = self._code(f"without-{len(self._without) + 1}", BASELINE, objects)
        return self._without[file]

    def _compiled(self, mutant: Mutant, objects: Sequence[str]) -> ObjectCodes | None:
        folder = self._made(bug_name(mutant))
        patch = folder / "mutant.patch"
        patch.write_bytes(patch_of_one(self.texts, mutant))
        until = Deadline.after(_READING_SECONDS, f"reading {patch}")
        return self._code(folder.name, load_series((patch,), tree=None, log=folder / "git.log", until=until), objects)

    def _code(self, name: str, more: Series, objects: Sequence[str]) -> ObjectCodes | None:
        how = Building(log_dir=self._made(name), listener=self.listener, more=more)
        return self.kernels.objects(self.image.build, how, objects)

    def _made(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder
