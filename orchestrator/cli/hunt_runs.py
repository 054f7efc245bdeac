# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig hunt` does: a hunt is begun or resumed, and what it has found is shown."""

import secrets
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from orchestrator.cli.messages import tell
from orchestrator.cli.options import DEFAULT_MATRIX, Choice, Output
from orchestrator.cli.request import request_of, versions
from orchestrator.host import paths
from orchestrator.host.errors import ExitCode, InfraError, UserError
from orchestrator.host.text import json_text
from orchestrator.model.configuration import Variant
from orchestrator.model.hunts import Hunt, HuntTask
from orchestrator.plan.config import load_matrix
from orchestrator.plan.flavours import is_widened
from orchestrator.plan.hunting import FLAVOURS, all_workloads, delays_text_of, patterns_of
from orchestrator.report.hunt_files import PREFIX, ROUNDS, load_hunt, save_hunt
from orchestrator.report.hunt_text import hunt_json, hunt_text, resume_words
from orchestrator.report.store import new_folder
from orchestrator.report.terminal import say, screen, terminal
from orchestrator.run.chosen_plan import SHIPPED
from orchestrator.run.hunt import request_of_task, run_hunt
from orchestrator.run.hunt_ledger import HuntLedger
from orchestrator.run.hunt_task import hunt_task, same_source
from orchestrator.run.kernels import Request

_HOURS = 8.0
_HOUR = 3600.0
_MOST_SEED = 1 << 31


@dataclass(frozen=True, kw_only=True, slots=True)
class HuntChoice:
    """The options that only a hunt has."""

    hours: float | None
    rounds: int | None
    files: str
    deterministic: bool = False


def run_hunt_of(asked: HuntChoice, choice: Mapping[str, Any], output: Output, **how: Any) -> ExitCode:
    """Begin a hunt. `choice`: the fields of Choice that this command has options for; `how`: those of Request."""
    patterns = patterns_of(asked.files)
    request = request_of(None, replace(_whole(choice), deterministic=asked.deterministic))
    if patterns and not any(is_widened(cell.build.flavour) for cell in request.cells):
        raise UserError("--in: no flavour of the hunt is widened", hint="--flavour widened")
    with terminal(screen(beside_output=output.as_json)) as listener:
        task = hunt_task(request, patterns, asked.rounds, listener)
    hunt = _new_hunt(task, asked, output.results)
    try:
        return _hunted(HuntLedger(hunt, _results_named(output)), output, how)
    except UserError:
        # After a mistake on the command line there is nothing to show, and no folder is left.
        if not any((hunt.folder / ROUNDS).glob("*/cells/*")):
            shutil.rmtree(hunt.folder, ignore_errors=True)
        raise


def go_on(name: str, asked: HuntChoice, choice: Mapping[str, Any], output: Output, **how: Any) -> ExitCode:
    """Go on with a hunt: with its kernels, its seeds and all that it knows. Raises UserError."""
    own = {"in": asked.files, "rounds": asked.rounds, "deterministic": asked.deterministic}
    given = [option for option, value in {**choice, **own}.items() if value]
    if given := [option for option in given if option != "sandbox"]:
        raise UserError(f"--resume: what a hunt runs was decided when it began: leave out --{given[0]}")
    if not choice["sandbox"]:
        raise UserError("--resume: what a hunt runs was decided when it began: leave out --no-sandbox")
    hunt = load_hunt(output.results, name)
    ledger = HuntLedger(replace(hunt, ended=""), _results_named(output))
    ledger.recount()
    hours = ledger.seconds / _HOUR + asked.hours if asked.hours is not None else hunt.hours
    if ledger.seconds >= hours * _HOUR:
        again = resume_words(replace(hunt, seconds=ledger.seconds), _results_named(output))
        raise UserError(f"{hunt.id}: its {hunt.hours:g} hours are over", hint=shlex.join(again))
    ledger.hunt = replace(ledger.hunt, hours=hours)
    if not hunt.kernels_in:
        with terminal(screen(beside_output=output.as_json)) as listener:
            same_source(hunt.task, request_of_task(hunt.task), listener)
    return _hunted(ledger, output, how)


def default_workloads() -> tuple[str, ...]:
    """What a hunt runs unless the user says: no workload that only shows a bug that is known."""
    return all_workloads(load_matrix(DEFAULT_MATRIX).workloads, load_matrix(SHIPPED).workloads)


def exit_code(hunt: Hunt) -> ExitCode:
    """1 for a finding, or a kernel that was not built; else 3 where nothing passed, or a workload was only lost."""
    if hunt.hunted.findings or hunt.hunted.unbuilt:
        return ExitCode.BAD_KERNEL
    tallies = hunt.hunted.tallies.values()
    only_lost = any(tally.lost and tally.lost == tally.cells for tally in tallies)
    return ExitCode.OK if any(tally.quiet for tally in tallies) and not only_lost else ExitCode.INFRA


def _whole(choice: Mapping[str, Any]) -> Choice:
    """The choice of a hunt, with all that the user leaves open."""
    if choice["suite"]:
        raise UserError(
            "a test suite finds a bug by comparing runs, and a hunt has no second kernel", hint="patchrig run"
        )
    if not (choice["patch"] or choice["tree"] or choice["kernel"]):
        raise UserError(
            "which kernel is to be hunted in?", hint="patchrig hunt --kernel 7.1; or --tree DIR, --patch PATH"
        )
    flavours = choice["flavour"] or FLAVOURS
    delays = choice["widen"]
    if delays is None and any(map(is_widened, flavours)):
        delays = ""
    variant = Variant.PATCHED if choice["patch"] else Variant.BASELINE
    seed = choice["seed"]
    filled = {
        "flavour": flavours,
        "workload": choice["workload"] or default_workloads(),
        "variant": (str(variant),),
        "seed": secrets.randbelow(_MOST_SEED) if seed is None else seed,
        "widen": None if delays is None else delays_text_of(delays),
        "repeat": 1,
    }
    return Choice(**{**choice, **filled})


def _new_hunt(task: HuntTask, asked: HuntChoice, results: Path) -> Hunt:
    started = datetime.now(UTC)
    folder = new_folder(results, started, prefix=PREFIX)
    hunt = Hunt(
        id=folder.name,
        folder=folder.resolve(),
        argv=("patchrig", *sys.argv[1:]),
        started=started.isoformat(timespec="seconds"),
        versions=versions(sorted(task.matrix.arches)),
        task=task,
        hours=asked.hours if asked.hours is not None else _HOURS,
    )
    save_hunt(hunt)
    return hunt


def _hunted(ledger: HuntLedger, output: Output, how: Mapping[str, Any]) -> ExitCode:
    request: Request = replace(request_of_task(ledger.hunt.task), **how)
    trouble: InfraError | None = None
    try:
        with terminal(screen(beside_output=output.as_json)) as listener:
            run_hunt(ledger, request, listener)
    except InfraError as e:
        trouble = e
    finally:
        if not isinstance(sys.exc_info()[1], UserError) or ledger.hunted.tallies:
            _show(ledger, output)
    code = exit_code(ledger.hunt)
    if trouble and code is not ExitCode.BAD_KERNEL:
        raise trouble
    if trouble:
        # A kernel that is bad is so, whatever this machine did afterwards.
        tell(trouble)
    return code


def _show(ledger: HuntLedger, output: Output) -> None:
    console, summary = screen(beside_output=output.as_json), ledger.summary()
    for line in hunt_text(ledger.hunt, summary, ledger.results).splitlines():
        say(console, line)
    say(console, f"results: {ledger.hunt.folder}")
    if output.as_json:
        click.echo(json_text(hunt_json(ledger.hunt, summary), indent=2))


def _results_named(output: Output) -> str:
    """What commands have to say of where the results are; "" for nothing."""
    return "" if output.results.resolve() == paths.RESULTS.resolve() else str(output.results)
