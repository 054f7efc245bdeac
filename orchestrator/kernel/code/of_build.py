# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be counted or recorded in the kernel that a build just made, by the overlay that is in it."""

from dataclasses import dataclass

from orchestrator.host.deadline import Deadline
from orchestrator.kernel.code.coverage_map import CodeRequest, MapRequest, mapped, recorded
from orchestrator.kernel.compile.make import BuildDirs
from orchestrator.kernel.source.overlay import Overlay
from orchestrator.model.blocks import CoverageMap
from orchestrator.model.events import Listener, PhaseBegan, Step
from orchestrator.model.phases import Phase
from orchestrator.model.reach import RecordedCode
from orchestrator.model.series_diff import ChangedFile, Side


@dataclass(frozen=True, kw_only=True, slots=True)
class Instrumented:
    """The code of a kernel that its callback tells of; None for what it does not tell."""

    coverage: CoverageMap | None = None  # of an overlay that is aimed at a series, or at all functions of some files
    recorded: RecordedCode | None = None  # of one that is aimed at whole folders


def instrumented_code(
    dirs: BuildDirs,
    overlay: Overlay | None,
    changed: tuple[ChangedFile, ...],
    side: Side,
    *,
    on_event: Listener,
    until: Deadline,
) -> Instrumented:
    """`changed` and `side` tell the changed lines that the kernel has. Raises BadFile for DWARF that can't be read."""
    if overlay is None:
        return Instrumented()
    on_event(PhaseBegan(what=dirs.build.name, phase=Phase.PACK))
    if overlay.folders:
        on_event(Step(text=f"finding the functions of {' '.join(overlay.folders)} in the kernel's code"))
        return Instrumented(recorded=recorded(CodeRequest(folders=overlay.folders, arch=dirs.arch.name), dirs, until))
    whole = overlay.sources if overlay.whole else ()
    what = f"functions of {len(whole)} files" if whole else "changed lines"
    on_event(Step(text=f"finding the {what} in the kernel's code"))
    request = MapRequest(
        changed=changed,
        side=side,
        instrumented=overlay.sources,
        arch=dirs.arch.name,
        whole=whole,
        partners=overlay.partners,
    )
    return Instrumented(coverage=mapped(request, dirs, until))
