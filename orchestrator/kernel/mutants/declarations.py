# SPDX-License-Identifier: GPL-2.0-or-later
"""Statements that look like calls and can't be put into a block: they declare something, or close a loop (pure)."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from orchestrator.kernel.mutants.c_tree import Body, arguments, call_of, called, child, siblings_after, text_of_node
from orchestrator.kernel.mutants.c_words import WEAKER

_MACRO = re.compile(r"_*[A-Z][A-Z0-9_]*")
# DEFINE_MAX_SEQ(lruvec) declares max_seq.
_DECLARING = re.compile(r"_*(?:DEFINE|DECLARE)_\w+|\w+_ON_STACK")
# Macros in capitals that change what they are given.
_CHANGES = re.compile(r"_*INIT_(?:LIST_HEAD|HLIST_NODE|HLIST_HEAD|WORK|DELAYED_WORK|RCU_WORK)\w*|RCU_INIT_POINTER")


def belongs_to_block(body: Body, statement: Node) -> bool:
    """Whether the statement works only where it stands: `XA_STATE(xas, a, b);`, `guard(mutex)(&m);`.

    What stands behind a brace on its line closes a loop that another macro opened: `} while_each_subsys_mask();`. A
    macro in capitals may declare what it is given and nothing else declares. Declarations stand in front of statements,
    so what stands in front of one is one.
    """
    call = call_of(statement)
    function = child(call, "function") if call is not None else None
    if call is None or function is None:
        return False
    if function.type == "call_expression":
        return True
    name = called(call)
    if name.startswith("while_") or _is_behind_brace(statement):
        return True
    if not _MACRO.fullmatch(name) or name in WEAKER or _CHANGES.fullmatch(name):
        return False
    behind = next(siblings_after(statement), None)
    in_front = behind is not None and behind.type == "declaration"
    return in_front or bool(_DECLARING.fullmatch(name)) or any(one not in body.names for one in _variables(call))


def _is_behind_brace(statement: Node) -> bool:
    before = statement.prev_sibling
    if before is None or before.end_point[0] != statement.start_point[0]:
        return False
    return before.type != "{" and (before.text or b"").endswith(b"}")


def _variables(call: Node) -> Iterator[str]:
    """The names that a call is given as they are, without constants."""
    for one in arguments(call):
        if one.type == "identifier" and not text_of_node(one).isupper():
            yield text_of_node(one)
