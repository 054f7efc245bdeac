# SPDX-License-Identifier: GPL-2.0-or-later
"""YAML files to values, and what is said about files that are wrong."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.host.errors import UserError
from orchestrator.host.paths import CONFIGS, FOUND, KERNELS, PROJECT, WORKLOADS
from orchestrator.model.configuration import DeviceKind, Failure, SiteWay, Variant, Workload
from orchestrator.plan.config import load_kernel_source, load_matrix, load_plan, load_workload
from orchestrator.plan.expansion import Selection
from tests.conftest import GOLDEN, Golden

BAD = sorted((GOLDEN / "plan").glob("*.txt"))

WORKLOAD = """\
name: {name}
summary: fault pages back in
program: workloads/faults.c
arguments: [--pages, 4096, --mode, on, Y, 0x10]
devices:
  - {{kind: null_blk, size_mib: 64, latency_us: 50}}
  - {{kind: zram, size_mib: 64}}
settings:
  /proc/sys/vm/page-cluster: 3
  /sys/module/zswap/parameters/enabled: Y
exercised:
  operations: 100
"""
KERNEL = f"version: 6.10\nplaces:\n  - debian: pool/linux.tar.xz\n    sha256: {'0f' * 32}\n"
MATRIX = "kernel: 6.10\nworkloads: [swapin]\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project: two flavours, two workloads, one kernel, one series."""
    files = {
        "configs/kconfig/base.config": "",
        "configs/kconfig/x86_64.config": "",
        "configs/kconfig/plain.config": "",
        "configs/kconfig/debug.config": "",
        "configs/workloads/swapin.yaml": WORKLOAD.format(name="swapin"),
        "configs/workloads/mincore.yaml": WORKLOAD.format(name="mincore"),
        "guest-scripts/workloads/faults.c": "int main(void) { return 0; }\n",
        "kernels/6.10.yaml": KERNEL,
        "kernels/patches/lockout/0001-x.patch": "",
        "configs/matrix.yaml": MATRIX,
    }
    for name, text in files.items():
        write(tmp_path / name, text)
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("case", BAD, ids=lambda path: path.stem)
def test_a_bad_file_is_refused_with_line_key_and_remedy(case: Path, golden: Golden, project: Path) -> None:
    expected, text = golden.split(case)
    kind = case.stem.partition("-")[0]
    loads: dict[str, Callable[[], object]] = {
        "matrix": lambda: load_matrix(write(project / "configs" / "bad.yaml", text), project=project),
        "workload": lambda: load_workload(
            str(write(project / "configs" / "bad.yaml", text)), beside=project, project=project
        ),
        "kernel": lambda: load_kernel_source(write(project / "kernels" / "bad.yaml", text).stem, project=project),
    }

    with pytest.raises(UserError) as refused:
        loads[kind]()

    message = str(refused.value).replace(f"{project}/", "")
    golden.check(case, expected, message)
    assert all(re.match(r"[\w/.-]+:\d+(:\d+)?: ", line) for line in message.splitlines()), message


def test_scalars_are_what_was_written_not_what_yaml_makes_of_them(project: Path) -> None:
    workload = load_workload("swapin", beside=project, project=project)

    assert workload.arguments == ("--pages", "4096", "--mode", "on", "Y", "0x10")
    assert workload.settings == {"/proc/sys/vm/page-cluster": "3", "/sys/module/zswap/parameters/enabled": "Y"}
    assert workload.devices[0].kind is DeviceKind.NULL_BLK
    assert workload.exercised == {"operations": 100}


def test_a_version_with_a_trailing_zero_stays_as_it_is(project: Path) -> None:
    assert load_matrix(project / "configs" / "matrix.yaml", project=project).kernel == "6.10"
    assert load_kernel_source("6.10", project=project).version == "6.10"


def test_a_series_is_relative_to_the_matrix_and_a_git_range_stays(project: Path) -> None:
    path = write(project / "configs" / "m.yaml", MATRIX + "series: [../kernels/patches/lockout, v6.19..topic]\n")

    series = load_matrix(path, project=project).series

    assert series == (project / "kernels" / "patches" / "lockout", Path("v6.19..topic"))


def test_flavours_combine_with_a_plus(project: Path) -> None:
    path = write(project / "configs" / "m.yaml", MATRIX + "flavours: [plain, plain+debug]\n")

    assert load_matrix(path, project=project).flavours == ("plain", "plain+debug")


def test_a_workload_beside_the_matrix_comes_before_the_project_s_own(project: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    write(mine / "workloads" / "swapin.yaml", WORKLOAD.format(name="swapin").replace("fault pages", "my pages"))

    workload = load_workload("swapin", beside=mine, project=project)

    assert workload.summary == "my pages back in"


def test_a_program_beside_its_yaml_file_is_found_wherever_the_user_is(project: Path) -> None:
    folder = project / "elsewhere"
    write(folder / "own.yaml", WORKLOAD.format(name="own").replace("workloads/faults.c", "own.c"))
    write(folder / "own.c", "int main(void) { return 0; }\n")

    workload = load_workload("./own.yaml", beside=folder, project=project)

    assert Path(workload.program) == folder / "own.c"


def test_a_program_in_guest_scripts_stays_relative(project: Path) -> None:
    assert str(load_workload("swapin", beside=project, project=project).program) == "workloads/faults.c"


OLD_SITES = "sites:\n  fault: [do_swap_page, do_fault]\n  new: [{call: f, by: [g], failure: returns-null}]\n"


@pytest.mark.parametrize(("probe", "called"), [("", "get_swap_device"), ("probe: folio_get\n", "folio_get")])
def test_sites_as_they_were_written_before_are_ways_and_the_user_is_told(
    project: Path, probe: str, called: str
) -> None:
    write(project / "configs" / "workloads" / "old.yaml", WORKLOAD.format(name="old") + probe + OLD_SITES)
    path = write(project / "configs" / "m.yaml", "kernel: 6.10\nworkloads: [old, swapin]\n")

    plan = load_plan(path, project=project)

    sites = plan.workloads[0].sites
    old = SiteWay(call=called, below=("do_swap_page", "do_fault"), failure=Failure.NULL_POINTER)
    assert sites == {"fault": (old,), "new": (SiteWay(call="f", by=("g",), failure=Failure.NULL_POINTER),)}
    (notice,) = plan.notices
    assert notice.startswith("workload old: ")
    assert f"call: {called}, below:" in notice
    # As a stored run gives it back.
    assert Workload.model_validate(plan.workloads[0].model_dump(mode="json")) == plan.workloads[0]


def test_an_anchor_may_be_used_again(project: Path) -> None:
    text = WORKLOAD.format(name="own").replace(
        "- {kind: zram, size_mib: 64}", "- &z {kind: zram, size_mib: 64}\n  - *z"
    )
    path = write(project / "own.yaml", text)

    assert len(load_workload(str(path), beside=project, project=project).devices) == 3


LAUGHS = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: &a [*a]\n", "contains itself"), (LAUGHS, "too large"), ("[" * 20_000, "nested too deep")],
    ids=["recursion", "a billion laughs", "deep nesting"],
)
def test_a_file_that_blows_up_is_refused(project: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_matrix(write(project / "m.yaml", text), project=project)


def test_a_missing_matrix_names_one_that_is_there(project: Path) -> None:
    with pytest.raises(UserError, match="no such file or directory") as refused:
        load_matrix(project / "configs" / "matrx.yaml", project=project)

    assert "configs/matrix.yaml" in refused.value.hint


def test_a_file_that_is_no_text_is_refused(project: Path) -> None:
    path = project / "m.yaml"
    path.write_bytes(b"kernel: \xff\xfe\n")

    with pytest.raises(UserError, match="is no UTF-8 text"):
        load_matrix(path, project=project)


def test_an_unknown_kernel_names_the_nearest(project: Path) -> None:
    with pytest.raises(UserError, match=r"unknown kernel '6.1', did you mean '6.10'"):
        load_kernel_source("6.1", project=project)


def test_a_plan_is_the_matrix_as_it_is_run(project: Path) -> None:
    selection = Selection(workloads=("mincore",), flavours=("debug",), variants=(Variant.BASELINE,), seconds=3)

    plan = load_plan(project / "configs" / "matrix.yaml", selection, project=project)

    assert [workload.name for workload in plan.workloads] == ["mincore"]
    assert (plan.matrix.flavours, plan.matrix.variants, plan.matrix.seconds) == (("debug",), ("baseline",), 3)


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(arches=("arm46",)), "--arch: unknown arch 'arm46', did you mean 'arm64'?; allowed: arm64, x86_64"),
        (Selection(flavours=("x",)), "--flavour: unknown flavour 'x'; allowed: debug, plain"),
        (Selection(flavours=("debug+debug",)), "--flavour: debug+debug: debug is there twice"),
        (
            Selection(workloads=("swap-in",)),
            "unknown workload 'swap-in', did you mean 'swapin'?; allowed: mincore, swapin",
        ),
        (Selection(workloads=("./none.yaml",)), "no such workload file: none.yaml"),
        (Selection(seconds=0), "--seconds: must be greater than 0 (got 0)"),
    ],
)
def test_an_unknown_name_on_the_command_line_is_a_user_s_mistake(
    project: Path, selection: Selection, message: str
) -> None:
    with pytest.raises(UserError) as refused:
        load_plan(project / "configs" / "matrix.yaml", selection, project=project)

    assert str(refused.value) == message


@pytest.mark.parametrize("path", sorted(WORKLOADS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_workload_is_valid(path: Path) -> None:
    assert load_workload(path.stem, beside=CONFIGS).name == path.stem


@pytest.mark.parametrize("path", sorted(KERNELS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_kernel_source_is_valid(path: Path) -> None:
    assert load_kernel_source(path.stem).version.startswith(path.stem)


@pytest.mark.parametrize("path", sorted([*CONFIGS.glob("*.yaml"), *FOUND.glob("*.yaml")]), ids=lambda path: path.stem)
def test_a_shipped_matrix_is_valid(path: Path) -> None:
    plan = load_plan(path)

    assert plan.workloads
    assert all(entry.is_relative_to(PROJECT) for entry in plan.matrix.series)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("command: [stress-ng, --vm]\npackages: [stress-ng, bash=5.2.15-2+b7]", ""),
        ("command: [x]\nresults: ktap\nmost_seconds: 900", ""),
        ("", "program: is missing, and there is no `command` either"),
        ("command: [x]\narguments: [y]", "arguments: are for a `program`"),
        ("command: ['{second}']", "unknown {second}"),
        ("command: ['a b']", "command[0]: must have no blanks, quotes or backslashes"),
        ("command: [x]\npackages: ['~nall']", "packages[0]: must be a Debian package"),
        ("command: [x]\npackages: ['a,b']", "packages[0]: must be a Debian package"),
        ("command: [x]\npackages: [--include=b]", "packages[0]: must be a Debian package"),
        ("command: [x]\nresults: tap", "results: unknown 'tap', did you mean 'ktap'?; allowed: exit-status, ktap"),
    ],
)
def test_a_command_and_its_packages_are_checked(project: Path, lines: str, message: str) -> None:
    file = project / "any.yaml"
    head = "name: any\nsummary: any\ndevices: [{kind: zram, size_mib: 1}]\nexercised: {operations: 1}\n"
    file.write_text(f"{head}{lines}\n")
    (project / "guest-scripts/workloads").mkdir(parents=True, exist_ok=True)
    (project / "guest-scripts/workloads/command.c").touch()

    if not message:
        assert load_workload(str(file), beside=project, project=project).command
        return
    with pytest.raises(UserError) as raised:
        load_workload(str(file), beside=project, project=project)

    assert message in str(raised.value)
