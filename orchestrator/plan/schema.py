# SPDX-License-Identifier: GPL-2.0-or-later
"""The shape of our YAML files: the JSON Schema that editors complete from, and pydantic's errors in our words."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from orchestrator.model.arch import ARCHES
from orchestrator.model.configuration import KernelSource, Matrix, Workload
from orchestrator.plan.names import did_you_mean

# The path of a value in its file: ("devices", 0, "kind").
Key = tuple[str | int, ...]

MODELS: Mapping[str, type[BaseModel]] = {"matrix": Matrix, "workload": Workload, "kernel": KernelSource}

# Required values in the right shape, for checking a file whose own are wrong.
STAND_INS: Mapping[type[BaseModel], Mapping[str, object]] = {
    Matrix: {"kernel": "", "workloads": ["any"]},
    Workload: {
        "name": "any",
        "summary": "",
        "devices": [{"kind": "zram", "size_mib": 1}],
        "exercised": {"any": 1},
    },
    KernelSource: {"version": "", "places": [{"sha256": "0" * 64}]},
}


def stand_in(model: type[BaseModel], field: str) -> object:
    """An entry in the right shape for a list field; None for other fields."""
    value = STAND_INS[model].get(field)
    return value[0] if isinstance(value, list) else None


_PATTERNS = {
    "^[0-9a-f]{64}$": "must be 64 digits, 0-9 and a-f",
    "^[0-9a-f]{40}$": "must be 40 digits, 0-9 and a-f",
    "^[a-z0-9][a-z0-9-]*$": "must be lower-case letters, digits and -",
    r"^[A-Za-z_]\w*$": "must be the name of a function",
    r"^[a-zA-Z0-9_.\-]+$": "must be letters, digits, _, . and -",
    r"^[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+:~-]+)?$": "must be a Debian package, NAME or NAME=VERSION",
    r"^[^\s\"'\\]+$": "must have no blanks, quotes or backslashes: put them into a script",
}

_EXPECTED = {
    "tuple_type": "must be a list: [first, second]",
    "dict_type": "must be a mapping: one `key: value` a line",
    "mapping_type": "must be a mapping: one `key: value` a line",
    "model_type": "must be a mapping: one `key: value` a line",
    "model_attributes_type": "must be a mapping: one `key: value` a line",
    "string_type": "must be a single text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "path_type": "must be a path",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing that is wrong with a file, and the key that it is about."""

    key: Key
    text: str


def problem_of(error: ErrorDetails, model: type[BaseModel]) -> Problem:
    """A pydantic error of `model` in our words: what is wrong, what is allowed."""
    # pydantic marks an error in a mapping's key, not its value, with one more element.
    loc = error["loc"]
    key: Key = loc[:-1] if loc[-1:] == ("[key]",) else loc
    match error["type"]:
        case "extra_forbidden":
            known = _known_keys(model.model_json_schema(), key[:-1])
            return Problem(key=key, text=f"unknown key{did_you_mean(str(key[-1]), known)}; allowed: {', '.join(known)}")
        case "string_pattern_mismatch" if error["ctx"]["pattern"] in _PATTERNS:
            return Problem(key=key, text=f"{_PATTERNS[error['ctx']['pattern']]}{_got(error['input'])}")
        case "missing":
            return Problem(key=key, text="is missing")
        case "too_short":
            return Problem(key=key, text="must not be empty")
        case kind if kind in _EXPECTED:
            return Problem(key=key, text=f"{_EXPECTED[kind]}{_got(error['input'])}")
        case "enum":
            allowed = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
            near = did_you_mean(str(error["input"]), allowed.split(", "))
            return Problem(key=key, text=f"unknown {error['input']!r}{near}; allowed: {allowed}")
        case _:
            text = error["msg"].replace("Input should", "must").replace("String should", "must")
            return Problem(key=key, text=f"{text}{_got(error['input'])}")


def _got(value: object) -> str:
    # A whole list or mapping is on the screen of whoever wrote it.
    return f" (got {value})" if isinstance(value, str | int) else ""


def _known_keys(schema: Mapping[str, Any], key: Sequence[str | int]) -> Collection[str]:
    here: Any = schema
    for part in key:
        inside = here.get("properties", {})
        here = here["items"] if isinstance(part, int) else inside.get(part) or here["additionalProperties"]
        if "$ref" in here:
            here = schema["$defs"][here["$ref"].rpartition("/")[2]]
    return list(here["properties"])


def dotted(key: Key) -> str:
    """A key as it begins our messages: `devices[0].kind: `; nothing for the file as a whole."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return f"{text.removeprefix('.')}: " if text else ""


def json_schema(kind: str, *, flavours: Collection[str] = (), workloads: Collection[str] = ()) -> dict[str, Any]:
    """The JSON Schema of a kind of YAML file ("matrix", "workload", "kernel"); names are offered as examples."""
    schema: dict[str, Any] = _as_yaml(MODELS[kind].model_json_schema())
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    if kind == "matrix":
        properties = schema["properties"]
        properties["arches"]["items"] = {"enum": sorted(ARCHES)}
        # Only examples: flavours combine (kasan+debug), and a workload may be a path.
        properties["flavours"]["items"]["examples"] = sorted(flavours)
        properties["workloads"]["items"]["examples"] = sorted(workloads)
    return schema


def _as_yaml(value: Any) -> Any:
    """Say what the loader says: text need not be quoted, so YAML may take it for a number or a bool."""
    if isinstance(value, list):
        return [_as_yaml(item) for item in value]
    if not isinstance(value, dict):
        return value
    plain = {key: _as_yaml(item) for key, item in value.items() if key != "format"}
    if plain.get("type") == "string" and "enum" not in plain:
        plain["type"] = ["string", "number", "boolean"]
    return plain
