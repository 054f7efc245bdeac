# SPDX-License-Identifier: GPL-2.0-or-later
"""What the documents name is there: files in backquotes, links and their anchors; and figures are on one page."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from benchmarks import measurements

PROJECT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "*/README.md", "kernels/*/README.md")
    for path in PROJECT.glob(pattern)
    # History names what is gone.
    if path.name != "CHANGELOG.md"
)
README_LINES = 75
DECISION = PROJECT / "docs" / "decisions" / "0001-dependencies.md"
BENCHMARKS = PROJECT / "benchmarks" / "README.md"

# What is in backquotes and begins with one of these is a path of this project, unless it has a placeholder.
FOLDERS = ("orchestrator", "configs", "guest-scripts", "kernels", "tests", "benchmarks", "docs", "tools")
PLACEHOLDER = re.compile(r"[*<{]|\bNAME\b")

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(PROJECT).as_posix())


def prose(document: Path) -> str:
    """The text without its blocks of code."""
    return re.sub(r"(?ms)^```.*?^```$", "", document.read_text(encoding="utf-8"))


def paths_in_backquotes(text: str) -> Iterator[str]:
    for quoted in re.findall(r"`([^`\n]+)`", text):
        for word in quoted.split():
            path = word.rstrip(",:;")
            if path.split("/")[0] in FOLDERS and "/" in path and not PLACEHOLDER.search(path):
                yield path


def links(text: str) -> Iterator[tuple[str, str]]:
    """Path and anchor of each link and picture that stays in the project."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield path, anchor


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub and GitLab make them."""
    headings = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_document
def test_each_path_in_backquotes_exists(document: Path) -> None:
    assert [path for path in paths_in_backquotes(prose(document)) if not (PROJECT / path).exists()] == []


@each_document
def test_no_path_of_the_package_leaves_out_its_folder(document: Path) -> None:
    # Where a table has a column of modules of one folder, that folder is said beside it.
    inside = {DECISION: PROJECT / "orchestrator", BENCHMARKS: BENCHMARKS.parent}.get(document, PROJECT)
    quoted = re.findall(r"`([\w/]+\.py)`", prose(document))
    assert [name for name in quoted if not (PROJECT / name).exists() and not (inside / name).exists()] == []


@each_document
def test_each_link_leads_somewhere(document: Path) -> None:
    for path, anchor in links(prose(document)):
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{path} is not there"
        assert not anchor or anchor in anchors(target), f"{path} has no heading #{anchor}"


def test_the_folder_table_of_the_architecture_is_the_folder_list() -> None:
    text = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = {row.split("/")[0] for row in re.findall(r"^\| `([a-z/]+)/` \|", text, re.MULTILINE)}
    package = PROJECT / "orchestrator"
    assert rows == {path.parent.name for path in package.glob("*/__init__.py")}


def test_the_architecture_names_what_a_newcomer_looks_for() -> None:
    text = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for file, proof in (
        ("orchestrator/judge/verdict.py", "Outcome.NOT_EXERCISED"),
        ("orchestrator/plan/flavours.py", "FLAVOURS = {"),
        ("orchestrator/vm/start.py", "def running("),
    ):
        assert f"`{file}`" in text
        assert proof in (PROJECT / file).read_text(encoding="utf-8")


def test_the_flavours_page_has_each_workload_that_is_not_joined_with_one() -> None:
    text = (PROJECT / "docs" / "flavours.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]+`) \| (`[^|]+`) \| [^|]+ \|$", text, re.MULTILINE)
    shown = {(load, part) for names, parts in rows for load in _quoted(names) for part in _quoted(parts)}
    files = (PROJECT / "configs" / "workloads").glob("*.yaml")
    loads = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]

    assert {(one["name"], part) for one in loads for part in one.get("not_with", ())} <= shown


def _quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_readme_is_one_and_a_half_screens() -> None:
    assert len((PROJECT / "README.md").read_text(encoding="utf-8").splitlines()) <= README_LINES


def test_the_page_of_measured_figures_is_what_its_data_files_say() -> None:
    assert measurements.PAGE.read_text(encoding="utf-8") == measurements.current_page(), "make measurements writes it"


@pytest.mark.parametrize("path", sorted(measurements.FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_each_measurement_has_its_date_machine_and_command(path: Path) -> None:
    one = measurements.load(path)

    assert re.fullmatch(r"\d{4}-\d\d-\d\d", one.date)
    assert one.machine
    assert one.command
    assert one.rows


def test_a_measurement_that_is_stored_is_on_the_page(tmp_path: Path) -> None:
    table = measurements.Measurement(
        group=measurements.SPEED,
        title="How fast",
        date="2026-11-28",
        machine="2 cores",
        command="make benchmark",
        columns=("what", "measured"),
        rows=(("a boot", "0.8 s"),),
        notes=("Once.",),
    )

    path = measurements.store("fast", table, tmp_path)

    assert json.loads(path.read_text(encoding="utf-8"))["date"] == "2026-11-28"
    page = measurements.current_page(tmp_path)
    head = "## Speed\n\n### How fast\n\n2026-11-28; 2 cores; `make benchmark`\n\n"
    assert page.endswith(f"{head}| what | measured |\n|---|---|\n| a boot | 0.8 s |\n\n- Once.\n")


def test_a_measurement_with_a_row_too_short_is_refused(tmp_path: Path) -> None:
    stored = {"group": measurements.SPEED, "title": "T", "date": "2026-11-28", "machine": "m", "command": "c"}
    path = tmp_path / "bad.json"
    path.write_text(json.dumps({**stored, "columns": ["a", "b"], "rows": [["1"]]}), encoding="utf-8")

    with pytest.raises(ValueError, match="2 columns"):
        measurements.load(path)
