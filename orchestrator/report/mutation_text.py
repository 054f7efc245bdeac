# SPDX-License-Identifier: GPL-2.0-or-later
"""The run of mutants for a reader: a line for each, the survivors in the source, the score."""

import shlex
from collections.abc import Collection, Iterator, Sequence

from orchestrator.host import paths
from orchestrator.host.text import one_line
from orchestrator.model.mutants import Mutant
from orchestrator.model.mutation import MutantReport, MutantStatus, Mutation, Score
from orchestrator.model.outcomes import Outcome
from orchestrator.report.mutation_series import MutatedFile, MutatedLine

_SHOWN = 56
_TITLE = 100
# Lines of the source around one with a survivor.
_AROUND = 2
MISSED = (MutantStatus.SURVIVED, MutantStatus.NOT_REACHED)
"""What says that the workloads let a bug through."""


def table_lines(verdicts: Sequence[MutantReport]) -> Iterator[str]:
    """A line for each mutant."""
    for report in verdicts:
        mutant = report.mutant
        place = one_line(f"{mutant.file}:{mutant.line}")
        why = one_line(report.hint or report.title, _TITLE)
        yield f"{mutant.number:>4}  {report.status:<12} {place:<24} {mutant.operator:<16} {why}"
        if report.status in MISSED:
            yield f"{'':>4}  {'':<12} {change_text(mutant, _SHOWN)}"


def annotated_lines(verdicts: Sequence[MutantReport], series: Sequence[MutatedFile]) -> Iterator[str]:
    """The series around each line with a mutant that nothing noticed, and under the line what is known of that."""
    missed = {report.mutant.number for report in verdicts if report.status in MISSED}
    for file in series:
        if any(report.mutant.file == file.path and report.mutant.number in missed for report in verdicts):
            yield f"--- {one_line(file.path)}"
            yield from _around(file, missed)


def _around(file: MutatedFile, missed: Collection[int]) -> Iterator[str]:
    before = False
    for stretch in file.stretches:
        held = [at for at, one in enumerate(stretch) if any(report.mutant.number in missed for report in one.mutants)]
        near = sorted(
            {at for line in held for at in range(line - _AROUND, line + _AROUND + 1)} & {*range(len(stretch))}
        )
        for place, at in enumerate(near):
            if before and (place == 0 or near[place - 1] + 1 < at):
                yield "       ..."
            yield from _line(stretch[at], missed)
            before = True


def _line(one: MutatedLine, missed: Collection[int]) -> Iterator[str]:
    yield f"{one.line.new or '':>6} {one.line.kind}{one.line.text.expandtabs()}"
    for report in one.mutants:
        if report.mutant.number in missed:
            yield f"       ^ {report.mutant.number} {report.mutant.operator}: {change_text(report.mutant, _SHOWN)}"
            yield f"         {report.status}: {one_line(report.hint or report.title)}"


def change_text(mutant: Mutant, most: int) -> str:
    """`spin_lock(&lock); -> nothing`: what a mutant makes of what, each on one line of at most so many characters."""
    return f"{one_line(mutant.before, most)} -> {one_line(mutant.after, most) or 'nothing'}"


def again_command(report: Mutation, number: int | str) -> str:
    """What repeats the cell that decided about a mutant of this run."""
    words = ["patchrig", "mutate", "--repro", f"{report.id}/{number}"]
    elsewhere = () if report.folder.parent == paths.RESULTS else ("--results", str(report.folder.parent))
    return shlex.join((*words, *elsewhere))


def count_line(score: Score) -> str:
    """`mutants: 38; noticed 33, survived 2, not reached 2, no effect 1`."""
    counts = ", ".join(f"{status} {count}" for status, count in score.counts.items())
    return f"mutants: {score.mutants}; {counts or 'none'}"


def score_lines(score: Score) -> Iterator[str]:
    """The score of what was tried; of a sample, with the interval in which the share of all lies."""
    if not score.whole:
        return
    if not score.sample:
        yield f"score: {score.noticed} of {score.whole} mutants were noticed ({score.noticed / score.whole:.0%})"
    elif score.tried:
        share = f"{score.noticed} of {score.tried} that were tried were noticed ({score.noticed / score.tried:.0%})"
        yield f"score of a sample: {share}; 95 % interval {score.low:.0%} to {score.high:.0%}"
        yield from _of_all(score)
    else:
        yield "score of a sample: none was tried"


def _of_all(score: Score) -> Iterator[str]:
    """What a sample says about the score that a whole run has, which counts those that are not reached."""
    if unreached := score.whole - score.tried:
        low, share, high = map(score.of_all, (score.low, score.noticed / score.tried, score.high))
        about = f"about {share:.0%}; 95 % interval {low:.0%} to {high:.0%}"
        yield f"score of all, with the {unreached} not reached: {about}"


def cover_letter_line(report: Mutation, score: Score) -> str:
    """One line for who posts the series."""
    builds = dict.fromkeys(f"{one.build.flavour} {one.build.arch}" for one in report.control)
    workloads = dict.fromkeys(one.attempt.workload for one in report.control)
    missed = ", ".join(f"{score.counts[status]} {status}" for status in MISSED if status in score.counts)
    of = f"{score.tried} mutants of a sample" if score.sample else f"{score.whole} mutants"
    plural = "" if len(workloads) == 1 else "s"
    each = f", each mutant in {report.tries} at most" if 0 < report.tries < len(workloads) else ""
    return (
        f"Mutation testing with patchrig: {score.noticed} of {of} noticed"
        f"{f' ({missed})' if missed else ''}; {len(workloads)} workload{plural} of {report.load_seconds} s on "
        f"{', '.join(builds) or 'no kernel'}{each}."
    )


def control_lines(report: Mutation) -> Iterator[str]:
    """What weakens the score: workloads that are red, lost, or did too little, without any mutant."""
    for one in report.control:
        name = f"{one.build.flavour}.{one.build.arch}: {one.attempt.workload} without any mutant"
        ending = f"{one.attempt.outcome}: {one.attempt.title}"
        if one.kind:
            yield f"{name} is red ({ending}): what looks the same there is not counted as noticed"
        if not one.usable:
            yield f"{name} did not come to its end ({ending}): it was not used"
    idle = dict.fromkeys(one.attempt.workload for one in report.control if one.attempt.outcome is Outcome.NOT_EXERCISED)
    if idle:
        names, more = ", ".join(idle), 4 * report.load_seconds
        yield (
            f"did too little in {report.load_seconds} s, without any mutant, too: {names}; "
            f"--seconds {more} gives more time"
        )
