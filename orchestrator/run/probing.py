# SPDX-License-Identifier: GPL-2.0-or-later
"""Which probes a kernel gets: for the sites of the workloads, and for the functions that its series changed."""

from collections.abc import Iterable
from pathlib import Path

from orchestrator.host.errors import InfraError
from orchestrator.kernel.code.locate import locate
from orchestrator.kernel.code.whole_diff import SeriesDiffs
from orchestrator.kernel.series.load import Series
from orchestrator.model.configuration import Variant, Workload
from orchestrator.model.images import KernelImage
from orchestrator.model.probes import Located
from orchestrator.model.series_diff import SeriesDiff


def located_in(image: KernelImage, diff: SeriesDiff | None, workloads: Iterable[Workload], *, sandbox: bool) -> Located:
    """What is probed in a kernel; `diff` is what lies in it beside the pristine source, None for a baseline.

    Raises InfraError where its debug information can't be read.
    """
    return locate(image, tuple(workloads), diff.functions if diff else (), sandbox=sandbox)


def diff_in(image: KernelImage, series: Series, diffs: SeriesDiffs, cache: Path) -> SeriesDiff | None:
    """What the series changed in a kernel; None for a baseline, and where the tree has gone that would tell."""
    if image.build.variant is not Variant.PATCHED:
        return None
    try:
        return diffs.of_source(series, cache=cache, source_sha256=image.hashes["source"])
    except InfraError:
        return None
