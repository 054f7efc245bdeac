# SPDX-License-Identifier: GPL-2.0-or-later
"""What a subject says of its patch, in the forms that lists and mail programs give it."""

import pytest

from orchestrator.kernel.series.subject import parse_subject


@pytest.mark.parametrize(
    ("text", "version", "place", "title"),
    [
        ("[PATCH] mm: x", "1", "", "mm: x"),
        ("[PATCH v3 2/7] mm: x", "3", "2/7", "mm: x"),
        ("[RFC PATCH mm-unstable v2 03/20] mm: x", "2", "3/20", "mm: x"),
        ("[PATCH 6.12.y 2/3] mm: x", "1", "2/3", "mm: x"),
        ("[PATCH 6.1 0001/1146] mm: x", "1", "1/1146", "mm: x"),
        ("[PATCH 5.10/5.15 1/2] mm: x", "1", "1/2", "mm: x"),
        ("[net-next,v3,2/7] net: x", "3", "2/7", "net: x"),
        ("[PATCH] [foo] x", "1", "", "x"),
        ("[linux-mm] [PATCH 1/2] x", "1", "1/2", "x"),
        ("[f2fs-dev][PATCH V2 1/2]x", "2", "1/2", "x"),
        ("[PATCHv4 net 1/2] x", "4", "1/2", "x"),
        ("[PATCH-v4 1/2] x", "4", "1/2", "x"),
        ("[PATCH v2, 1/2] x", "2", "1/2", "x"),
        ("[PATCH v2.1 1/2] x", "2.1", "1/2", "x"),
        ("[PATCH v6.12 v2 1/2] x", "2", "1/2", "x"),
        ("[PATCH RESEND v2 1/2] x", "2", "1/2", "x"),
        ("[RESEND][PATCH 2 / 3] x", "1", "2/3", "x"),
        ("[PATCH 1 of 2 v3] x", "3", "1/2", "x"),
        ("[PATCH V3 01 of 12 RFC] x", "3", "1/12", "x"),
        ("PATCH 1/2: x", "1", "1/2", "x"),
        ("[linux-mm] (PATCH v2 1/2) x", "2", "1/2", "x"),
        ("{RFC PATCH 1/2} x", "1", "1/2", "x"),
        ("[RFC v2] x", "2", "", "x"),
        ("[PATCH][next] x: Re: y", "1", "", "x: Re: y"),
        ("  [PATCH\n 1/2]  a\tb\x1b[2J", "1", "1/2", "a b[2J"),
    ],
)
def test_a_patch_of_a_series(text: str, version: str, place: str, title: str) -> None:
    found = parse_subject(text)

    assert (found.patch, found.reply) == (True, False)
    assert (found.version, found.place, found.title) == (version, place, title)


@pytest.mark.parametrize(
    "text",
    [
        "Re: [PATCH v2 1/2] x", "RE: [PATCH] x", "re:[PATCH] x", "AW: [PATCH 1/2] x", "Antwort: [PATCH] x",
        "Re[2]: [PATCH] x", "Fwd: [PATCH] x", "[linux-mm] Re: [PATCH 1/2] x", "Re: [linux-mm] [PATCH] x",
        "\u56de\u590d\uff1a[PATCH] x",
        "Re: Re: x",
        "Vastaus: [PATCH 1/2] x", "Re: x",
    ],
)  # fmt: skip
def test_a_reply(text: str) -> None:
    assert parse_subject(text).reply


@pytest.mark.parametrize(
    "text",
    [
        "mm: x",
        "[syzbot] [mm?] bug",
        "[GIT PULL] mm",
        "[linux-mm] hello",
        "x [PATCH] y",
        "PATCH: x",
        "(PATCH) x",
        "[",
        "",
    ],
)
def test_neither(text: str) -> None:
    found = parse_subject(text)

    assert (found.patch, found.reply) == (False, False)
