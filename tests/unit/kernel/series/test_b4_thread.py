# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a command line is a Message-ID, and what is a path or a range."""

from pathlib import Path

import pytest

from orchestrator.kernel.series.b4_thread import message_id_in

IDENT = "20261129.1-a@example.org"


@pytest.mark.parametrize(
    "text",
    [
        IDENT,
        f"<{IDENT}>",
        f"https://lore.kernel.org/r/{IDENT}",
        f"https://lore.kernel.org/linux-mm/{IDENT}/",
        f"https://lore.kernel.org/all/{IDENT}/t.mbox.gz",
        f"https://lore.kernel.org/all/{IDENT}/T/#m0a1b2",
        f"http://patch.msgid.link/{IDENT.replace('@', '%40')}",
    ],
)
def test_a_message_id_is_found_also_in_what_a_path_makes_of_a_link(text: str) -> None:
    assert message_id_in(text) == IDENT
    assert message_id_in(str(Path(text))) == IDENT


@pytest.mark.parametrize(
    "text",
    [
        *("series.mbox", "v6.19..HEAD", "v6.19..topic@{1}", "topic@{1}..HEAD", "~/mail/x", "a@b c@d", "@", "a@", "@b"),
        *("https://example.org/series.mbox", "https://example.org/a%0a@b"),
    ],
)
def test_a_path_or_a_range_is_none(text: str) -> None:
    assert message_id_in(text) == ""


def test_one_with_two_dots_needs_its_brackets() -> None:
    assert message_id_in("<a..b@example.org>") == "a..b@example.org"
    assert message_id_in("a..b@example.org") == ""


def test_one_with_a_slash_is_one_in_a_link_where_it_is_escaped() -> None:
    assert message_id_in("CAF+a/b@mail.example.org") == "CAF+a/b@mail.example.org"
    assert message_id_in("https://lore.kernel.org/r/CAF+a%2Fb@mail.example.org") == "CAF+a/b@mail.example.org"
