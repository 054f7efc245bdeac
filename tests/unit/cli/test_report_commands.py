# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig report`: files in the folder of a stored run."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from orchestrator.cli.report_commands import report
from orchestrator.model.configuration import Matrix
from orchestrator.report.store import open_run
from tests.unit.samples import VERSIONS, cell_report


@pytest.fixture
def results(tmp_path: Path) -> Path:
    matrix = Matrix(kernel="6.19", workloads=("mincore",))
    with open_run(tmp_path, argv=["patchrig", "run"], matrix_path="m.yaml", matrix=matrix, versions=VERSIONS) as store:
        store.add_cells([cell_report()])
    return tmp_path


def invoke(results: Path, *words: str) -> str:
    arguments = [*words, "--results", str(results)]
    return CliRunner().invoke(report, arguments, standalone_mode=False, catch_exceptions=False).stdout


def test_both_files_are_written_into_the_runs_folder_and_named(results: Path) -> None:
    printed = invoke(results, "--kcidb", "--origin", "my_ci", "--mail")

    folder = (results / "latest").resolve()
    assert printed.split() == [str(folder / "kcidb.json"), str(folder / "mail.txt")]
    found = json.loads((folder / "kcidb.json").read_text())
    assert [one["origin"] for one in found["tests"]] == ["my_ci"]
    assert (folder / "mail.txt").read_text().startswith("Subject: Re: [PATCH] the series\n\n")


@pytest.mark.parametrize("words", [(), ("--kcidb", "--origin", "My CI")])
def test_what_can_not_be_written_is_a_usage_error(results: Path, words: tuple[str, ...]) -> None:
    with pytest.raises(click.UsageError):
        invoke(results, *words)
