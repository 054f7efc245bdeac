# SPDX-License-Identifier: GPL-2.0-or-later
"""Operators that need the source without the series: a change is taken back, a removed guard is there (pure)."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tree_sitter import Node

from orchestrator.kernel.mutants.c_tree import (
    Body,
    called,
    child,
    condition_of,
    is_loop_body,
    is_statement_place,
    nodes_below,
    one_line,
    parsed,
    text_of_node,
)
from orchestrator.kernel.mutants.c_words import is_meaningless
from orchestrator.kernel.mutants.changes import LONGEST_COPY, Change, of_statement
from orchestrator.kernel.mutants.declarations import belongs_to_block
from orchestrator.model.mutants import Edit, Guard, NotMutated
from orchestrator.model.series_diff import ChangedFile, DiffLine

# Blank lines, comments, and what only makes names known.
_SAYS_NOTHING = re.compile(r"\s*(?:$|//|/\*|\*(?:[\s/]|$)|#\s*include\b|(?:struct|union|enum) \w+;\s*$)")
_WORD = re.compile(r"[A-Za-z_]\w*")
_LABEL = re.compile(r"\s*([A-Za-z_]\w*):(?!:)")
_BLOCK = "compound_statement"
_INSIDE = (_BLOCK, "parameter_declaration")
_DECLARES = frozenset(
    {
        *("function_declarator", "init_declarator", "pointer_declarator", "array_declarator", "declaration"),
        *("parameter_declaration", "field_declaration", "preproc_def", "preproc_function_def", "enumerator"),
    }
)
_NAMES = ("identifier", "field_identifier")


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """Lines that changed together, without a line between them that did not."""

    new: tuple[DiffLine, ...]
    old: tuple[DiffLine, ...]
    first: int  # of the patched file's lines; where nothing is new, the line in front of which something was
    last: int

    @property
    def meaningful(self) -> bool:
        return not all(_SAYS_NOTHING.match(line.text) for line in (*self.new, *self.old))


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesNames:
    """The names in the lines of a series."""

    used: Counter[str]  # in new lines, and how often
    redeclared: frozenset[str]  # by lines outside functions that it removed


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sides:
    """The lines of a file without the series, and which of them an unchanged line of the patched file is."""

    old: tuple[str, ...]
    old_number: Mapping[int, int]


def hunks_omitted(
    file: ChangedFile, text: str, bodies: Sequence[Body], names: SeriesNames, left_out: list[NotMutated]
) -> Iterator[tuple[str, Change]]:
    """Each change of a file taken back: by a guard where it is whole statements, else in a build of its own."""
    sides = _sides(file, text)
    runs = [(run, _body_around(run, bodies)) for run in runs_of(file)]
    for run, body in runs:
        if not run.meaningful:
            continue
        others = [other for other, around in runs if around is body and other is not run]
        gone = {name for other in others for name in (*_declared(other.old), *_labels(other.old))}
        change = _guarded(body, run, sides) if body is not None else None
        if len(run.new) >= text.count("\n") and not run.old:
            # Without the file whatever builds or includes it does not compile.
            left_out.append(NotMutated(file=file.path, line=run.first, why="it is the whole file"))
        elif why := _why_not_alone(run, names, gone if body else set(), guarded=change is not None):
            left_out.append(NotMutated(file=file.path, line=run.first, why=why))
        elif not _is_only_messages(run):
            yield body.name if body else "", change or _raw(run, text)


def guards_restored(file: ChangedFile, bodies: Sequence[Body]) -> Iterator[tuple[str, Change]]:
    for run in runs_of(file):
        body = _body_around(run, bodies)
        if body is None or not run.new:
            continue
        conditions = [one_line(one) for one in _removed_guards(run)]
        statement = next((one for one in _covering(body, run) if body.line(one) >= run.first), None)
        if statement is None or statement.type == "if_statement" or not is_statement_place(statement):
            continue
        if belongs_to_block(body, statement):
            continue
        text = one_line(statement)
        for condition in conditions:
            if text and not statement.has_error:
                yield body.name, of_statement(body, statement, f"if ({condition}) {text}")


def runs_of(file: ChangedFile) -> Iterator[Run]:
    for hunk in file.hunks:
        run: list[DiffLine] = []
        at = next((line.new for line in hunk if line.new), 1)
        for line in (*hunk, DiffLine(kind=" ", old=0, new=0, text="")):
            if line.kind != " ":
                run.append(line)
                continue
            if run:
                new = tuple(one for one in run if one.kind == "+")
                first = new[0].new if new else at
                yield Run(
                    new=new,
                    old=tuple(one for one in run if one.kind == "-"),
                    first=first,
                    last=new[-1].new if new else first - 1,
                )
            run, at = [], line.new + 1


def _sides(file: ChangedFile, text: str) -> _Sides:
    lines, old, numbers, at = text.split("\n"), list[str](), dict[int, int](), 1

    def keep(until: int) -> None:
        for number in range(at, until):
            old.append(lines[number - 1])
            numbers[number] = len(old)

    for hunk in file.hunks:
        first = next((line.new for line in hunk if line.new), at)
        keep(first)
        at = max(at, first)
        for line in hunk:
            if line.kind == "-":
                old.append(line.text)
            elif line.kind == "+":
                at = line.new + 1
            else:
                keep(line.new + 1)
                at = line.new + 1
    keep(len(lines) + 1)
    return _Sides(old=tuple(old), old_number=numbers)


def _body_around(run: Run, bodies: Sequence[Body]) -> Body | None:
    """The function whose body has the run between its braces."""
    low, high = (run.first, run.last) if run.new else (run.first - 1, run.first)
    for body in bodies:
        block = _block(body)
        if block is not None and body.line(block) < low and high < body.last_line(block):
            return body
    return None


def _block(body: Body) -> Node | None:
    function = next((one for one in body.root.children if one.type == "function_definition"), None)
    return child(function, "body") if function is not None else None


def _covering(body: Body, run: Run) -> list[Node]:
    """The statements, one behind the other, that have all lines of a run, as few as possible."""
    low, high = (run.first, run.last) if run.new else (run.first - 1, run.first)
    block = _block(body)
    found: list[Node] = []
    while block is not None:
        here = [one for one in block.named_children if one.type != "comment"]
        found = [one for one in here if body.line(one) <= high and body.last_line(one) >= low]
        block = None
        if len(found) == 1:
            blocks = (one for one in nodes_below(found[0]) if one.type == "compound_statement")
            block = next((one for one in blocks if body.line(one) < low and high < body.last_line(one)), None)
    return found


def _guarded(body: Body, run: Run, sides: _Sides) -> Change | None:
    statements = _covering(body, run)
    bad = not statements or not all(is_statement_place(one) and not one.has_error for one in statements)
    if bad or is_loop_body(statements[0]):
        return None
    if any(_has_label(one) or belongs_to_block(body, one) for one in statements):
        return None
    first, last = statements[0], statements[-1]
    above = _unchanged(body, sides, body.line(first) - 1, -1)
    below = _unchanged(body, sides, body.last_line(last) + 1, 1)
    if not above or not below:
        return None
    old = "\n".join(sides.old[sides.old_number[above] : sides.old_number[below] - 1])
    text = _statements(old, body)
    new = " ".join(one_line(one) for one in statements)
    if text is None or len(text) > LONGEST_COPY or not new or " ".join(new.split()) == text:
        return None
    change = of_statement(body, first, text, last=last)
    return Change(line=run.first, before=_shown(run.new), after=_shown(run.old), edits=change.edits)


def _unchanged(body: Body, sides: _Sides, line: int, step: int) -> int:
    """The next unchanged line from this one on, past new comments; 0 where other code comes first."""
    lines = body.source.split(b"\n")
    while 1 <= line <= len(lines) and line not in sides.old_number:
        if not _SAYS_NOTHING.match(lines[line - 1].decode()):
            return 0
        line += step
    return line if line in sides.old_number else 0


def _statements(text: str, body: Body) -> str | None:
    """Statements on one line; None where they are not whole, declare something, or have labels."""
    root = parsed(b"void f(void){\n" + text.encode() + b"\n}")
    function = root.children[0] if root.children else None
    block = child(function, "body") if function is not None else None
    if root.has_error or len(root.children) != 1 or block is None:
        return None
    bound = (one.type == "declaration" or belongs_to_block(body, one) for one in block.named_children)
    if _has_label(block) or any(bound):
        return None
    parts = [one_line(one) for one in block.named_children if one.type != "comment"]
    return " ".join(parts) if all(parts) else None


def _has_label(node: Node) -> bool:
    return any(one.type in ("labeled_statement", "case_statement") for one in nodes_below(node))


def _removed_guards(run: Run) -> Iterator[Node]:
    root = parsed(b"void f(void){\n" + "\n".join(line.text for line in run.old).encode() + b"\n}")
    for node in nodes_below(root):
        condition = condition_of(node) if node.type == "if_statement" else None
        if condition is not None and child(node, "alternative") is None and not root.has_error:
            yield condition
            return


def _why_not_alone(run: Run, names: SeriesNames, gone: set[str], *, guarded: bool) -> str:
    """Why the change can't be taken back while all others stay; "" where it may be."""
    uses = set(_words(run.old))
    if uses & gone or uses & (names.redeclared - set(_declared(run.old))):
        return "taking it back alone does not compile: it needs what other changes removed or declare differently"
    own = Counter(_words(run.new))
    if not guarded and any(names.used[name] > own[name] for name in _declared(run.new)):
        return "taking it back alone does not compile: other changes use what it declares"
    if not guarded and not run.new and (_declared(run.old) or _labels(run.old)):
        return "it only takes a declaration or a label away"
    if not guarded and (_unbalanced(run.new) or _unbalanced(run.old)):
        return "it is not whole statements"
    return ""


def _unbalanced(lines: Sequence[DiffLine]) -> bool:
    text = "".join(line.text for line in lines)
    return any(text.count(one) != text.count(other) for one, other in ("{}", "()"))


def _labels(lines: Sequence[DiffLine]) -> list[str]:
    return [found[1] for line in lines if (found := _LABEL.match(line.text))]


def names_of(files: Sequence[tuple[ChangedFile, Sequence[Body]]]) -> SeriesNames:
    """The names of a series: of each file, with its changed functions."""
    used: Counter[str] = Counter()
    redeclared: set[str] = set()
    for file, bodies in files:
        for run in runs_of(file):
            used.update(_words(run.new))
            if _body_around(run, bodies) is None:
                redeclared.update(_declared(run.old, outside=True))
    return SeriesNames(used=used, redeclared=frozenset(redeclared))


def _words(lines: Sequence[DiffLine]) -> Iterator[str]:
    return (word for line in lines if not _SAYS_NOTHING.match(line.text) for word in _WORD.findall(line.text))


def _declared(lines: Sequence[DiffLine], *, outside: bool = False) -> list[str]:
    """The names that lines declare, as far as lines alone tell; `outside`: no parameters, and none inside functions."""
    root = parsed("\n".join(line.text for line in lines).encode())
    named = (node for node in nodes_below(root, _INSIDE if outside else ()) if node.type in _NAMES)
    return [text_of_node(node) for node in named if _belongs_to_block(node)]


def _belongs_to_block(node: Node) -> bool:
    above = node.parent
    if above is None or above.type not in _DECLARES:
        return False
    return node in (child(above, "declarator"), child(above, "name"))


def _is_only_messages(run: Run) -> bool:
    root = parsed(b"void f(void){\n" + "\n".join(line.text for line in (*run.old, *run.new)).encode() + b"\n}")
    statements = [one for one in nodes_below(root) if one.type.endswith("_statement") and one.type != _BLOCK]
    return bool(statements) and not root.has_error and all(is_meaningless(called(one)) for one in statements)


def _raw(run: Run, text: str) -> Change:
    """The lines as they were: no statement, and so a kernel of its own."""
    lines = text.encode().split(b"\n")
    start = sum(len(line) + 1 for line in lines[: run.first - 1])
    end = start + sum(len(line) + 1 for line in lines[run.first - 1 : run.last])
    old = "".join(f"{line.text}\n" for line in run.old)
    edit = Edit(start=start, end=end, text=old, guard=Guard.OWN_BUILD)
    return Change(line=run.first, before=_shown(run.new), after=_shown(run.old), edits=(edit,))


def _shown(lines: Sequence[DiffLine]) -> str:
    """The first lines that say something, for a table."""
    return " ".join(line.text.strip() for line in lines if not _SAYS_NOTHING.match(line.text))[:200] or "nothing"
