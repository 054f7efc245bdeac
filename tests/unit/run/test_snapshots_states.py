# SPDX-License-Identifier: GPL-2.0-or-later
"""Cells that share guests, in any order of events: one makes the snapshot, no wait is for ever, nothing is left."""

import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestrator.model.arch import ARCHES
from orchestrator.run.snapshots import Claim, snapshots
from orchestrator.vm.argv import VmSpec
from orchestrator.vm.qemu import Ready, Snapshot

SPEC = VmSpec(
    arch=ARCHES["x86_64"],
    image=Path("image"),
    initramfs=Path("initramfs"),
    memory_mib=1,
    cpus=4,
    kvm=False,
    disk_mib=(),
)
OTHER = replace(SPEC, cpus=2)
HUGE = replace(SPEC, memory_mib=1 << 40)  # no machine has that
SPECS = (SPEC, OTHER, HUGE)
READY = Ready(cpus=4, memory_mib=1, speed=100.0, config="0" * 16)

# How many cells want each of them; with one, there is nobody to save it for.
USERS = st.tuples(*(st.integers(1, most) for most in (6, 3, 2)))
MOST_ATTEMPTS = 2
# A waiter looks each 10 ms; a busy machine is no bug.
SETTLED_SECONDS = 60.0


@dataclass(eq=False)
class Cell:
    """A cell with its claim: it asks, in a thread as the answer may be waited for, and then boots or restores."""

    spec: VmSpec
    claim: Claim
    leaving: ExitStack
    thread: threading.Thread | None = None
    answers: list[Snapshot | None] = field(default_factory=list)
    memory: Path | None = None

    @property
    def waits(self) -> bool:
        return self.thread is not None

    def ask(self) -> None:
        self.thread = threading.Thread(target=lambda: self.answers.append(self.claim.snapshot()), daemon=True)
        self.thread.start()


class Sharing(RuleBasedStateMachine):
    """Cells of two guests that can be saved and of one for which there is no room."""

    @initialize(users=USERS)
    def begin(self, users: tuple[int, ...]) -> None:
        self.users = Counter(dict(zip(SPECS, users, strict=True)))  # those that have not left
        self.shared = {spec for spec in SPECS if self.users[spec] > 1}
        self.to_come = self.users.copy()
        self.cells: list[Cell] = []
        self.makers: Counter[VmSpec] = Counter()
        self.given_up: set[VmSpec] = set()
        self.kept: dict[VmSpec, Snapshot] = {}
        self.without_room = 0
        self.block = ExitStack()
        self.snapshots = self.block.enter_context(snapshots(self.users.elements()))
        self.folder = self.snapshots.folder

    def teardown(self) -> None:
        if not hasattr(self, "block"):
            return  # it failed before it began
        with self.block:
            # Who makes a snapshot goes first: the others may wait for it.
            for cell in sorted(self.cells, key=lambda cell: cell.waits):
                self.leave_with(cell)
            self.what_lies_there_is_what_is_kept()
        assert not self.folder.exists()

    @precondition(lambda self: not self.cells and not self.to_come.total())
    @rule(users=USERS)
    def begin_again(self, users: tuple[int, ...]) -> None:
        assert not any(self.folder.iterdir())
        self.teardown()
        self.begin(users)

    def some(self, data: st.DataObject, cells: list[Cell]) -> Cell | None:
        return data.draw(st.sampled_from(cells)) if cells else None

    def making(self, spec: VmSpec | None = None) -> list[Cell]:
        return [cell for cell in self.cells if cell.claim.making and spec in (None, cell.spec)]

    def nothing_to_hope_for(self, spec: VmSpec) -> bool:
        """Whether a cell of that guest is right to boot, and to save nothing."""
        spent = spec in self.given_up or self.makers[spec] == MOST_ATTEMPTS
        return spent or spec is HUGE or spec not in self.shared or self.users[spec] < 2

    def settle(self, spec: VmSpec) -> None:
        """See that each cell that waits gets its answer, unless another one makes the snapshot now."""
        for cell in [cell for cell in self.cells if cell.waits and cell.spec == spec]:
            if [other for other in self.making(spec) if other is not cell]:
                continue
            assert cell.thread is not None
            cell.thread.join(SETTLED_SECONDS)
            assert not cell.thread.is_alive(), "it waits for nobody"
            cell.thread = None
            self.answered(cell)

    def answered(self, cell: Cell) -> None:
        (answer,) = cell.answers
        spec = cell.spec
        assert answer == self.kept.get(spec)
        self.without_room += cell.claim.without_room
        if cell.claim.making:
            assert not self.nothing_to_hope_for(spec)
            self.makers[spec] += 1
            cell.memory = cell.claim.memory()
            assert cell.memory is not None
            assert not cell.memory.exists()
            cell.memory.write_bytes(b"memory")  # as QEMU does
        elif answer is None:
            assert self.nothing_to_hope_for(spec)
            assert cell.claim.memory() is None

    def leave_with(self, cell: Cell) -> None:
        self.settle(cell.spec)
        made = cell.claim.making
        cell.leaving.close()
        self.cells.remove(cell)
        self.users[cell.spec] -= 1
        if made:
            self.given_up.add(cell.spec)
        if not self.users[cell.spec]:
            self.kept.pop(cell.spec, None)
        self.settle(cell.spec)

    @precondition(lambda self: self.to_come.total())
    @rule(data=st.data())
    def come(self, data: st.DataObject) -> None:
        spec = data.draw(st.sampled_from(list(self.to_come.elements())))
        self.to_come[spec] -= 1
        leaving = ExitStack()
        cell = Cell(spec, leaving.enter_context(self.snapshots.claim(spec)), leaving)
        self.cells.append(cell)
        cell.ask()
        self.settle(spec)

    @precondition(lambda self: self.making())
    @rule(data=st.data())
    def keep(self, data: st.DataObject) -> None:
        if cell := self.some(data, self.making()):
            folder = cell.claim.fresh_folder()
            folder.mkdir()
            self.kept[cell.spec] = Snapshot(folder=folder, ready=READY, console_bytes=0)
            cell.claim.kept(self.kept[cell.spec])
            self.settle(cell.spec)

    @precondition(lambda self: self.making())
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        if cell := self.some(data, self.making()):
            cell.claim.give_up()
            self.given_up.add(cell.spec)
            self.settle(cell.spec)

    @precondition(lambda self: any(cell.answers and cell.answers[0] for cell in self.cells))
    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        """It can't be restored; the cell asks again. Others may have thrown it away before."""
        if cell := self.some(data, [cell for cell in self.cells if cell.answers and cell.answers[0]]):
            saved = cell.answers.pop()
            assert saved is not None
            cell.claim.discard(saved)
            if self.kept.get(cell.spec) == saved:
                del self.kept[cell.spec]
            assert not saved.folder.exists()
            cell.ask()
            self.settle(cell.spec)

    @precondition(lambda self: any(not cell.waits for cell in self.cells))
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        if cell := self.some(data, [cell for cell in self.cells if not cell.waits]):
            self.leave_with(cell)

    @invariant()
    def a_guest_has_one_maker_at_most_and_few_attempts(self) -> None:
        for spec in SPECS:
            assert len(self.making(spec)) <= 1
            assert self.makers[spec] <= MOST_ATTEMPTS
        assert not self.making(HUGE)
        assert self.without_room <= 1  # it is told once

    @invariant()
    def who_waits_does_so_while_there_is_a_maker(self) -> None:
        for cell in self.cells:
            if cell.thread:
                assert self.making(cell.spec)
                assert cell.thread.is_alive()

    @invariant()
    def what_lies_there_is_what_is_kept(self) -> None:
        memories = {cell.memory for cell in self.cells if cell.memory}
        assert set(self.folder.iterdir()) == {saved.folder for saved in self.kept.values()} | memories


Sharing.TestCase.settings = settings(stateful_step_count=50, deadline=None)
TestSharing = Sharing.TestCase
