"""Where things lie: the project's own folders, and the user cache."""

import os
from pathlib import Path

import platformdirs

PROJECT = Path(__file__).resolve().parent.parent
CONFIGS = PROJECT / "configs"
KCONFIG = CONFIGS / "kconfig"
WORKLOADS = CONFIGS / "workloads"
GUEST_SCRIPTS = PROJECT / "guest-scripts"
KERNELS = PROJECT / "kernels"
OVERLAYS = KERNELS / "overlays"
RESULTS = PROJECT / "results"


def cache_root() -> Path:
    """The user cache directory (PATCHRIG_CACHE overrides it); safe to delete at any time."""
    override = os.environ.get("PATCHRIG_CACHE")
    return Path(override) if override else Path(platformdirs.user_cache_dir("patchrig"))
