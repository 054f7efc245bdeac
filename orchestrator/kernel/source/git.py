# SPDX-License-Identifier: GPL-2.0-or-later
"""git on the user's tree or on a stranger's files: in the sandbox, with nobody's hooks and settings."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.host.process import Finished, run
from orchestrator.host.sandbox import Limits, Sandbox, confined_argv, hand_over_all, sandbox_works

# The user named the tree, so its owner may be another one; in return, nothing that its configuration names is run.
_SETTINGS = (
    "-c", "safe.directory=*",
    # A series may bring files that make a folder look like a repository without a work tree.
    "-c", "safe.bareRepository=explicit",
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.fsmonitor=false",
    "-c", "core.attributesFile=/dev/null",
    "-c", "core.autocrlf=false",
    "-c", "protocol.allow=never",
)  # fmt: skip
_ENV = {
    "LC_ALL": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}
# No repository: what lies in a folder of files does not become one, whatever its names.
_NO_REPOSITORY = {"GIT_DIR": "/nonexistent"}
# A binary patch of a few kB may unpack to many GB.
_LIMITS = Limits(processes=64, process_bytes=4 << 30, file_bytes=2 << 30)


def git(  # noqa: PLR0913  # what it is told, and what it may see
    arguments: Sequence[str],
    folder: Path,
    *,
    log: Path,
    until: Deadline,
    extra_env: Mapping[str, str] | None = None,
    readable: Sequence[Path] = (),
    writable: Sequence[Path] = (),
) -> Finished:
    """Run git in a repository's `folder`, whatever its status. It reads that and `readable`, and writes `writable`."""
    return _run(arguments, folder, {**_ENV, **(extra_env or {})}, log, until, (_repository(folder), readable, writable))


def git_on_files(
    arguments: Sequence[str],
    folder: Path,
    *,
    log: Path,
    until: Deadline,
    readable: Sequence[Path] = (),
    writable: Sequence[Path] = (),
) -> Finished:
    """Run git in a folder of files that is no repository, whatever is in it; otherwise like git()."""
    return _run(arguments, folder, {**_ENV, **_NO_REPOSITORY}, log, until, ((folder,), readable, writable))


_Seen = tuple[Sequence[Path], Sequence[Path], Sequence[Path]]


def _run(
    arguments: Sequence[str], folder: Path, env: Mapping[str, str], log: Path, until: Deadline, seen: _Seen
) -> Finished:
    own, readable, writable = seen
    place = folder.resolve()
    argv = ["git", *_SETTINGS, "-C", str(place), *arguments]
    outputs = tuple(path.resolve() for path in writable)
    for output in outputs:
        hand_over_all(output)
    inputs = tuple(path.resolve() for path in (*own, *readable) if path.resolve() not in outputs)
    inside = Sandbox(readable=inputs, writable=outputs, env=env, limits=_LIMITS)
    # Without a sandbox there is no build of a stranger's series either, unless the user asks for it: --no-sandbox.
    return run(confined_argv(argv, inside, sandbox=sandbox_works()), log=log, until=until)


def _repository(folder: Path) -> tuple[Path, ...]:
    """The folders that a work tree's repository lies in: its own, and those that it borrows objects from."""
    return tuple(dict.fromkeys((folder, *_borrowed(_git_folder(folder)))))


def _git_folder(folder: Path) -> Path:
    link = folder / ".git"
    if not link.is_file():
        return link
    # A linked work tree: "gitdir: /path/to/main/.git/worktrees/name".
    return folder / link.read_text(errors="replace").partition("gitdir:")[2].strip()


def _borrowed(repository: Path, depth: int = 5) -> Iterator[Path]:
    yield repository
    common = repository / "commondir"
    if common.is_file():
        repository = repository / common.read_text(errors="replace").strip()
        yield repository
    alternates = repository / "objects" / "info" / "alternates"
    if depth and alternates.is_file():
        for line in alternates.read_text(errors="replace").splitlines():
            if (objects := repository / "objects" / line).is_dir():
                yield from _borrowed(objects.parent, depth - 1)


def is_git_checkout(folder: Path, *, log: Path, until: Deadline) -> bool:
    """Is the folder the top of a work tree? A plain tree inside somebody's repository is not."""
    if not (folder / ".git").exists():
        return False
    done = git(["rev-parse", "--is-inside-work-tree"], folder, log=log, until=until)
    return done.status == 0 and done.output.strip() == "true"
