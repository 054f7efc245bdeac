# SPDX-License-Identifier: GPL-2.0-or-later
"""Guest time, read from the stamps of a console."""

import pytest

from orchestrator.vm.guest_clock import ready_at, seconds_since_ready, stamp_of

CONSOLE = (
    "SeaBIOS",
    "[    0.000000][    T0] Linux version",
    "[    1.500000][    T1] patchrig: ready cpus=4 memory_kib=365584",
    "[    1.500200][    T1] patchrig: settled",
    "[   11.750000][   T52] patchrig: ended status 0",
    "no stamp",
)


@pytest.mark.parametrize(
    ("line", "seconds"),
    [("[    1.500200][    T1] x", 1.5002), ("[123456.000001] x", 123456.000001), ("x [ 1.000000]", None)],
)
def test_the_stamp_is_at_the_start_of_a_line(line: str, seconds: float | None) -> None:
    assert stamp_of(line) == seconds


def test_seconds_count_from_the_ready_line_to_the_last_stamp() -> None:
    assert seconds_since_ready(CONSOLE) == pytest.approx(10.25)
    assert ready_at(CONSOLE) == 1.5


@pytest.mark.parametrize("lines", [(), CONSOLE[:2], ("patchrig: ready cpus=4", CONSOLE[4])])
def test_without_a_ready_line_that_has_a_stamp_nothing_is_known(lines: tuple[str, ...]) -> None:
    assert seconds_since_ready(lines) is None
    assert ready_at(lines) is None
