# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run's folder keeps of what was asked for: read back as it was, and compared in words."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.host.errors import UserError
from orchestrator.model.configuration import Variant
from orchestrator.model.shards import Shard
from orchestrator.plan.config import load_plan
from orchestrator.plan.expansion import Selection, expand
from orchestrator.report.stored import with_sum
from orchestrator.run.kept_plan import (
    PLAN_FILE,
    Inputs,
    KeptPlan,
    keep_plan,
    load_plan_of,
    new_plan,
    other_fields,
    other_inputs,
    other_matrix,
    other_program,
    program,
)
from orchestrator.run.kernels import Request

LOAD = """\
name: mine
summary: a workload beside its matrix
program: mine.c
devices: [{kind: zram, size_mib: 16}]
exercised: {swapoffs: 5}
"""
INPUTS = Inputs(series="a" * 64, files={"mm/a.c": "1", "mm/b.c": "2"}, source="b" * 64, version="6.19.6")
SELECTION = Selection(variants=(Variant.BASELINE,), seconds=7, repeat=2)


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    (tmp_path / "workloads").mkdir()
    (tmp_path / "workloads" / "mine.yaml").write_text(LOAD)
    (tmp_path / "workloads" / "mine.c").write_text("int main(void) { return 0; }\n")
    path = tmp_path / "matrix.yaml"
    path.write_text("kernel: 6.19\nseries: [series.patch]\nworkloads: [mine, swapin]\narches: [x86_64]\n")
    (tmp_path / "series.patch").write_text("nothing\n")
    return path


def kept(matrix: Path, selection: Selection = SELECTION) -> KeptPlan:
    plan = load_plan(matrix, selection)
    request = Request(
        plan=plan,
        cells=expand(plan.matrix, plan.workloads),
        series=plan.matrix.series,
        shard=Shard(2, 3),
        fail_fast=True,
        sandbox=False,
    )
    return new_plan(request, selection, None)


def test_a_plan_is_read_back_as_it_was(matrix: Path) -> None:
    plan = replace(kept(matrix), inputs=INPUTS)

    keep_plan(plan, matrix.parent)

    assert load_plan_of(matrix.parent) == plan
    assert len(plan.request.cells) == 4


def test_a_folder_without_a_plan_has_none(tmp_path: Path) -> None:
    assert load_plan_of(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{}", "[1]", with_sum('{"request": 3}'), with_sum('{"request": {"cells": 1}}')])
def test_a_plan_that_can_not_be_read_is_a_mistake(tmp_path: Path, text: str) -> None:
    (tmp_path / PLAN_FILE).write_text(text)

    with pytest.raises(UserError, match=PLAN_FILE):
        load_plan_of(tmp_path)


def test_what_is_the_same_has_no_reasons(matrix: Path) -> None:
    plan = replace(kept(matrix), inputs=INPUTS)

    assert list(other_matrix(plan)) == []
    assert list(other_inputs(plan, INPUTS)) == []
    assert list(other_program(plan.program, program())) == []


def test_a_comment_changes_nothing(matrix: Path) -> None:
    plan = kept(matrix)
    matrix.write_text(f"# Once more.\n{matrix.read_text()}")

    assert list(other_matrix(plan)) == []


def test_a_suite_that_was_chosen_without_delays_is_the_same(matrix: Path) -> None:
    matrix.write_text(matrix.read_text().replace("[mine, swapin]", "['kselftest:mm']"))
    plan = kept(matrix)
    (suite,) = plan.request.plan.workloads
    chosen = suite.model_copy(update={"not_with": {"widened": "its results don't depend on delays"}})
    request = replace(plan.request, plan=replace(plan.request.plan, workloads=(chosen,)))

    assert list(other_matrix(replace(plan, request=request))) == []


def test_keys_workloads_and_programs_that_changed_are_named(matrix: Path) -> None:
    plan = kept(matrix)
    (matrix.parent / "workloads" / "mine.c").write_text("int main(void) { return 1; }\n")
    assert list(other_matrix(plan)) == ["the workload mine has changed"]

    (matrix.parent / "workloads" / "mine.yaml").write_text(LOAD.replace("16", "32"))
    matrix.write_text(matrix.read_text().replace("x86_64", "arm64, x86_64"))
    assert list(other_matrix(plan)) == [
        f"{matrix}: `arches` differs: x86_64 and arm64, x86_64",
        "the workload mine has changed",
    ]


def test_a_workload_that_was_given_by_its_path_is_found_from_anywhere(
    matrix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(matrix.parent / "workloads")
    plan = kept(matrix, replace(SELECTION, workloads=("./mine.yaml",)))
    monkeypatch.chdir("/")

    assert [load.name for load in plan.request.plan.workloads] == ["mine"]
    assert list(other_matrix(plan)) == []


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (
            replace(INPUTS, series="c" * 64, files={"mm/a.c": "1", "mm/b.c": "3", "mm/c.c": "4"}),
            "the series is another one: what it does to mm/b.c, mm/c.c differs",
        ),
        (replace(INPUTS, series="c" * 64), "the series is another one: the text of its patches differs"),
        (
            replace(INPUTS, source="c" * 64, version="6.19.7"),
            "the kernel source is another one: kernel 6.19: version 6.19.6 and 6.19.7",
        ),
        (replace(INPUTS, source="c" * 64), "the kernel source is another one: kernel 6.19: its files differ"),
    ],
)
def test_other_inputs_are_told(matrix: Path, now: Inputs, reason: str) -> None:
    assert list(other_inputs(replace(kept(matrix), inputs=INPUTS), now)) == [reason]


def test_another_patchrig_is_told() -> None:
    before = program()

    assert list(other_program(before, {**before, "the version": "9.9"})) == [
        f"patchrig is another one: version {before['the version']} and 9.9"
    ]
    assert list(other_program(before, {**before, "guest-scripts": "0"})) == [
        "patchrig is another one: guest-scripts differ, of the same version"
    ]


def test_keys_that_others_are_asked_of_are_not_compared(matrix: Path) -> None:
    one = load_plan(matrix).matrix
    other = one.model_copy(update={"kernel": "/home/me/linux", "seed": 5})

    assert list(other_fields("m", one, other, beside=("kernel",))) == ["m: `seed` differs: 1 and 5"]
