"""git on the user's tree or a plain folder: none of their hooks and settings, nothing written into their repository."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.deadline import Deadline
from orchestrator.process import Finished, run

# The user named the tree, so its owner may be another one; in return, nothing that its configuration names is run.
_SETTINGS = (
    "-c", "safe.directory=*",
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.fsmonitor=false",
)  # fmt: skip


def git(
    arguments: Sequence[str],
    folder: Path,
    *,
    log: Path,
    until: Deadline,
    extra_env: Mapping[str, str] | None = None,
) -> Finished:
    """Run git in `folder`, whatever its status."""
    argv = ["git", *_SETTINGS, "-C", str(folder), *arguments]
    return run(argv, log=log, until=until, env={**git_env(), **(extra_env or {})})


def git_env() -> dict[str, str]:
    """The environment for git: English, no user settings that change what applies, no lock in the user's index."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.environ.get("HOME", "/"),
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
    }


def plain_folder_env(folder: Path) -> dict[str, str]:
    """What keeps git from taking a repository above the folder for the folder's own.

    Inside a repository, git apply skips files that lie outside of its index, and says nothing.
    """
    return {"GIT_CEILING_DIRECTORIES": str(folder.resolve().parent)}


def is_git_checkout(folder: Path, *, log: Path, until: Deadline) -> bool:
    """Is the folder the top of a work tree? A plain tree inside somebody's repository is not."""
    if not (folder / ".git").exists():
        return False
    done = git(["rev-parse", "--is-inside-work-tree"], folder, log=log, until=until)
    return done.status == 0 and done.output.strip() == "true"
