# SPDX-License-Identifier: GPL-2.0-or-later
"""A git range A..B of the user's tree as patches, whatever its settings; nothing is written into the repository."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError, OrchestratorError, UserError
from orchestrator.host.process import Finished, last_lines
from orchestrator.kernel.series.arrange import MOST_PATCHES
from orchestrator.kernel.series.subject import bare_line
from orchestrator.kernel.source.git import git, is_git_checkout

# Each setting of diff.* that changes what is printed has its opposite here.
_DIFF = (
    *("diff-tree", "--no-commit-id", "--root", "-r", "-p", "--binary", "--full-index", "--no-color", "-U3"),
    *("--inter-hunk-context=0", "--no-ext-diff", "--no-textconv", "--no-renames", "--no-relative", "-O/dev/null"),
    *("--src-prefix=a/", "--dst-prefix=b/", "--submodule=short", "--diff-algorithm=myers", "--indent-heuristic"),
    *("--ignore-submodules=none", "--ws-error-highlight=none"),
)
_SETTINGS = ("-c", "diff.suppressBlankEmpty=false", "-c", "core.quotePath=true", "-c", "core.safecrlf=false")
_LOG = (
    *("log", "--reverse", "--topo-order", "--no-merges", "--no-color", "--no-notes", "--no-show-signature"),
    *("--encoding=UTF-8", "--no-patch", "--format=%H%x00%an <%ae>%x00%s%x00"),
)


_APPLY = ("apply", "--cached", "-p1", "--whitespace=nowarn", "--no-ignore-whitespace")


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """One commit as a patch."""

    id: str
    author: str
    subject: str
    diff: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """The commits of a range, first to last, without merges."""

    base: str
    commits: tuple[Commit, ...]


def read_range(text: str, tree: Path | None, *, folder: Path, log: Path, until: Deadline) -> Range:
    """The commits of A..B (or A...B) of `tree`; `folder` is an empty one for git to write in.

    Raises UserError for what is no range, and where the commits one after the other do not make B: the range has
    merges whose own changes would be lost.
    """
    if tree is None or not is_git_checkout(tree, log=log, until=until):
        raise UserError(
            f"{text} is neither a file nor a range of commits: there is no git checkout to look in",
            hint=f"--tree DIR --patch {text}",
        )
    return _Reader(text, tree, folder, log, until).read()


def is_commit(text: str, tree: Path, *, log: Path, until: Deadline) -> bool:
    """Whether a text names one commit of a tree's repository, such as HEAD, topic, v6.19 or COMMIT^!."""
    name = text.removesuffix("^!")
    if not is_git_checkout(tree, log=log, until=until):
        return False
    argv = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return git(argv, tree, log=log, until=until).status == 0


class _Reader:
    def __init__(self, text: str, tree: Path, folder: Path, log: Path, until: Deadline) -> None:
        first, _, last = text.partition("..")
        self.text, self.tree, self.folder, self.log, self.until = text, tree, folder, log, until
        self.first, self.last = first or "HEAD", last.lstrip(".") or "HEAD"
        folder.mkdir(parents=True, exist_ok=True)

    def read(self) -> Range:
        base = self._known("merge-base", self._commit(self.first), self._commit(self.last))
        last = self._commit(self.last)
        listed = self._listed(f"{base}..{last}")
        if not listed:
            raise UserError(f"{self.text} has no commits: {self.last} is {self.first}, or older", hint="git log A..B")
        if len(listed) > MOST_PATCHES:
            raise UserError(f"{self.text} has {len(listed)} commits; at most {MOST_PATCHES} are taken")
        commits = tuple(self._one(number, *fields) for number, fields in enumerate(listed, start=1))
        self._check_sum(base, last, len(commits))
        # An empty commit changes nothing, and git apply refuses a patch without a diff.
        return Range(base=base, commits=tuple(one for one in commits if one.diff))

    def _commit(self, name: str) -> str:
        # What begins with a dash would be an option.
        return self._known("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}")

    def _known(self, *arguments: str) -> str:
        done = self._git(*arguments)
        if done.status != 0 or not done.output.strip():
            raise self._unknown(last_lines(done.output, 3))
        return done.output.split()[-1]

    def _unknown(self, detail: str) -> UserError:
        where = shlex.quote(str(self.tree))
        if self._lines("rev-parse", "--is-shallow-repository") == ["true"]:
            return UserError(
                f"{self.text} is no range of commits in {self.tree}, which is a shallow repository:\n{detail}",
                hint=f"git -C {where} fetch --unshallow --tags",
            )
        names = " ".join(map(shlex.quote, (self.first, self.last)))
        return UserError(
            f"{self.text} is no range of commits in {self.tree}:\n{detail}",
            hint=f"git -C {where} rev-parse {names}  # says which of them it does not know",
        )

    def _listed(self, commits: str) -> list[tuple[str, str, str]]:
        said = self.folder / "said"
        self._must(*_LOG, f"--output={said}", commits)
        fields = said.read_bytes().decode("utf-8", "replace").split("\0")[:-1]
        return [(fields[at].strip(), fields[at + 1], fields[at + 2]) for at in range(0, len(fields) - 2, 3)]

    def _one(self, number: int, commit: str, author: str, subject: str) -> Commit:
        target = self.folder / f"{number:05}.patch"
        self._must(*_SETTINGS, *_DIFF, f"--output={target}", commit)
        return Commit(id=commit, author=bare_line(author), subject=bare_line(subject), diff=target.read_bytes())

    def _check_sum(self, base: str, last: str, count: int) -> None:
        """Compare the tree that the patches make with that of the range's end, in an index of our own."""
        objects = self.folder / "objects"
        objects.mkdir()
        theirs = self._lines("rev-parse", "--path-format=absolute", "--git-path", "objects")[0]
        env = {
            "GIT_INDEX_FILE": str(self.folder / "index"),
            "GIT_OBJECT_DIRECTORY": str(objects),
            # A colon would end the path.
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": json.dumps(theirs) if ":" in theirs else theirs,
        }
        self._must("read-tree", base, env=env)
        paths = [path for n in range(1, count + 1) if (path := self.folder / f"{n:05}.patch").stat().st_size]
        done = self._git(*_APPLY, *map(str, paths), env=env) if paths else None
        made = "" if done and done.status != 0 else self._lines("write-tree", env=env)[0]
        if made != self._lines("rev-parse", f"{last}^{{tree}}")[0]:
            raise self._not_the_sum(base, last, last_lines(done.output, 3) if done else "")

    def _not_the_sum(self, base: str, last: str, detail: str) -> OrchestratorError:
        merges = self._lines("rev-list", "--merges", "--abbrev-commit", f"{base}..{last}")
        if not merges:
            return InfraError(f"the commits of {self.text} do not make {self.last}: {detail}", hint="git --version")
        return UserError(
            f"{self.text} has merges ({', '.join(merges[:5])}), and its commits without them do not make {self.last}",
            hint=f"git diff {base[:12]} {self.last} > all.diff; --patch all.diff  # or rebase, so that there are none",
        )

    def _git(self, *arguments: str, env: dict[str, str] | None = None) -> Finished:
        return git(arguments, self.tree, log=self.log, until=self.until, extra_env=env, writable=(self.folder,))

    def _must(self, *arguments: str, env: dict[str, str] | None = None) -> str:
        done = self._git(*arguments, env=env)
        if done.status != 0:
            where, part = shlex.quote(str(self.tree)), shlex.quote(self.text)
            fetch = f"git -C {where} log -p {part} > /dev/null  # fetches what a partial repository lacks"
            raise UserError(
                f"git can't read {self.text} of {self.tree}:\n{last_lines(done.output, 3)}",
                hint=fetch if "promisor" in done.output else f"git -C {where} fsck",
            )
        return done.output

    def _lines(self, *arguments: str, env: dict[str, str] | None = None) -> Sequence[str]:
        return self._must(*arguments, env=env).splitlines()
