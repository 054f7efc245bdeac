# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run without a matrix says of its choices."""

from dataclasses import replace

from orchestrator.model.matrix_choices import Base, ChosenSuite, ChosenWorkload, MatrixChoices, Tried
from orchestrator.report.stored import RUN
from orchestrator.report.summary import summary_text
from tests.unit.samples import run_report

BASE = Base(
    source="6.19.6",
    why="the series applies to it",
    tried=(Tried(source="7.1.8", problem="patch 3/20 does not apply in mm/swapfile.c", applied=2),),
    notes=("made on top of 2 other patches that the series does not have",),
)
CHOICES = MatrixChoices(
    base=BASE,
    workloads=(
        ChosenWorkload(name="shmem", reason="mm/shmem.c", meant=True),
        ChosenWorkload(name="swapin", reason="the series changes mm/"),
        ChosenWorkload(name="mincore", reason="the series changes mm/"),
    ),
    unreached=("mm/vmscan.c",),
    left_out=(("arm64", "this host has no qemu-system-aarch64; apt-get install qemu-system-arm"),),
)


def test_each_choice_is_a_line_with_its_reason() -> None:
    assert list(CHOICES.lines()) == [
        "base: 6.19.6: the series applies to it; 7.1.8: patch 3/20 does not apply in mm/swapfile.c",
        "made on top of 2 other patches that the series does not have",
        "workloads meant for what the series changes: shmem (mm/shmem.c)",
        "further workloads: swapin, mincore: the series changes mm/",
        "no workload is known to reach mm/vmscan.c",
        "arm64 is left out: this host has no qemu-system-aarch64; apt-get install qemu-system-arm",
    ]


def test_what_no_kernel_of_the_run_has_is_named_with_the_option() -> None:
    lines = list(replace(CHOICES, not_compiled=("f() (CONFIG_CMA is not set)",), new_options=("HINTS",)).lines())

    assert "options that the series adds, set where kconfig grants them: CONFIG_HINTS" in lines
    assert "in no kernel of this run, so no cell says anything of it: f() (CONFIG_CMA is not set)" in lines


def test_options_that_are_set_for_changed_code_are_named_with_what_turns_them_off() -> None:
    lines = list(replace(CHOICES, wanted_options=("X86_MCE", "FAILURE"), configured_as="").lines())

    assert (
        "options of changed code, set where kconfig grants them: CONFIG_X86_MCE, CONFIG_FAILURE "
        "(--config CONFIG_FAILURE=n leaves it out)"
    ) in lines
    assert (
        "no kernel was built here yet: only after the build the run says what its kernels lack of the series" in lines
    )


def test_what_is_left_out_says_whose_configuration_tells_it() -> None:
    lines = replace(CHOICES, not_compiled=("f() (CONFIG_CMA is not set)",), configured_as="6.19.6").lines()

    assert "by the configuration of an earlier one (6.19.6)" in "\n".join(lines)


def test_suites_that_run_come_before_those_that_are_only_named() -> None:
    suites = (ChosenSuite(name="kselftest:mm", reason="MM"),)
    chosen = (ChosenSuite(name="kunit:mm", reason="runs 2 of 9 changed functions"),)

    assert (
        "suites for what the series changes run with --suite kselftest:mm (MM)"
        in replace(CHOICES, suites=suites).lines()
    )
    lines = list(replace(CHOICES, suites=suites, chosen_suites=chosen).lines())
    assert lines[-3:-1] == [
        "suites that run what no workload of this run does: kunit:mm (runs 2 of 9 changed functions)",
        "further suites for what the series changes run with --suite kselftest:mm (MM)",
    ]


def test_what_to_type_comes_after_a_base_that_does_not_fit() -> None:
    nearest = replace(BASE, fits=False, hint="patchrig run --patch t.mbox --tree DIR")

    assert list(nearest.lines())[-1] == "next: patchrig run --patch t.mbox --tree DIR"


def test_of_many_files_that_no_workload_is_meant_for_the_first_are_named() -> None:
    many = replace(CHOICES, unreached=tuple(f"mm/{number}.c" for number in range(20)))

    (line,) = [line for line in many.lines() if line.startswith("no workload")]
    assert line.endswith("mm/7.c and 12 more")


def test_the_summary_and_what_is_stored_have_them() -> None:
    report = replace(run_report(), choices=CHOICES)

    text = " ".join(summary_text(report).split())
    assert all(" ".join(line.split()) in text for line in CHOICES.lines())
    stored = RUN.dump_python(report, mode="json")
    assert RUN.validate_python(stored).choices == CHOICES
