# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels with all that their guests need: built just now, or by an earlier run."""

from dataclasses import replace
from pathlib import Path

from orchestrator.host.errors import InfraError
from orchestrator.host.untrusted import BadFile
from orchestrator.kernel.code.interface_files import interface_names
from orchestrator.kernel.code.locate import locate
from orchestrator.model.cells import Build
from orchestrator.model.events import Notice
from orchestrator.model.images import BuildFailure, KernelImage, unusable
from orchestrator.model.reports import RunReport
from orchestrator.run.bootable import Bootable, BootFiles, kept_bootable
from orchestrator.run.crash_source import kept_explainer
from orchestrator.run.kernels import Building, Kernels
from orchestrator.run.left_out_code import left_out_of, with_reasons
from orchestrator.run.suite_results import keep_parser


def new_bootable(
    image: KernelImage,
    kernels: Kernels,
    files: BootFiles,
    how: Building,
    *,
    run: Path,
    initramfs_in: Path | None = None,
) -> Bootable | BuildFailure:
    """The kernel with its probes, the explainer of its crashes, and its test suites, which are built as it was.

    What the series changed is kept in `run`, the run's folder.
    """
    explainer = kernels.explainer(image, run, how.more)
    # A part of a series may change nothing that the workload is meant to reach: its guests are good all the same.
    changed = explainer.diff.functions if explainer.diff and kernels.part is None else ()
    try:
        located = locate(image, tuple(files.workloads), changed, sandbox=kernels.sandbox)
    except BadFile as error:
        return unusable(image.build, error, log=image.log)
    if explainer.diff and changed:
        left_out = left_out_of(image, kernels.tested, explainer.diff, kernels.request.cache)
        located = with_reasons(located, left_out)
    interfaces = interface_names(explainer.diff) if explainer.diff else None
    if not kernels.has_suites(image.build):
        return files.bootable(image, located, explainer, folder=initramfs_in, interfaces=interfaces)
    suites = kernels.suites(image.build, how)
    if isinstance(suites, BuildFailure):
        return suites
    if suites.not_built:
        how.listener(Notice(text=f"{image.build.name}: tests that do not compile here: {', '.join(suites.not_built)}"))
    bootable = files.bootable(image, located, explainer, folder=initramfs_in, tests=suites.tests, interfaces=interfaces)
    return replace(bootable, ktap=keep_parser(suites, how.log_dir, sandbox=kernels.sandbox))


def earlier_bootable(report: RunReport, build: Build, files: BootFiles, *, run: Path, sandbox: bool) -> Bootable:
    """The kernel of an earlier run, as its folder holds it. `run` is the folder of this run."""
    image = next((image for image in report.builds if image.build == build), None)
    if not isinstance(image, KernelImage):
        raise InfraError(f"{report.id} has no kernel for {build.name}: it was never built")
    explainer = kept_explainer(image, report.folder, cache=files.cache, run=run, sandbox=sandbox)
    workloads = files.workloads
    return kept_bootable(image, report.folder, files.guests, explainer, workloads=workloads, sandbox=sandbox)
