# SPDX-License-Identifier: GPL-2.0-or-later
"""What the hook of the widened flavour costs."""

from benchmarks import hook


def test_the_hook_is_not_switched_on_or_only_counts() -> None:
    script = 'patchrig.run="--device zram:4:20 --widen 20000:30000:1000:500000:10:7: -- swapin --seconds 10"'

    assert hook.as_kind(script, "off") == 'patchrig.run="--device zram:4:20 -- swapin --seconds 10"'
    assert "--widen 0:30000:1000:500000:10:7: -- swapin" in hook.as_kind(script, "counting")


def test_what_a_load_did_is_read_from_the_console() -> None:
    console = '[    1.0][    T1] up\n{"type": "progress", "operations": 3}\n{"type": "result", "operations": 40}\r\n'

    assert hook.operations(console) == 40
