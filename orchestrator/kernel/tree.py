"""Our private source trees: one per source, patched and restored in place, so that a rebuild compiles what differs.

A tree folder holds `src/`, `build/` (an output folder for each flavour and arch), `applied.json` (the files of `src/`
that are not pristine now), `pristine/` (what they were), `listing.json` (what has been copied of a developer's tree),
`source.sha256` (which source that is).
"""

import json
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from orchestrator.deadline import Deadline
from orchestrator.errors import InfraError
from orchestrator.events import Listener, Step
from orchestrator.kernel.apply import NotApplied, apply_series
from orchestrator.kernel.checkout import Checkout, place_of
from orchestrator.kernel.files import full_disk_named, write_json
from orchestrator.kernel.lock import locked
from orchestrator.kernel.overlay import Overlay, lay
from orchestrator.kernel.series import Series
from orchestrator.kernel.sources import Tarball
from orchestrator.process import check


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
    """A private tree's folder."""

    folder: Path

    @property
    def src(self) -> Path:
        return self.folder / "src"

    @property
    def pristine(self) -> Path:
        return self.folder / "pristine"

    @property
    def journal(self) -> Path:
        return self.folder / "applied.json"

    @property
    def listing(self) -> Path:
        return self.folder / "listing.json"

    @property
    def stamp(self) -> Path:
        """Holds PreparedSource.sha256 of what src/ is, series apart."""
        return self.folder / "source.sha256"


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
    """Yield the private tree with exactly this series on it, ours alone for the length of the block.

    An overlay is laid on top of the series.

    Yields NotApplied, and leaves the tree as it was, when the series does not fit. After a crash at any
    point the next call puts things right: the journal is written before a file is touched.
    """
    tree = Tree(folder=cache / "trees" / source.key)

    def on_wait() -> None:
        on_event(Step(text=f"waiting for another build in {tree.folder}"))

    with full_disk_named(tree.folder), locked(tree.folder / "lock", until, on_wait):
        if source.sha256 != _text(tree.stamp):
            _remove(tree.stamp)
        _fill(tree, source, on_event, until)
        tree.stamp.write_text(source.sha256)
        if series.patches:
            on_event(Step(text="applying the series"))
        problem = _switch(tree, series, overlay, log_dir, until)
        yield problem or tree


def kept_tree(cache: Path, source_sha256: str) -> Tree | None:
    """The private tree that holds a source now, with whatever series on it; None when it has gone or is another by now.

    For readers that do not lock it.
    """
    for folder in sorted((cache / "trees").glob("*/src")):
        tree = Tree(folder=folder.parent)
        # A tarball's tree has its hash in its name, and had so before there were stamps.
        if _text(tree.stamp) == source_sha256 or tree.folder.name.endswith(f"-{source_sha256[:12]}"):
            return tree
    return None


def pristine_content(tree: Tree, path: str) -> Content | None:
    """What the source has at the path without any series, even while another process is changing series."""
    while True:
        journal = _load(tree.journal)
        content = _pristine(tree, journal, path)
        # A file is kept aside before the journal names it and changed after that; on the way back it is the reverse.
        if (path in _load(tree.journal)) == (path in journal):
            return content


def pristine_files(tree: Tree, paths: Iterable[str], folder: Path) -> None:
    """Copy files of the tree as they are without any series, and the symbolic links on their way, into a folder."""
    journal = _load(tree.journal)
    for path in _with_links(tree, journal, paths):
        put_content(folder, path, _pristine(tree, journal, path))


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
    if not tree.src.exists():
        # Objects of an earlier copy would look newer than the sources that come now.
        for name in ("build", "pristine", "applied.json", "listing.json"):
            _remove(tree.folder / name)
    if isinstance(source.origin, Checkout):
        _sync(tree, source.origin, on_event, until)
    elif not tree.src.exists():
        on_event(Step(text=f"unpacking {source.origin.path.name}"))
        _unpack(source.origin, tree, until)


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
    copied = _load(tree.listing)
    changed = [path for path, stamp in checkout.stamps.items() if copied.get(path) != stamp]
    gone = [path for path in copied if path not in checkout.stamps]
    if not changed and not gone and tree.src.exists():
        return
    on_event(Step(text=f"copying {len(changed)} files of {checkout.folder}"))
    staging = tree.folder / "staging"
    _remove(staging)
    place = place_of(checkout, changed, staging=staging, log=tree.folder / "git.log", until=until)
    tree.src.mkdir(parents=True, exist_ok=True)
    journal = _load(tree.journal)
    for number, path in enumerate([*changed, *gone]):
        if number % 1000 == 0:
            until.left()
        _adopt(tree, path, content_at(place, path) if path in checkout.stamps else None, journal)
    # Only now: a copy that was cut short is looked at again, file by file.
    write_json(tree.listing, dict(checkout.stamps))
    _remove(staging)


def _adopt(tree: Tree, path: str, content: Content | None, journal: dict[str, str]) -> None:
    if path not in journal:
        put_content(tree.src, path, content)
        return
    # A series lies on this file: what the developer changed is what is below the series.
    put_content(tree.pristine, path, content)
    known = "changed" if content else "added"
    if journal[path] != known:
        journal[path] = known
        write_json(tree.journal, journal)


def _switch(tree: Tree, series: Series, overlay: Overlay | None, log_dir: Path, until: Deadline) -> NotApplied | None:
    journal = _load(tree.journal)
    added = overlay.touched if overlay else ()
    touched = sorted({*(str(path) for path in series.touched), *added})
    with TemporaryDirectory(prefix="apply-", dir=tree.folder) as scratch:
        pristine_files(tree, touched, Path(scratch))
        problem = apply_series(series, Path(scratch), log_dir=log_dir, until=until)
        if problem:
            return problem
        if overlay:
            lay(overlay, Path(scratch))
        wanted = {path: content_at(Path(scratch), path) for path in touched}
    wanted |= {path: _pristine(tree, journal, path) for path in journal if path not in wanted}
    _record(tree, wanted, journal)
    # What goes, goes first: a file may take the place of a folder, and a folder that of a link.
    for path in sorted(wanted, key=lambda path: (wanted[path] is not None, path)):
        put_content(tree.src, path, wanted[path])
    _forget(tree, touched, journal)
    return None


def _pristine(tree: Tree, journal: Mapping[str, str], path: str) -> Content | None:
    return content_at(tree.pristine if path in journal else tree.src, path)


def _with_links(tree: Tree, journal: Mapping[str, str], paths: Iterable[str]) -> Iterator[str]:
    # git refuses to write beyond a symbolic link, if only it sees the link.
    for path in paths:
        for parent in reversed(PurePosixPath(path).parents):
            link = _pristine(tree, journal, str(parent))
            if link and link.kind == "link":
                yield str(parent)
                break
        else:
            yield path


def _record(tree: Tree, wanted: Iterable[str], journal: dict[str, str]) -> None:
    for path in wanted:
        if path not in journal:
            content = content_at(tree.src, path)
            put_content(tree.pristine, path, content)
            journal[path] = "changed" if content else "added"
    write_json(tree.journal, journal)


def _forget(tree: Tree, touched: Iterable[str], journal: Mapping[str, str]) -> None:
    kept = {path: journal[path] for path in touched}
    write_json(tree.journal, kept)
    for path in journal:
        if path not in kept:
            (tree.pristine / path).unlink(missing_ok=True)


def _load(path: Path) -> dict[str, str]:
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
