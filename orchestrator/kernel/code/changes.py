# SPDX-License-Identifier: GPL-2.0-or-later
"""Which functions a series changed, and the source as it was built: what a crash's frames are compared with."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError
from orchestrator.host.paths import scratch_folder
from orchestrator.kernel.code.c_functions import function_extents
from orchestrator.kernel.series.load import ChangedLines, Series, changed_lines
from orchestrator.kernel.source.apply import apply_series
from orchestrator.kernel.source.cached_files import write_json
from orchestrator.kernel.source.git import git_on_files
from orchestrator.kernel.source.tree import Content, Tree, content_at, kept_tree, put_content

APPLY_SECONDS = 60.0
_FUNCTIONS = "functions.json"
_SOURCE = "source"
_C = (".c", ".h")


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangedFunction:
    """A function with a line that the series added, or took away; lines of the patched file, from 1."""

    file: str
    name: str
    first: int
    last: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """What a series did to the C source."""

    functions: tuple[ChangedFunction, ...]
    texts: Mapping[str, str]  # path -> the patched file, of each C file that the series touches

    def changed(self, file: str, line: int) -> bool:
        """Whether the line of the patched source lies in a function that the series changed."""
        return any(one.file == file and one.first <= line <= one.last for one in self.functions)


def changes_of(series: Series, *, cache: Path, source_sha256: str, until: Deadline) -> Changes:
    """Apply the series to copies of the files that it touches and compare.

    The final files are compared with the pristine ones, not the patches one by one: a later patch moves the lines of
    an earlier one. Raises InfraError when the private tree is gone or the series does not fit.
    """
    tree = kept_tree(cache, source_sha256)
    if tree is None:
        raise InfraError("the private source tree is gone", hint="patchrig run ...  # makes it again")
    with scratch_folder() as scratch:
        before, after = Path(scratch) / "before", Path(scratch) / "after"
        for folder in (before, after):
            folder.mkdir()
            for path in series.touched:
                put_content(folder, str(path), content_at(tree.src, str(path)))
        if problem := apply_series(series, after, log_dir=Path(scratch), until=until):
            raise InfraError(f"the series does not fit the private tree: {problem.title}")
        texts = dict(_texts(after, (str(path) for path in series.touched if path.suffix in _C)))
        functions = tuple(
            function
            for path, text in texts.items()
            for function in _changed_functions(path, text, _diff(Path(scratch), path, until))
        )
    return Changes(functions=functions, texts=texts)


def _texts(folder: Path, paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The files among the paths; a link that a series brings may lead to any file of this host."""
    for path in paths:
        content = content_at(folder, path)
        if content and content.kind != "link":
            yield path, content.data.decode(errors="replace")


def save_changes(changes: Changes, folder: Path) -> None:
    """Keep the changes in a build's folder of the results, for reports of later runs of its cells."""
    write_json(folder / _FUNCTIONS, [asdict(function) for function in changes.functions])
    for path, text in changes.texts.items():
        put_content(folder / _SOURCE, path, Content(kind="file", data=text.encode("utf-8", "surrogateescape")))


def load_changes(folder: Path) -> Changes | None:
    """The changes in a build's folder; None where save_changes() has put none."""
    try:
        rows = json.loads((folder / _FUNCTIONS).read_text())
        functions = tuple(ChangedFunction(**row) for row in rows)
        root = folder / _SOURCE
        files = sorted(path for path in root.rglob("*") if path.is_file())
        texts = {path.relative_to(root).as_posix(): path.read_text(errors="replace") for path in files}
    except (OSError, ValueError, TypeError):
        return None
    return Changes(functions=functions, texts=texts)


def _diff(folder: Path, path: str, until: Deadline) -> ChangedLines:
    argv = ["diff", "--no-index", "--no-ext-diff", "--no-color", "-U0", "--", f"before/{path}", f"after/{path}"]
    if not (folder / "before" / path).exists():
        argv[-2] = "/dev/null"
    # Status 1 says that the files differ.
    done = git_on_files(argv, folder, log=folder / "diff.log", until=until, writable=(folder,))
    return changed_lines(done.output)


def _changed_functions(path: str, text: str, lines: ChangedLines) -> Iterator[ChangedFunction]:
    for extent in function_extents(text):
        touched = any(extent.first <= line <= extent.last for line in lines.added)
        # What was cut out between two functions belonged to neither.
        if touched or any(extent.first <= line < extent.last for line in lines.cuts):
            yield ChangedFunction(file=path, name=extent.name, first=extent.first, last=extent.last)


def tree_text(tree: Tree, path: str) -> str | None:
    """A file of the pristine source, or None where there is none."""
    content = content_at(tree.src, path)
    return content.data.decode(errors="replace") if content and content.kind != "link" else None
