# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs that were damaged, cut short or made by a stranger: each line costs its own cell, and no name leads out."""

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from orchestrator.cli.main import cli
from orchestrator.host.errors import UserError
from orchestrator.model.outcomes import Outcome
from orchestrator.model.reports import CellReport, RunReport
from orchestrator.report.earlier import read_earlier
from orchestrator.report.store import find_cell
from orchestrator.report.stored import CELL, cell_lines, dumped, joined, load_run, unreadable, with_sum
from tests.unit.report.test_store import opened
from tests.unit.samples import cell, cell_report, guest_run, image

LOADS = ("mincore", "shmem", "swapin")


def finished(root: Path) -> Path:
    """A run of three cells."""
    with opened(root) as store:
        store.add_build(image())
        for name in LOADS:
            store.add_cells([cell_report(of=cell(workload=name), run=guest_run())])
    return store.folder


def lines_of(folder: Path) -> list[bytes]:
    return (folder / "cells.jsonl").read_bytes().split(b"\n")[:-1]


def test_a_line_has_all_of_its_cell_also_of_a_workload_that_has_the_name_of_another() -> None:
    first = cell_report(of=cell(), run=guest_run())
    renamed = first.cell.workload.model_copy(update={"summary": "not the same"})
    other = replace(first, cell=replace(first.cell, workload=renamed))
    reports = [first, other, first, cell_report(Outcome.LOST, "ssh", of=cell(workload="shmem"))]

    lines = list(cell_lines(reports))

    for line, one in zip(lines, reports, strict=True):
        values = json.loads(line)
        text = line.rpartition(', "sha256"')[0] + "}"
        assert line == f"{with_sum(text)}\n"
        assert list(json.loads(text).items()) == list(CELL.dump_python(one, mode="json").items())
        assert list(values["cell"]) == [field.name for field in fields(one.cell)]


@given(text=st.text(st.characters(exclude_categories=())))
def test_any_character_of_a_stranger_is_written_in_ascii_and_read_back(text: str) -> None:
    adapter, values = TypeAdapter(dict[str, str]), {"text": text, text: ""}
    if any("\ud800" <= character <= "\udfff" for character in text):
        # Half of a surrogate pair is kept in a value; in a name pydantic writes other characters for it.
        values = adapter.dump_python(values, mode="json")
        assert values["text"] == text

    flat, indented = dumped(adapter, values), dumped(adapter, values, indent=2)

    assert json.loads(flat) == json.loads(indented) == values
    assert (flat + indented).replace("\n", "").isprintable()
    assert (flat + indented).isascii()
    assert json.loads(joined(flat, '{"last":1}')) == values | {"last": 1}
    assert joined(indented, indented).startswith(f"{indented[:-2]},\n  ")


def damaged(folder: Path, second: bytes) -> RunReport:
    first, _, third = lines_of(folder)
    (folder / "cells.jsonl").write_bytes(b"\n".join((first, second, third, b"")))
    return load_run(folder)


def good(report: RunReport) -> list[str]:
    return [one.cell.workload.name for one in report.cells if one.verdict.outcome is Outcome.PASSED]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "it is empty"),
        (bytes(100), "it is full of zeros"),
        (b"{", "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (b"[1]", "it is no JSON object"),
        (b"[" * 100_000, "it is nested without end"),
        (b'{"cell": 1}', "was written by another version, or by hand: cell"),
    ],
    ids=range(7),
)
def test_a_bad_line_costs_its_own_cell_and_is_seen(line: bytes, why: str, tmp_path: Path) -> None:
    report = damaged(finished(tmp_path), line)

    assert good(report) == ["mincore", "swapin"]
    (lost,) = unreadable(report)
    assert lost.verdict.outcome is Outcome.LOST
    assert lost.verdict.title.startswith(f"line 2 of cells.jsonl can't be read: {why}")
    assert lost.cell.name == "patched.unreadable.unreadable.line-2"


def test_a_line_whose_numbers_were_changed_is_lost_under_its_own_name(tmp_path: Path) -> None:
    folder = finished(tmp_path)

    report = damaged(folder, lines_of(folder)[1].replace(b'"operations":81230', b'"operations":81231'))

    (lost,) = unreadable(report)
    assert lost.cell == cell(workload="shmem")
    assert "its checksum does not fit" in lost.verdict.title


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is damaged in many ways, one after the other."""
    return finished(tmp_path_factory.mktemp("kept"))


@given(file=st.sampled_from(["cells.jsonl", "run.json"]), place=st.integers(0, 1 << 20))
def test_no_flipped_bit_of_a_run_goes_unseen(kept: Path, file: str, place: int) -> None:
    before, right = load_run(kept), (kept / file).read_bytes()
    content = bytearray(right)
    # The times in it make the file longer or shorter.
    bit = place % (8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    (kept / file).write_bytes(content)

    try:
        report = load_run(kept)
    except UserError:
        return
    finally:
        (kept / file).write_bytes(right)
    said = {one.cell.name: one for one in before.cells}
    assert all(said.get(one.cell.name) == one or one in unreadable(report) for one in report.cells)
    assert len(report.cells) >= len(before.cells)


@pytest.mark.parametrize("content", [b"", bytes(500), None])
def test_lines_that_have_gone_are_missed(content: bytes | None, tmp_path: Path) -> None:
    folder = finished(tmp_path)
    if content is None:
        (folder / "cells.jsonl").unlink()
    else:
        (folder / "cells.jsonl").write_bytes(content)

    report = load_run(folder)

    assert len(report.cells) == len(unreadable(report)) == 3


def test_a_run_of_an_earlier_version_has_no_checksums(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    plain = [json.loads(line) for line in lines_of(folder)]
    run = json.loads((folder / "run.json").read_text())
    for value in (*plain, run):
        del value["sha256"]
    del run["cell_count"]
    (folder / "cells.jsonl").write_text("".join(f"{json.dumps(value)}\n" for value in plain))
    (folder / "run.json").write_text(json.dumps(run, indent=2))

    assert good(load_run(folder)) == list(LOADS)


@pytest.mark.parametrize("content", [b"", bytes(100), b"[]", b"null", b"\xff", b"[" * 100_000, b'{"id": 1}', b"{"])
def test_a_run_json_that_can_not_be_read_is_a_clear_error(content: bytes, tmp_path: Path) -> None:
    folder = finished(tmp_path)
    (folder / "run.json").write_bytes(content)

    with pytest.raises(UserError, match=r"run\.json (can't be read|was written by another version)"):
        load_run(folder)
    assert read_earlier(tmp_path, matrix_path="a b.yaml", before="").cells == {}


HOSTILE = ["../../x", "..", "/etc", "a/b", "", ".hidden", "x\n", "a\0b", "~"]


def rewritten(folder: Path, old: str, new: str) -> None:
    """As a stranger would, who can make right checksums, too."""
    for name in ("cells.jsonl", "run.json"):
        values = (folder / name).read_text().rstrip("\n").split("\n") if name == "cells.jsonl" else None
        texts = values or [(folder / name).read_text()]
        made = []
        for text in texts:
            value = json.loads(text)
            value.pop("sha256")
            made.append(with_sum(json.dumps(value).replace(json.dumps(old), json.dumps(new))))
        (folder / name).write_text("\n".join(made) + "\n")


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("old", ["plain", "x86_64"])
def test_a_name_that_leads_out_is_refused(old: str, name: str, tmp_path: Path) -> None:
    folder = finished(tmp_path)
    rewritten(folder, old, name)

    with pytest.raises(UserError, match="was written by another version, or by hand: builds"):
        load_run(folder)
    (folder / "run.json").write_text((folder / "run.json").read_text().replace(json.dumps(name), json.dumps(old)))
    text = json.loads((folder / "run.json").read_text())
    text.pop("sha256")
    (folder / "run.json").write_text(with_sum(json.dumps(text)))
    assert len(unreadable(load_run(folder))) == 3


@pytest.mark.parametrize("name", [*HOSTILE, "plain.."])
def test_the_name_of_a_workload_or_a_cells_folder_that_leads_out_is_lost(name: str, tmp_path: Path) -> None:
    folder = finished(tmp_path)
    rewritten(folder, "shmem", name)
    assert good(load_run(folder)) == ["mincore", "swapin"]

    other = finished(tmp_path / "other")
    rewritten(other, "cells/patched.plain.x86_64.shmem", f"cells/../{name}")
    assert good(load_run(other)) == ["mincore", "swapin"]


def test_coverage_says_which_cells_it_could_not_count(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    damaged(folder, b"{")

    done = CliRunner().invoke(cli, ["coverage", str(folder)], standalone_mode=False)

    assert "patched.unreadable.unreadable.line-2: nothing of it is counted" in done.stderr


def test_earlier_runs_that_can_not_be_read_decide_on_nothing(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    lines = [b"\xff\n", bytes(10), b"[" * 100_000, b'{"seconds": 1e999}', b"5", *lines_of(folder)[:1]]
    endless = lines_of(folder)[1].replace(b'"seconds":24.5', b'"seconds":Infinity')
    (folder / "cells.jsonl").write_bytes(b"\n".join((*lines, endless, b"")))

    known = read_earlier(tmp_path, matrix_path="a b.yaml", before="")

    assert list(known.cells) == ["patched.plain.x86_64.mincore"]


def test_the_checksum_is_of_the_text_before_it(tmp_path: Path) -> None:
    folder = finished(tmp_path)

    for text in (*lines_of(folder), (folder / "run.json").read_bytes()):
        assert len(json.loads(text)["sha256"]) == 64
    assert isinstance(load_run(folder).cells[0], CellReport)


def test_a_cell_whose_line_can_not_be_read_can_not_be_run_again(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    lines = lines_of(folder)
    (folder / "cells.jsonl").write_bytes(lines[0].replace(b'"seed"', b'"sEed"') + b"\n" + b"\n".join(lines[1:]) + b"\n")
    report = load_run(folder)
    name = unreadable(report)[0].cell.name

    with pytest.raises(UserError, match="can't be used"):
        find_cell(report, name)
