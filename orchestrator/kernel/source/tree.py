# SPDX-License-Identifier: GPL-2.0-or-later
"""Our private source trees: pristine ones, and beside each the layers that series are applied in (layer.py).

A tree folder holds `src/`, the source as it came, which no series ever touches; `listing.json` (what has been copied of
a developer's tree); `source.sha256` (which source that is, written last); `builds/` (a build folder for each flavour
and arch, of trusted builds alone); `layers/` (a folder for each series). A layer's `src/` is made of hard links to the
tree's, but for the files that the series changes, which `applied.json` names; its `builds/` begin as copies.
"""

import json
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError
from orchestrator.host.files import trouble_named, write_cached
from orchestrator.host.lock import locked
from orchestrator.host.process import check
from orchestrator.host.sealed import read_sealed, write_sealed
from orchestrator.kernel.compile.build_mark import boot_id, discard
from orchestrator.kernel.source.manifest import check_manifest, write_manifest
from orchestrator.kernel.source.tarball import Tarball, checked
from orchestrator.kernel.source.user_tree import Checkout, place_of
from orchestrator.model.events import Listener, Notice, Step

# What lies in a tree folder, and how: one of another layout is not used.
_LAYOUT = "2"


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
    def lock(self) -> Path:
        """Beside the folder, which may be removed by who holds it."""
        return self.folder.with_name(f"{self.folder.name}.lock")

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
    def manifest(self) -> Path:
        """What src/ held when it was right."""
        return self.folder / "src.manifest"

    @property
    def journal(self) -> Path:
        """Of a layer: the files that are no hard links to the tree's, and so are compared before each build."""
        return self.folder / "applied.json"


@contextmanager
def pristine_tree(source: PreparedSource, *, cache: Path, on_event: Listener, until: Deadline) -> Iterator[Tree]:
    """The private tree of a source, without any series, ours alone for the length of the block."""
    tree = Tree(folder=cache / "trees" / source.key)

    def on_wait() -> None:
        on_event(Step(text=f"waiting for another build in {tree.folder}"))

    with trouble_named(tree.folder), locked(tree.lock, until, on_wait):
        _fill(tree, source, on_event, until)
        yield tree


def kept_tree(cache: Path, source_sha256: str) -> Tree | None:
    """The pristine tree that holds a source now, for readers without its lock; None when it has gone."""
    for stamp in sorted((cache / "trees").glob("*/source.sha256")):
        if text_of(stamp) == source_sha256:
            return Tree(folder=stamp.parent)
    return None


def pristine_files(tree: Tree, paths: Iterable[str], folder: Path) -> None:
    """Copy files of a pristine tree, and links and files on their way, into a folder."""
    for path in _with_what_is_in_the_way(tree, paths):
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


def tree_text(tree: Tree, path: str) -> str | None:
    """A file of the pristine source, or None where there is none."""
    content = content_at(tree.src, path)
    return content.data.decode(errors="replace") if content and content.kind != "link" else None


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


def remove_at(root: Path, relative: str) -> None:
    """Remove the file or folder at a path below the root, if there is one; nothing that only a link leads to."""
    path = root / relative
    if _behind_link(root, relative):
        return
    if path.is_dir() and not path.is_symlink():
        discard(path)
    else:
        path.unlink(missing_ok=True)


def _behind_link(root: Path, relative: str) -> bool:
    return any((root / parent).is_symlink() for parent in PurePosixPath(relative).parents if parent.name)


def _fill(tree: Tree, source: PreparedSource, on_event: Listener, until: Deadline) -> None:
    layout = tree.folder / "layout"
    whole = text_of(tree.stamp) == source.sha256
    if text_of(layout) != _LAYOUT or (isinstance(source.origin, Tarball) and not whole) or _damaged(tree, on_event):
        # Objects of an earlier copy would look newer than the sources that come now.
        whole = False
        _remove(tree.stamp)
        discard(tree.folder)
        tree.folder.mkdir(parents=True)
        write_cached(layout, _LAYOUT.encode())
    if isinstance(source.origin, Checkout):
        if not whole:
            _remove(tree.stamp)
        _sync(tree, source.origin, on_event, until)
    elif not whole:
        on_event(Step(text=f"unpacking {source.origin.path.name}"))
        _unpack(source.origin, tree, until)
    if not whole:
        write_manifest(tree.src, tree.manifest)
        write_cached(tree.folder / _READ, boot_id().encode())
        write_cached(tree.stamp, source.sha256.encode())


# In a tree folder: the start of this machine after which all of src/ was read and found right.
_READ = "read-after-boot"


def _damaged(tree: Tree, on_event: Listener) -> bool:
    """Whether a whole tree is no longer what it was. All of it is read once after each start of this machine."""
    if not tree.stamp.exists():
        return False
    read = tree.folder / _READ
    wrong = check_manifest(tree.src, tree.manifest, content=text_of(read) != boot_id()) if tree.src.exists() else None
    if wrong == []:
        if text_of(read) != boot_id():
            write_cached(read, boot_id().encode())
        return False
    named = ", ".join(wrong[:3]) if wrong else "its list of files"
    on_event(Notice(text=f"{tree.src} is not what was unpacked there ({named}): it is made again"))
    return True


def _unpack(tarball: Tarball, tree: Tree, until: Deadline) -> None:
    checked(tarball)
    fresh = tree.folder / "src.new"
    discard(fresh)
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
    for path in tarball.without:
        remove_at(fresh, path)
    fresh.rename(tree.src)


def _sync(tree: Tree, checkout: Checkout, on_event: Listener, until: Deadline) -> None:
    copied: dict[str, str] = json.loads(read_sealed(tree.listing) or b"{}")
    changed = [path for path, stamp in checkout.stamps.items() if copied.get(path) != stamp]
    gone = [path for path in copied if path not in checkout.stamps]
    if not changed and not gone and tree.src.exists():
        return
    on_event(Step(text=f"copying {len(changed)} files of {checkout.folder}"))
    staging = tree.folder / "staging"
    discard(staging)
    place = place_of(checkout, changed, staging=staging, log=tree.folder / "git.log", until=until)
    tree.src.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate([*gone, *changed]):
        if number % 1000 == 0:
            until.left()
        put_content(tree.src, path, content_at(place, path) if path in checkout.stamps else None)
    # Only now: a copy that was cut short is looked at again, file by file.
    note(tree.listing, dict(checkout.stamps))
    discard(staging)


def note(path: Path, value: list[str] | dict[str, str]) -> None:
    """Write one of a tree's own files, with a checksum."""
    write_sealed(path, json.dumps(value).encode())


def _with_what_is_in_the_way(tree: Tree, paths: Iterable[str]) -> Iterator[str]:
    # git refuses to write beyond a symbolic link, or below a file, if only it sees them.
    for path in paths:
        for parent in list(reversed(PurePosixPath(path).parents))[1:]:  # below the top itself
            if content_at(tree.src, str(parent)):
                yield str(parent)
                break
        else:
            yield path


def text_of(path: Path) -> str:
    """The text of one of a tree's own small files; "" where there is none."""
    return path.read_text(errors="replace") if path.exists() else ""


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
