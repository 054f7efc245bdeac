# SPDX-License-Identifier: GPL-2.0-or-later
"""A cache with something of each kind in it, and `patchrig clean` on it."""

from pathlib import Path

from click.testing import CliRunner, Result

from orchestrator.cli.main import cli
from orchestrator.host.errors import InfraError
from orchestrator.host.sealed import write_sealed
from orchestrator.kernel.source.manifest import write_manifest
from tests.unit.kernel.compile.image_samples import stored


def clean(cache: Path, *arguments: str) -> Result:
    done = CliRunner(env={"PATCHRIG_CACHE": str(cache)}).invoke(cli, ["clean", *arguments], standalone_mode=False)
    assert done.exception is None or isinstance(done.exception, InfraError), done.exception
    return done


def filled(tmp_path: Path) -> Path:
    """A cache with something of each kind."""
    cache = tmp_path / "cache"
    stored(tmp_path)
    (cache / "trees/6.19/src/mm").mkdir(parents=True)
    (cache / "trees/6.19/src/mm/swap.c").write_text("int swap;\n")
    (cache / "trees/6.19.lock").write_text("")
    write_manifest(cache / "trees/6.19/src", cache / "trees/6.19/src.manifest")
    for name in ("sources/linux.tar.xz", "ccache/0/x", "rootfs/x.lock", "programs/x.lock", "objects/plain.x86_64"):
        (cache / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / name).write_text("x")
    write_sealed(cache / "accelerators.sealed", b"{}")
    return cache
