# SPDX-License-Identifier: GPL-2.0-or-later
"""The layers of a private source tree: where a series is applied and built, apart from everything else.

tree.py has what lies where; docs/decisions/0003-sandbox-and-layers.md has the reasons.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestrator.host.deadline import Deadline
from orchestrator.host.files import write_cached
from orchestrator.host.lock import locked, locked_at_once
from orchestrator.host.process import check
from orchestrator.host.sealed import read_sealed
from orchestrator.host.untrusted import files_below
from orchestrator.kernel.compile.build_mark import BuildMark, copy_folder, discard
from orchestrator.kernel.series.load import Series
from orchestrator.kernel.source.apply import NotApplied, apply_series
from orchestrator.kernel.source.host_code import may_run
from orchestrator.kernel.source.manifest import restamp
from orchestrator.kernel.source.overlay import Overlay, lay
from orchestrator.kernel.source.tree import (
    Content,
    PreparedSource,
    Tree,
    content_at,
    note,
    pristine_files,
    pristine_tree,
    put_content,
    text_of,
)
from orchestrator.model.events import Listener, Step

# A layer of a small configuration takes about 1 GB for each arch.
LAYERS_KEPT = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerName:
    """A layer, and those that it may begin as a copy of: of the series that this one begins with, the longest first."""

    name: str
    below: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """A series on a source: what each file that it touches becomes, None for one that goes; overlay included."""

    files: Mapping[str, Content | None]
    may_run: str  # SHA-256 of those files of the series that may run on this host while the kernel is built


def layer_name(series: Series, overlay: Overlay | None, applied: Applied) -> LayerName:
    """The layer that a kernel with a series or an overlay is built in.

    Versions of a series share a layer as long as they run the same code on this host: what a version leaves behind
    there, none of the others could not have left. So it helps nobody to send a series under another's name.
    """
    if not series.patches:
        return LayerName(name=f"overlay-{overlay.name}" if overlay else "")
    names = (_of_series(identity, applied) for identity in (series.identity, *series.identities_below))
    name, *below = names
    return LayerName(name=name, below=tuple(below))


def _of_series(identity: str, applied: Applied) -> str:
    return f"series-{hashlib.sha256(f'{identity} {applied.may_run}'.encode()).hexdigest()[:16]}"


def applied_to(
    tree: Tree, series: Series, overlay: Overlay | None, *, log_dir: Path, until: Deadline
) -> Applied | NotApplied:
    """Apply a series to copies of the tree's files, and lay the overlay on top of that."""
    touched = sorted(map(str, series.touched))
    with TemporaryDirectory(prefix="apply-", dir=tree.folder) as scratch:
        folder = Path(scratch)
        pristine_files(tree, {*touched, *(overlay.touched if overlay else ())}, folder)
        if problem := apply_series(series, folder, log_dir=log_dir, until=until):
            return problem
        digest = hashlib.sha256()
        for path in filter(may_run, touched):
            digest.update(repr((path, content_at(folder, path))).encode("utf-8", "surrogateescape"))
        if overlay:
            lay(overlay, folder)
        files = {path: content_at(folder, path) for path in (*touched, *(overlay.touched if overlay else ()))}
    return Applied(files=files, may_run=digest.hexdigest())


@contextmanager
def layer_of(tree: Tree, name: LayerName, build: str, *, on_event: Listener, until: Deadline) -> Iterator[Tree]:
    """A layer on a pristine tree that the caller holds, ours alone for the length of the block.

    Its sources are the tree's as it is now, but for the files that a series changed when the layer was used last. A new
    one begins as a copy of a layer below it, with the folder of `build` there; such a layer has nothing in it but what
    this series, which begins with that one, has too.
    """
    layer = Tree(folder=tree.folder / "layers" / name.name)

    def on_wait() -> None:
        on_event(Step(text=f"waiting for another build of this series in {layer.folder}"))

    with locked(layer.lock, until, on_wait):
        if not layer.src.exists() or read_sealed(layer.journal) is None:
            _remove_layers(tree, keep=LAYERS_KEPT - 1)
            _begin(tree, layer, name.below, build, until)
        if text_of(layer.stamp) != text_of(tree.stamp):
            _follow(tree, layer, until)
        write_cached(layer.stamp, text_of(tree.stamp).encode())
        os.utime(layer.folder)  # Layers that were not used for long are removed first.
        yield layer


def put_on(tree: Tree, layer: Tree, applied: Applied) -> None:
    """Make the layer's source the tree's with exactly this series on it.

    After a crash at any point the next call puts things right: the journal is written before a file is touched.
    """
    wanted = {path: content_at(tree.src, path) for path in _journal(layer)} | dict(applied.files)
    note(layer.journal, sorted(wanted))
    # What goes, goes first: a file may take the place of a folder, and a folder that of a link.
    for path in sorted(wanted, key=lambda path: (wanted[path] is not None, path)):
        put_content(layer.src, path, wanted[path])


def refresh_times(layer: Tree) -> None:
    """Give the files of a layer that are not the pristine ones the present time."""
    for path in _journal(layer):
        if content_at(layer.src, path):
            os.utime(layer.src / path, follow_symlinks=False)


@contextmanager
def patched(  # noqa: PLR0913  # what lies in the tree, and where that is done
    source: PreparedSource,
    series: Series,
    *,
    cache: Path,
    log_dir: Path,
    on_event: Listener,
    until: Deadline,
    overlay: Overlay | None = None,
) -> Iterator[Tree | NotApplied]:
    """Yield the tree or layer with exactly this series and overlay on it, ours for the length of the block.

    Yields NotApplied when the series does not fit.
    """
    with ExitStack() as held:
        tree = held.enter_context(pristine_tree(source, cache=cache, on_event=on_event, until=until))
        if not series.patches and overlay is None:
            yield tree
            return
        on_event(Step(text="applying the series"))
        applied = applied_to(tree, series, overlay, log_dir=log_dir, until=until)
        if isinstance(applied, NotApplied):
            yield applied
            return
        name = layer_name(series, overlay, applied)
        layer = held.enter_context(layer_of(tree, name, "", on_event=on_event, until=until))
        put_on(tree, layer, applied)
        yield layer


def _begin(tree: Tree, layer: Tree, below: tuple[str, ...], build: str, until: Deadline) -> None:
    for name in below:
        lower = Tree(folder=tree.folder / "layers" / name)
        if not lower.stamp.exists():
            continue
        with locked_at_once(lower.lock) as free:
            # What another run is changing may be anything.
            if free and lower.stamp.exists() and text_of(lower.stamp) == text_of(tree.stamp):
                _clone(tree, lower, layer, until)
                objects = BuildMark(lower.builds / build)
                if objects.whole():
                    copy_folder(objects.folder, layer.builds / build, log=layer.folder / "copy.log", until=until)
                return
    _clone(tree, tree, layer, until)


def _clone(tree: Tree, source: Tree, layer: Tree, until: Deadline) -> None:
    """Begin a layer: all files are those of its source, by hard links: that takes no space and keeps their times."""
    fresh = layer.folder / "src.new"
    discard(layer.folder)
    layer.folder.mkdir(parents=True)
    check(["cp", "--archive", "--link", f"{source.src}/.", str(fresh)], log=layer.folder / "copy.log", until=until)
    restamp(tree.src, tree.manifest)
    note(layer.journal, sorted(_journal(source)))
    fresh.rename(layer.src)


def _follow(tree: Tree, layer: Tree, until: Deadline) -> None:
    """Bring a layer up to what the tree has become. What changes gets the present time: objects may be younger."""
    layer.stamp.unlink(missing_ok=True)
    ours, theirs = _stamps(layer.src), _stamps(tree.src)
    changed = {path for path in {*ours, *theirs} if ours.get(path) != theirs.get(path)} - _journal(layer)
    note(layer.journal, sorted({*_journal(layer), *changed}))
    for number, path in enumerate(sorted(changed, key=lambda path: (path in theirs, path))):
        if number % 1000 == 0:
            until.left()
        put_content(layer.src, path, content_at(tree.src, path))


def _stamps(src: Path) -> dict[str, tuple[int, int, int]]:
    """Size, time and mode of each file: hard links have the same, and a copy in their place has, too."""
    found = {}
    top = len(os.fspath(src)) + 1
    for entry in files_below(src):
        known = entry.stat(follow_symlinks=False)
        found[entry.path[top:]] = (known.st_size, known.st_mtime_ns, known.st_mode)
    return found


def _remove_layers(tree: Tree, *, keep: int) -> None:
    """Make room for a layer: those that were used longest ago go, but none that another run holds."""
    folders = sorted((tree.folder / "layers").glob("*/"), key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in folders[keep:]:
        with locked_at_once(Tree(folder=folder).lock) as free:
            if free:
                discard(folder)
                restamp(tree.src, tree.manifest)


def _journal(layer: Tree) -> set[str]:
    return set(json.loads(read_sealed(layer.journal) or b"[]"))
