"""The campaign of faults: `make faults`."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
