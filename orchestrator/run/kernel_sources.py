# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels by the names that --kernel takes: kernels/NAME.yaml, or a version."""

from orchestrator.plan.config import load_kernel_source, load_kernel_sources
from orchestrator.run.series_base import Kernel


def known_sources() -> tuple[Kernel, ...]:
    """All kernels of kernels/."""
    return tuple(Kernel(name=name, source=source) for name, source in load_kernel_sources().items())


def source_named(name: str) -> Kernel:
    """A kernel of kernels/ by its name or by its version. Raises UserError."""
    by_version = {kernel.source.version: kernel for kernel in known_sources()}
    return by_version.get(name) or Kernel(name=name, source=load_kernel_source(name))
