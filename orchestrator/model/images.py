# SPDX-License-Identifier: GPL-2.0-or-later
"""What a build ends with: a kernel that can be booted, or the reason why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.model.blocks import CoverageMap
from orchestrator.model.cells import Build
from orchestrator.model.outcomes import Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelImage:
    """A kernel that can be booted. The files belong to the cache: copy, don't change."""

    build: Build
    image: Path
    vmlinux: Path
    config: Path
    log: Path
    release: str
    hashes: Mapping[str, str]  # source, series, config, toolchain, image -> SHA-256
    seconds: float  # what the build took; 0 when it came from the cache
    new_warnings: tuple[str, ...] = ()
    coverage: CoverageMap | None = None  # what can be counted, of a kernel that is instrumented
    options: tuple[str, ...] = ()  # those that it has beside its flavour's, as --config takes them


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildFailure:
    """The series or the config is bad: an outcome for every cell of this build, not an exception."""

    build: Build
    outcome: Outcome  # NOT_APPLIED or BUILD_FAILED
    title: str  # one line: patch, file and hunk; or the first compiler error
    detail: str
    log: Path | None


def unusable(build: Build, why: Exception, *, log: Path) -> BuildFailure:
    """The failure of a build whose make ended well, and left something that is not what a kernel's build leaves."""
    title = f"what the build left can't be used: {why}"
    return BuildFailure(
        build=build, outcome=Outcome.BUILD_FAILED, title=title, detail="make ended with status 0", log=log
    )
