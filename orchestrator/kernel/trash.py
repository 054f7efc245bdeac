"""Removing what builds left."""

from pathlib import Path

from orchestrator.removal import remove_tree


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, whatever a build has left in it. Raises OSError."""
    if troubles := remove_tree(path):
        raise troubles[0]
