# SPDX-License-Identifier: GPL-2.0-or-later
"""A few files of a source, for a series to be tried on: nothing is unpacked as a whole, and no tree is written to."""

import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError
from orchestrator.host.process import last_lines, run
from orchestrator.kernel.source.content import is_below
from orchestrator.kernel.source.git import git
from orchestrator.kernel.source.tarball import Tarball, checked
from orchestrator.kernel.source.tree import Tree, content_at, put_content

_NOT_THERE = (": Not found in archive", "Exiting with failure status due to previous errors")


def some_of_tarball(tarball: Tarball, paths: Iterable[str], folder: Path, *, until: Deadline) -> Tree:
    """Unpack these files, and links on their way, into `folder`; what the tarball lacks is left out."""
    checked(tarball)
    paths = [path for path in paths if not is_below(path, tarball.without)]
    tree, log = Tree(folder=folder), folder / "tar.log"
    tree.src.mkdir()
    with tarfile.open(tarball.path, mode="r|*") as archive:
        first = archive.next()
    top = first.name.split("/")[0] if first else ""
    wanted = folder / "wanted"
    wanted.write_bytes(b"".join(f"{top}/{path}\0".encode("utf-8", "surrogateescape") for path in _with_parents(paths)))
    argv = ["tar", "--extract", "--no-same-owner", "--no-recursion", "--strip-components=1"]
    # It ends where it has them all, and does not read the rest.
    argv += ["--occurrence", f"--file={tarball.path}", f"--directory={tree.src}"]
    argv += ["--null", "--verbatim-files-from", f"--files-from={wanted}"]
    done = run(argv, log=log, until=until)
    if done.status != 0 and not all(line.endswith(_NOT_THERE) for line in done.output.splitlines()):
        raise InfraError(f"{tarball.path} can't be read: {last_lines(done.output, 3)}")
    return tree


def some_of_tree(top: Path, revision: str, paths: Iterable[str], folder: Path, *, log: Path, until: Deadline) -> Tree:
    """The files of a developer's tree as they lie there, or as a commit has them; `folder` is an empty one."""
    tree = Tree(folder=folder)
    tree.src.mkdir()
    wanted = _with_parents(paths)
    if not revision:
        # Copies, not a link to the tree: what is done to them must never reach it.
        for path in wanted:
            put_content(tree.src, path, content_at(top, path))
        return tree
    listing = _git(["ls-tree", "-z", revision, "--", *wanted], top, folder, log, until)
    entries = (line.partition("\t") for line in listing.split("\0") if line)
    # "<mode> <type> <object>": folders are made as need be, and git lists their other files too.
    there = [path for kind, _, path in entries if " blob " in kind and path in wanted]
    _git(["read-tree", revision], top, folder, log, until)
    if there:
        _git(["checkout-index", "--force", f"--prefix={tree.src}/", "--", *there], top, folder, log, until)
    return tree


def commit_in(top: Path, name: str, *, log: Path, until: Deadline) -> str:
    """The commit that a name or a hash means in a repository; "" where it has none, or not one alone."""
    argv = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]
    done = git(argv, top, log=log, until=until)
    words = done.output.split()
    return words[-1] if done.status == 0 and words else ""


def _git(arguments: Sequence[str], top: Path, folder: Path, log: Path, until: Deadline) -> str:
    # An index of our own: the user's stays as it is.
    index = {"GIT_INDEX_FILE": str(folder / "index")}
    done = git(arguments, top, log=log, until=until, extra_env=index, writable=(folder,))
    if done.status != 0:
        raise InfraError(f"git can't read {top}: {last_lines(done.output, 3)}")
    return done.output


def _with_parents(paths: Iterable[str]) -> dict[str, None]:
    """The paths and the folders above them, each once: one of these may be a link."""
    found: dict[str, None] = {}
    for path in paths:
        above = [str(parent) for parent in PurePosixPath(path).parents if parent.name]
        found.update(dict.fromkeys((*reversed(above), path)))
    return found
