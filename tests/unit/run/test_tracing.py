# SPDX-License-Identifier: GPL-2.0-or-later
"""What may be traced, as a user writes it."""

import pytest

from orchestrator.host.errors import UserError
from orchestrator.model.traced import TracedFunction
from orchestrator.run.tracing import traced_function


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("try_to_unuse", "try_to_unuse", ()),
        ("try_to_unuse()", "try_to_unuse", ()),
        (" put ( ref , nr ) ", "put", ("ref", "nr")),
        ("put.isra.0(ref)", "put.isra.0", ("ref",)),
    ],
)
def test_a_function_with_or_without_names(text: str, name: str, arguments: tuple[str, ...]) -> None:
    assert traced_function(text) == TracedFunction(name=name, arguments=arguments)


@pytest.mark.parametrize("text", ["", "put(", "put)", "1put", "put(a) get(b)", "put(*a)", "*0xffff"])
def test_what_is_no_function_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is no function"):
        traced_function(text)
