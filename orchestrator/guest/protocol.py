# SPDX-License-Identifier: GPL-2.0-or-later
"""The lines of JSON that a workload prints, read so that no line can cost more than itself (pure)."""

import json
import math
from collections.abc import Mapping
from typing import Any

from orchestrator.host.text import one_line

LONGEST_LINE = 1 << 18
"""Characters; a result line with all counters of a guest has a tenth of them."""
MOST_ENTRIES = 4096
_DEEPEST = 6
_MOST_DIGITS = 20  # of 64 bits
_LARGEST_FLOAT = 1e12


def parsed(line: str) -> dict[str, Any]:
    """A line as the object that it is; texts and names in it on one line each, short and printable.

    Raises ValueError where it is no JSON object, is too long or too deep, or has a number that is none.
    """
    if len(line) > LONGEST_LINE:
        raise ValueError(f"it has more than {LONGEST_LINE} characters")
    try:
        said = json.loads(line, parse_int=_integer, parse_float=_finite, parse_constant=_no_number)
    except RecursionError as e:
        raise ValueError("it is nested without an end") from e
    if not isinstance(said, dict):
        raise ValueError("it is no object")  # noqa: TRY004  # one kind of error for a bad line
    return {one_line(name): _checked(value, 1) for name, value in said.items()}


def whole(said: Mapping[str, object], key: str) -> int:
    """A number of things. Raises KeyError, ValueError."""
    value = said[key]
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{key} is no whole number: {value!r}")
    return value


def number(said: Mapping[str, object], key: str) -> float:
    """A time. Raises KeyError, ValueError."""
    value = said[key]
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _LARGEST_FLOAT:
        raise ValueError(f"{key} is no number that makes sense: {value!r}")
    return float(value)


def yes_or_no(said: Mapping[str, object], key: str) -> bool:
    """Raises KeyError, ValueError."""
    value = said[key]
    if not isinstance(value, bool):
        raise ValueError(f"{key} is neither true nor false: {value!r}")  # noqa: TRY004  # as above
    return value


def _checked(value: object, depth: int) -> object:
    if depth > _DEEPEST:
        raise ValueError("it is nested too deep")
    if isinstance(value, list | dict) and len(value) > MOST_ENTRIES:
        raise ValueError(f"it has more than {MOST_ENTRIES} entries in one place")
    if isinstance(value, dict):
        return {one_line(name): _checked(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list):
        return [_checked(inner, depth + 1) for inner in value]
    return one_line(value) if isinstance(value, str) else value


def _integer(digits: str) -> int:
    if len(digits.removeprefix("-")) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"no finite number: {text[:40]}")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")
