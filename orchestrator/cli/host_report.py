# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig doctor` says of this machine."""

import json
import shutil
from pathlib import Path

import click

from orchestrator.host import paths
from orchestrator.host.errors import ExitCode
from orchestrator.host.files import trouble_named
from orchestrator.host.packages import missing_tools
from orchestrator.host.sandbox import sandbox_works
from orchestrator.model.arch import ARCHES
from orchestrator.run.cache_check import damaged
from orchestrator.vm.accelerator import kvm_impossible, tiny_boot_trouble

_GIB = 1 << 30
_WANTED_GIB = 12  # a source, a private copy of it, and build folders of two arches


def examine(*, verify: bool, as_json_text: bool) -> ExitCode:
    """Print what this host lacks, and whether KVM really boots a guest."""
    missing = missing_tools()
    sandbox = not missing and sandbox_works()
    kvm = {name: kvm_impossible(arch) or "" for name, arch in ARCHES.items()}
    if not missing:  # without QEMU there is nothing to try
        kvm = {name: why or tiny_boot_trouble(ARCHES[name], sandbox=sandbox) for name, why in kvm.items()}
    cache = paths.cache_root()
    refused = paths.why_unusable(cache)
    with trouble_named(cache):
        free_gib = shutil.disk_usage(_existing(cache)).free // _GIB
        wrong = [(str(path), why) for path, why in damaged(cache)] if verify and not refused else []
    good = not missing and sandbox and free_gib >= _WANTED_GIB and not refused and not wrong
    if as_json_text:
        rows = [{"package": tool.package, "tool": tool.tool, "reason": tool.reason} for tool in missing]
        said = {"good": good, "missing": rows, "sandbox": sandbox, "kvm": kvm, "free_gib": free_gib, "cache": refused}
        click.echo(json.dumps(said | ({"damaged": wrong} if verify else {}), indent=2))
        return ExitCode.OK if good else ExitCode.INFRA
    for tool in missing:
        click.echo(f"missing   {tool.tool} ({tool.package}): {tool.reason}")
    if missing:
        click.echo(f"          sudo apt-get install {' '.join(sorted({tool.package for tool in missing}))}")
    else:
        click.echo("tools     all there")
        click.echo(f"sandbox   {'works' if sandbox else _NO_SANDBOX}")
    for name, why in kvm.items():
        click.echo(f"kvm       {name}: {f'no: {why}; TCG is used' if why else 'yes, as far as a tiny guest tells'}")
    enough = "" if free_gib >= _WANTED_GIB else f", {_WANTED_GIB} GiB are needed: patchrig clean, or set PATCHRIG_CACHE"
    click.echo(f"disk      {free_gib} GiB free for {cache}{enough}")
    if refused:
        click.echo(f"cache     {refused}: set PATCHRIG_CACHE to a folder of yours")
    for path, why in wrong:
        click.echo(f"damaged   {path}: {why}; the next run that needs it makes it again")
    if verify and not refused and not wrong:
        click.echo("cache     all is what was stored")
    return ExitCode.OK if good else ExitCode.INFRA


_NO_SANDBOX = (
    "bubblewrap can't make one (no user namespaces?): sysctl kernel.unprivileged_userns_clone=1, or build with "
    "--no-sandbox, with your rights"
)


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)
