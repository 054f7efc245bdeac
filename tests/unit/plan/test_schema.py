# SPDX-License-Identifier: GPL-2.0-or-later
"""The schema files that editors complete from, and the words for what is wrong."""

import json
from pathlib import Path

import pytest

from orchestrator.host.paths import CONFIGS
from orchestrator.plan.checks import known_flavours, known_workloads
from orchestrator.plan.names import did_you_mean, repeated, unknown
from orchestrator.plan.schema import MODELS, STAND_INS, json_schema
from tests.conftest import Golden

KINDS = sorted(MODELS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_shipped_schema_is_that_of_the_models(kind: str, golden: Golden) -> None:
    schema = json_schema(kind, flavours=known_flavours(), workloads=known_workloads())

    golden.text(CONFIGS / "schema" / f"{kind}.json", json.dumps(schema, indent=2) + "\n")


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_says_what_it_is_for_and_allows_no_other_keys(kind: str) -> None:
    schema = json_schema(kind)

    assert schema["description"]
    assert not schema["additionalProperties"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_in_for_a_wrong_value_is_valid(kind: str) -> None:
    MODELS[kind].model_validate(STAND_INS[MODELS[kind]])


def test_text_need_not_be_quoted_for_an_editor_either() -> None:
    assert json_schema("matrix")["properties"]["kernel"]["type"] == ["string", "number", "boolean"]


def test_an_editor_knows_the_arches_by_name() -> None:
    assert json_schema("matrix")["properties"]["arches"]["items"] == {"enum": ["arm64", "x86_64"]}


def test_a_schema_named_in_a_shipped_file_is_there() -> None:
    for file in CONFIGS.glob("**/*.yaml"):
        first = file.read_text(encoding="utf-8").partition("\n")[0]
        if "$schema=" in first:
            assert (file.parent / Path(first.partition("$schema=")[2])).is_file(), file


def test_the_nearest_name_does_not_depend_on_case() -> None:
    assert did_you_mean("KASAN", ("kasan", "plain")) == ", did you mean 'kasan'?"


def test_nothing_is_suggested_when_nothing_is_near() -> None:
    assert unknown("arch", "vax", ("arm64", "x86_64")) == "unknown arch 'vax'; allowed: arm64, x86_64"


def test_nothing_being_allowed_is_said() -> None:
    assert unknown("workload", "x", ()) == "unknown workload 'x'; allowed: none"


def test_a_name_that_is_there_three_times_is_named_once() -> None:
    assert repeated(["a", "b", "a", "c", "a", "c"]) == ("a", "c")
