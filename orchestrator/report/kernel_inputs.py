# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether two kernels of one build are the same: those of a run that goes on, or of runs that are merged (pure)."""

from orchestrator.model.images import BuildFailure, KernelImage

OTHER_IMAGE = "the same inputs gave another image"
_MEANINGS = {
    "source": "another kernel source",
    "series": "another series",
    "config": "another kernel configuration",
    "toolchain": "another compiler or linker",
    "overlay": "another overlay",
    "wished": "other test suites",
    "image": OTHER_IMAGE,
}


def unlike(one: KernelImage | BuildFailure | None, other: KernelImage | BuildFailure) -> str:
    """In what a kernel differs from another of the same build, in words; "" where both can stand for each other.

    One that could not be built says nothing of the other: a machine may have run out of disk in between.
    """
    if not isinstance(one, KernelImage) or not isinstance(other, KernelImage):
        return ""
    names = [name for name in {**one.hashes, **other.hashes} if one.hashes.get(name) != other.hashes.get(name)]
    # What went in explains what came out.
    inputs = [name for name in names if name != "image"]
    return ", ".join(_MEANINGS.get(name, f"another {name}") for name in inputs or names)
