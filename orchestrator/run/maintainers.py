# SPDX-License-Identifier: GPL-2.0-or-later
"""The MAINTAINERS file of the source that a series is for."""

from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.host.paths import scratch_folder
from orchestrator.kernel.source.some_files import some_of_tarball
from orchestrator.kernel.source.tarball import cached_tarball
from orchestrator.kernel.source.tree import content_at, kept_tree, tree_text
from orchestrator.run.series_base import ChosenBase

_NAME = "MAINTAINERS"


def maintainers_of(chosen: ChosenBase, tree: Path | None, *, cache: Path, until: Deadline) -> str:
    """The file's text; "" where there is none, or where its source would have to be downloaded first."""
    if tree is not None:
        content = content_at(tree, _NAME)
        return content.data.decode(errors="replace") if content and content.kind != "link" else ""
    tarball = cached_tarball(chosen.source, cache=cache, until=until) if chosen.source else None
    if tarball is None:
        return ""
    if kept := kept_tree(cache, tarball.sha256):
        return tree_text(kept, _NAME) or ""
    with scratch_folder() as scratch:
        found = some_of_tarball(tarball, (_NAME,), Path(scratch), until=until)
        return tree_text(found, _NAME) or ""
