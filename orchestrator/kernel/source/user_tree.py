# SPDX-License-Identifier: GPL-2.0-or-later
"""A developer's own tree as a list of files to copy from; nothing in it is ever changed."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError, UserError
from orchestrator.host.process import Finished, last_lines
from orchestrator.kernel.source.git import git, is_git_checkout
from orchestrator.kernel.source.manifest import contents_of

# What a build inside the tree leaves behind. make O= refuses a source that has the first three, and none is source.
_BUILT_FOLDERS = re.compile(r"^(?:include/(?:config|generated)|arch/[^/]+/include/generated)$")
_BUILT_FILES = re.compile(
    r"(?:^|/)(?:\.config(?:\.old)?|\..*\.(?:cmd|d)|.*\.(?:o|a|ko|mod|order)|vmlinux|System\.map)$"
)
_VERSION = re.compile(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *= *(.*)$", re.MULTILINE)

# More paths than this on one git command line would not fit; then everything is checked out, which is as quick.
_MANY_PATHS = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkout:
    """The files of a developer's tree: each with a stamp that changes when its content does."""

    folder: Path
    revision: str  # "": the files as they lie there; else a commit, whatever is checked out
    stamps: Mapping[str, str]
    sha256: str
    version: str


def read_checkout(
    folder: Path, *, revision: str = "", kept: Path | None = None, log: Path, until: Deadline
) -> Checkout:
    """List the tree; raises UserError when it is no kernel.

    `kept`: a file of the cache that has what was read of the tree before, so that only what has changed is read.
    """
    version = kernel_version(folder)
    if revision:
        version = _version_in(_checked(git(["show", f"{revision}:Makefile"], folder, log=log, until=until))) or version
        stamps = _committed(folder, revision, log, until)
        identity = f"commit {revision}"
    else:
        paths = _tracked(folder, log, until) if is_git_checkout(folder, log=log, until=until) else _walk(folder)
        stamps = contents_of(folder, paths, kept)
        # Not the commit: with another message it is the same kernel.
        identity = "\n".join(f"{path} {stamp}" for path, stamp in sorted(stamps.items()))
    return Checkout(
        folder=folder,
        revision=revision,
        stamps=stamps,
        sha256=hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest(),
        version=version,
    )


def kernel_version(folder: Path) -> str:
    """The version in the tree's Makefile; raises UserError when the folder is no kernel tree."""
    makefile = folder / "Makefile"
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder", hint="--tree DIR  # the top of a Linux source tree")
    version = _version_in(makefile.read_text(errors="replace")) if makefile.is_file() else ""
    missing = [name for name in ("Kconfig", "Kbuild") if not (folder / name).is_file()]
    if not version:
        missing.insert(0, "a Makefile with VERSION and PATCHLEVEL")
    if missing:
        raise UserError(
            f"{folder} is no kernel tree: it lacks {', '.join(missing)}",
            hint="--tree DIR  # the top of a Linux source tree",
        )
    return version


def _version_in(makefile: str) -> str:
    numbers = {m[1]: m[2].strip() for m in _VERSION.finditer(makefile)}
    if "VERSION" not in numbers or "PATCHLEVEL" not in numbers:
        return ""
    dots = ".".join(numbers[name] for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL") if numbers.get(name))
    return dots + numbers.get("EXTRAVERSION", "")


def place_of(checkout: Checkout, paths: Sequence[str], *, staging: Path, log: Path, until: Deadline) -> Path:
    """A folder that holds these files of the checkout: the tree itself, or `staging` filled from a commit."""
    if not checkout.revision:
        return checkout.folder
    # An index of our own, so that the user's stays as it is; objects are only read.
    staging.mkdir(parents=True)
    files = staging / "files"
    index = {"GIT_INDEX_FILE": str(staging / "index")}
    some = ["--", *paths] if len(paths) <= _MANY_PATHS else ["--all"]
    for argv in (["read-tree", checkout.revision], ["checkout-index", "--force", f"--prefix={files}/", *some]):
        _checked(git(argv, checkout.folder, log=log, until=until, extra_env=index, writable=(staging,)))
    return files


def _checked(done: Finished) -> str:
    if done.status != 0:
        raise InfraError(f"{' '.join(done.argv)} ended with status {done.status}:\n{last_lines(done.output)}")
    return done.output


def _tracked(folder: Path, log: Path, until: Deadline) -> list[str]:
    # New files that are not ignored belong to what the developer works on as much as changed ones.
    argv = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    return [path for path in _checked(git(argv, folder, log=log, until=until)).split("\0") if path]


def _committed(folder: Path, revision: str, log: Path, until: Deadline) -> dict[str, str]:
    listing = _checked(git(["ls-tree", "-r", "-z", revision], folder, log=log, until=until))
    entries = (line.partition("\t") for line in listing.split("\0") if line)
    # "<mode> <type> <object>": a submodule has no content of its own here.
    return {path: stamp for stamp, _, path in entries if " blob " in stamp}


def _walk(folder: Path) -> list[str]:
    return [path for path in _walk_below(str(folder), "") if not _BUILT_FILES.search(path)]


def _walk_below(top: str, relative: str) -> Iterator[str]:
    with os.scandir(os.path.join(top, relative)) as entries:  # noqa: PTH118  # 90,000 files: Path objects cost seconds.
        for entry in entries:
            path = f"{relative}/{entry.name}" if relative else entry.name
            if not entry.is_dir(follow_symlinks=False):
                yield path
            elif entry.name != ".git" and not _BUILT_FOLDERS.match(path):
                yield from _walk_below(top, path)
