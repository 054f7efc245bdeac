# SPDX-License-Identifier: GPL-2.0-or-later
"""Operators on statements: what is acquired, released, assigned and ordered (pure)."""

from collections.abc import Iterator

from tree_sitter import Node

from orchestrator.kernel.mutants.c_tree import (
    Body,
    arguments,
    call_of,
    called,
    child,
    condition_of,
    is_sound,
    is_statement_place,
    leaves,
    nodes_below,
    one_line,
    sibling_before,
    siblings_after,
    text_of_node,
)
from orchestrator.kernel.mutants.c_words import (
    AT_ONCE,
    BITS,
    IRQ_PLAIN,
    STORES,
    WEAKER,
    ends,
    is_acquire,
    is_lock,
    is_meaningless,
    is_release,
    may_repeat,
)
from orchestrator.kernel.mutants.changes import Change, copied, of_expression, of_statement, statement_edit, together
from orchestrator.kernel.mutants.conditions import asked_for
from orchestrator.kernel.mutants.declarations import belongs_to_block
from orchestrator.kernel.mutants.printing import says

_RESCHEDULES = frozenset({"cond_resched", "cond_resched_lock", "cond_resched_rcu", "schedule", "cpu_relax"})


def release_dropped(body: Body) -> Iterator[Change]:
    for node in _releases(body):
        yield of_statement(body, node, "")


def release_doubled(body: Body) -> Iterator[Change]:
    for node in _releases(body):
        # An unlock of what is not locked is seen at once, by anybody.
        unseen = "unlock" in called(node) or may_repeat(called(node))
        if not unseen and (text := copied(node)):
            yield of_statement(body, node, f"{text} {text}")


def release_early(body: Body) -> Iterator[Change]:
    """A release before the statement that it follows, or without the grace period that it waits for."""
    for node in _releases_and_callbacks(body):
        call, at_once = call_of(node), AT_ONCE.get(called(node), "")
        given = [one_line(one) for one in arguments(call)] if call is not None else []
        if at_once and len(given) == 2 and all(given):
            yield of_statement(body, node, at_once.format(*given))
        if not is_release(called(node)):
            continue
        before = sibling_before(node)
        if before is None or before.type != "expression_statement" or not is_statement_place(before):
            continue
        if is_release(called(before)) or not is_sound(before) or is_meaningless(called(before)):
            continue
        if belongs_to_block(body, before):
            continue
        if (first := copied(node)) and (second := copied(before)):
            yield of_statement(body, before, f"{first} {second}", last=node)


def acquire_dropped(body: Body) -> Iterator[Change]:
    for node in _calls(body):
        if is_acquire(called(node)) and body.is_new(node):
            yield of_statement(body, node, "")


def pair_dropped(body: Body) -> Iterator[Change]:
    """Nothing is held between an acquire and its releases: it is taken back at once, or not taken at all."""
    for call in body.of_type("call_expression"):
        if not is_acquire(called(call)) or not body.is_new(call):
            continue
        statement = _statement_of(call)
        if statement is None or not is_statement_place(statement):
            continue
        releases = [node for node in _calls(body) if _is_end(node, call, statement)]
        if releases and (change := _taken_back(body, call, statement, releases[0])):
            yield together(change, *(statement_edit(body, node, "") for node in releases))


def _taken_back(body: Body, call: Node, statement: Node, release: Node) -> Change | None:
    name, ending = called(call), copied(release)
    if call_of(statement) == call:
        after = f"neither {name}() nor {called(release)}()"
        return of_statement(body, statement, "", after=after)
    names = {text_of_node(one) for one in nodes_below(statement) if one.type == "identifier"}
    needed = {text_of_node(one) for one in nodes_below(release) if one.type == "identifier"} - {called(release)}
    whole = copied(statement)
    if not needed <= names or not ending or not whole:
        return None
    after = f"{name}(), and {called(release)}() at once"
    if statement.type == "if_statement":
        if _is_refusal(statement, call) and leaves(child(statement, "consequence")):
            return of_statement(body, statement, f"{whole} {ending}", after=after)
        return None
    assigned = next((one for one in statement.named_children if one.type == "assignment_expression"), None)
    left = child(assigned, "left") if assigned is not None else None
    if left is None or left.type != "identifier":
        return None
    return of_statement(
        body, statement, f"{whole} if ({_success(statement, text_of_node(left))}) {ending}", after=after
    )


def _success(statement: Node, name: str) -> str:
    """When an acquire has succeeded, by a variable: where the if behind it does not leave; else where it is set."""
    behind = next(siblings_after(statement), None)
    condition = condition_of(behind) if behind is not None and behind.type == "if_statement" else None
    text = one_line(condition) if condition is not None else ""
    refused = behind is not None and leaves(child(behind, "consequence")) and asked_for(text) == [name]
    return f"!({text})" if refused and "||" not in text else name


def assignment_dropped(body: Body) -> Iterator[Change]:
    for node in body.of_type("expression_statement"):
        inner = node.named_children[0] if node.named_children else None
        if inner is None or inner.type not in ("assignment_expression", "update_expression"):
            continue
        target = child(inner, "left") or child(inner, "argument")
        acquires = any(is_acquire(called(one)) for one in nodes_below(inner) if one.type == "call_expression")
        if target is None or acquires or says(node):
            continue
        if body.is_fresh(node) and is_statement_place(node):
            yield of_statement(body, node, "")
    for node in _calls(body):
        if called(node) in STORES and body.is_fresh(node):
            yield of_statement(body, node, "")


def call_dropped(body: Body) -> Iterator[Change]:
    """A call of something that neither acquires nor releases."""
    for node in _calls(body):
        name = called(node)
        other = is_acquire(name) or is_release(name) or name in _RESCHEDULES or (name in WEAKER and name not in BITS)
        # return_ptr(p); leaves the function.
        if not other and not name.startswith("return_") and body.is_new(node):
            yield of_statement(body, node, "")


def reschedule_dropped(body: Body) -> Iterator[Change]:
    for node in _calls(body):
        if called(node) in _RESCHEDULES and body.is_new(node):
            yield of_statement(body, node, "")


def order_weakened(body: Body) -> Iterator[Change]:
    for call in body.of_type("call_expression"):
        name, given = called(call), [one_line(one) for one in arguments(call)]
        if name not in WEAKER or not body.is_new(call):
            continue
        weaker = WEAKER[name]
        if name == "rcu_assign_pointer" and given[1:] == ["NULL"]:
            # It orders nothing.
            continue
        if weaker is not None and f"{{{len(given)}}}" in weaker:
            continue
        text = "" if weaker is None else weaker.format(*given)
        statement = call.parent
        if statement is not None and call_of(statement) == call and is_statement_place(statement):
            yield of_statement(body, statement, f"{text};" if text else "")
        elif text:
            yield of_expression(body, call, text)


def locks_swapped(body: Body) -> Iterator[Change]:
    for node in _calls(body):
        before = sibling_before(node)
        both = (node, before) if before is not None and is_statement_place(before) else ()
        if not both or not all(is_lock(called(one)) and is_acquire(called(one)) for one in both):
            continue
        if before is not None and any(body.is_new(one) for one in both) and is_sound(before):
            yield of_statement(body, before, f"{one_line(node)} {one_line(before)}", last=node)


def interrupts_on(body: Body) -> Iterator[Change]:
    """A lock that interrupts take is held with interrupts on."""
    for node in _calls(body):
        name, call = called(node), call_of(node)
        if name not in IRQ_PLAIN or is_release(name) or call is None or not body.is_new(node):
            continue
        lock = one_line(arguments(call)[0]) if arguments(call) else ""
        unlocks = [one for one in _calls(body) if _is_unlock_of(one, name, lock)]
        if lock and unlocks:
            edits = [statement_edit(body, one, f"{IRQ_PLAIN[called(one)]}({lock});") for one in unlocks]
            yield together(of_statement(body, node, f"{IRQ_PLAIN[name]}({lock});"), *edits)


def _is_unlock_of(node: Node, name: str, lock: str) -> bool:
    call = call_of(node)
    own = called(node)
    if own not in IRQ_PLAIN or not is_release(own) or call is None or not arguments(call):
        return False
    return ends(IRQ_PLAIN[own], IRQ_PLAIN[name]) and one_line(arguments(call)[0]) == lock


def _calls(body: Body) -> Iterator[Node]:
    """The statements that are one call, of something that matters."""
    for node in body.of_type("expression_statement"):
        name = called(node)
        if name and is_statement_place(node) and not says(node) and not belongs_to_block(body, node):
            yield node


def _releases(body: Body) -> Iterator[Node]:
    return (node for node in _calls(body) if is_release(called(node)) and body.is_fresh(node))


def _releases_and_callbacks(body: Body) -> Iterator[Node]:
    either = (node for node in _calls(body) if is_release(called(node)) or called(node) in AT_ONCE)
    return (node for node in either if body.is_fresh(node))


def _is_end(node: Node, call: Node, statement: Node) -> bool:
    """Whether a call statement releases what this call acquired."""
    own = call_of(node)
    if own is None or not is_release(called(node)) or not ends(called(node), called(call)):
        return False
    released = {one_line(one) for one in arguments(own)}
    taken = {one_line(one).lstrip("&") for one in arguments(call)} | {one_line(one) for one in arguments(call)}
    assigned = {text_of_node(one) for one in _assigned(statement)}
    return not released or bool(released & (taken | assigned))


def _assigned(statement: Node) -> Iterator[Node]:
    for node in nodes_below(statement):
        left = child(node, "left") if node.type == "assignment_expression" else None
        if left is not None:
            yield left


def _statement_of(node: Node) -> Node | None:
    """The statement by which a call runs: for one in a condition, the if."""
    above = node.parent
    while above is not None:
        if above.type in ("expression_statement", "if_statement"):
            return above
        if above.type.endswith("_statement") or above.type == "declaration":
            return None
        above = above.parent
    return None


def _is_refusal(statement: Node, call: Node) -> bool:
    """Whether the if is taken when the call failed, and not otherwise: `if (!call())`, unlikely() or not."""
    condition = child(statement, "condition")
    text = one_line(condition) if condition is not None else ""
    return text in (f"(!{one_line(call)})", f"(unlikely(!{one_line(call)}))")
