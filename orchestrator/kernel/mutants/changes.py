# SPDX-License-Identifier: GPL-2.0-or-later
"""What an operator proposes: edits of nodes, with the text before and after for a reader (pure)."""

from dataclasses import dataclass

from tree_sitter import Node

from orchestrator.kernel.mutants.c_tree import Body, nodes_below, one_line, text_of_node
from orchestrator.model.mutants import Edit, Guard

# Copies of more would hide in the page what the mutant does.
LONGEST_COPY = 2000


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A mutant without its number."""

    line: int
    before: str
    after: str
    edits: tuple[Edit, ...]


def of_condition(body: Body, node: Node, text: str) -> Change:
    """Another condition in the place of this one: only whether it holds is looked at."""
    return _of_expression(body, node, text, Guard.CONDITION)


def of_expression(body: Body, node: Node, text: str) -> Change:
    """Another value of the same type in the place of this one."""
    return _of_expression(body, node, text, Guard.EXPRESSION)


def _of_expression(body: Body, node: Node, text: str, guard: Guard) -> Change:
    edit = Edit(start=body.start(node), end=body.end(node), text=text, guard=guard)
    return Change(line=body.line(node), before=shown(node), after=text, edits=(edit,))


def of_statement(body: Body, node: Node, text: str, last: Node | None = None, after: str = "") -> Change:
    """Other statements ("": none) in the place of this one, or of all from it to `last`."""
    before = shown(node) if last is None or last == node else f"{shown(node)} {shown(last)}"
    edit = statement_edit(body, node, text, last)
    return Change(line=body.line(node), before=before, after=after or text or "nothing", edits=(edit,))


def statement_edit(body: Body, node: Node, text: str, last: Node | None = None) -> Edit:
    return Edit(start=body.start(node), end=body.end(last or node), text=text, guard=Guard.STATEMENT)


def together(first: Change, *more: Edit, after: str = "") -> Change:
    return Change(line=first.line, before=first.before, after=after or first.after, edits=(*first.edits, *more))


def copied(node: Node) -> str:
    """The statement on one line, for a mutant; "" where it has a label or a directive, or is too long."""
    if any(one.type in ("labeled_statement", "case_statement") for one in nodes_below(node)):
        return ""
    text = one_line(node)
    return text if len(text) <= LONGEST_COPY else ""


def shown(node: Node) -> str:
    """The first line of a node, for a table."""
    return text_of_node(node).partition("\n")[0].strip()
