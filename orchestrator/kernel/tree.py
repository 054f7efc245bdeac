"""Our private source trees: pristine ones, and beside each the layers that series are applied in.

A tree folder holds `src/`, the source as it came, which no series ever touches; `listing.json` (what has been copied of
a developer's tree); `source.sha256` (which source that is, written last); `builds/` (a build folder for each flavour
and arch, of trusted builds alone); `layers/` (a folder for each series). A layer's `src/` is made of hard links to the
tree's, but for the files that the series changes, which `applied.json` names; its `builds/` begin as copies.
"""

import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from orchestrator.deadline import Deadline
from orchestrator.errors import InfraError
from orchestrator.events import Listener, Step
from orchestrator.kernel.apply import NotApplied, apply_series
from orchestrator.kernel.checkout import Checkout, place_of
from orchestrator.kernel.files import full_disk_named, write_json, write_whole
from orchestrator.kernel.lock import locked, locked_or_none
from orchestrator.kernel.overlay import Overlay, lay
from orchestrator.kernel.series import Series
from orchestrator.kernel.sources import Tarball
from orchestrator.process import check

# What lies in a tree folder, and how: one of another layout is not used.
_LAYOUT = "2"
# A layer of a small configuration takes about 1 GB for each arch.
LAYERS_KEPT = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedSource:
    """A kernel source that can be patched and built: a verified tarball, or a developer's tree."""

    key: str  # of its folder in cache/trees/; stays the same while a developer's tree changes
    sha256: str  # of the content
    version: str
    origin: Tarball | Checkout


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """What lies at a path, as far as a build can see."""

    kind: str  # "file", "program", "link"
    data: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """The folder of a private tree, or of a layer."""

    folder: Path

    @property
    def src(self) -> Path:
        return self.folder / "src"

    @property
    def builds(self) -> Path:
        return self.folder / "builds"

    @property
    def stamp(self) -> Path:
        """Holds PreparedSource.sha256 of what src/ is, series apart; missing while src/ is being changed."""
        return self.folder / "source.sha256"

    @property
    def listing(self) -> Path:
        """Of a copy of a developer's tree: path -> stamp of the file that was copied."""
        return self.folder / "listing.json"

    @property
    def journal(self) -> Path:
        """Of a layer: the files that are not the pristine ones, or were about to be changed."""
        return self.folder / "applied.json"


@contextmanager
def pristine_tree(source: PreparedSource, *, cache: Path, on_event: Listener, until: Deadline) -> Iterator[Tree]:
    """The private tree of a source, without any series, ours alone for the length of the block."""
    tree = Tree(folder=cache / "trees" / source.key)

    def on_wait() -> None:
        on_event(Step(text=f"waiting for another build in {tree.folder}"))

    with full_disk_named(tree.folder), locked(tree.folder / "lock", until, on_wait):
        _fill(tree, source, on_event, until)
        yield tree


@contextmanager
def layer_of(tree: Tree, name: str, *, on_event: Listener, until: Deadline) -> Iterator[Tree]:
    """A layer on a pristine tree that the caller holds, ours alone for the length of the block.

    Its sources are the tree's as it is now, but for the files that a series changed when the layer was used last.
    """
    layer = Tree(folder=tree.folder / "layers" / name)

    def on_wait() -> None:
        on_event(Step(text=f"waiting for another build of this series in {layer.folder}"))

    with locked(layer.folder.with_name(f"{name}.lock"), until, on_wait):
        if not layer.src.exists():
            _remove_layers(tree, keep=LAYERS_KEPT - 1)
            _clone(tree, layer, until)
        elif _text(layer.stamp) != _text(tree.stamp):
            _follow(tree, layer, until)
        write_whole(layer.stamp, _text(tree.stamp).encode())
        os.utime(layer.folder)  # Layers that were not used for long are removed first.
        yield layer


def layer_name(series: Series, overlay: Overlay | None) -> str:
    """The layer that a kernel is built in; "" for the pristine tree, which has neither series nor overlay on it."""
    if series.patches:
        return f"series-{series.identity[:16]}"
    return f"overlay-{overlay.name}" if overlay else ""


def put_on(
    tree: Tree, layer: Tree, series: Series, overlay: Overlay | None, *, log_dir: Path, until: Deadline
) -> NotApplied | None:
    """Make the layer's source the tree's with exactly this series on it, and the overlay on top of that.

    NotApplied, and the layer is as it was, where the series does not fit. After a crash at any point the next call puts
    things right: the journal is written before a file is touched.
    """
    journal = _journal(layer)
    with TemporaryDirectory(prefix="apply-", dir=layer.folder) as scratch:
        folder = Path(scratch)
        touched = sorted({*map(str, series.touched), *(overlay.touched if overlay else ())})
        pristine_files(tree, touched, folder)
        if problem := apply_series(series, folder, log_dir=log_dir, until=until):
            return problem
        if overlay:
            lay(overlay, folder)
        wanted = {path: content_at(folder, path) for path in touched}
    wanted |= {path: content_at(tree.src, path) for path in journal if path not in wanted}
    write_json(layer.journal, sorted(wanted))
    # What goes, goes first: a file may take the place of a folder, and a folder that of a link.
    for path in sorted(wanted, key=lambda path: (wanted[path] is not None, path)):
        put_content(layer.src, path, wanted[path])
    write_json(layer.journal, touched)
    return None


def renew_times(layer: Tree) -> None:
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
        name = layer_name(series, overlay)
        if not name:
            yield tree
            return
        layer = held.enter_context(layer_of(tree, name, on_event=on_event, until=until))
        on_event(Step(text="applying the series"))
        yield put_on(tree, layer, series, overlay, log_dir=log_dir, until=until) or layer


def kept_tree(cache: Path, source_sha256: str) -> Tree | None:
    """The pristine tree that holds a source now, for readers without its lock; None when it has gone."""
    for stamp in sorted((cache / "trees").glob("*/source.sha256")):
        if _text(stamp) == source_sha256:
            return Tree(folder=stamp.parent)
    return None


def pristine_files(tree: Tree, paths: Iterable[str], folder: Path) -> None:
    """Copy files of a pristine tree, and the symbolic links on their way, into a folder."""
    for path in _with_links(tree, paths):
        put_content(folder, path, content_at(tree.src, path))


def content_at(root: Path, relative: str) -> Content | None:
    """What lies at the path below the root; None for nothing, a folder, and what only a symbolic link leads to."""
    path = root / relative
    if _behind_link(root, relative):
        return None
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISDIR(mode):
        return None
    if stat.S_ISLNK(mode):
        return Content(kind="link", data=str(path.readlink()).encode("utf-8", "surrogateescape"))
    return Content(kind="program" if mode & stat.S_IXUSR else "file", data=path.read_bytes())


def put_content(root: Path, relative: str, content: Content | None) -> bool:
    """Make the path below the root hold the content, and say whether it had to change.

    What is right already keeps its time. What changes gets the present time, even on its way back to pristine:
    with its old time make would keep the object that was compiled from the other content.
    """
    if content_at(root, relative) == content:
        return False
    # A series may bring a link that leads out of the tree; nothing is written through it.
    if _behind_link(root, relative):
        raise InfraError(f"{root / relative} lies behind a symbolic link: not written")
    path = root / relative
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    path.unlink(missing_ok=True)
    if content is None:
        return True
    path.parent.mkdir(parents=True, exist_ok=True)
    if content.kind == "link":
        path.symlink_to(content.data.decode("utf-8", "surrogateescape"))
    else:
        path.write_bytes(content.data)
        path.chmod(0o755 if content.kind == "program" else 0o644)
    return True


def _behind_link(root: Path, relative: str) -> bool:
    return any((root / parent).is_symlink() for parent in PurePosixPath(relative).parents if parent.name)


def _fill(tree: Tree, source: PreparedSource, on_event: Listener, until: Deadline) -> None:
    layout = tree.folder / "layout"
    whole = _text(tree.stamp) == source.sha256 and tree.src.exists()
    if _text(layout) != _LAYOUT or (isinstance(source.origin, Tarball) and not whole):
        # Objects of an earlier copy would look newer than the sources that come now.
        for path in (tree.stamp, *sorted(tree.folder.iterdir())):
            if path.name != "lock":
                _remove(path)
        write_whole(layout, _LAYOUT.encode())
    if not isinstance(source.origin, Checkout):
        if not tree.src.exists():
            on_event(Step(text=f"unpacking {source.origin.path.name}"))
            _unpack(source.origin, tree, until)
    else:
        if not whole:
            _remove(tree.stamp)
        _sync(tree, source.origin, on_event, until)
    if not whole:
        write_whole(tree.stamp, source.sha256.encode())


def _unpack(tarball: Tarball, tree: Tree, until: Deadline) -> None:
    fresh = tree.folder / "src.new"
    _remove(fresh)
    fresh.mkdir(parents=True)
    argv = [
        "tar",
        "--extract",
        "--no-same-owner",
        "--strip-components=1",
        f"--file={tarball.path}",
        f"--directory={fresh}",
    ]
    check(argv, log=tree.folder / "unpack.log", until=until)
    fresh.rename(tree.src)


def _sync(tree: Tree, checkout: Checkout, on_event: Listener, until: Deadline) -> None:
    copied = dict(json.loads(tree.listing.read_text())) if tree.listing.exists() else {}
    changed = [path for path, stamp in checkout.stamps.items() if copied.get(path) != stamp]
    gone = [path for path in copied if path not in checkout.stamps]
    if not changed and not gone and tree.src.exists():
        return
    on_event(Step(text=f"copying {len(changed)} files of {checkout.folder}"))
    staging = tree.folder / "staging"
    _remove(staging)
    place = place_of(checkout, changed, staging=staging, log=tree.folder / "git.log", until=until)
    tree.src.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate([*gone, *changed]):
        if number % 1000 == 0:
            until.left()
        put_content(tree.src, path, content_at(place, path) if path in checkout.stamps else None)
    # Only now: a copy that was cut short is looked at again, file by file.
    write_json(tree.listing, dict(checkout.stamps))
    _remove(staging)


def _clone(tree: Tree, layer: Tree, until: Deadline) -> None:
    """Begin a layer: all files are the tree's own, by hard links, so it takes no space and keeps their times."""
    fresh = layer.folder / "src.new"
    _remove(layer.folder)
    layer.folder.mkdir(parents=True)
    check(["cp", "--archive", "--link", f"{tree.src}/.", str(fresh)], log=layer.folder / "clone.log", until=until)
    write_json(layer.journal, [])
    fresh.rename(layer.src)


def _follow(tree: Tree, layer: Tree, until: Deadline) -> None:
    """Bring a layer up to what the tree has become, the files apart that a series changed in it."""
    _remove(layer.stamp)
    ours, theirs = _stamps(layer.src), _stamps(tree.src)
    changed = {path for path in {*ours, *theirs} if ours.get(path) != theirs.get(path)} - _journal(layer)
    for number, path in enumerate(sorted(changed, key=lambda path: (path in theirs, path))):
        if number % 1000 == 0:
            until.left()
        put_content(layer.src, path, content_at(tree.src, path))


def _stamps(src: Path) -> dict[str, tuple[int, int, int]]:
    """Size, time and mode of each file: hard links have the same, and a copy in their place has, too."""
    found = {}
    for folder, _, names in os.walk(src):
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118  # 90,000 files: Path objects cost seconds.
            known = os.lstat(path)
            found[os.path.relpath(path, src)] = (known.st_size, known.st_mtime_ns, known.st_mode)
    return found


def _remove_layers(tree: Tree, *, keep: int) -> None:
    """Make room for a layer: those that were used longest ago go, but none that another run holds."""
    folders = sorted((tree.folder / "layers").glob("*/"), key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in folders[keep:]:
        with locked_or_none(folder.with_name(f"{folder.name}.lock")) as free:
            if free:
                _remove(folder)


def _journal(layer: Tree) -> set[str]:
    return set(json.loads(layer.journal.read_text())) if layer.journal.exists() else set()


def _with_links(tree: Tree, paths: Iterable[str]) -> Iterator[str]:
    # git refuses to write beyond a symbolic link, if only it sees the link.
    for path in paths:
        for parent in reversed(PurePosixPath(path).parents):
            link = content_at(tree.src, str(parent))
            if link and link.kind == "link":
                yield str(parent)
                break
        else:
            yield path


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
