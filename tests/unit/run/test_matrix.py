# SPDX-License-Identifier: GPL-2.0-or-later
"""Which fragments make a build, what a cell without a guest comes to, and what the exit code says."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.cli.reported_runs import exit_code
from orchestrator.guest.keys import new_keys
from orchestrator.host.errors import ExitCode, InfraError
from orchestrator.host.files import sha256_of
from orchestrator.model.cells import Build
from orchestrator.model.configuration import Variant
from orchestrator.model.images import BuildFailure
from orchestrator.model.outcomes import Outcome
from orchestrator.run.bootable import Guests, kept_bootable
from orchestrator.run.judging import interrupted_report, unbuilt_report
from orchestrator.run.kernels import fragments_of
from orchestrator.vm.qemu import config_digest
from tests.unit.samples import cell, cell_report, image, run_report

GUESTS = Guests(keys=new_keys())


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ((Outcome.PASSED, Outcome.PASSED), ExitCode.OK),
        ((Outcome.PASSED, Outcome.SKIPPED), ExitCode.OK),
        ((Outcome.SUBTESTS_FAILED,), ExitCode.OK),
        ((Outcome.SKIPPED,), ExitCode.INFRA),
        ((), ExitCode.INFRA),
        ((Outcome.PASSED, Outcome.LOST), ExitCode.INFRA),
        ((Outcome.LOST, Outcome.HUNG), ExitCode.BAD_KERNEL),
        *(((Outcome.PASSED, bad), ExitCode.BAD_KERNEL) for bad in Outcome if not bad.good and bad is not Outcome.LOST),
    ],
)
def test_the_exit_code_says_good_bad_or_unknown(outcomes: tuple[Outcome, ...], code: ExitCode) -> None:
    report = run_report(*(cell_report(outcome) for outcome in outcomes))

    assert exit_code(report) is code


def test_flavours_are_merged_after_the_base_and_the_arch() -> None:
    build = Build(variant=Variant.PATCHED, flavour="plain+debug", arch="arm64")

    names = [path.name for path in fragments_of(build)]

    assert names == ["base.config", "arm64.config", "plain.config", "debug.config"]
    assert all(path.is_file() for path in fragments_of(build))


@pytest.mark.parametrize(("arch", "own"), [("x86_64", ["numa.x86_64.config"]), ("arm64", [])])
def test_what_a_flavour_needs_on_one_arch_only_is_merged_there_only(arch: str, own: list[str]) -> None:
    names = [path.name for path in fragments_of(Build(variant=Variant.BASELINE, flavour="numa+debug", arch=arch))]

    assert names == ["base.config", f"{arch}.config", "numa.config", "debug.config", *own]


def test_a_cell_whose_kernel_was_not_built_has_the_builds_outcome() -> None:
    failure = BuildFailure(
        build=cell().build, outcome=Outcome.NOT_APPLIED, title="hunk 2 of mm/x.c", detail="...", log=None
    )

    report = unbuilt_report(cell(), failure)

    assert (report.verdict.outcome, report.verdict.title) == (Outcome.NOT_APPLIED, "hunk 2 of mm/x.c")
    assert report.run is None


def test_a_cell_that_never_began_is_skipped_with_the_reason() -> None:
    report = interrupted_report(cell(), "interrupted by the user before it began")

    assert report.verdict.outcome is Outcome.SKIPPED
    assert report.verdict.title == "interrupted by the user before it began"


def test_a_run_keeps_its_own_copy_of_the_kernel(tmp_path: Path) -> None:
    folder = tmp_path / "builds" / image().build.name
    folder.mkdir(parents=True)
    (folder / "image").touch()
    (tmp_path / "guest").mkdir()
    (tmp_path / "guest" / f"initramfs.{image().build.arch}").touch()

    kept = kept_bootable(image(), tmp_path, GUESTS)

    assert kept.kernel.image == folder / "image"
    assert kept.initramfs == tmp_path / "guest" / f"initramfs.{image().build.arch}"


def test_a_kernel_that_is_gone_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="is gone") as raised:
        kept_bootable(image(), tmp_path, GUESTS)

    assert raised.value.hint


def test_the_configs_digest_is_the_one_that_the_guest_prints(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("CONFIG_SWAP=y\n")

    # printf 'CONFIG_SWAP=y\n' | gzip | tail -c 8 | od -An -tx4 --endian=little
    assert config_digest(tmp_path / "config") == "5ad813a30000000e"


def test_a_kernel_that_was_changed_in_a_runs_folder_is_not_booted_again(tmp_path: Path) -> None:
    kernel = image()
    place = tmp_path / "builds" / kernel.build.name / "image"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"kernel")
    kernel = replace(kernel, hashes={**kernel.hashes, "image": sha256_of(place)})
    (tmp_path / "guest").mkdir()
    (tmp_path / "guest" / f"initramfs.{kernel.build.arch}").touch()
    assert kept_bootable(kernel, tmp_path, GUESTS).kernel.image == place

    place.write_bytes(b"kernfl")

    with pytest.raises(InfraError, match="is not what was booted"):
        kept_bootable(kernel, tmp_path, GUESTS)
