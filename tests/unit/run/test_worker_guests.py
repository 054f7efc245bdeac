# SPDX-License-Identifier: GPL-2.0-or-later
"""The scopes of a run's guests on a worker: what is ended stays ended, and a run that goes on is not."""

from orchestrator.run.worker_guests import Scopes


def test_an_order_that_is_given_out_after_the_end_begins_nothing() -> None:
    scopes = Scopes()
    running = scopes.of("run", "first")

    scopes.end("run", "first")

    assert running.why
    assert scopes.of("run", "first").why


def test_a_resumed_run_goes_on() -> None:
    scopes = Scopes()
    scopes.end("run", "first")

    assert not scopes.of("run", "second").why


def test_the_end_of_a_session_ends_the_guests_of_one_that_was_killed() -> None:
    scopes = Scopes()
    left_behind = scopes.of("run", "killed")
    other = scopes.of("other", "killed")

    scopes.end("run", "second")

    assert left_behind.why
    assert not other.why
