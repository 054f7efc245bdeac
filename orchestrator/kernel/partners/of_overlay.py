# SPDX-License-Identifier: GPL-2.0-or-later
"""The partners of the series that an overlay is aimed at, found in the source that is built."""

from pathlib import PurePosixPath

from orchestrator.host.deadline import Deadline
from orchestrator.kernel.code.whole_diff import SeriesDiffs
from orchestrator.kernel.partners.choose_partners import partners_of
from orchestrator.kernel.source.apply import NotApplied
from orchestrator.kernel.source.overlay import Overlay
from orchestrator.kernel.source.tree import Tree, tree_text


def with_partners(overlay: Overlay | None, tree: Tree, diffs: SeriesDiffs, until: Deadline) -> Overlay | None:
    """The overlay, with the functions that share state with those that the series changes.

    They are looked for in the folders of the files that are instrumented. None are added where the overlay is aimed at
    files or folders, or where the series does not fit, which the caller finds out.
    """
    if overlay is None or overlay.folders or overlay.whole or not overlay.sources:
        return overlay
    diff = diffs.of(overlay.aimed_at, tree, until=until)
    if isinstance(diff, NotApplied):
        return overlay
    folders = sorted({PurePosixPath(source).parent for source in overlay.sources})
    paths = [str(folder / file.name) for folder in folders for file in sorted((tree.src / folder).glob("*.c"))]
    sources = {path: text for path in paths if (text := tree_text(tree, path)) is not None}
    return overlay.with_partners(partners_of(diff, sources))
