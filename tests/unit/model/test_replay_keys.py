# SPDX-License-Identifier: GPL-2.0-or-later
"""The text of a replay key, and what a mail does to it."""

import textwrap
from dataclasses import replace

import pytest

from orchestrator.model.replay_keys import MARK, ReplayKey, is_key, parse_key

KEY = ReplayKey(
    variant="patched",
    flavour="widened+kasan",
    arch="x86_64",
    workload="swapin",
    version="6.19.6",
    source="60f1a9b5c90d0011",
    series="ab12ab12ab12ab12",
    seconds="10",
    seed="9133247211",
    delays="chance=2%,max=30000us,only=f+g",
    files=("mm/memory.c", "mm/swapfile.c"),
    claim="do_swap_page|mm/swapfile.c:swapoff",
    changes="eJyrVkouLSrKzEtXslIyNDJWqgUAKk4FHw==",
    allow="eJyrVgoPcvTzc_cMVkgsLk4sSVWyUkpOLCrKzEsHcwF8hwkM",
    programs=("mincore", "swapin"),
    qemu="7.2.22",
    image="00112233445566ff",
    initramfs="1111222233334444",
    console="aaaabbbbccccdddd",
)
PLAIN = replace(KEY, series="", delays="", files=(), claim="", changes="", allow="")


@pytest.mark.parametrize("key", [KEY, PLAIN])
def test_a_key_is_read_back_as_it_was(key: ReplayKey) -> None:
    assert parse_key(key.text) == key
    assert len(PLAIN.text) < 4 * 76


def test_a_mail_may_wrap_and_quote_it() -> None:
    lines = textwrap.wrap(KEY.text, 60, break_long_words=False, break_on_hyphens=False)

    assert parse_key("\n".join(f"> > {line}" for line in lines)) == KEY


def test_a_word_that_is_too_long_for_a_line_may_be_broken() -> None:
    broken = KEY.text.replace(KEY.changes, f"{KEY.changes[:20]}\n> {KEY.changes[20:]}")

    assert parse_key(broken) == KEY


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (KEY.text.replace("seed=9", "seed=8"), "a part of it is missing or has changed"),
        (KEY.text.rpartition(" ")[0], "a part of it is missing or has changed"),
        (KEY.text.replace(MARK, "patchrig-9"), "or is of another version of patchrig"),
        ("", "it begins with"),
    ],
)
def test_a_damaged_key_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_key(text)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (replace(KEY, arch="x/../y"), "it names no cell"),
        (replace(KEY, seed="-1"), "seconds and seed are numbers"),
        (replace(KEY, source=""), "it lacks source"),
        (replace(KEY, claim="$(reboot)"), "is no part of a key"),
    ],
)
def test_a_key_that_says_something_else_is_refused(changed: ReplayKey, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_key(changed.text)


def test_what_is_meant_to_be_a_key() -> None:
    assert is_key(f"> {KEY.text}")
    assert not is_key("2026-11-29T160743Z-c476")
