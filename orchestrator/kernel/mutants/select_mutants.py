# SPDX-License-Identifier: GPL-2.0-or-later
"""The mutants of a series: what the operators find in its changed functions, each once and numbered (pure)."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from orchestrator.kernel.code.c_functions import Extent, function_extents
from orchestrator.kernel.mutants.c_tree import Body, body_of
from orchestrator.kernel.mutants.changes import Change
from orchestrator.kernel.mutants.guards import crossing
from orchestrator.kernel.mutants.hunks import SeriesNames, guards_restored, hunks_omitted, names_of
from orchestrator.kernel.mutants.operators import OMIT_HUNK, RESTORE_GUARD, RULES
from orchestrator.model.mutants import MOST_NUMBER, Edit, Guard, Mutant, Mutants, NotMutated
from orchestrator.model.series_diff import ChangedFile, SeriesDiff

_INIT = re.compile(r"\b__(?:init|exit|meminit|memexit|cpuinit|initdata)\b")
_SIMPLE = ("expression_statement", "return_statement", "goto_statement", "break_statement", "continue_statement")
_BRANCHING = ("if_statement", "while_statement", "for_statement", "do_statement", "switch_statement")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Proposal:
    operator: str
    file: str
    function: str
    change: Change
    also: tuple[str, ...] = ()


def select_mutants(diff: SeriesDiff, *, operators: Collection[str] = (), only: Collection[str] = ()) -> Mutants:
    """The mutants of a series; `operators`, `only`: no others than these, in no other functions than these."""
    left_out: list[NotMutated] = []
    files = [
        (file, list(_bodies(file, diff.texts, left_out))) for file in diff.files if _is_readable(file, diff, left_out)
    ]
    names = names_of(files)
    proposals = [
        one for file, bodies in files for one in _proposed(file, diff.texts[file.path], bodies, names, left_out)
    ]
    statements = sum(_count(body) for _, bodies in files for body in bodies)
    every = tuple(_apart(list(_numbered(_unlike(proposals)))))
    if len(every) > MOST_NUMBER:
        # One kernel can't have all of them.
        every = tuple(_apart(list(_numbered(_unlike([one for one in proposals if not only or one.function in only])))))
    return Mutants(
        mutants=tuple(_chosen(every, operators, only)),
        in_kernel=every,
        left_out=tuple(left_out),
        statements=statements,
        texts={mutant.file: diff.texts[mutant.file] for mutant in every},
        diff=diff.files,
    )


def _chosen(mutants: Sequence[Mutant], operators: Collection[str], only: Collection[str]) -> Iterator[Mutant]:
    """A mutant that several operators make is called by the first of those that were asked for."""
    for one in mutants:
        named = next((name for name in (one.operator, *one.also) if not operators or name in operators), "")
        if named and (not only or one.function in only):
            yield one if named == one.operator else replace(one, operator=named)


_NOT_READ = "the parser does not understand it"
_IN_INIT = "runs while the kernel boots only"


def _is_readable(file: ChangedFile, diff: SeriesDiff, left_out: list[NotMutated]) -> bool:
    text = diff.texts.get(file.path)
    # What could not be decoded was replaced, and an edit would not be one of the file's bytes.
    if text is not None and "\ufffd" in text:
        left_out.append(NotMutated(file=file.path, line=1, why="not UTF-8"))
        return False
    return text is not None


def _bodies(file: ChangedFile, texts: Mapping[str, str], left_out: list[NotMutated]) -> Iterator[Body]:
    text, new, spans = texts[file.path], frozenset(file.lines("new")), file.spans("new")
    for extent in function_extents(text):
        if not any(extent.first <= first and last <= extent.last for first, last in spans):
            continue
        body = body_of(file.path, text, extent, new)
        if body is None:
            continue
        if _INIT.search(body.head):
            left_out.append(NotMutated(file=file.path, line=_first_new(extent, new), why=_IN_INIT))
        else:
            left_out += [NotMutated(file=file.path, line=line, why=_NOT_READ) for line in _unread(body)]
            yield body


def _first_new(extent: Extent, new: Collection[int]) -> int:
    return min((line for line in new if extent.first <= line <= extent.last), default=extent.first)


def _count(body: Body) -> int:
    """Statements on changed lines; of those that branch, the condition."""
    simple = sum(body.is_new(node) for node in body.of_type(*_SIMPLE))
    heads = (node.child_by_field_name("condition") for node in body.with_condition(*_BRANCHING))
    return simple + sum(body.is_new(node) for node in heads if node is not None)


def _unread(body: Body) -> list[int]:
    return sorted({body.line(node) for node in body.unsound})


def _proposed(
    file: ChangedFile, text: str, bodies: Sequence[Body], names: SeriesNames, left_out: list[NotMutated]
) -> Iterator[_Proposal]:
    for rule in RULES:
        for body in bodies:
            for change in rule.changes(body):
                yield _Proposal(operator=rule.operator.name, file=file.path, function=body.name, change=change)
    for name, found in (
        (RESTORE_GUARD.name, guards_restored(file, bodies)),
        (OMIT_HUNK.name, hunks_omitted(file, text, bodies, names, left_out)),
    ):
        for function, change in found:
            yield _Proposal(operator=name, file=file.path, function=function, change=change)


def _unlike(proposals: Sequence[_Proposal]) -> Iterator[_Proposal]:
    """Each edit once, by the operator that comes first, in the order of the text."""
    same: dict[tuple[str, tuple[Edit, ...]], list[_Proposal]] = {}
    for one in proposals:
        same.setdefault((one.file, one.change.edits), []).append(one)
    for first, *others in same.values():
        yield replace(first, also=tuple(dict.fromkeys(one.operator for one in others)))


def _apart(mutants: Sequence[Mutant]) -> Iterator[Mutant]:
    """Those whose edits cross others' get a build of their own."""
    for _, group in groupby(mutants, key=lambda one: one.file):
        here = list(group)
        crosses = crossing([one for one in here if one.guard is not Guard.OWN_BUILD])
        for one in here:
            yield replace(one, own_build=True) if one.number in crosses else one


def _numbered(proposals: Iterator[_Proposal]) -> Iterator[Mutant]:
    ordered = sorted(proposals, key=lambda one: (one.file, one.change.line, one.change.edits[0].start))
    for number, one in enumerate(ordered, start=1):
        change = one.change
        yield Mutant(
            number=number,
            operator=one.operator,
            file=one.file,
            function=one.function,
            line=change.line,
            before=change.before,
            after=change.after,
            edits=change.edits,
            also=one.also,
        )
