# SPDX-License-Identifier: GPL-2.0-or-later
"""Operators on conditions, comparisons and results (pure)."""

import re
from collections.abc import Iterator, Sequence

from tree_sitter import Node

from orchestrator.kernel.mutants.c_tree import (
    Body,
    call_of,
    called,
    child,
    condition_of,
    inner,
    is_sound,
    leaves,
    nodes_below,
    one_line,
    sibling_before,
    text_of_node,
)
from orchestrator.kernel.mutants.c_words import (
    NO_SLEEP,
    is_acquire,
    is_known_before,
    is_lock,
    is_meaningless,
    is_release,
    other_error,
)
from orchestrator.kernel.mutants.changes import Change, of_condition, of_expression
from orchestrator.kernel.mutants.printing import says

_WARNS = re.compile(r"\s*(?:(?:un)?likely\()?(?:VM_)?WARN_ON\w*\(")
_EXPECTATION = re.compile(r"\b(?:un)?likely\(")
_ASKED = re.compile(
    r"\(*(?:!|IS_ERR(?:_OR_NULL|_VALUE)?\()?(?P<name>[A-Za-z_][\w.>-]*)\)*(?: (?:<=?|==|!=) (?:0|NULL))?\)*"
)
_LOOPS = ("while_statement", "do_statement", "for_statement")
_ONE = re.compile(r"1[uUlL]*")
_COMPARISONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
_LOGICAL = frozenset({"==", "!=", "<", "<=", ">", ">=", "&&", "||"})
_SIDE_EFFECTS = ("call_expression", "assignment_expression", "update_expression")
_RESULTS = ("return_statement", "expression_statement")
_CONSTANTS = ("number_literal", "true", "false", "null")


def negated(body: Body) -> Iterator[Change]:
    """Conditions the other way round."""
    for node in _branches(body):
        # Where it has one value in each kernel that is right, the other value is all that is to be tried.
        if not _expected(node):
            yield of_condition(body, node, f"!({one_line(node)})")


def forced_true(body: Body) -> Iterator[Change]:
    for node in _branches(body):
        if _expected(node) != "1":
            yield of_condition(body, node, _forced(node, "1"))


def forced_false(body: Body) -> Iterator[Change]:
    for node in (*_branches(body), *_conditions(body, *_LOOPS)):
        if not _decides_over_one(node) and _expected(node) != "0":
            yield of_condition(body, node, _forced(node, "0"))


def failure_ignored(body: Body) -> Iterator[Change]:
    """The branch that is taken when a try-get, a trylock or an allocation fails is never taken."""
    for statement in refusals(body):
        condition = condition_of(statement)
        if condition is not None and _may_change(body, condition) and _expected(condition) != "0":
            yield of_condition(body, condition, _forced(condition, "0"))


def refusals(body: Body) -> Iterator[Node]:
    """The ifs that leave, for what an acquire on a changed line says."""
    stored = list(_stored(body))
    for statement in body.with_condition("if_statement"):
        condition = condition_of(statement)
        if condition is None or not leaves(child(statement, "consequence")):
            continue
        calls = (one for one in nodes_below(condition) if one.type == "call_expression")
        taken = any(_is_new_acquire(stored, name, statement) for name in asked_for(one_line(condition)))
        if taken or any(is_acquire(called(one)) and body.is_new(one) for one in calls):
            yield statement


def asked_for(condition: str) -> list[str]:
    """The variables that a condition asks whether they are there: `!x`, `IS_ERR(x)`, `x < 0`; each part of an `||`."""
    plain = _EXPECTATION.sub("(", condition).replace("((", "(")
    return [found["name"] for part in plain.split("||") if (found := _ASKED.fullmatch(part.strip()))]


def _stored(body: Body) -> Iterator[tuple[int, str, bool]]:
    """Where a variable gets a value, its name, and whether an acquire on a changed line gives it."""
    for node in body.of_type("assignment_expression", "init_declarator"):
        left, right = child(node, "left") or child(node, "declarator"), child(node, "right") or child(node, "value")
        if left is not None and right is not None:
            taken = body.is_new(node) and is_acquire(called(call_of(right)))
            yield node.start_byte, text_of_node(left).lstrip("* "), taken


def _is_new_acquire(stored: Sequence[tuple[int, str, bool]], name: str, statement: Node) -> bool:
    """Whether what was last stored in a variable, in the order of the text, comes from an acquire."""
    before = [taken for at, other, taken in stored if other == name and at < statement.start_byte]
    return bool(before) and before[-1]


def recheck_dropped(body: Body) -> Iterator[Change]:
    """What is checked again as the first thing under a lock is not checked."""
    for statement in body.with_condition("if_statement"):
        condition, before = condition_of(statement), sibling_before(statement)
        locks = is_lock(called(before)) and not is_release(called(before))
        if condition is not None and locks and _may_change(body, condition) and _expected(condition) != "0":
            yield of_condition(body, condition, _forced(condition, "0"))


def off_by_one(body: Body) -> Iterator[Change]:
    for node in body.of_type("binary_expression"):
        operator, left, right = child(node, "operator"), child(node, "left"), child(node, "right")
        if operator is None or left is None or right is None or not body.is_new(node) or _is_skipped(node):
            continue
        other, first, second = _COMPARISONS.get(operator.type), one_line(left), one_line(right)
        if other and first and second:
            yield of_expression(body, node, f"({first}) {other} ({second})")
        elif operator.type in "+-" and _ONE.fullmatch(second) and first and _varies(body, left):
            yield of_expression(body, node, first)


def _varies(body: Body, node: Node) -> bool:
    """Whether a value is computed from a variable: the compiler need not know it."""
    return any(one.type == "identifier" and text_of_node(one) in body.names for one in nodes_below(node))


def wrong_error(body: Body) -> Iterator[Change]:
    """Another error, and none at all, in a result that is new or under a new condition."""
    for node in body.of_type("identifier"):
        other = other_error(text_of_node(node))
        if not other or not _is_result(body, node):
            continue
        above = node.parent
        minus = above is not None and above.type == "unary_expression" and text_of_node(above).startswith("-")
        if minus and above is not None:
            yield of_expression(body, above, f"-{other}")
            yield of_expression(body, above, "0")
        elif other.startswith("VM_FAULT_"):
            yield of_expression(body, node, other)


def flipped_result(body: Body) -> Iterator[Change]:
    for node in body.of_type("true", "false"):
        if _is_result(body, node):
            yield of_expression(body, node, "false" if node.type == "true" else "true")


def sleeping_allocation(body: Body) -> Iterator[Change]:
    for node in body.of_type("identifier"):
        if text_of_node(node) in NO_SLEEP and body.is_new(node) and not _is_skipped(node):
            yield of_expression(body, node, "GFP_KERNEL")


def _branches(body: Body) -> Iterator[Node]:
    """The conditions of branches, and what is computed as the result of a function that says yes or no."""
    yield from _conditions(body, "if_statement", "conditional_expression")
    for node in body.of_type("return_statement"):
        value = inner(node)
        operator = child(value, "operator") if value is not None else None
        if value is not None and operator is not None and operator.type in _LOGICAL and _may_change(body, value):
            yield value


def _conditions(body: Body, *kinds: str) -> Iterator[Node]:
    for node in body.with_condition(*kinds):
        condition = condition_of(node)
        # That of `a ?: b` is a value as well, of any type.
        is_value = node.type == "conditional_expression" and child(node, "consequence") is None
        if condition is not None and not is_value and _may_change(body, condition):
            yield condition


def _decides_over_one(condition: Node) -> bool:
    """Whether the branch is one call or assignment, which another operator drops to the same effect."""
    only = _only_statement(condition)
    effects = any(one.type in _SIDE_EFFECTS for one in nodes_below(condition))
    return only is not None and only.type == "expression_statement" and not effects


def _only_statement(condition: Node) -> Node | None:
    """What an if without an else decides over, where that is one statement."""
    above = condition.parent
    while above is not None and above.type == "parenthesized_expression":
        above = above.parent
    if above is None or above.type != "if_statement" or child(above, "alternative") is not None:
        return None
    found = child(above, "consequence")
    if found is not None and found.type == "compound_statement":
        statements = [one for one in found.named_children if one.type != "comment"]
        return statements[0] if len(statements) == 1 else None
    return found


def _may_change(body: Body, condition: Node) -> bool:
    text = one_line(condition)
    simple = condition.type in _CONSTANTS or condition.type == "comma_expression"
    return (
        body.is_new(condition)
        and is_sound(condition)
        and not simple
        and bool(text)
        and not is_known_before(text)
        and not _is_of_sizes(body, condition)
        and not _is_skipped(condition)
        and not _chooses_messages(condition)
    )


def _is_of_sizes(body: Body, condition: Node) -> bool:
    """Whether the condition is about the sizes of types, and about no variable."""
    below = list(nodes_below(condition, ("sizeof_expression",)))
    sized = any(one.type == "sizeof_expression" for one in nodes_below(condition))
    return sized and not any(one.type == "identifier" and text_of_node(one) in body.names for one in below)


def _chooses_messages(condition: Node) -> bool:
    """Whether an if decides over messages and statistics alone, in all of its branches."""
    above = condition.parent
    while above is not None and above.type == "parenthesized_expression":
        above = above.parent
    return above is not None and above.type == "if_statement" and _only_says(above)


def _only_says(statement: Node | None) -> bool:
    if statement is None:
        return False
    if statement.type in ("compound_statement", "else_clause"):
        parts = [one for one in statement.named_children if one.type != "comment"]
        return bool(parts) and all(map(_only_says, parts))
    if statement.type == "if_statement":
        other = child(statement, "alternative")
        return _only_says(child(statement, "consequence")) and (other is None or _only_says(other))
    return says(statement)


def _is_skipped(node: Node) -> bool:
    """Whether the node is part of a message, an assertion or a statistic, or has to be constant."""
    # From the node's parent on: in `if (WARN_ON(x))` the branch has a meaning of its own.
    below, above = node, node.parent
    while above is not None:
        label = above.type == "case_statement" and child(above, "value") == below
        if label or _is_constant(above, below) or (above.type == "call_expression" and is_meaningless(called(above))):
            return True
        below, above = above, above.parent
    return False


def _expected(condition: Node) -> str:
    """What a condition is in each kernel that is right; "" where nothing says so."""
    text = one_line(condition)
    if _WARNS.match(text) and condition.type == "call_expression":
        return "0"
    return "1" if text.startswith("!") and condition.type == "unary_expression" and _WARNS.match(text, 1) else ""


def _is_constant(above: Node, below: Node) -> bool:
    """Whether the compiler has to know a node's value, by the node above it."""
    if above.type == "declaration":
        return any(one.type == "storage_class_specifier" and one.text == b"static" for one in above.children)
    size = above.type == "array_declarator" and child(above, "size") == below
    return size or above.type in ("subscript_designator", "enumerator", "bitfield_clause") or "asm" in above.type


def _forced(node: Node, value: str) -> str:
    """The value, after what the condition does beside its test."""
    effects = any(one.type in _SIDE_EFFECTS for one in nodes_below(node))
    return f"((void)({one_line(node)}), {value})" if effects else value


def _is_result(body: Body, node: Node) -> bool:
    """Whether the node is returned or assigned by a statement that is new, or runs by a new condition.

    What a new variable begins with counts as well.
    """
    above = node.parent
    while above is not None and above.type not in _RESULTS:
        operator = child(above, "operator")
        compares = operator is not None and operator.type in _LOGICAL
        hidden = above.type == "call_expression" and called(above) != "ERR_PTR"
        if compares or hidden or above.type == "compound_statement":
            return False
        if above.type == "declaration":
            return body.is_new(node) and not _is_skipped(node)
        above = above.parent
    return above is not None and body.is_fresh(above)
