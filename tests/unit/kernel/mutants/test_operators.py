# SPDX-License-Identifier: GPL-2.0-or-later
"""What each operator makes of a function, and what it leaves alone.

A file in golden/mutants/ has the cases of one operator, with "----" between them: the body of a function, in which the
first character of a line says whether the series changed it, and a "> line: before => after" for each mutant.
"""

import re
from pathlib import Path

import pytest

from orchestrator.kernel.mutants.operators import OPERATORS
from tests.unit.mutant_samples import body, mutants, shown

FOLDER = Path(__file__).parents[3] / "golden" / "mutants"


def cases() -> dict[str, list[tuple[str, list[str]]]]:
    found = {}
    for path in sorted(FOLDER.glob("*.txt")):
        own = []
        for block in path.read_text().split("----\n"):
            lines = block.removesuffix("\n").split("\n")
            code = "\n".join(line for line in lines if not line.startswith(">"))
            own.append((code, [line[2:] for line in lines if line.startswith(">")]))
        found[path.stem] = own
    return found


CASES = cases()


@pytest.mark.parametrize(
    ("operator", "text", "expected"),
    [
        pytest.param(operator, text, expected, id=f"{operator}-{number}")
        for operator, own in CASES.items()
        for number, (text, expected) in enumerate(own, start=1)
    ],
)
def test_an_operator_makes_these_mutants(operator: str, text: str, expected: list[str]) -> None:
    assert shown(mutants(body(text), operator)) == expected


def test_each_operator_has_two_cases_and_one_that_it_refuses() -> None:
    assert set(CASES) == {operator.name for operator in OPERATORS}
    for operator, own in CASES.items():
        assert sum(bool(expected) for _, expected in own) >= 2, operator
        assert any(not expected for _, expected in own), operator


def test_the_table_of_operators_says_what_a_reader_needs() -> None:
    assert len({operator.name for operator in OPERATORS}) == len(OPERATORS)
    for operator in OPERATORS:
        assert re.fullmatch(r"[a-z]+(?:-[a-z]+)*", operator.name)
        assert operator.breaks
        assert operator.detector
        assert "`" in operator.example


def test_the_manual_has_each_operator_as_the_table_has_it() -> None:
    manual = (Path(__file__).parents[4] / "docs" / "mutation.md").read_text()

    for operator in OPERATORS:
        mark = " (*)" if operator.invisible else ""
        row = f"| `{operator.name}` | {operator.breaks} | {operator.example} | {operator.detector}{mark} |"
        assert row in manual
