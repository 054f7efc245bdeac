# SPDX-License-Identifier: GPL-2.0-or-later
"""From which moment a crash could no longer be avoided: as text, JSON and a picture (pure)."""

from collections.abc import Iterator, Mapping
from math import log10

from orchestrator.host.text import printable
from orchestrator.model.parted import Moment, Parted

_BAR = 20
_WIDTH, _HEIGHT, _MARGIN = 560, 240, 48

Intervals = Mapping[float, tuple[float, float]]
"""Moment -> the interval of its share of crashes."""


def parted_lines(parted: Parted, intervals: Intervals) -> Iterator[str]:
    """The answer, and a table with bars."""
    yield f"splat         {printable(parted.splat)} at {parted.seconds:.6f} s of guest time"
    yield f"avoidable     {_answer(parted)}"
    yield ""
    yield f"before (s)  crashed      share  95 % interval  0 %{' ' * (_BAR - 8)}100 %"
    for moment in reversed(parted.moments):
        low, high = intervals[moment.before]
        share = moment.crashed / moment.trials
        bar = "#" * round(share * _BAR)
        counted = f"{moment.crashed} of {moment.trials}"
        between = f"{low:.0%} to {high:.0%}"
        yield f"{-moment.before:>10.3f}  {counted:>9}  {share:>7.0%}  {between:>13}  {bar:{_BAR}}|".rstrip()
    unmoved = sum(moment.unmoved for moment in parted.moments)
    if unmoved:
        yield f"unmoved       {unmoved} of the crashes came at the cell's own microsecond: maybe by the same schedule"
    if parted.lost:
        yield f"not counted   {parted.lost} trials that did not come to their moment with the cell's console"


def _answer(parted: Parted) -> str:
    far, near = parted.bounds
    if far is None:
        return "no: each trial crashed, also those that parted first"
    if near is None:
        return f"until {far:.3f} s before the splat at least; nearer to it was not tried, or was avoidable, too"
    return f"until {far:.3f} s before the splat; from {near:.3f} s before it on, each trial crashed"


def parted_json(parted: Parted, intervals: Intervals) -> dict[str, object]:
    """For a script."""
    far, near = parted.bounds
    return {
        "splat": parted.splat,
        "seconds": parted.seconds,
        "avoidable_until": far,
        "unavoidable_from": near,
        "lost": parted.lost,
        "moments": [
            {"before": moment.before, "crashed": moment.crashed, "trials": moment.trials, "unmoved": moment.unmoved,
             "low": intervals[moment.before][0], "high": intervals[moment.before][1]}
            for moment in parted.moments
        ],
    }  # fmt: skip


def parted_svg(parted: Parted, intervals: Intervals) -> str:
    """Share of crashes over the time before the splat, on a logarithmic scale, the splat to the right."""
    times = [moment.before for moment in parted.moments]
    first, last = log10(max(times)), log10(min(times))
    marks = "".join(_mark(moment, intervals[moment.before], first, last) for moment in parted.moments)
    ticks = "".join(
        f'<text x="{_MARGIN - 8}" y="{_y(share) + 4:.1f}" text-anchor="end">{share:.0%}</text>'
        f'<line x1="{_MARGIN}" x2="{_WIDTH - 12}" y1="{_y(share):.1f}" y2="{_y(share):.1f}" stroke="#ccc"/>'
        for share in (0.0, 0.5, 1.0)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{_MARGIN}" y="16">Share of trials that crashed, by when they left the schedule</text>'
        f"{ticks}{marks}</svg>\n"
    )


def _mark(moment: Moment, between: tuple[float, float], first: float, last: float) -> str:
    width = _WIDTH - 2 * _MARGIN
    at = 0.5 if first == last else (first - log10(moment.before)) / (first - last)
    x = _MARGIN + 20 + at * (width - 20)
    share = moment.crashed / moment.trials
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_y(between[0]):.1f}" y2="{_y(between[1]):.1f}" stroke="#0072b2"/>'
        f'<circle cx="{x:.1f}" cy="{_y(share):.1f}" r="4" fill="#d55e00"/>'
        f'<text x="{x:.1f}" y="{_HEIGHT - 12}" text-anchor="middle">{-moment.before:.3f} s</text>'
    )


def _y(share: float) -> float:
    return 32 + (1 - share) * (_HEIGHT - 72)
