# SPDX-License-Identifier: GPL-2.0-or-later
"""How the judge does on console logs of other people's kernels, each with the verdict of a tool that is good at it.

`make corpus` prints the table; tests/unit/test_judge_corpus.py holds us to the floors. A log is a header (TITLE, ALT,
TYPE, CORRUPTED), an empty line and the raw console text.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from orchestrator.judge.frames import plain_name
from orchestrator.judge.scan import crashes_in
from orchestrator.model.crashes import Crash, CrashKind, Severity

CORPUS = Path(os.environ.get("CORPUS") or Path(__file__).parents[2] / "shared" / "crash-corpus")

# Which kinds are right for a title of the corpus, and the first of them the row that it counts in.
KINDS = (
    (r"KASAN|.*KASAN", (CrashKind.KASAN,)),
    (r"KCSAN", (CrashKind.KCSAN,)),
    (r"KFENCE", (CrashKind.KFENCE,)),
    (r"KMSAN", (CrashKind.KMSAN,)),
    (r"UBSAN", (CrashKind.UBSAN,)),
    (r"memory leak", (CrashKind.LEAK,)),
    (r"INFO: task hung", (CrashKind.HANG,)),
    (r"INFO: rcu detected stall", (CrashKind.STALL,)),
    (r"BUG: soft lockup", (CrashKind.LOCKUP,)),
    (r"unexpected kernel reboot", (CrashKind.REBOOT,)),
    (r"kernel panic", (CrashKind.PANIC,)),
    (r".*suspicious RCU usage", (CrashKind.RCU,)),
    (r"BUG: (?:sleeping|scheduling|using|workqueue leaked)", (CrashKind.ATOMIC,)),
    (r"BUG: corrupted list", (CrashKind.LIST,)),
    (r"WARNING: refcount", (CrashKind.REFCOUNT,)),
    (r"WARNING: ODEBUG", (CrashKind.ODEBUG,)),
    (r"BUG: Bad|.*bad usercopy", (CrashKind.MEMORY,)),
    (r"INFO: (?:Freed|Allocated)", (CrashKind.SLUB,)),
    (r"possible deadlock|inconsistent lock|.*unlock balance|.*held lock|.*locks? held|WARNING: locking|.*non-static key"
     r"|.*nested lock|BUG: (?:spinlock|rwlock|MAX_)", (CrashKind.LOCKDEP,)),
    (r"BUG: unable|BUG: stack|general protection|divide error|PANIC: double|stack segment|kernel stack overflow"
     r"|Unhandled|Internal error|int3", (CrashKind.OOPS,)),
    (r"kernel BUG|attempt to add", (CrashKind.BUG,)),
    (r"trusty", (CrashKind.PANIC,)),
    (r"WARNING", (CrashKind.WARNING, CrashKind.OTHER)),
    (r"", (CrashKind.OTHER,)),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One log, what its header expects, and what the judge found."""

    name: str
    titles: tuple[str, ...]  # none: the log must stay silent
    corrupted: bool
    found: tuple[Crash, ...]

    @property
    def first(self) -> Crash:
        return next((crash for crash in self.found if crash.severity is Severity.FATAL), self.found[0])

    @property
    def kinds(self) -> tuple[CrashKind, ...]:
        return next(kinds for title, kinds in KINDS if re.match(title, self.titles[0]))

    @property
    def functions(self) -> set[str]:
        return {function for title in self.titles if (function := function_of(title))}

    @property
    def named(self) -> bool:
        """Whether the function that the log's verdict names can be trusted."""
        return bool(self.titles) and not self.corrupted and bool(function_of(self.titles[0]))

    @property
    def right_kind(self) -> bool:
        return bool(self.found) and self.first.kind in self.kinds

    @property
    def right_function(self) -> bool:
        if not self.found:
            return False
        return self.first.title in self.titles or bare(self.first.function) in self.functions


def read(path: Path) -> Case:
    text = path.read_bytes()
    header, _, log = (b"", b"", text[1:]) if text.startswith(b"\n") else text.partition(b"\n\n")
    head = header.decode(errors="replace")
    return Case(
        name=path.name,
        titles=tuple(re.findall(r"^(?:TITLE|ALT): (.*)", head, re.MULTILINE)),
        corrupted="CORRUPTED: Y" in head,
        # Some have the expected report appended to the log.
        found=tuple(crashes_in([log.split(b"\nREPORT:\n")[0]])),
    )


@cache
def cases() -> tuple[Case, ...]:
    return tuple(read(path) for path in sorted(CORPUS.iterdir()) if path.name.isdigit())


def function_of(title: str) -> str:
    found = re.search(r" in (?!preemptible|code)([\w.]+)(?: / .*|/.*)?$", title)
    return bare(found[1]) if found else ""


def bare(function: str) -> str:
    """Without what one system call is spelled with."""
    return re.sub(r"^(?:ksys_|sys_|_)+", "", plain_name(function))


def share(part: int, of: int) -> float:
    return part / of if of else 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """Shares from 0 to 1, over some of the logs."""

    logs: int
    recall: float  # of the logs with a crash, those where one was found
    precision: float  # of the logs where a crash was found, those that have one
    kind: float  # of the logs with a crash, those where the first one's kind is right
    named: int
    function: float  # of the logs whose verdict names a function that can be trusted


def score(some: Iterable[Case]) -> Score:
    logs = tuple(some)
    crashed = [case for case in logs if case.titles]
    found = [case for case in logs if case.found]
    named = [case for case in crashed if case.named]
    return Score(
        logs=len(logs),
        recall=share(sum(bool(case.found) for case in crashed), len(crashed)),
        precision=share(sum(bool(case.titles) for case in found), len(found)),
        kind=share(sum(case.right_kind for case in crashed), len(crashed)),
        named=len(named),
        function=share(sum(case.right_function for case in named), len(named)),
    )


def misses() -> dict[str, list[str]]:
    """What went wrong -> a line for each log."""
    crashed = [case for case in cases() if case.titles]
    return {
        "not found": _lines(case for case in crashed if not case.found),
        "made up": _lines(case for case in cases() if case.found and not case.titles),
        "another kind": _lines(case for case in crashed if case.found and not case.right_kind),
        "another function": _lines(
            case for case in crashed if case.found and case.named and case.right_kind and not case.right_function
        ),
    }


def _lines(some: Iterable[Case]) -> list[str]:
    return [
        f"{case.name}: {case.titles[0] if case.titles else 'silence'!s}"
        + (f"; here: {case.first.title}" if case.found else "")
        for case in some
    ]


def table() -> str:
    def row(name: str, wanted: Callable[[Case], bool]) -> str:
        of = score(filter(wanted, cases()))
        shares = "".join(f"{value:9.1%}" for value in (of.recall, of.precision, of.kind))
        return f"{name:<12}{of.logs:6}{shares}{of.named:9}{of.function:10.1%}"

    def has(kind: CrashKind) -> Callable[[Case], bool]:
        return lambda case: bool(case.titles) and kind is case.kinds[0]

    rows = [f"{'kind':<12}{'logs':>6}{'recall':>9}{'precise':>9}{'kind':>9}{'named':>9}{'function':>10}"]
    rows += [row(str(kind), has(kind)) for kind in CrashKind if any(map(has(kind), cases()))]
    rows += [row("silence", lambda case: not case.titles), row("all", lambda _: True)]
    for what, lines in misses().items():
        rows += ["", f"{what}: {len(lines) or 'none'}", *(f"  {line}" for line in lines)]
    return "\n".join(rows)


def main() -> int:
    if not CORPUS.is_dir():
        sys.stderr.write(f"{CORPUS} is not here, so nothing was measured\n  make corpus CORPUS=DIR\n")
        return 2
    sys.stdout.write(f"{CORPUS}: {len(cases())} logs\n{table()}\n\ndocs/judging.md says why the rest is as it is.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
