# SPDX-License-Identifier: GPL-2.0-or-later
"""A build that fails: the host's fault where the host shows it, and never because a Makefile prints that it is."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.host.errors import InfraError
from orchestrator.host.process import find_tool
from orchestrator.kernel.compile.host_fault import HostWatch
from orchestrator.model.images import BuildFailure, KernelImage
from orchestrator.model.outcomes import Outcome
from tests.process.kernel.compile.test_prepare import MAKEFILE, Lab

pytestmark = pytest.mark.skipif(find_tool("ccache") is None, reason="ccache is not installed")

WORDS = [
    "No space left on device",
    "Disk quota exceeded",
    "gcc: fatal error: Killed signal terminated program cc1",
    "virtual memory exhausted: Cannot allocate memory",
    "bwrap: No permissions to create new namespace",
    "elf.h:10: fatal error: gelf.h: No such file or directory",
    "x.c:1:10: fatal error: openssl/bio.h: No such file",
    "bc: not found",
]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def with_recipe(lab: Lab, *commands: str) -> None:
    lines = "".join(f"\t@{command}\n" for command in commands)
    lab.write("Makefile", MAKEFILE.replace("\t@$(CC) -nostdlib", f"{lines}\t@$(CC) -nostdlib"))


@pytest.mark.parametrize("words", WORDS)
def test_a_makefile_that_prints_trouble_of_the_hosts_has_failed(lab: Lab, words: str) -> None:
    if "gelf" in words and not Path("/usr/include/gelf.h").exists():
        pytest.skip("this host lacks gelf.h")
    with_recipe(lab, f'echo "{words}"', "exit 1")

    made = lab.build()

    assert isinstance(made, BuildFailure)
    assert made.outcome is Outcome.BUILD_FAILED


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_make_that_is_killed_is_no_failure_of_the_kernel(lab: Lab, number: signal.Signals) -> None:
    with_recipe(lab, f"kill -{number:d} $$PPID; sleep 5")

    with pytest.raises(InfraError, match=f"make was killed by signal {number:d}") as told:
        lab.build()

    assert told.value.hint


def test_a_compiler_that_is_killed_once_is_made_up_for(lab: Lab) -> None:
    with_recipe(lab, "test -e $(O)/killed || { touch $(O)/killed; kill -9 $$$$; }")

    assert isinstance(lab.build(), KernelImage)


def test_a_recipe_that_is_killed_each_time_is_the_series_own_doing(lab: Lab) -> None:
    with_recipe(lab, "kill -9 $$$$")

    made = lab.build()

    assert isinstance(made, BuildFailure)


@pytest.fixture
def small_cache(lab: Lab) -> Iterator[Path]:
    """The cache on a file system of 8 MiB."""
    cache = lab.tmp_path / "cache"
    cache.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(cache)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can't be mounted here")
    yield cache
    subprocess.run(["umount", "--lazy", str(cache)], check=True)


def test_a_disk_that_is_full_is_this_machines_trouble(lab: Lab, small_cache: Path) -> None:
    del small_cache
    with_recipe(lab, "head -c 20000000 /dev/zero > $(O)/much")

    with pytest.raises(InfraError, match=r"the disk (?:is|was) full") as told:
        lab.build()

    assert "df -h" in told.value.hint or "patchrig clean" in told.value.hint


def memory(root: Path, kills: int, available: int = 900) -> Path:
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc" / "vmstat").write_text(f"oom_kill {kills}\n")
    (root / "proc" / "meminfo").write_text(f"MemTotal: 1000 kB\nMemAvailable: {available} kB\n")
    return root


KILLED = "gcc: fatal error: Killed signal terminated program cc1\ncompilation terminated.\n"


def test_a_compiler_that_the_kernel_killed_for_memory_is_this_machines_trouble(tmp_path: Path) -> None:
    watch = HostWatch((tmp_path,), root=memory(tmp_path, kills=3))

    assert watch.trouble(KILLED, 2, sandbox=str) is None

    memory(tmp_path, kills=4)
    told = watch.trouble(KILLED, 2, sandbox=str)
    assert told is not None
    assert "ran out of memory: 1 process" in str(told)
    # That something else was killed meanwhile is no excuse for a kernel that does not compile.
    assert watch.trouble("mm/x.c:1:1: error: unknown type name\n", 2, sandbox=str) is None


def test_a_compiler_that_was_killed_with_hardly_any_memory_left_is_this_machines_trouble(tmp_path: Path) -> None:
    watch = HostWatch((tmp_path,), root=memory(tmp_path, kills=3))
    memory(tmp_path, kills=3, available=20)
    watch.look()
    memory(tmp_path, kills=3)

    told = watch.trouble(KILLED, 2, sandbox=str)

    assert told is not None
    assert "2% of its memory left" in str(told)


def test_a_sandbox_that_does_not_work_is_this_machines_trouble(tmp_path: Path) -> None:
    watch = HostWatch((tmp_path,))

    told = watch.trouble("bwrap: setting up uid map: Permission denied\n", 1, sandbox=lambda: "no namespaces")

    assert told is not None
    assert "no namespaces" in str(told)
    assert watch.trouble("bwrap: setting up uid map: Permission denied\n", 1, sandbox=str) is None
