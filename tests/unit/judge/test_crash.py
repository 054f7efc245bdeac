# SPDX-License-Identifier: GPL-2.0-or-later
"""Console text -> crashes; the files in golden/console are the specification."""

from collections.abc import Iterator
from itertools import chain, islice, repeat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.judge.infrastructure import INFRASTRUCTURE
from orchestrator.judge.patterns import PATTERNS
from orchestrator.judge.watch import find_crashes
from orchestrator.model.crashes import Crash, CrashKind, Severity
from tests.conftest import Golden

CASES = sorted((Path(__file__).parents[2] / "golden" / "console").glob("*.txt"))


def shown(crash: Crash) -> str:
    marks = [crash.severity.value] + ["corrupted"] * crash.corrupted + ["follow-up"] * crash.follow_up
    return f"CRASH: {crash.kind} @{crash.line} {', '.join(marks)}: {crash.title} [{crash.function}]"


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_console(case: Path, golden: Golden) -> None:
    expected, log = golden.split(case)

    crashes = tuple(find_crashes(log.splitlines()))

    golden.check(case, expected, [shown(crash) for crash in crashes])


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_a_crash_is_found_again_from_its_own_line(case: Path, golden: Golden) -> None:
    _, log = golden.split(case)
    lines = log.splitlines()

    for crash in find_crashes(lines):
        if crash.kind is not CrashKind.REBOOT:  # Only what came before tells it from a boot.
            assert next(find_crashes(lines[crash.line - 1 :])).title == crash.title


# guest-*: printed by our own guests, whose kernels were made to do it (LKDTM, in a build with lockdep).
SAME_ON_BOTH = (
    *("null-pointer", "swapoff-hung", "guest-null-write", "guest-corrupted-list", "guest-hung-task"),
    *("guest-refcount", "guest-stall", "guest-warning"),
)


@pytest.mark.parametrize("name", SAME_ON_BOTH)
def test_both_arches_give_one_title(name: str, golden: Golden) -> None:
    titles = {
        crash.title
        for case in CASES
        if case.stem.startswith(name)
        for crash in find_crashes(golden.split(case)[1].splitlines())
        if crash.kind is not CrashKind.PANIC
    }

    assert len(titles) == 1


def test_frames_end_with_the_trace(golden: Golden) -> None:
    case = next(case for case in CASES if case.stem == "kasan-vmalloc")

    crash = next(find_crashes(golden.split(case)[1].splitlines()))

    assert crash.frames[-1] == "entry_SYSCALL_64_after_hwframe"
    assert "vfree" not in crash.frames


def test_an_endless_console_is_read_line_by_line() -> None:
    """One complaint for ever: the crashes come while the text does, and stop at ten of a title."""
    read = 0

    def console() -> Iterator[str]:
        nonlocal read
        for text in chain(["[    1.000000] BUG: Bad rss-counter state mm:0 idx:0 val:1"], repeat("[    2.000000] x")):
            read += 1
            yield text

    crash = next(find_crashes(console()))

    assert crash.title == "BUG: Bad rss-counter state"
    assert read < 5_000


def test_a_title_is_given_ten_times_at_most() -> None:
    crashes = tuple(find_crashes(islice(repeat("[    1.000000] Read-error on swap-device (1:2:3)"), 5_000)))

    assert len(crashes) == 10
    assert [crash.follow_up for crash in crashes] == [False] + [True] * 9


def test_the_text_of_a_crash_is_capped() -> None:
    lines = ["[    1.000000] BUG: Bad rss-counter state mm:0 idx:0 val:1", *["[    1.000000] x"] * 1_000]

    crash = next(find_crashes(lines))

    assert len(crash.text.splitlines()) <= 40


def test_numbers_and_addresses_are_not_in_titles() -> None:
    crash = next(find_crashes(["[    1.000000] BUG: something odd at ffff888012345678 in slot 4711, 0x10 bytes"]))

    assert crash.title == "BUG: something odd at ADDR in slot NUM, ADDR bytes"


def test_an_unknown_complaint_of_the_kernel_is_fatal() -> None:
    crash = next(find_crashes(["[    1.000000] BUG: a message that nobody has heard of"]))

    assert crash.severity is Severity.FATAL


@given(st.lists(st.text(), max_size=20))
def test_any_text_is_survived(lines: list[str]) -> None:
    for crash in find_crashes(lines):
        assert crash.title


def test_no_pattern_matches_an_empty_line() -> None:
    assert not [pattern.title for pattern in PATTERNS if pattern.line.match("")]


def test_the_seven_sites_are_not_infrastructure() -> None:
    """A crash in a function of the series under test must be blamed on it."""
    sites = (
        *("do_swap_page", "mincore_swap", "shmem_swapin_folio", "swap_vma_readahead", "read_swap_cache_async"),
        *("move_pages_ptes", "zswap_writeback_entry", "get_swap_device", "__swap_cache_prepare_and_add"),
        *("swap_cache_get_folio", "swap_entry_get", "sys_swapoff", "try_to_unuse", "unuse_pte_range"),
    )

    assert not [name for name in sites if any(skip.match(name) for skip in INFRASTRUCTURE)]
