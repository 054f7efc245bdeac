# SPDX-License-Identifier: GPL-2.0-or-later
"""What a function does to an object, by its name."""

import pytest

from orchestrator.model.race_points import Role, role_of


@pytest.mark.parametrize(
    ("function", "role"),
    [
        ("get_swap_device", Role.TAKES),
        ("percpu_ref_tryget_live", Role.TAKES),
        ("refcount_inc_not_zero", Role.TAKES),
        ("percpu_ref_put", Role.PUTS),
        ("refcount_dec_and_test", Role.PUTS),
        ("folio_trylock", Role.LOCKS),
        ("_raw_spin_lock_irqsave", Role.LOCKS),
        ("_raw_spin_unlock_irqrestore", Role.UNLOCKS),
        ("up_read", Role.UNLOCKS),
        ("kfree", Role.FREES),
        ("swap_users_ref_free", Role.FREES),
        ("percpu_ref_kill_and_confirm", Role.KILLS),
        ("wait_for_completion", Role.WAITS),
        ("percpu_ref_is_zero", Role.USES),
        ("do_swap_page", Role.USES),
        ("budget_of", Role.USES),
    ],
)
def test_the_words_of_a_name_say_what_it_does(function: str, role: Role) -> None:
    assert role_of(function) is role
