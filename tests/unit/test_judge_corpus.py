"""How the judge does on real logs of other people's kernels, where they lie beside the project."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from orchestrator.judge.crash import find_crashes
from orchestrator.judge.frames import plain_name
from orchestrator.model import Crash, CrashKind, Severity

CORPUS = Path(__file__).parents[3] / "shared" / "crash-corpus"
pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"{CORPUS} is not here")

# The floors are a little below what is reached: 0.99, 1.0, 0.98 and 0.89.
LEAST_FOUND = 0.99
LEAST_SAME_KIND = 0.97
LEAST_SAME_FUNCTION = 0.88

# Which kinds are right for a title of the corpus; the first that matches counts.
KINDS = (
    (r"KASAN|.*KASAN", {CrashKind.KASAN}),
    (r"KCSAN", {CrashKind.KCSAN}),
    (r"KFENCE", {CrashKind.KFENCE}),
    (r"KMSAN", {CrashKind.KMSAN}),
    (r"UBSAN", {CrashKind.UBSAN}),
    (r"memory leak", {CrashKind.LEAK}),
    (r"INFO: task hung", {CrashKind.HANG}),
    (r"INFO: rcu detected stall", {CrashKind.STALL}),
    (r"BUG: soft lockup", {CrashKind.LOCKUP}),
    (r"unexpected kernel reboot", {CrashKind.REBOOT}),
    (r"kernel panic", {CrashKind.PANIC}),
    (r".*suspicious RCU usage", {CrashKind.RCU}),
    (r"BUG: (?:sleeping|scheduling|using|workqueue leaked)", {CrashKind.ATOMIC}),
    (r"BUG: corrupted list", {CrashKind.LIST}),
    (r"WARNING: refcount", {CrashKind.REFCOUNT}),
    (r"WARNING: ODEBUG", {CrashKind.ODEBUG}),
    (r"BUG: Bad|.*bad usercopy", {CrashKind.MEMORY}),
    (r"INFO: (?:Freed|Allocated)", {CrashKind.SLUB}),
    (r"possible deadlock|inconsistent lock|.*unlock balance|.*held lock|.*locks? held|WARNING: locking|.*non-static key"
     r"|.*nested lock|BUG: (?:spinlock|rwlock|MAX_)", {CrashKind.LOCKDEP}),
    (r"BUG: unable|BUG: stack|general protection|divide error|PANIC: double|stack segment|kernel stack overflow"
     r"|Unhandled|Internal error|int3", {CrashKind.OOPS}),
    (r"kernel BUG|attempt to add", {CrashKind.BUG}),
    (r"WARNING", {CrashKind.WARNING, CrashKind.OTHER}),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One log, what its header expects, and what the judge found first."""

    name: str
    titles: tuple[str, ...]
    corrupted: bool
    found: tuple[Crash, ...]

    @property
    def first(self) -> Crash:
        return next((crash for crash in self.found if crash.severity is Severity.FATAL), self.found[0])


def read(path: Path) -> Case:
    text = path.read_bytes().decode(errors="replace")
    header, _, log = ("", "", text[1:]) if text.startswith("\n") else text.partition("\n\n")
    # Some have the expected report appended to the log.
    log = log.split("\nREPORT:\n")[0]
    return Case(
        name=path.name,
        titles=tuple(re.findall(r"^(?:TITLE|ALT): (.*)", header, re.MULTILINE)),
        corrupted="CORRUPTED: Y" in header,
        found=tuple(find_crashes(log.split("\n"))),
    )


@cache
def cases() -> tuple[Case, ...]:
    return tuple(read(path) for path in sorted(CORPUS.iterdir()) if path.name.isdigit())


def function_of(title: str) -> str:
    found = re.search(r" in (?!preemptible|code)([\w.]+)(?: / .*|/.*)?$", title)
    return bare(found[1]) if found else ""


def bare(function: str) -> str:
    return re.sub(r"^(?:ksys_|sys_|_)+", "", plain_name(function))


def share(of: list[Case], good: Callable[[Case], bool]) -> tuple[float, list[str]]:
    bad = [f"{case.name}: {case.titles[0]!r}, not {case.first.title!r}" for case in of if not good(case)]
    return 1 - len(bad) / len(of), bad


def test_hardly_a_crash_is_missed() -> None:
    """The misses: a reboot that only the firmware shows, a driver's own WARNING, a WARNING that lost its stamp."""
    crashed = [case for case in cases() if case.titles]
    missed = [f"{case.name}: {case.titles[0]}" for case in crashed if not case.found]

    assert len(missed) <= (1 - LEAST_FOUND) * len(crashed), missed


def test_no_crash_is_made_up() -> None:
    assert not [(case.name, case.found[0].title) for case in cases() if not case.titles and case.found]


def test_nearly_every_kind_is_right() -> None:
    known = [case for case in cases() if case.titles and case.found and kinds_of(case)]

    reached, bad = share(known, lambda case: case.first.kind in kinds_of(case))

    assert reached >= LEAST_SAME_KIND, bad


def test_most_functions_are_the_same() -> None:
    """The rest is taste: which of two frames that both make sense is the one to blame."""
    named = [
        case for case in cases() if case.titles and case.found and not case.corrupted and function_of(case.titles[0])
    ]

    reached, bad = share(named, lambda case: bare(case.first.function) in map(function_of, case.titles))

    assert reached >= LEAST_SAME_FUNCTION, bad


def kinds_of(case: Case) -> set[CrashKind]:
    return next((kinds for title, kinds in KINDS if re.match(title, case.titles[0])), set())
