# SPDX-License-Identifier: GPL-2.0-or-later
"""What became of each mutant: on the disk while it goes on, and as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from orchestrator.host.text import json_text
from orchestrator.model.bugs import Attempt
from orchestrator.model.cells import Build
from orchestrator.model.events import TrialEnded
from orchestrator.model.mutants import Mutant, Mutants
from orchestrator.model.mutation import ControlTry, MutantReport, MutantStatus, MutantTry, Mutation
from orchestrator.report.junit import mutation_junit_text
from orchestrator.report.store import JUNIT_FILE
from orchestrator.report.trial_ledger import TrialLedger

MUTANTS_FILE = "mutants.json"
PREFIX = "mutate-"

_ATTEMPT, _MUTATION = TypeAdapter(Attempt), TypeAdapter(Mutation)
_OF_THE_REPORT = {
    "id", "folder", "argv", "started", "seconds", "load_seconds", "budget", "tries", "interrupted", "versions",
    "statements", "left_out",
}  # fmt: skip


class MutationLedger(TrialLedger[Mutation]):
    """A Mutation while it is made."""

    def files(self, report: Mutation) -> Mapping[str, str]:
        return {
            MUTANTS_FILE: json_text(as_json(report), indent=2),
            JUNIT_FILE: mutation_junit_text(report),
        }

    @property
    def budget(self) -> float | None:
        return self._report.budget

    @property
    def tries(self) -> int:
        return self._report.tries

    @property
    def load_seconds(self) -> int:
        return self._report.load_seconds

    def begin(self, found: Mutants) -> None:
        """The mutants of the series are known."""
        counts = {"statements": found.statements, "left_out": len(found.left_out)}
        self.set(**counts, mutants=found.mutants, texts=found.texts, diff=found.diff)

    def not_noticed(self) -> tuple[Mutant, ...]:
        """Those that no build has noticed by now."""
        report = self.report()
        noticed = {one.mutant.number for one in report.reports if one.status is MutantStatus.NOTICED}
        return tuple(mutant for mutant in report.mutants if mutant.number not in noticed)

    def add_control(self, control: ControlTry) -> None:
        self.add(control=control)

    def add_mutant(self, report: MutantReport) -> None:
        self.add(reports=report)

    def survivors(self, build: Build) -> tuple[MutantReport, ...]:
        """Those of the build's mutants that survived."""
        return tuple(one for one in self.report().reports if one.build == build and one.status is MutantStatus.SURVIVED)

    def correct(self, report: MutantReport) -> None:
        """More is known of a mutant than what was recorded for it and its build."""
        key = report.mutant.number, report.build
        reports = self.report().reports
        self.set(reports=tuple(report if (one.mutant.number, one.build) == key else one for one in reports))

    def add_untried(self, build: Build, why: str, mutants: Sequence[Mutant] | None = None) -> None:
        """Those of the mutants of which nothing is known on that build; of all where none are named: on any build."""
        known = {one.mutant.number for one in self.report().reports if mutants is None or one.build == build}
        for mutant in self.report().mutants if mutants is None else mutants:
            if mutant.number not in known:
                self.add_mutant(MutantReport(mutant=mutant, build=build, status=MutantStatus.NOT_TRIED, title=why))


def as_json(report: Mutation) -> dict[str, Any]:
    """What `patchrig mutate --json` prints of a run: only what json.dumps takes."""
    return {
        **_MUTATION.dump_python(report, mode="json", include=_OF_THE_REPORT),
        "matrix": report.matrix_path,
        "found": len(report.mutants),
        "control": [_control_json(one) for one in report.control],
        "mutants": [_mutant_json(one) for one in report.reports],
    }


def _control_json(one: ControlTry) -> dict[str, Any]:
    build = {"arch": one.build.arch, "flavour": one.build.flavour}
    passed = None if one.passed is None else sum(1 for count in one.passed.values() if count)
    return {**build, **_ATTEMPT.dump_python(one.attempt, mode="json"), "kind": one.kind, "places_passed": passed}


def _mutant_json(report: MutantReport) -> dict[str, Any]:
    mutant = report.mutant
    return {
        "number": mutant.number,
        "operator": mutant.operator,
        "file": mutant.file,
        "line": mutant.line,
        "function": mutant.function,
        "before": mutant.before,
        "after": mutant.after,
        "arch": report.build.arch,
        "flavour": report.build.flavour,
        "status": str(report.status),
        "title": report.title,
        "hint": report.hint,
        "workloads": list(report.workloads),
        "tries": [_try_json(one) for one in report.tries],
        "repro": repro_place(report),
    }


def _try_json(one: MutantTry) -> dict[str, Any]:
    more = {"kind": one.kind, "noise": one.noise, "passed": one.passed, "interrupted": one.interrupted}
    return {**_ATTEMPT.dump_python(one.attempt, mode="json"), **more}


def repro_place(report: MutantReport) -> dict[str, str] | None:
    """The run below the folder, and the cell in it, that show the mutant again; None where no cell of it was run."""
    if report.deciding is None:
        return None
    run, _, cell = report.deciding.attempt.folder.rpartition("/cells/")
    return {"run": run, "cell": cell}


def mutant_ended(report: MutantReport) -> TrialEnded:
    """What became of a mutant, for who waits."""
    text = f"{report.status}: {report.title}" if report.title else str(report.status)
    good = report.status in (MutantStatus.NOTICED, MutantStatus.NO_EFFECT)
    return TrialEnded(name=f"{report.mutant.number:03}-{report.mutant.operator}", text=text, good=good)


def control_ended(control: ControlTry) -> TrialEnded:
    """How a workload without any mutant ended, for who waits."""
    attempt = control.attempt
    text = f"{attempt.outcome} after {attempt.guest_seconds:.0f} s: {attempt.title}"
    return TrialEnded(name=f"control {attempt.workload}", text=text, good=control.usable and not control.kind)
