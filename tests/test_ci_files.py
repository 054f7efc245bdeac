# SPDX-License-Identifier: GPL-2.0-or-later
"""configs/ci/: valid to GitHub's and GitLab's own schemas, which check-jsonschema has, and only what is new is loud."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from orchestrator.cli.main import cli

FOLDER = Path(__file__).resolve().parent.parent / "configs" / "ci"
GITHUB, GITLAB = sorted(FOLDER.glob("github-*.yml")), sorted(FOLDER.glob("gitlab-*.yml"))
SCHEMAS = {"github": "vendor.github-workflows", "gitlab": "vendor.gitlab-ci"}

each_file = pytest.mark.parametrize("file", [*GITHUB, *GITLAB], ids=lambda path: path.name)


def valid(file: Path, kind: str) -> subprocess.CompletedProcess[str]:
    transform = ["--data-transform", "gitlab-ci"] if kind == "gitlab" else []
    argv = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", SCHEMAS[kind], *transform, str(file)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from strings(one)
    elif isinstance(value, str):
        yield value


def commands(file: Path) -> Iterator[list[str]]:
    """The words of each patchrig command line in a file's scripts."""
    for text in strings(yaml.safe_load(file.read_text())):
        for line in text.replace("\\\n", " ").splitlines():
            _, found, rest = line.partition(".venv/bin/patchrig ")
            if found:
                yield shlex.split(rest.partition("||")[0].replace("$ARGUMENTS", ""))


def test_there_are_files_of_both() -> None:
    assert len(GITHUB) == len(GITLAB) == 2


@each_file
def test_a_file_is_valid_to_its_server(file: Path) -> None:
    done = valid(file, file.name.partition("-")[0])

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("name", "old", "new"), [
    ("gitlab-ci.yml", '"chown -R patchrig: ."', "chown -R patchrig: ."),  # to YAML, a mapping
    ("github-actions.yml", "runs-on:", "run-on:"),
])  # fmt: skip
def test_a_mistake_is_noticed(name: str, old: str, new: str, tmp_path: Path) -> None:
    text = (FOLDER / name).read_text()
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new))

    assert valid(tmp_path / name, name.partition("-")[0]).returncode == 1


@each_file
def test_the_commands_have_only_options_that_there_are(file: Path) -> None:
    found = list(commands(file))

    assert found
    for name, *words in found:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        # A file that is made by the night is not there yet.
        given = [word.replace("$SHARD", "1/4").replace("$CI_NODE_INDEX/$CI_NODE_TOTAL", "1/4") for word in words]
        command.make_parser(click.Context(command)).parse_args(given)


@each_file
def test_the_command_that_decides_compares_with_earlier_nights_whose_files_are_cached(file: Path) -> None:
    last = [words for words in commands(file) if words[0] in ("run", "merge") and "--shard" not in words]

    assert last
    assert all(words[words.index("--since") + 1] == "last" for words in last)
    kept = {line for text in strings(yaml.safe_load(file.read_text())) for line in text.splitlines()}
    assert {"results/2*/run.json", "results/2*/cells.jsonl"} <= kept


@pytest.mark.parametrize("file", GITHUB, ids=lambda path: path.name)
def test_what_github_restores_is_what_it_saves(file: Path) -> None:
    for job in yaml.safe_load(file.read_text())["jobs"].values():
        steps = [step for step in job["steps"] if step.get("uses", "").startswith("actions/cache/")]
        restored, saved = ([s["with"] for s in steps if f"/{kind}@" in s["uses"]] for kind in ("restore", "save"))
        assert [(s["path"], s["key"]) for s in restored] == [(s["path"], s["key"]) for s in saved]
