# SPDX-License-Identifier: GPL-2.0-or-later
"""Names in a run's folder that somebody else made: they become paths, so they are checked when they are read."""

from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator.host.errors import UserError
from orchestrator.model.configuration import Matrix
from orchestrator.model.outcomes import Outcome
from orchestrator.report.store import load_run, open_run
from tests.unit.samples import VERSIONS, cell_report, image

FILES = ("cells.jsonl", "run.json")
SPACES = {"cells.jsonl": "", "run.json": " "}  # behind a colon
FLAVOURS = ["../../../x", "..", "a/b", "", "/x", "-x", "x\\u0000"]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        *(
            (file, f'"flavour":{space}"plain"', f'"flavour": "{name}"')
            for file, space in SPACES.items()
            for name in FLAVOURS
        ),
        *((file, f'"arch":{space}"x86_64"', '"arch": "../x86_64"') for file, space in SPACES.items()),
        ("cells.jsonl", '"name":"mincore"', '"name": "../mincore"'),
    ],
)
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, file: str, old: str, new: str) -> None:
    matrix = Matrix(kernel="6.19", workloads=("mincore",))
    with open_run(tmp_path, argv=("patchrig",), matrix_path="m.yaml", matrix=matrix, versions=VERSIONS) as store:
        store.add_build(image())
        store.add_cells([cell_report()])
    text = (store.folder / file).read_text()
    assert old in text
    (store.folder / file).write_text(text.replace(old, new))

    # A bad run is refused, and a bad line is a lost cell with a name of our own.
    with suppress(UserError):
        assert [cell.verdict.outcome for cell in load_run(store.folder).cells] == [Outcome.LOST]
