# SPDX-License-Identifier: GPL-2.0-or-later
"""The syntax tree of one function's body, as tree-sitter reads C without a preprocessor (pure)."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import tree_sitter_c
from tree_sitter import Language, Node, Parser

from orchestrator.kernel.code.c_functions import Extent

_C = Language(tree_sitter_c.language())
# The head of a function may be a macro (SYSCALL_DEFINE2) or full of attributes. A body with this head is always C, and
# an error elsewhere in the file can't reach it.
_HEAD = b"void f(void)"
# Nodes that stand where C allows any statement.
_HOLDERS = frozenset(
    {
        *("compound_statement", "if_statement", "else_clause", "labeled_statement", "case_statement"),
        *("while_statement", "for_statement", "do_statement", "preproc_if", "preproc_ifdef", "preproc_else"),
    }
)
_DECLARATORS = ("init_declarator", "pointer_declarator", "array_declarator", "declaration", "parameter_declaration")
_WORD = re.compile(r"[A-Za-z_]\w*")
_DIRECTIVES = ("preproc_",)
_LEAVE = frozenset({"return_statement", "goto_statement", "break_statement", "continue_statement"})


def parsed(text: bytes) -> Node:
    return Parser(_C).parse(text).root_node


def nodes_below(node: Node, without: Collection[str] = ()) -> Iterator[Node]:
    """The node and all below it, in the order of the text; `without`: kinds of nodes that are not entered."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if one.type not in without:
            yield one
            waiting.extend(reversed(_of_the_compiler(one)))


def _of_the_compiler(node: Node) -> list[Node]:
    """What is directly below a node, without the condition of an `#if`."""
    if node.type not in ("preproc_if", "preproc_elif"):
        return node.children
    condition = node.child_by_field_name("condition")
    return [one for one in node.children if one != condition]


def text_of_node(node: Node) -> str:
    return (node.text or b"").decode()


def one_line(node: Node, replaced: Mapping[Node, str] | None = None) -> str:
    """The node's text on one line and without comments; "" where it has a preprocessor directive.

    `replaced`: nodes below it that give way to another text.
    """
    if any(one.type.startswith(_DIRECTIVES) for one in nodes_below(node)):
        return ""
    others = {one: "" for one in nodes_below(node) if one.type == "comment"} | dict(replaced or {})
    parts, at, text = [], 0, node.text or b""
    for one in sorted(others, key=lambda one: one.start_byte):
        parts += [text[at : one.start_byte - node.start_byte], others[one].encode()]
        at = one.end_byte - node.start_byte
    return " ".join(b" ".join((*parts, text[at:])).decode().split())


def is_sound(node: Node) -> bool:
    """Whether the parser understood the node, and does not guess about what it is in."""
    above = node.parent
    while above is not None and above.type != "ERROR":
        above = above.parent
    return above is None and not node.has_error


def is_statement_place(node: Node) -> bool:
    """Whether a block may stand in the place of this statement."""
    above = node.parent
    if above is None or above.type not in _HOLDERS or node.type == "declaration":
        return False
    before = _code_before(node)
    if before is not None and before.type == "declaration" and is_loop_body(node):
        # struct thing __maybe_unused *x = y;
        return False
    # The last statement of ({ ... }) is its value.
    is_value = above.parent is not None and above.parent.type == "parenthesized_expression"
    return not is_value or next(siblings_after(node), None) is not None


def child(node: Node, name: str) -> Node | None:
    return node.child_by_field_name(name)


def called(node: Node | None) -> str:
    """The name of the function that a call, or a statement that is one call, calls; else ""."""
    call = call_of(node)
    function = child(call, "function") if call else None
    return text_of_node(function) if function is not None and function.type == "identifier" else ""


def call_of(node: Node | None) -> Node | None:
    """The call that a statement consists of."""
    if node is not None and node.type == "expression_statement" and node.named_child_count >= 1:
        node = node.named_children[0]
    return node if node is not None and node.type == "call_expression" else None


def arguments(call: Node) -> list[Node]:
    found = child(call, "arguments")
    return [one for one in found.named_children if one.type != "comment"] if found else []


def inner(node: Node | None) -> Node | None:
    """What a node with one meaningful child has in it: parentheses, a statement."""
    return next((one for one in node.named_children if one.type != "comment"), None) if node is not None else None


def condition_of(statement: Node | None) -> Node | None:
    """The expression by which a statement branches, without the parentheses that C asks for."""
    found = child(statement, "condition") if statement is not None else None
    return inner(found) if found is not None and found.type == "parenthesized_expression" else found


def leaves(node: Node | None) -> bool:
    """Whether a statement, or the last one of a block, leaves what comes behind it."""
    if node is not None and node.type == "compound_statement":
        node = next((one for one in reversed(node.named_children) if one.type != "comment"), None)
    return node is not None and node.type in _LEAVE


def is_loop_body(node: Node) -> bool:
    """Whether the node is run by a macro without a semicolon before it, as the statement below `for_each_node(n)` is.

    The parser takes the macro for a call that lacks its semicolon, and what the macro runs for the next statement.
    """
    last = _code_before(node)
    while last is not None and last.children:
        last = last.children[-1]
    return last is not None and last.is_missing and last.type == ";"


def sibling_before(node: Node) -> Node | None:
    """The statement before this one; None where that is no statement of its own, or this one is none."""
    before = _code_before(node)
    return None if is_loop_body(node) or (before is not None and is_loop_body(before)) else before


def _code_before(node: Node) -> Node | None:
    before = node.prev_named_sibling
    while before is not None and before.type == "comment":
        before = before.prev_named_sibling
    return before


def siblings_after(node: Node) -> Iterator[Node]:
    """The statements after this one; of a macro and the statement that it runs, only the macro."""
    behind = None if is_loop_body(node) else node.next_named_sibling
    while behind is not None:
        if behind.type != "comment" and not is_loop_body(behind):
            yield behind
        behind = behind.next_named_sibling


@dataclass(frozen=True, kw_only=True)
class Body:
    """A function with lines that the series changed."""

    file: str
    name: str
    head: str
    source: bytes  # the whole file
    first: int  # line of the body's opening brace
    offset: int  # what is added to a node's byte to get that of the file
    root: Node = field(repr=False)
    new_lines: frozenset[int]  # of the file; those that the series added

    def start(self, node: Node) -> int:
        return node.start_byte + self.offset

    def end(self, node: Node) -> int:
        return node.end_byte + self.offset

    def line(self, node: Node) -> int:
        return node.start_point[0] + self.first

    def last_line(self, node: Node) -> int:
        return node.end_point[0] + self.first

    def is_new(self, node: Node) -> bool:
        """Whether the series changed one of the node's lines."""
        return any(line in self.new_lines for line in range(self.line(node), self.last_line(node) + 1))

    def is_fresh(self, node: Node) -> bool:
        """Whether the statement is new, or runs or does not run by a condition that is."""
        if self.is_new(node):
            return True
        above = node.parent
        if above is not None and above.type == "compound_statement":
            above = above.parent
        if above is not None and above.type == "else_clause":
            above = above.parent
        condition = child(above, "condition") if above is not None and above.type == "if_statement" else None
        return condition is not None and self.is_new(condition)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes that the parser understood."""
        return tuple(node for node in nodes_below(self.root) if is_sound(node))

    def of_type(self, *kinds: str) -> Iterator[Node]:
        return (node for node in self.nodes if node.type in kinds)

    def with_condition(self, *kinds: str) -> Iterator[Node]:
        """Statements of these kinds with a condition that the parser understood, whatever it made of the rest."""
        for node in nodes_below(self.root):
            condition = condition_of(node) if node.type in kinds else None
            if condition is not None and is_sound(condition):
                yield node

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of parameters and of the variables that are declared without a macro."""
        found = set(_WORD.findall(self.head))
        for node in nodes_below(self.root):
            if node.type in _DECLARATORS:
                found.update(text_of_node(one) for one in node.children_by_field_name("declarator"))
        return frozenset(found)

    @cached_property
    def unsound(self) -> tuple[Node, ...]:
        """The nodes on changed lines that the parser did not understand, or had to complete."""
        found = (node for node in nodes_below(self.root) if node.type == "ERROR" or node.is_missing)
        return tuple(node for node in found if self.is_new(node))


def body_of(file: str, text: str, extent: Extent, new_lines: Collection[int]) -> Body | None:
    """The body of a function; None where no brace opens it."""
    source = text.encode()
    lines = source.split(b"\n")
    before = sum(len(line) + 1 for line in lines[: extent.first - 1])
    own = b"\n".join(lines[extent.first - 1 : extent.last])
    opens = opening_brace(own)
    if opens < 0:
        return None
    root = parsed(_HEAD + own[opens:])
    return Body(
        file=file,
        name=extent.name,
        head=own[:opens].decode(),
        source=source,
        first=extent.first + own[:opens].count(b"\n"),
        offset=before + opens - len(_HEAD),
        root=root,
        new_lines=frozenset(new_lines),
    )


def opening_brace(text: bytes) -> int:
    """Where the body begins: the brace in column 0, or the first one behind the head."""
    at = text.find(b"\n{")
    return at + 1 if at >= 0 else text.find(b"{")
