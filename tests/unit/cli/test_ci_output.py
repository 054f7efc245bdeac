# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run leaves in the pages of a CI server."""

from pathlib import Path

import pytest

from orchestrator.cli.ci_output import show_in_ci
from tests.unit.samples import mixed_report


@pytest.fixture
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITLAB_CI", "CI_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_nowhere")
def test_elsewhere_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    show_in_ci(mixed_report())

    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("_nowhere")
def test_on_github_the_summary_is_added_to_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "summary.md"
    file.write_text("# Of an earlier command\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")

    show_in_ci(mixed_report())

    assert file.read_text().startswith("# Of an earlier command\n## patchrig: ")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("::")


@pytest.mark.usefixtures("_nowhere")
def test_a_summary_that_can_not_be_written_is_said_and_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "none" / "summary.md"))

    show_in_ci(mixed_report())

    assert "No such file or directory" in capsys.readouterr().err


@pytest.mark.usefixtures("_nowhere")
def test_on_gitlab_the_project_folder_gets_a_code_quality_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITLAB_CI", "true")
    monkeypatch.setenv("CI_PROJECT_DIR", str(tmp_path))

    show_in_ci(mixed_report())

    assert [path.name for path in tmp_path.iterdir()] == ["gl-code-quality-report.json"]  # it has no coverage
    assert capsys.readouterr() == ("", "")
