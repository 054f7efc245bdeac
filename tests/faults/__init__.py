"""The campaign of faults: `make faults`. The fakes of tests/process and the project itself are found here."""

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

for _folder in (PROJECT, PROJECT / "tests" / "process"):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))
