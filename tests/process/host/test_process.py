# SPDX-License-Identifier: GPL-2.0-or-later
"""Children: started, watched, and dead when the block ends, their own children too."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from orchestrator.host import process
from orchestrator.host.deadline import CancelScope, Deadline
from orchestrator.host.errors import Cancelled, InfraError, OutOfTime, ToolMissing
from tests.process.fake_host import alive

# A shell that ignores TERM, with a child in the background that does so too; it says both process ids.
STUBBORN = "trap '' TERM; sh -c 'trap \"\" TERM; while :; do sleep 0.1; done' & echo $$ $!; while :; do sleep 0.1; done"

PARENT = """
import pathlib, signal, sys
from orchestrator.host import process
with process.spawn(["sh", "-c", "echo $$; exec sleep 600"], log=pathlib.Path(sys.argv[1])):
    signal.pause()
"""


def soon() -> Deadline:
    return Deadline.after(60, "the test")


def printed(log: Path) -> str | None:
    text = log.read_text() if log.exists() else ""
    return text if text.endswith("\n") else None


def test_a_stubborn_child_and_its_children_are_dead_after_the_block(tmp_path: Path) -> None:
    log = tmp_path / "log"

    with process.spawn(["sh", "-c", STUBBORN], log=log, grace=0.1) as child:
        pids = [int(word) for word in soon().until(lambda: printed(log)).split()]
        assert len(pids) == 2
        assert child.poll() is None

    soon().until(lambda: not any(alive(pid) for pid in pids))
    assert child.returncode == -signal.SIGKILL


def test_a_child_may_end_in_good_order(tmp_path: Path) -> None:
    log = tmp_path / "log"

    with process.spawn(["sh", "-c", "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done"], log=log):
        soon().until(lambda: printed(log))

    assert log.read_text().endswith("bye\n")


def test_an_exception_in_the_block_ends_the_child(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), process.spawn(["sleep", "600"], log=tmp_path / "log") as child:
        raise ZeroDivisionError

    assert child.returncode is not None


def test_a_child_that_has_ended_before_the_block_keeps_its_status(tmp_path: Path) -> None:
    with process.spawn(["sh", "-c", "exit 5"], log=tmp_path / "log") as child:
        assert process.wait(child, soon()) == 5

    assert child.returncode == 5


def test_the_end_of_a_scope_ends_the_children_of_its_threads_and_no_other(tmp_path: Path) -> None:
    statuses: list[int] = []

    def in_scope(number: int) -> None:
        # Its waits would end with the scope, too: what is waited for is the child's end.
        with process.spawn(["sleep", "600"], log=tmp_path / str(number)) as child:
            started.release()
            statuses.append(child.wait())

    started, ended = threading.Semaphore(0), CancelScope()
    threads = [threading.Thread(target=ended.run, args=(in_scope, number)) for number in range(3)]
    for thread in threads:
        thread.start()
        started.acquire()
    with process.spawn(["sleep", "600"], log=tmp_path / "outside") as outside:
        ended.cancel("enough")
        for thread in threads:
            thread.join()

        assert outside.poll() is None
    assert statuses == [-signal.SIGKILL] * 3


def test_a_child_of_a_scope_that_has_ended_is_killed_at_once(tmp_path: Path) -> None:
    ended = CancelScope()
    ended.cancel("enough")

    def late() -> int:
        with process.spawn(["sleep", "600"], log=tmp_path / "log") as child:
            return child.wait()

    assert ended.run(late) == -signal.SIGKILL


def test_a_child_whose_parent_was_killed_before_it_could_be_bound_to_it_does_not_begin(tmp_path: Path) -> None:
    began = tmp_path / "began"
    argv = ["sh", "-c", 'touch "$1"', "sh", str(began)]

    # As another process would find it that was forked by one that is gone.
    orphan = subprocess.run(process.bound_to(os.getpid() + 1, argv), check=False)

    assert orphan.returncode != 0
    assert not began.exists()
    assert subprocess.run(process.bound_to(os.getpid(), argv), check=False).returncode == 0
    assert began.exists()


@pytest.mark.parametrize("argv", [["no-such-tool-anywhere"], ["no-such-tool-anywhere", "--version"]])
def test_a_missing_tool_is_named_with_what_to_type(tmp_path: Path, argv: list[str]) -> None:
    with pytest.raises(ToolMissing, match="no-such-tool-anywhere is not installed") as raised:
        process.run(argv, log=tmp_path / "log", until=soon())

    assert "patchrig doctor" in raised.value.hint
    assert not (tmp_path / "log").exists()


def test_run_gives_status_and_output_whatever_the_status(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("of an earlier command\n")

    done = process.run(["sh", "-c", "echo out; echo err >&2; exit 3"], log=tmp_path / "log", until=soon())

    assert (done.status, done.output) == (3, "out\nerr\n")
    assert (tmp_path / "log").read_text() == "of an earlier command\nout\nerr\n"


def test_run_reads_nothing_from_our_terminal(tmp_path: Path) -> None:
    assert process.run(["cat"], log=tmp_path / "log", until=soon()).output == ""


def test_run_ends_the_child_at_its_deadline(tmp_path: Path) -> None:
    log = tmp_path / "log"

    with pytest.raises(OutOfTime, match="a sleep"):
        process.run(["sh", "-c", "echo $$; exec sleep 600"], log=log, until=Deadline.after(0.5, "a sleep"))

    assert not any(alive(int(pid)) for pid in log.read_text().split())


def test_what_a_child_of_a_cancelled_scope_ended_with_is_no_answer(tmp_path: Path) -> None:
    """The scope's end killed it: its status says nothing of what it did."""
    work = CancelScope()
    threading.Timer(0.3, work.cancel, ["no longer wanted"]).start()

    with pytest.raises(Cancelled):
        work.run(process.run, ["sleep", "60"], log=tmp_path / "log", until=soon())


@pytest.mark.parametrize(("status", "killed_by"), [(0, 0), (1, 0), (-9, 9), (137, 9), (128, 0)])
def test_which_signal_killed_a_child_or_what_it_ran(status: int, killed_by: int) -> None:
    assert process.signal_of(status) == killed_by


def test_check_shows_the_end_of_what_a_failed_tool_said_and_where_the_rest_is(tmp_path: Path) -> None:
    log = tmp_path / "log"

    with pytest.raises(InfraError, match="ended with status 2") as raised:
        process.check(["sh", "-c", "seq 50; exit 2"], log=log, until=soon())

    assert str(raised.value).endswith("\n49\n50")
    assert "\n30\n" not in str(raised.value)
    assert str(log) in raised.value.hint


def test_a_child_does_not_survive_our_own_kill(tmp_path: Path) -> None:
    log = tmp_path / "log"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(log)])
    child = int(soon().until(lambda: printed(log)))

    parent.kill()
    parent.wait()

    soon().until(lambda: not alive(child))
