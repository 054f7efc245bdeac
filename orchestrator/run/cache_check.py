# SPDX-License-Identifier: GPL-2.0-or-later
"""All of the cache, read and compared with what was stored: for `patchrig doctor --verify`."""

from collections.abc import Iterator
from pathlib import Path

from orchestrator.host.lock import locked_at_once
from orchestrator.host.sealed import read_sealed
from orchestrator.kernel.compile.image_cache import damaged_images
from orchestrator.kernel.source.manifest import check_manifest
from orchestrator.kernel.source.tarball import damaged_tarballs
from orchestrator.kernel.source.tree import Tree

_SEALED = (
    *("*.sealed", "rootfs/*.sealed", "programs/*.sealed", "trees/*.sealed"),
    *("reach/*.sealed", "mutants/*.sealed", "suites/*.sealed", "sysroots/*.sealed"),
)
_MOST_NAMED = 3


def damaged(cache: Path) -> Iterator[tuple[Path, str]]:
    """Each file or folder that is not what was stored, and what is wrong with it.

    A tree in which a build is at work is passed over: the build checks it itself. Raises InfraError, OSError.
    """
    if not cache.is_dir():
        return
    yield from damaged_images(cache)
    yield from damaged_tarballs(cache)
    for pattern in _SEALED:
        for file in sorted(cache.glob(pattern)):
            if read_sealed(file) is None and file.exists():
                yield file, "its checksum does not fit"
    for pattern, folders_up in _MANIFESTS.items():
        for manifest in sorted(cache.glob(pattern)):
            with locked_at_once(Tree(folder=manifest.parents[folders_up]).lock) as free:
                if free:
                    yield from _damaged_folder(manifest)


# Pattern below the cache -> how many folders up the tree or layer lies that it belongs to.
_MANIFESTS = {"trees/*/*.manifest": 0, "trees/*/builds/*.manifest": 1, "trees/*/layers/*/builds/*.manifest": 1}


def _damaged_folder(manifest: Path) -> Iterator[tuple[Path, str]]:
    folder = manifest.with_suffix("")
    wrong = check_manifest(folder, manifest, content=True) if folder.exists() else []
    if wrong is None:
        yield manifest, "its checksum does not fit"
    elif wrong:
        more = f" and {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
        yield folder, f"{', '.join(wrong[:_MOST_NAMED])}{more} changed"
