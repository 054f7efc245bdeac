# SPDX-License-Identifier: GPL-2.0-or-later
"""Test suites by their names."""

from pathlib import Path

import pytest

from orchestrator.host.errors import UserError
from orchestrator.host.paths import GUEST_SCRIPTS
from orchestrator.model.configuration import Matrix, Results, Variant
from orchestrator.plan.checks import known_flavours, workload_problems
from orchestrator.plan.config import load_plan
from orchestrator.plan.expansion import Selection, expand
from orchestrator.plan.suite_workloads import suite_name, suite_workload

SUITES = (
    "kselftest:mm",
    "kselftest:net/forwarding,cgroup",
    "kunit:damon*",
    "kunit:*",
    "kunit:mm/damon",
    "stress-ng:vm,swap",
)


@pytest.mark.parametrize("text", SUITES)
def test_a_suite_is_a_workload_that_a_yaml_file_could_have_said(text: str) -> None:
    workload = suite_workload(text)

    assert list(workload_problems(workload, workload.name, (GUEST_SCRIPTS,), known_flavours())) == []
    assert workload.results is Results.KTAP
    assert (GUEST_SCRIPTS / workload.command[0]).is_file()


def test_a_suite_is_called_as_on_the_command_line_and_no_other_workload_is() -> None:
    assert [suite_name(suite_workload(text)) for text in SUITES] == list(SUITES)
    load = suite_workload("stress-ng:vm")
    assert suite_name(load.model_copy(update={"command": ("stress-ng", "--vm", "2")})) == ""
    assert suite_name(load.model_copy(update={"command": ()})) == ""


def test_no_two_suites_have_one_name() -> None:
    assert [suite_workload(text).name for text in SUITES] == [
        "kselftest-mm", "kselftest-net-forwarding-cgroup", "kunit-damon-any", "kunit-any", "kunit-mm-damon",
        "stress-ng-vm-swap",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kselftset:mm", "unknown kind 'kselftset', did you mean 'kselftest'"),
        ("mm", "unknown kind 'mm'"),
        ("kselftest", "'' is no name for kselftest"),
        ("kselftest:mm,", "'' is no name for kselftest"),
        ("kselftest:../../x", "is no name for kselftest"),
        ("kselftest:/etc", "is no name for kselftest"),
        ("kselftest:mm;reboot", "is no name for kselftest"),
        ("kselftest:mm,mm", "mm is there twice"),
        ("kunit:a b", "is no name for kunit"),
        ("kunit:../mm", "is no name for kunit"),
        ("stress-ng:--vm", "is no name for stress-ng"),
        ("ltp:mm", "Debian 12 has no package of the Linux Test Project"),
    ],
)
def test_what_is_no_suite_is_refused(text: str, message: str) -> None:
    with pytest.raises(UserError) as raised:
        suite_workload(text)

    assert message in str(raised.value)


def plan_of(tmp_path: Path, selection: Selection, workloads: str = "swapin") -> list[str]:
    matrix = tmp_path / "m.yaml"
    axes = "arches: [x86_64]\nvariants: [baseline]\nflavours: [debug]\n"
    matrix.write_text(f"kernel: 6.19\nworkloads: [{workloads}]\n{axes}")
    plan = load_plan(matrix, selection)
    return [cell.name for cell in expand(plan.matrix, plan.workloads)]


def test_suites_take_the_place_of_the_matrix_s_workloads_and_have_kernels_of_their_own(tmp_path: Path) -> None:
    assert plan_of(tmp_path, Selection(suites=("kselftest:mm", "stress-ng:vm"))) == [
        "baseline.debug+kselftest.x86_64.kselftest-mm",
        "baseline.debug.x86_64.stress-ng-vm",
    ]


def test_suites_stand_beside_workloads_that_are_named_too(tmp_path: Path) -> None:
    names = plan_of(tmp_path, Selection(suites=("stress-ng:vm",), workloads=("swapin",)))

    assert names == ["baseline.debug.x86_64.swapin", "baseline.debug.x86_64.stress-ng-vm"]


def test_a_flavour_that_is_there_already_is_not_added() -> None:
    matrix = Matrix(
        kernel="6.19", workloads=("x",), flavours=("plain+kselftest",), variants=(Variant.BASELINE,), arches=("arm64",)
    )

    (cell,) = expand(matrix, [suite_workload("kselftest:mm")])

    assert cell.build.flavour == "plain+kselftest"


def test_a_matrix_may_name_suites_among_its_workloads(tmp_path: Path) -> None:
    names = plan_of(tmp_path, Selection(), "swapin, 'kunit:mm', 'stress-ng:vm,swap'")

    assert names == [
        "baseline.debug.x86_64.swapin",
        "baseline.debug+kunit.x86_64.kunit-mm",
        "baseline.debug.x86_64.stress-ng-vm-swap",
    ]


def test_a_suite_of_a_matrix_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"m\.yaml:2: workloads\[1\]: suite kself:mm: unknown kind 'kself'"):
        plan_of(tmp_path, Selection(), "swapin, 'kself:mm'")
