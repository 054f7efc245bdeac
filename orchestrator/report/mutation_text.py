# SPDX-License-Identifier: GPL-2.0-or-later
"""The run of mutants for a reader: a line for each, the survivors in the source, the score."""

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.host.text import one_line
from orchestrator.model.mutation import MutantReport, MutantStatus, Mutation, Score

_SHOWN = 56
_TITLE = 100
# Lines of the source around one with a survivor.
_AROUND = 2
_MISSED = (MutantStatus.SURVIVED, MutantStatus.NOT_REACHED)


def table_lines(verdicts: Sequence[MutantReport]) -> Iterator[str]:
    """A line for each mutant."""
    for report in verdicts:
        mutant = report.mutant
        place = f"{mutant.file}:{mutant.line}"
        code = f"{one_line(mutant.before, _SHOWN)} -> {one_line(mutant.after, _SHOWN)}"
        why = one_line(report.hint or report.title, _TITLE)
        yield f"{mutant.number:>4}  {report.status:<12} {place:<24} {mutant.operator:<16} {why}"
        if report.status in _MISSED:
            yield f"{'':>4}  {'':<12} {code}"


def annotated_lines(verdicts: Sequence[MutantReport], texts: Mapping[str, str]) -> Iterator[str]:
    """The source around each line with a mutant that nothing noticed, and under the line what is known of that."""
    for file in sorted({report.mutant.file for report in verdicts if report.status in _MISSED}):
        here: dict[int, list[MutantReport]] = {}
        for report in verdicts:
            if report.mutant.file == file and report.status in _MISSED:
                here.setdefault(report.mutant.line, []).append(report)
        yield f"--- {file}"
        yield from _source(texts.get(file, "").split("\n"), here)


def _source(lines: Sequence[str], here: Mapping[int, Sequence[MutantReport]]) -> Iterator[str]:
    shown = sorted({at for line in here for at in range(line - _AROUND, line + _AROUND + 1) if 1 <= at <= len(lines)})
    before = 0
    for at in shown:
        if at > before + 1 and before:
            yield "       ..."
        yield f"{at:>6} {lines[at - 1].expandtabs()}"
        for report in here.get(at, ()):
            mutant = report.mutant
            code = f"{one_line(mutant.before, _SHOWN)} -> {one_line(mutant.after, _SHOWN) or '(gone)'}"
            yield f"       ^ {mutant.number} {mutant.operator}: {code}"
            yield f"         {report.status}: {report.hint or report.title}"
        before = at


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
    missed = ", ".join(f"{score.counts[status]} {status}" for status in _MISSED if status in score.counts)
    of = f"{score.tried} mutants of a sample" if score.sample else f"{score.whole} mutants"
    plural = "" if len(workloads) == 1 else "s"
    return (
        f"Mutation testing with patchrig: {score.noticed} of {of} noticed"
        f"{f' ({missed})' if missed else ''}; {len(workloads)} workload{plural} of {report.load_seconds} s on "
        f"{', '.join(builds) or 'no kernel'}."
    )


def control_lines(report: Mutation) -> Iterator[str]:
    """What weakens the score: workloads that are red, or lost, without any mutant."""
    for one in report.control:
        name = f"{one.build.flavour}.{one.build.arch}: {one.attempt.workload} without any mutant"
        ending = f"{one.attempt.outcome}: {one.attempt.title}"
        if one.kind:
            yield f"{name} is red ({ending}): what looks the same there is not counted as noticed"
        if not one.usable:
            yield f"{name} did not come to its end ({ending}): it was not used"
