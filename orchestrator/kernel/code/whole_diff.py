# SPDX-License-Identifier: GPL-2.0-or-later
"""What a series as a whole does to the source: the diff between the tree without it and with it, as values."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError
from orchestrator.host.process import last_lines
from orchestrator.kernel.series.load import Series, diff_lines
from orchestrator.kernel.source.apply import apply_series
from orchestrator.kernel.source.git import git_on_files
from orchestrator.kernel.source.tree import Tree, pristine_files
from orchestrator.model.blocks import ChangedFile

_DIFF = (
    *("diff", "--no-index", "--no-ext-diff", "--no-textconv", "--no-renames", "--no-color"),
    *("--src-prefix=", "--dst-prefix="),
)
_AS_CHANGED = 1  # git's status for two folders that differ


def whole_diff(series: Series, tree: Tree, *, until: Deadline) -> tuple[ChangedFile, ...]:
    """The changes of all patches together, whichever variant lies in the tree; none where the series does not apply.

    Later patches move the lines of earlier ones, so that no patch alone tells where its lines end up. The tree is ours.
    """
    with TemporaryDirectory(prefix="changes-", dir=tree.folder) as scratch:
        folder = Path(scratch)
        for side in ("before", "after"):
            (folder / side).mkdir()
            pristine_files(tree, [str(path) for path in series.touched], folder / side)
        if apply_series(series, folder / "after", log_dir=folder / "log", until=until):
            return ()
        return tuple(_compared(folder, until))


def _compared(folder: Path, until: Deadline) -> Iterator[ChangedFile]:
    log = folder / "diff.log"
    # --output keeps the text as bytes in a file: what git prints would go through our log's decoding.
    target = folder / "whole.diff"
    argv = [*_DIFF, f"--output={target}", "--", "before", "after"]
    done = git_on_files(argv, folder, log=log, until=until, writable=(folder,))
    if done.status not in (0, _AS_CHANGED):
        raise InfraError(f"git can't compare two folders: {last_lines(done.output, 3)}")
    text = target.read_bytes().decode("utf-8", "replace") if target.exists() else ""
    for path, hunks in diff_lines(text):
        yield ChangedFile(path=path.partition("/")[2], hunks=hunks)
