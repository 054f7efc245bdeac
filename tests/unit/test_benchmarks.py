"""The benchmarks change the series as a developer would."""

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
