# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig clean` that is killed at any call, and by a user whose cache it is not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.host.paths import PROJECT
from orchestrator.kernel.compile.image_cache import find_image
from tests.process.faulty import KILLED, needs_strace, run_with
from tests.unit.kernel.compile.image_samples import BUILD, KEY, built, found
from tests.unit.run.filled_cache import clean, filled

CLEAN = """
import sys
from orchestrator.cli.main import cli
cli(["clean", "--all"], standalone_mode=False)
"""


@needs_strace
@pytest.mark.parametrize(
    "call",
    [*(f"rename,renameat {number}" for number in (1, 2, 3, 5)), "unlinkat 1", "unlinkat 4", "rmdir,unlinkat 6"],
)
def test_killed_at_any_call_clean_leaves_what_is_right_or_nothing(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = filled(tmp_path)
    monkeypatch.setenv("PATCHRIG_CACHE", str(cache))
    names, number = call.split()

    done = run_with(CLEAN, call=names, what=KILLED, number=int(number))

    assert done.returncode != 0
    # Each kind is there and whole, or not there.
    assert (cache / "images").exists() == (found(tmp_path) is not None)
    for name in ("trees/6.19/src/mm/swap.c", "trees/6.19/src.manifest", "sources/linux.tar.xz", "ccache/0/x"):
        assert (cache / name).exists() == (cache / name.split("/")[0]).exists()
    clean(cache, "--all")
    assert not cache.exists()


# As somebody who may read the cache of another user, or not even that.
AS_NOBODY = """
import os, sys
from pathlib import Path
from orchestrator.kernel.compile.image_cache import find_image
from tests.unit.kernel.compile.image_samples import BUILD, KEY, stored
import orchestrator.cli.cache_report  # which nobody may not be able to read
from orchestrator.cli.main import main
from orchestrator.host.errors import InfraError
os.setgroups([]); os.setgid(65534); os.setuid(65534)
here = Path(".")
try:
    print(find_image(here / "cache", KEY, BUILD))
    stored(here)
except InfraError as error:
    print(f"InfraError: {error}; {error.hint}")
sys.argv = ["patchrig", "clean", "--all"]
main()
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_the_cache_of_another_user_is_our_trouble_with_a_next_step(mode: int, tmp_path: Path) -> None:
    cache = filled(tmp_path)
    built(tmp_path / "out")
    for path in (tmp_path / "out", *(tmp_path / "out").iterdir()):
        os.chown(path, 65534, 65534)
    tmp_path.chmod(0o755)
    cache.chmod(mode)
    environment = {**os.environ, "PYTHONPATH": f"{PROJECT}", "PATCHRIG_CACHE": "cache"}

    argv = [sys.executable, "-c", AS_NOBODY]
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 3, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "the cache can't be written" in done.stdout
    assert "PATCHRIG_CACHE=" in done.stdout
    assert "PATCHRIG_CACHE=" in done.stderr
    assert find_image(cache, KEY, BUILD) is not None
