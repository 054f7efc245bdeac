# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels by the names that --kernel takes: kernels/NAME.yaml, or any version that Debian's pool has."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.kernel.source.pool import Pool
from orchestrator.kernel.source.tarball import NoPlace
from orchestrator.model.configuration import KernelSource, SourceLocation
from orchestrator.model.events import Listener
from orchestrator.plan.checks import is_version
from orchestrator.plan.config import load_kernel_source, load_kernel_sources
from orchestrator.run.series_base import Kernel


def known_sources() -> tuple[Kernel, ...]:
    """All kernels of kernels/."""
    return tuple(Kernel(name=name, source=source) for name, source in load_kernel_sources().items())


def source_named(name: str, *, cache: Path, listener: Listener, until: Deadline) -> Kernel:
    """A kernel of kernels/ by its name or its version; else that version in Debian's pool. Raises UserError."""
    for kernel in known_sources():
        if name in (kernel.name, kernel.source.version):
            return kernel
    if not is_version(name):
        return Kernel(name=name, source=load_kernel_source(name))
    file = Pool(cache=cache, listener=listener, until=until).find(name)
    place = SourceLocation(debian=file.path, sha256=file.sha256)
    # By its whole version from now on: tomorrow another one may be the newest.
    return Kernel(name=file.version, source=KernelSource(version=file.version, places=(place,)))


@contextmanager
def other_versions_named(cache: Path, listener: Listener, until: Deadline) -> Iterator[None]:
    """Where no place has a kernel's source any more, add to the error which versions there are instead."""
    try:
        yield
    except NoPlace as error:
        versions = Pool(cache=cache, listener=listener, until=until).versions()
        if not versions:
            raise
        raise NoPlace(f"{error}\nDebian's pool has, among others: {', '.join(versions)}", hint=error.hint) from error
