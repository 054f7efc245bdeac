# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest is told which mutant it is, and is believed only where it says so itself."""

import pytest

from orchestrator.guest.mutant import passed_places, tell_mutant
from orchestrator.guest.ssh import Guest, GuestUnreachable, Output
from orchestrator.host.deadline import Deadline


class Talker(Guest):
    """A guest that answers each command with the same text."""

    def __init__(self, text: str | None) -> None:
        self.text = text
        self.commands: list[str] = []

    def run(self, command: str, until: Deadline) -> Output:
        del until
        self.commands.append(command)
        if self.text is None:
            raise GuestUnreachable("gone")
        return Output(status=0, text=self.text)


def soon() -> Deadline:
    return Deadline.after(10, "a test")


def test_a_number_that_is_read_back_was_taken() -> None:
    guest = Talker("17\n")

    assert tell_mutant(guest, 17, soon()) == ""
    assert guest.commands[0].startswith("echo 17 > /sys/module/kernel/parameters/patchrig_mutant")


@pytest.mark.parametrize("said", ["0\n", "", "sh: can't create: nonexistent directory\n", "170\n"])
def test_any_other_answer_is_told(said: str) -> None:
    assert "does not take the number of mutant 17" in tell_mutant(Talker(said), 17, soon())


def test_the_places_that_were_passed_come_with_the_number() -> None:
    assert passed_places(Talker("17\n3 250\n17 1\n"), 17, soon()) == {3: 250, 17: 1}
    assert passed_places(Talker("17\n"), 17, soon()) == {}


@pytest.mark.parametrize("said", ["0\n3 250\n", "", "17\n3 many\n", "cat: no such file\n", "17\n3 2 1\n", None])
def test_what_makes_no_sense_is_not_known(said: str | None) -> None:
    assert passed_places(Talker(said), 17, soon()) is None
