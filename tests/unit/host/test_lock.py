# SPDX-License-Identifier: GPL-2.0-or-later
"""Locks of the cache: between threads, between processes, and when what they guard is taken away."""

import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError, OutOfTime
from orchestrator.host.lock import in_use, locked, locked_at_once, unused


def soon() -> Deadline:
    return Deadline.after(60, "a lock of this test")


def holder(path: Path) -> subprocess.Popen[str]:
    """Another process that has the lock when this returns."""
    code = (
        "import sys; from pathlib import Path; from orchestrator.host.lock import locked_at_once\n"
        f"with locked_at_once(Path({str(path)!r})) as free: print(free, flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    return process


def test_one_thread_after_the_other(tmp_path: Path) -> None:
    inside: list[int] = []

    def work() -> None:
        with locked(tmp_path / "lock", soon()):
            inside.append(1)
            assert sum(inside) == 1
            inside.append(-1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(inside) == 16


def test_a_lock_that_another_process_keeps_ends_in_the_deadline(tmp_path: Path) -> None:
    waited: list[bool] = []
    with holder(tmp_path / "lock") as other:
        with (
            pytest.raises(OutOfTime, match="the tree"),
            locked(tmp_path / "lock", Deadline.after(0, "the tree"), lambda: waited.append(True)),
        ):
            pass
        with locked_at_once(tmp_path / "lock") as free:
            assert not free
        other.kill()

    assert waited == [True]


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    with holder(tmp_path / "lock") as other:
        other.send_signal(signal.SIGKILL)
        other.wait()

    with locked_at_once(tmp_path / "lock") as free:
        assert free


def test_a_lock_whose_folder_was_taken_away_guards_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    with locked(folder / "lock", soon()):
        folder.rename(tmp_path / "aside")
        # The folder of that name is another one now, and nobody has it.
        with locked_at_once(folder / "lock") as free:
            assert free


def test_who_waits_for_a_folder_that_goes_gets_the_new_one(tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    got = threading.Event()

    def wait() -> None:
        with locked(folder / "lock", soon()):
            assert (folder / "lock").exists()
            got.set()

    with locked(folder / "lock", soon()):
        thread = threading.Thread(target=wait)
        thread.start()
        shutil.rmtree(folder)
    thread.join()

    assert got.is_set()
    assert (folder / "lock").exists()


def test_a_folder_that_goes_while_it_is_made_is_no_mistake_of_the_cache(tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    done = threading.Event()

    def remove_again_and_again() -> None:
        while not done.is_set():
            shutil.rmtree(folder, ignore_errors=True)

    thread = threading.Thread(target=remove_again_and_again)
    thread.start()
    try:
        for _ in range(2000):
            with locked_at_once(folder / "lock"):
                pass
    finally:
        done.set()
        thread.join()


def test_runs_share_a_cache_and_who_removes_it_is_alone(tmp_path: Path) -> None:
    with in_use(tmp_path, soon()), in_use(tmp_path, soon()), unused(tmp_path) as alone:
        assert not alone
    with unused(tmp_path) as alone:
        assert alone
        with pytest.raises(OutOfTime), in_use(tmp_path, Deadline.after(0, "the cache")):
            pass


def test_a_lock_that_can_not_be_made_is_our_trouble(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")

    with pytest.raises(InfraError, match="the cache can't be written"), locked(tmp_path / "cache" / "lock", soon()):
        pass


def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(InfraError), locked(tmp_path / "lock", soon()):
        pass
    assert not (tmp_path / "elsewhere").exists()
