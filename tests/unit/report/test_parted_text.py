# SPDX-License-Identifier: GPL-2.0-or-later
"""From which moment a crash could no longer be avoided, as it is printed and drawn."""

from xml.etree import ElementTree

from orchestrator.judge.rates import interval
from orchestrator.model.parted import Moment, Parted
from orchestrator.report.parted_text import parted_json, parted_lines, parted_svg

PARTED = Parted(
    splat="WARNING in put",
    seconds=4.0545,
    moments=(
        Moment(asked=0.02, crashed=4, trials=4, seconds=0.084, unmoved=2),
        Moment(asked=0.1, crashed=1, trials=4, seconds=0.4),
        Moment(asked=0.4, crashed=0, trials=4, seconds=1.6),
    ),
    lost=1,
)
INTERVALS = {moment.before: interval(moment.crashed, moment.trials) for moment in PARTED.moments}


def test_a_table_with_bars_and_the_answer_above() -> None:
    assert list(parted_lines(PARTED, INTERVALS)) == [
        "splat         WARNING in put at 4.054500 s of guest time",
        "avoidable     until 0.100 s before the splat; from 0.021 s before it on, each trial crashed",
        "",
        "before (s)  crashed      share  95 % interval  0 %            100 %",
        "    -0.400     0 of 4       0%      0% to 60%                      |",
        "    -0.100     1 of 4      25%      1% to 81%  #####               |",
        "    -0.021     4 of 4     100%    40% to 100%  ####################|",
        "unmoved       2 of the crashes came at the cell's own microsecond: maybe by the same schedule",
        "not counted   1 trials that did not come to their moment with the cell's console",
    ]


def test_without_one_side_the_answer_says_so() -> None:
    always = Parted(splat="a", seconds=1.0, moments=PARTED.moments[:1])
    never = Parted(splat="a", seconds=1.0, moments=PARTED.moments[2:])

    assert "no: each trial crashed" in "\n".join(parted_lines(always, INTERVALS))
    assert "until 0.400 s before the splat at least" in "\n".join(parted_lines(never, INTERVALS))


def test_a_script_gets_the_same() -> None:
    said = parted_json(PARTED, INTERVALS)

    assert (said["avoidable_until"], said["unavoidable_from"], said["lost"]) == (0.1, 0.021, 1)
    assert isinstance(said["moments"], list)
    assert said["moments"][1]["crashed"] == 1


def test_the_picture_has_a_point_for_each_moment() -> None:
    root = ElementTree.fromstring(parted_svg(PARTED, INTERVALS))

    assert len(root.findall("{http://www.w3.org/2000/svg}circle")) == 3
