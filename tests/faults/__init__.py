# SPDX-License-Identifier: GPL-2.0-or-later
"""The campaign of faults: `make faults`."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
