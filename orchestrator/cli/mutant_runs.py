# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig mutate` does when it runs mutants: the score of a series, and one mutant again."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from orchestrator.cli.mutants_text import check_operators
from orchestrator.cli.options import Choice, Output
from orchestrator.cli.reported_runs import Again, repro
from orchestrator.cli.request import request_of, versions
from orchestrator.cli.trial_runs import refuse_suites, run_shown, tell_trouble
from orchestrator.host.errors import ExitCode, UserError
from orchestrator.host.text import json_text
from orchestrator.judge.mutant_verdict import score_of, whole_verdicts
from orchestrator.model.configuration import Variant
from orchestrator.model.mutation import MutantStatus, Mutation, Score
from orchestrator.plan.mutant_cells import SECONDS, TRIES
from orchestrator.report.mutation_page import PAGE_FILE, mutation_page_text
from orchestrator.report.mutation_report import MUTANTS_FILE, PREFIX, MutationLedger, as_json
from orchestrator.report.mutation_series import mutated_series
from orchestrator.report.mutation_text import (
    MISSED,
    again_command,
    annotated_lines,
    control_lines,
    count_line,
    cover_letter_line,
    score_lines,
    table_lines,
)
from orchestrator.report.run_files import write_whole
from orchestrator.report.store import copy_junit, new_folder
from orchestrator.report.terminal import say, screen
from orchestrator.run.kernels import Request
from orchestrator.run.mutant_build import MutantChoice
from orchestrator.run.mutant_trials import measure_mutants


@dataclass(frozen=True, kw_only=True, slots=True)
class MutantRunChoice:
    """The options that only a run of mutants has."""

    seconds: int | None = None
    budget: float | None = None
    tries: int = TRIES
    jobs: int | None = None
    beside: bool = False  # what is printed belongs to a run whose JSON goes to standard output


def mutant_choice(operators: tuple[str, ...], only: tuple[str, ...]) -> MutantChoice:
    """Raises UserError for an operator that there is not."""
    check_operators(operators)
    return MutantChoice(operators=operators, only=only)


def run_mutants(
    matrix: Path | None, wanted: MutantChoice, asked: MutantRunChoice, output: Output, choice: Mapping[str, Any]
) -> ExitCode:
    """`choice`: the fields of Choice that this command has options for."""
    whole = Choice(**{**choice, "variant": (str(Variant.PATCHED),), "seconds": None, "repeat": 1})
    request = replace(request_of(matrix, whole), jobs=asked.jobs)
    refuse_suites(request, "each mutant")
    ledger = MutationLedger(_new_report(request, asked, output.results))
    beside = asked.beside or output.as_json
    report, trouble = run_shown(
        ledger,
        lambda listener: measure_mutants(request, wanted, ledger, listener),
        lambda report: _show(report, output, beside=beside),
        beside_output=beside,
    )
    code = exit_code(report)
    tell_trouble(trouble, missed=code is ExitCode.BAD_KERNEL)
    return code


def score_beside_run(matrix: Path | None, choice: Mapping[str, Any], output: Output, *, jobs: int | None) -> None:
    """The score of a series after a run of it, which keeps its exit code and JSON. `choice`: as for run_mutants()."""
    asked = MutantRunChoice(jobs=jobs, beside=output.as_json)
    run_mutants(matrix, MutantChoice(), asked, Output(results=output.results, junit=None, as_json=False), choice)


def exit_code(report: Mutation) -> ExitCode:
    """1: one was missed, or the kernel without mutants is red or not there; 3: nothing is known, or one was lost."""
    verdicts = whole_verdicts(report.mutants, report.reports)
    statuses = {one.status for one in verdicts}
    red = any(one.kind for one in report.control)
    unbuilt = bool(verdicts) and statuses == {MutantStatus.BUILD_FAILED}
    if red or unbuilt or statuses & set(MISSED):
        return ExitCode.BAD_KERNEL
    if not report.mutants:
        return ExitCode.OK
    known = statuses & {MutantStatus.NOTICED, MutantStatus.NO_EFFECT}
    return ExitCode.INFRA if MutantStatus.LOST in statuses or not known else ExitCode.OK


def _show(report: Mutation, output: Output, *, beside: bool) -> None:
    console = screen(beside_output=beside)
    verdicts = whole_verdicts(report.mutants, report.reports)
    score = score_of(verdicts)
    write_whole(report.folder / PAGE_FILE, mutation_page_text(report, verdicts, score))
    for line in table_lines(verdicts):
        say(console, line)
    for line in annotated_lines(verdicts, mutated_series(report.diff, report.texts, verdicts)):
        say(console, line)
    for line in (*control_lines(report), count_line(score), *score_lines(score)):
        say(console, line)
    if score.whole:
        say(console, f"for a cover letter: {cover_letter_line(report, score)}")
    if any(one.deciding for one in verdicts):
        say(console, f"one of them again: {again_command(report, 'NUMBER')}")
    say(console, f"the series with its mutants: {report.folder / PAGE_FILE}")
    say(console, f"results: {report.folder}")
    if output.junit:
        copy_junit(report.folder, output.junit)
    if output.as_json:
        click.echo(json_text({**as_json(report), "score": _score_json(score)}, indent=2))


def _score_json(score: Score) -> dict[str, object]:
    ends = (score.low, score.high)
    interval = [round(end, 3) for end in ends] if score.sample else None
    of_all = [round(score.of_all(end), 3) for end in ends] if score.sample else None
    counts = {str(status): count for status, count in score.counts.items()}
    figures = {"noticed": score.noticed, "tried": score.tried, "of": score.whole}
    return {"counts": counts, **figures, "sample": score.sample, "interval": interval, "interval_of_all": of_all}


def _new_report(request: Request, asked: MutantRunChoice, results: Path) -> Mutation:
    started = datetime.now(UTC)
    folder = new_folder(results, started, prefix=PREFIX)
    return Mutation(
        id=folder.name,
        folder=folder,
        argv=("patchrig", *sys.argv[1:]),
        matrix_path=str(request.plan.path),
        started=started.isoformat(timespec="seconds"),
        versions=versions(sorted({cell.build.arch for cell in request.cells})),
        load_seconds=asked.seconds or min(SECONDS, request.plan.matrix.seconds),
        budget=asked.budget,
        tries=asked.tries,
    )


def repro_mutant(name: str, output: Output, **how: Any) -> ExitCode:
    """Run the cell that decided about a mutant again. `name`: its number, in the last run; or RUN/NUMBER."""
    run, _, number = name.rpartition("/")
    folder = _folder_of(run, output.results)
    try:
        mutants = json.loads((folder / MUTANTS_FILE).read_text(encoding="utf-8"))["mutants"]
    except (OSError, ValueError, KeyError) as why:
        raise UserError(f"{folder / MUTANTS_FILE} can't be read: {why}") from why
    places = {str(one["number"]): one["repro"] for one in mutants if one["repro"]}
    if number not in places:
        raise UserError(f"no cell of a mutant {number} was run in {folder.name}", hint=f"less {folder / MUTANTS_FILE}")
    place = places[number]
    again = Again(repeat=None, until_fail=False, seconds=None, seed=None, widen=None)
    return repro(f"{folder.name}/{place['run']}", place["cell"], again, output, **how)


def _folder_of(run: str, results: Path) -> Path:
    folders = sorted(path.parent for path in results.glob(f"{PREFIX}*/{MUTANTS_FILE}"))
    wanted = [folder for folder in folders if folder.name.startswith(run)] if run else folders[-1:]
    if len(wanted) != 1:
        what = f"{len(wanted)} runs of mutants begin with {run!r}" if run else "there is no run of mutants"
        raise UserError(f"{what} in {results}", hint="patchrig mutate [MATRIX]  # runs the mutants of a series")
    return wanted[0]
