"""The benchmarks change the series as a developer would."""

import json
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_the_rows_are_listed() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "measure.py"), "--list"], capture_output=True, text=True, check=True
    )

    assert [text.split()[0] for text in done.stdout.splitlines()] == ["boot", "cells", "edit", "matrix"]


def test_an_edited_series_differs_in_one_line_of_one_patch(tmp_path: Path) -> None:
    script = f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r}); import measure; from pathlib import Path\n"
    script += f"measure.edited_series(Path({str(tmp_path)!r}) / 'edited', 7); print(measure.SERIES)"
    series = Path(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
    )

    changed = [
        (old, new)
        for file in sorted(series.iterdir())
        for old, new in zip(
            file.read_text().splitlines(), (tmp_path / "edited" / file.name).read_text().splitlines(), strict=True
        )
        if old != new
    ]

    ((old, new),) = changed
    assert new == f"{old} /* edit 7 */"


def test_reports_of_seeded_bugs_are_compared_by_the_bugs_that_both_found(tmp_path: Path) -> None:
    def bug(name: str, seconds: float, status: str = "found") -> dict[str, object]:
        return {"id": name, "class": "C", "status": status, "found": status == "found", "guest_seconds": seconds}

    reports = {
        "plain": [bug("a", 40.0), bug("b", 300.0, "survived"), bug("c", 10.0), bug("d", 0.0, "untried")],
        "widened": [bug("a", 4.0), bug("b", 20.0), bug("c", 2.0)],
    }
    for name, bugs in reports.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "sensitivity.json").write_text(json.dumps({"bugs": bugs}))
    argv = [sys.executable, str(BENCHMARKS / "time_to_find.py"), *(str(tmp_path / name) for name in reports)]

    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    assert "| C | 2 of 3, 25.0 s (of 2) | 3 of 3, 3.0 s (of 2) |" in said.splitlines()
