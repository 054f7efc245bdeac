# SPDX-License-Identifier: GPL-2.0-or-later
"""Statements that only logs, statistics and the text of a file show (pure)."""

from tree_sitter import Node

from orchestrator.kernel.mutants.c_tree import arguments, call_of, called, child, text_of_node
from orchestrator.kernel.mutants.c_words import is_counted, is_meaningless, is_statistic


def says(statement: Node) -> bool:
    """Whether a statement prints or counts, and does nothing else: `pr_info("x");`, `len += sysfs_emit_at(...);`."""
    if statement.type != "expression_statement" or not statement.named_children:
        return False
    inner = statement.named_children[0]
    if inner.type in ("assignment_expression", "update_expression"):
        target = child(inner, "left") or child(inner, "argument")
        written = is_meaningless(called(call_of(child(inner, "right"))))
        return written or (target is not None and is_statistic(text_of_node(target)))
    call = call_of(statement)
    name = called(call)
    given = arguments(call) if call is not None else []
    return is_meaningless(name) or (is_counted(name) and any(is_statistic(text_of_node(one)) for one in given))
