# SPDX-License-Identifier: GPL-2.0-or-later
"""The output of a test suite: made ready for the tree's own KTAP parser, and what that parser says as subtests (pure).

Source: Documentation/dev-tools/ktap.rst. kselftest nests by "# " before each line and names a nested test only in the
result line behind it; the parser nests by blanks and wants the name before.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.host.text import one_line
from orchestrator.model.subtests import Subtest, SubtestStatus

MOST_SUBTESTS = 20_000
_MOST_NAMES = 20  # one in another
_MOST_DIAGNOSTICS = 20
_MOST_WITH_DIAGNOSTICS = 200  # subtests
_LONGEST_PATH = 400
_DEEPEST = 8
# The command's output, among the lines of the program that runs it.
_OF_COMMAND = "|"

_VERSION = re.compile(r"(K?TAP) version \d+\s*$")
_RESULT = re.compile(r"(?:not )?ok \d+ ?(?:- )?(?P<name>[^#]*?)\s*(?:# .*)?$")
_RESULT_LINE = re.compile(r"(?P<head>(?:not )?ok \d+ ?)(?P<rest>.*)$")
_NAMELESS = re.compile(r"# (?P<directive>[A-Z]+) (?P<name>.+)$")
_PLAN = re.compile(r"1\.\.\d+")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")
_DIRECTIVE = re.compile(r" # (?P<directive>SKIP|TIMEOUT)\b\s*(?P<reason>.*)$|# (?P<other>.*)$", re.IGNORECASE)


def output_of(printed: str) -> list[str]:
    """The lines of the command, out of all that its guest's program printed."""
    return [line.removeprefix(_OF_COMMAND) for line in printed.splitlines() if line.startswith(_OF_COMMAND)]


@dataclass(slots=True)
class _Block:
    """The lines of one KTAP document; of a nested one the name comes at its end."""

    depth: int
    version: str
    lines: list["str | _Block"] = field(default_factory=list)
    plan: str = ""
    name: str = ""


def documents(lines: Sequence[str]) -> list[list[str]]:
    """The output cut where a document begins that lies in no other: a suite may have several, the parser reads one."""
    found: list[list[str]] = [[]]
    for line in lines:
        if _VERSION.match(line):
            found.append([])
        found[-1].append(line)
    return found[1:]


def nested(lines: Sequence[str]) -> list[str]:
    """kselftest's output with its nested results where KTAP has them: indented, and below a line with their name.

    What nests by blanks already stays as it is.
    """
    top = _Block(depth=0, version="")
    open_blocks = [top]
    for line in lines:
        depth, text = _unprefixed(line)
        text = _readable(text)
        while len(open_blocks) > 1 and _ends(open_blocks[-1], depth, text):
            closed = open_blocks.pop()
            if result := _RESULT.match(text):
                closed.name = closed.name or (result["name"] if depth < closed.depth else "")
                text = _with_reason(text, closed.plan)
        version, plan = bool(_VERSION.match(text)), bool(_PLAN.match(text))
        if (version or plan) and depth > open_blocks[-1].depth and len(open_blocks) <= _DEEPEST:
            # Some tests print a plan and no version.
            block = _Block(depth=depth, version=text if version else "KTAP version 1", plan=text if plan else "")
            open_blocks[-1].lines.append(block)
            open_blocks.append(block)
        else:
            _add(open_blocks[-1], depth, text)
    return list(_written(top, 0))


def _unprefixed(line: str) -> tuple[int, str]:
    depth = 0
    while line.startswith("# "):
        depth, line = depth + 1, line[2:]
    return depth, line


def _readable(text: str) -> str:
    """A result whose name has a "#", which the parser would take for a directive, or stands behind one (XFAIL)."""
    found = _RESULT_LINE.match(text)
    if not found:
        return text
    if found["rest"].startswith("# SKIP"):
        # The parser would make a name of the reason.
        return f"{found['head'].rstrip()} unnamed {found['rest']}"
    if nameless := _NAMELESS.match(found["rest"]):
        return f"{found['head']}{nameless['name'].replace('#', 'no.')} # {nameless['directive']}"
    name, mark, directive = found["rest"].partition(" # ")
    return text if name.startswith("# ") else f"{found['head']}{name.replace('#', 'no.')}{mark}{directive}"


def _with_reason(result: str, plan: str) -> str:
    """kselftest's runner says only that a test was skipped; the test's own plan said why ("1..0 # SKIP why")."""
    why = plan.partition(" # SKIP ")[2]
    return f"{result} {why}" if why and result.endswith("# SKIP") else result


def _ends(block: _Block, depth: int, text: str) -> bool:
    """A result or another document further out; other lines may be anybody's."""
    if depth >= block.depth:
        return False
    return bool(_RESULT.match(text) or _VERSION.match(text))


def _add(block: _Block, depth: int, text: str) -> None:
    further = depth - block.depth
    if further == 0 and block.version and _PLAN.match(text):
        # It may stand at the end, and the parser reads until it has seen so many.
        block.plan = block.plan or text
        return
    # What is further in, and belongs to no document, are remarks: "ok 1" in them is no result.
    block.lines.append("# " * further + text if further >= 0 else f"# {text}")


def _written(block: _Block, level: int) -> Iterator[str]:
    indent = "    " * level
    if block.version and not _results(block) and not any(isinstance(line, _Block) for line in block.lines):
        # The parser would make "no tests" of the result behind it, whatever that says.
        yield from (f"{'    ' * (level - 1)}# {line}" for line in (block.version, block.plan, *map(str, block.lines)))
        return
    if block.version:
        yield indent + block.version.replace("TAP version 13", "KTAP version 1").replace("KKTAP", "KTAP")
        yield f"{indent}# Subtest: {block.name or 'unnamed'}"
        yield indent + (block.plan if _planned(block) else f"1..{_results(block)}")
    for line in block.lines:
        if isinstance(line, _Block):
            yield from _written(line, level + 1)
        else:
            yield indent + line


def _planned(block: _Block) -> bool:
    """Whether the plan can be kept: with a wrong one the parser looks for results where there are none."""
    return block.plan == f"1..{_results(block)}"


def _results(block: _Block) -> int:
    return sum(isinstance(line, str) and bool(_RESULT.match(line)) for line in block.lines)


# --- what the parser says ------------------------------------------------------------------------

_STATUSES = {
    "SUCCESS": SubtestStatus.OK,
    "FAILURE": SubtestStatus.NOT_OK,
    "SKIPPED": SubtestStatus.SKIPPED,
}


def subtests_of(parsed: object) -> tuple[Subtest, ...]:
    """The subtests in what the parser's driver printed, each with a path of its own. Raises ValueError.

    The parser is a stranger's code as much as the suite is: every value is checked.
    """
    if not isinstance(parsed, list) or len(parsed) > MOST_SUBTESTS:
        raise ValueError(f"it is no list of {MOST_SUBTESTS} subtests at most")
    found = _with_few_diagnostics(subtest for entry in parsed if (subtest := _subtest(entry)))
    times: dict[str, int] = {}
    unique = []
    for one in found:
        times[one.path] = times.get(one.path, 0) + 1
        again = times[one.path] > 1
        unique.append(replace(one, path=f"{one.path} (again {times[one.path]})") if again else one)
    return tuple(unique)


def _with_few_diagnostics(subtests: Iterable[Subtest]) -> Iterator[Subtest]:
    """A suite in which all is bad is not worth a report of its last lines a hundred times over."""
    room = _MOST_WITH_DIAGNOSTICS
    for one in subtests:
        room -= bool(one.diagnostics)
        yield one if room >= 0 else replace(one, diagnostics=())


def _subtest(entry: object) -> Subtest | None:
    """None for what has no result line of its own and is only a frame around others."""
    if not isinstance(entry, Mapping):
        raise ValueError("an entry is no object")  # noqa: TRY004  # one kind of error for bad output
    names, line = entry.get("path"), entry.get("line")
    status, log = entry.get("status"), entry.get("log")
    if not isinstance(names, list) or not isinstance(line, str) or not isinstance(status, str):
        raise ValueError("an entry lacks its path, status or line")  # noqa: TRY004  # as above
    known = [text for name in names[:_MOST_NAMES] if (text := one_line(str(name)).strip())]
    if not known or known[-1] != one_line(str(names[-1])).strip():
        return None
    result = _status(status, line)
    if result is SubtestStatus.UNFINISHED and entry.get("group"):
        return None
    tail = log[-_MOST_DIAGNOSTICS:] if isinstance(log, list) and result.bad else []
    return Subtest(
        # An address in a name is another one in each run.
        path=one_line(_ADDRESS.sub("0x...", "/".join(known)), _LONGEST_PATH),
        status=result,
        reason=one_line(_reason(line)),
        diagnostics=tuple(one_line(str(text)) for text in tail),
    )


def _status(status: str, line: str) -> SubtestStatus:
    found = _DIRECTIVE.search(line)
    if found and (found["directive"] or "").upper() == "TIMEOUT":
        return SubtestStatus.TIMED_OUT
    return _STATUSES.get(status, SubtestStatus.UNFINISHED) if line else SubtestStatus.UNFINISHED


def _reason(line: str) -> str:
    found = _DIRECTIVE.search(line)
    if not found:
        return ""
    if (found["directive"] or "").upper() == "TIMEOUT":
        return f"timeout: {found['reason']}".rstrip(": ")
    return (found["reason"] if found["directive"] else found["other"]).strip()
