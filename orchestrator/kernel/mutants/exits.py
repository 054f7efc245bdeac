# SPDX-License-Identifier: GPL-2.0-or-later
"""Operators on the ways out of a function: its gotos, and what they pass on their way (pure)."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from orchestrator.kernel.mutants.c_tree import (
    Body,
    called,
    child,
    is_loop_body,
    is_statement_place,
    nodes_below,
    one_line,
    siblings_after,
    text_of_node,
)
from orchestrator.kernel.mutants.c_words import is_acquire, is_release, is_retry
from orchestrator.kernel.mutants.changes import LONGEST_COPY, Change, of_statement
from orchestrator.kernel.mutants.conditions import refusals

_VOID = re.compile(r"\bvoid\s+(?:__\w+\s+)*\w+\s*\(")
_LOOPS = ("while_statement", "for_statement", "do_statement")
_LISTS = ("compound_statement", "case_statement")


def exit_without_release(body: Body) -> Iterator[Change]:
    """One goto, and no other, does not release: what lies behind its label is run without the release."""
    acquires = [one for one in body.of_type("call_expression") if body.is_new(one) and is_acquire(called(one))]
    labels = _labels(body)
    # Where the acquire failed there is nothing to release.
    failed = [one for one in map(_consequence, refusals(body)) if one is not None]
    for node in body.of_type("goto_statement"):
        if any(one.start_byte <= node.start_byte < one.end_byte for one in failed):
            continue
        target = labels.get(_target(node))
        later = any(one.start_byte < node.start_byte for one in acquires)
        if target is None or not later or target.start_byte < node.start_byte or not is_statement_place(node):
            continue
        block = target.parent
        if block is None or not block.start_byte <= node.start_byte < block.end_byte:
            # What the block declares is not known where the goto is.
            continue
        behind = [target, *siblings_after(target)]
        releases = [one for statement in behind for one in nodes_below(statement) if _is_new_release(body, one)]
        if releases and (text := _copy(behind, releases)):
            after = f"goto {_target(node)}, without {called(releases[0])}()"
            yield of_statement(body, node, text, after=after)


def _consequence(statement: Node) -> Node | None:
    return child(statement, "consequence")


def goto_swapped(body: Body) -> Iterator[Change]:
    """The label behind the right one; for the last one, that before it."""
    labels = list(_labels(body))
    for node in body.of_type("goto_statement"):
        label = _target(node)
        if label not in labels or len(labels) < 2 or not body.is_fresh(node) or not is_statement_place(node):
            continue
        at = labels.index(label)
        yield of_statement(body, node, f"goto {labels[at + 1] if at + 1 < len(labels) else labels[at - 1]};")


def retry_dropped(body: Body) -> Iterator[Change]:
    """What should be tried again is not; a goto back, or to a label that says so, and a continue."""
    labels = _labels(body)
    # gcc refuses a function that would end without the value that it returns.
    gives = not _VOID.search(body.head)
    for node in body.of_type("goto_statement", "continue_statement"):
        if not body.is_fresh(node) or not is_statement_place(node) or (gives and _is_end(node)):
            continue
        target = labels.get(_target(node))
        back = target is not None and target.start_byte < node.start_byte
        if back or node.type == "continue_statement" or is_retry(_target(node)):
            yield of_statement(body, node, "")


def _is_end(node: Node) -> bool:
    """Whether nothing of the function comes behind a statement."""
    above = node.parent
    while above is not None:
        more = above.type in _LISTS and next(siblings_after(node), None) is not None
        # An if without else goes on below it, whatever it decides over.
        without_else = above.type == "if_statement" and child(above, "alternative") is None
        if more or without_else or above.type in _LOOPS or is_loop_body(node):
            return False
        node, above = above, above.parent
    return True


def _labels(body: Body) -> dict[str, Node]:
    found = (node for node in nodes_below(body.root) if node.type == "labeled_statement")
    return {text_of_node(label): node for node in found if (label := child(node, "label")) is not None}


def _target(node: Node) -> str:
    label = child(node, "label")
    return text_of_node(label) if label is not None else ""


def _is_new_release(body: Body, node: Node) -> bool:
    return node.type == "expression_statement" and is_release(called(node)) and body.is_new(node)


def _copy(behind: list[Node], releases: list[Node]) -> str:
    """The statements from a label to the end of its block, if that is an exit; without the releases and all labels."""
    if behind[-1].type != "return_statement" or any(one.has_error for one in behind):
        return ""
    parts = []
    for statement in behind:
        if statement.type == "declaration":
            return ""
        here = list(nodes_below(statement))
        gone = {one: "{ }" for one in here if one in releases}
        for one in here:
            if one.type == "labeled_statement":
                # The name and the colon.
                gone |= {part: "" for part in one.children[:2]}
        parts.append(one_line(statement, gone))
    text = " ".join(parts)
    return text if all(parts) and len(text) <= LONGEST_COPY else ""
