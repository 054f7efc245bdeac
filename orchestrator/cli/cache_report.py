# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig clean` does: it shows and frees the disk space of the cache."""

from collections.abc import Iterable
from pathlib import Path

import click

from orchestrator.host import paths
from orchestrator.host.errors import ExitCode
from orchestrator.host.files import trouble_named
from orchestrator.host.removal import remove_tree
from orchestrator.host.sandbox import identity
from orchestrator.kernel.compile.image_cache import prune
from orchestrator.run.cache_cleaning import CACHES, remove_caches, remove_trash, size_of, trash_of

_GIB = 1 << 30


def free_space(*, everything: bool, keep_gib: int, dry_run: bool) -> ExitCode:
    """Remove old kernels or everything, and what killed runs left behind."""
    cache = paths.cache_root()
    with trouble_named(cache):
        inside = identity()
        abandoned = paths.abandoned_scratch(owners=[inside.uid] if inside else [])
        _tell_sizes(cache, abandoned)
        if dry_run:
            return ExitCode.OK
        for folder in abandoned:
            remove_tree(folder)
            click.echo(f"removed {folder}")
        for folder in remove_caches(cache) if everything else prune(cache, keep_gib * _GIB):
            click.echo(f"removed {folder}")
        remove_trash(cache)
    return ExitCode.OK


def _tell_sizes(cache: Path, abandoned: Iterable[Path]) -> None:
    for name, what in CACHES.items():
        if (cache / name).exists():
            click.echo(f"{size_of(cache / name) / _GIB:7.2f} GiB  {cache / name}  ({what})")
    for folder in (*abandoned, *trash_of(cache)):
        click.echo(f"{size_of(folder) / _GIB:7.2f} GiB  {folder}  (left behind by a command that was killed)")
