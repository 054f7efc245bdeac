# SPDX-License-Identifier: GPL-2.0-or-later
"""The source that kernels are built from: a verified tarball, or a developer's tree."""

import hashlib
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.kernel.source.tarball import fetch
from orchestrator.kernel.source.tree import PreparedSource
from orchestrator.kernel.source.user_tree import read_checkout
from orchestrator.model.configuration import KernelSource
from orchestrator.model.events import Listener

FETCH_SECONDS = 2 * 3600.0
LISTING_SECONDS = 600.0


def from_tarball(source: KernelSource, *, cache: Path, on_event: Listener) -> PreparedSource:
    """A kernel by its places in kernels/NAME.yaml, downloaded and verified."""
    tarball = fetch(
        source, cache=cache, on_event=on_event, until=Deadline.after(FETCH_SECONDS, f"fetching Linux {source.version}")
    )
    key = f"{source.version}-{tarball.sha256[:12]}"
    return PreparedSource(key=key, sha256=tarball.sha256, version=source.version, origin=tarball)


def from_tree(folder: Path, *, revision: str = "", cache: Path | None = None, log: Path) -> PreparedSource:
    """A developer's tree as it lies there, or at a commit of it (Series.base); never touched.

    With a cache, what was read of the tree is kept there. Raises UserError when it is no kernel tree.
    """
    until = Deadline.after(LISTING_SECONDS, f"listing {folder}")
    folder = folder.resolve()
    place = hashlib.sha256(str(folder).encode("utf-8", "surrogateescape")).hexdigest()
    key = f"tree-{place[:12]}"
    kept = cache / "trees" / f"{key}.sealed" if cache else None
    checkout = read_checkout(folder, revision=revision, kept=kept, log=log, until=until)
    return PreparedSource(key=key, sha256=checkout.sha256, version=checkout.version, origin=checkout)
