# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs of mutants, as `patchrig mutate` reports them."""

from dataclasses import replace
from pathlib import Path

from orchestrator.judge.mutant_verdict import score_of, whole_verdicts
from orchestrator.model.bugs import Attempt
from orchestrator.model.cells import Build
from orchestrator.model.configuration import Variant
from orchestrator.model.mutants import Edit, Guard, Mutant
from orchestrator.model.mutation import ControlTry, MutantReport, MutantStatus, MutantTry, Mutation
from orchestrator.model.outcomes import Outcome
from orchestrator.model.series_diff import ChangedFile, DiffLine
from orchestrator.report.mutation_page import mutation_page_text

BUILD = Build(variant=Variant.PATCHED, flavour="plain", arch="x86_64")
ATTEMPT = Attempt(
    workload="mincore", seconds=5, outcome=Outcome.PASSED, title="900 operations", found=False, guest_seconds=6.0,
    cell="patched.plain.x86_64.mincore.m1", folder="plain.x86_64/cells/patched.plain.x86_64.mincore.m1",
)  # fmt: skip
# The series removes "old" and adds the condition.
SOURCE = "one\ntwo\n\tif (x)\n\t\tput(x);\nfive\nsix\nseven\neight\n"
FILE = "mm/a.c"
HUNK = (
    DiffLine(kind=" ", old=1, new=1, text="one"),
    DiffLine(kind=" ", old=2, new=2, text="two"),
    DiffLine(kind="-", old=3, new=0, text="\told(x);"),
    DiffLine(kind="+", old=0, new=3, text="\tif (x)"),
    DiffLine(kind="+", old=0, new=4, text="\t\tput(x);"),
    DiffLine(kind=" ", old=4, new=5, text="five"),
)
DIFF = (ChangedFile(path=FILE, hunks=(HUNK,)), ChangedFile(path="mm/Kconfig", hunks=()))


def verdict(number: int, status: MutantStatus, *, line: int = 3, hint: str = "", text: str = "") -> MutantReport:
    """`text`: what a stranger wrote, wherever strangers write."""
    edit = Edit(start=0, end=1, text="", guard=Guard.CONDITION)
    mutant = Mutant(
        number=number, operator="never", file=text or FILE, function=text or "f", line=line, before=text or "x",
        after="0", edits=(edit,),
    )  # fmt: skip
    title = text or f"t{number}"
    tries = (MutantTry(attempt=replace(ATTEMPT, title=title), passed=4),) if status is MutantStatus.SURVIVED else ()
    return MutantReport(mutant=mutant, build=BUILD, status=status, title=title, hint=hint, tries=tries)


VERDICTS = (
    verdict(1, MutantStatus.SURVIVED, hint="branch never taken"),
    verdict(2, MutantStatus.NOTICED),
    verdict(3, MutantStatus.NOT_REACHED, line=8),
    verdict(4, MutantStatus.LOST),
)
CONTROL = ControlTry(build=BUILD, attempt=ATTEMPT, kind="", passed={1: 4})


def mutation(*verdicts: MutantReport, control: tuple[ControlTry, ...] = (CONTROL,)) -> Mutation:
    return Mutation(
        id="mutate-x", folder=Path("/r/mutate-x"), argv=("patchrig", "mutate"), matrix_path="m.yaml",
        started="2026-11-29T12:00:00+00:00", versions={}, load_seconds=5, control=control,
        mutants=tuple(one.mutant for one in verdicts), texts={FILE: SOURCE}, diff=DIFF, reports=verdicts,
    )  # fmt: skip


def hostile_mutation(text: str) -> Mutation:
    """All that a series or a guest writes is `text`."""
    found = tuple(verdict(at, status, text=text, hint=text) for at, status in enumerate(MutantStatus, start=1))
    attempt = replace(ATTEMPT, title=text, workload=text)
    control = (
        replace(CONTROL, attempt=attempt, kind="hung"),
        replace(CONTROL, attempt=attempt, passed=None),
    )
    diff = (ChangedFile(path=text, hunks=(tuple(replace(line, text=text) for line in HUNK),)),)
    whole = replace(mutation(*found, control=control), diff=diff, texts={text: text}, interrupted=True, budget=9.0)
    return replace(whole, argv=("patchrig", text), matrix_path=text, versions={"host": text})


def page_of(report: Mutation) -> str:
    verdicts = whole_verdicts(report.mutants, report.reports)
    return mutation_page_text(report, verdicts, score_of(verdicts))
