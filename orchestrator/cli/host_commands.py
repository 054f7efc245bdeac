# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig doctor`, `clean` and `schema`: this machine, its caches, and the YAML files' form."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import click

from orchestrator.cli.options import AS_JSON
from orchestrator.host import paths
from orchestrator.host.errors import ExitCode
from orchestrator.host.files import trouble_named
from orchestrator.host.packages import missing_tools
from orchestrator.host.removal import remove_tree
from orchestrator.host.sandbox import identity, sandbox_works
from orchestrator.kernel.build.image_cache import prune
from orchestrator.model.arch import ARCHES
from orchestrator.plan.checks import known_flavours, known_workloads
from orchestrator.plan.schema import json_schema
from orchestrator.run.cache_check import damaged
from orchestrator.run.cache_cleaning import CACHES, remove_caches, remove_trash, size_of, trash_of
from orchestrator.vm.accelerator import kvm_impossible, tiny_boot_trouble

_GIB = 1 << 30
_WANTED_GIB = 12  # a source, a private copy of it, and build folders of two arches


@click.command()
@click.option("--verify", is_flag=True, help="Also read all of the cache and compare it with what was stored.")
@AS_JSON
def doctor(verify: bool, as_json_text: bool) -> ExitCode:
    """Say what this host lacks, the command that mends it, and whether KVM really boots a guest.

    \b
    patchrig doctor --json | jq .missing
    patchrig doctor --verify       # after a power failure, or with a disk that is not to be trusted
    """
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


@click.command()
@click.option("--all", "everything", is_flag=True, help="Remove all of the cache: tarballs, trees, compiler cache.")
@click.option("--keep-gib", type=click.IntRange(0), default=2, show_default=True, help="Built kernels to keep.")
@click.option("--dry-run", is_flag=True, help="Only say what there is.")
def clean(everything: bool, keep_gib: int, dry_run: bool) -> ExitCode:
    """Free disk space in the user cache: old kernels, or everything. What killed runs left behind goes too.

    \b
    patchrig clean --keep-gib 1
    patchrig clean --all
    """
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


@click.command()
@click.argument("kind", type=click.Choice(["matrix", "workload", "kernel"]))
def schema(kind: str) -> ExitCode:
    """Print the JSON Schema of a KIND of YAML file, for editors that complete from it.

    \b
    patchrig schema matrix > matrix.schema.json
    """
    said = json_schema(kind, flavours=sorted(known_flavours()), workloads=sorted(known_workloads()))
    click.echo(json.dumps(said, indent=2))
    return ExitCode.OK


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)
