# SPDX-License-Identifier: GPL-2.0-or-later
"""What a series as a whole does to the source: the tree without it and the tree with it are compared, once."""

import hashlib
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError
from orchestrator.host.paths import scratch_folder
from orchestrator.host.process import last_lines
from orchestrator.kernel.code.c_functions import function_extents
from orchestrator.kernel.series.load import Series, changed_files
from orchestrator.kernel.source.apply import NotApplied, apply_series
from orchestrator.kernel.source.git import git_on_files
from orchestrator.kernel.source.tree import Tree, content_at, kept_tree, pristine_files
from orchestrator.model.series_diff import ChangedFile, ChangedFunction, SeriesDiff

APPLY_SECONDS = 60.0
_DIFF = (
    *("-c", "core.quotePath=false"),
    *("diff", "--no-index", "--no-ext-diff", "--no-textconv", "--no-renames", "--no-color"),
    # In front of our two folders' names: without these unidiff can't split the header of a name with spaces.
    *("--src-prefix=a/", "--dst-prefix=b/"),
)
_AS_CHANGED = 1  # git's status for two folders that differ
_C = (".c", ".h")
# The series, and the series with each of the seeded bugs that are tried at the same time.
_MOST_KEPT = 8


@dataclass(slots=True)
class SeriesDiffs:
    """The diffs of a run's series, each computed once. May be asked by several threads."""

    _known: dict[tuple[str, str], SeriesDiff | NotApplied] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, series: Series, tree: Tree, *, until: Deadline) -> SeriesDiff | NotApplied:
        """The diff of a series on a pristine tree of ours, or why the series does not fit it.

        Trees that have the same files where the series changes something share one.
        """
        with scratch_folder() as scratch:
            folder = Path(scratch)
            before = _pristine(series, tree, folder / "before")
            key = series.sha256, _digest(before)
            with self._lock:
                if key not in self._known:
                    while len(self._known) >= _MOST_KEPT:
                        del self._known[next(iter(self._known))]
                    self._known[key] = _series_diff(series, tree, folder, until)
                return self._known[key]

    def of_source(self, series: Series, *, cache: Path, source_sha256: str) -> SeriesDiff:
        """The diff on the tree that holds a source. Raises InfraError where it has gone or the series does not fit."""
        tree = kept_tree(cache, source_sha256)
        if tree is None:
            raise InfraError("the private source tree is gone", hint="patchrig run ...  # makes it again")
        found = self.of(series, tree, until=Deadline.after(APPLY_SECONDS, "what the series changed"))
        if isinstance(found, NotApplied):
            raise InfraError(f"the series does not fit the private tree: {found.title}")
        return found


def _pristine(series: Series, tree: Tree, folder: Path) -> Path:
    folder.mkdir()
    pristine_files(tree, map(str, series.touched), folder)
    return folder


def _digest(folder: Path) -> str:
    """SHA-256 of all that a folder has."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if content := content_at(folder, str(path.relative_to(folder))):
            name = str(path.relative_to(folder)).encode("utf-8", "surrogateescape")
            digest.update(b"%d %s %s %d\n" % (len(name), name, content.kind.encode(), len(content.data)) + content.data)
    return digest.hexdigest()


def _series_diff(series: Series, tree: Tree, folder: Path, until: Deadline) -> SeriesDiff | NotApplied:
    """Apply the series to copies of the files that it touches, and compare with those in `before`.

    The final files are compared with the pristine ones, not the patches one by one: a later patch moves the lines of
    an earlier one.
    """
    after = _pristine(series, tree, folder / "after")
    if problem := apply_series(series, after, log_dir=folder / "log", until=until):
        return problem
    texts = dict(_texts(after, series.touched))
    files = tuple(_compared(folder, until))
    functions = (one for file in files if file.path in texts for one in _changed_functions(file, texts[file.path]))
    return SeriesDiff(files=files, functions=tuple(functions), texts=texts, digests=series.by_file)


def patched_files(series: Series, tree: Tree, paths: Iterable[str], *, until: Deadline) -> dict[str, bytes]:
    """What a series that fits makes of some files of a pristine tree; what is no file there is left out."""
    paths = list(paths)
    with scratch_folder() as scratch:
        folder = Path(scratch)
        pristine_files(tree, {*map(str, series.touched), *paths}, folder / "after")
        if problem := apply_series(series, folder / "after", log_dir=folder / "log", until=until):
            raise InfraError(f"the series does not fit the private tree: {problem.title}")
        contents = ((path, content_at(folder / "after", path)) for path in paths)
        return {path: content.data for path, content in contents if content and content.kind != "link"}


def _texts(folder: Path, paths: Iterable[PurePosixPath]) -> Iterator[tuple[str, str]]:
    """The C files among the paths; a link that a series brings may lead to any file of this host."""
    for path in paths:
        content = content_at(folder, str(path)) if path.suffix in _C else None
        if content and content.kind != "link":
            yield str(path), content.data.decode(errors="replace")


def _compared(folder: Path, until: Deadline) -> Iterator[ChangedFile]:
    log = folder / "diff.log"
    # --output keeps the text as bytes in a file: what git prints would go through our log's decoding.
    target = folder / "whole.diff"
    argv = [*_DIFF, f"--output={target}", "--", "before", "after"]
    done = git_on_files(argv, folder, log=log, until=until, writable=(folder,))
    if done.status not in (0, _AS_CHANGED):
        raise InfraError(f"git can't compare two folders: {last_lines(done.output, 3)}")
    text = target.read_bytes().decode("utf-8", "replace") if target.exists() else ""
    for file in changed_files(text):
        yield replace(file, path=file.path.split("/", 2)[2])


def _changed_functions(file: ChangedFile, text: str) -> Iterator[ChangedFunction]:
    spans = file.spans("new")
    for extent in function_extents(text):
        if any(extent.first <= first and last <= extent.last for first, last in spans):
            yield ChangedFunction(file=file.path, name=extent.name, first=extent.first, last=extent.last)
