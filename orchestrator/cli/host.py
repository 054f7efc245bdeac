"""`patchrig doctor`, `clean` and `schema`: this machine, its caches, and the YAML files' form."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import click

from orchestrator import paths
from orchestrator.arch import ARCHES
from orchestrator.cli.options import AS_JSON
from orchestrator.errors import ExitCode
from orchestrator.host import missing_tools
from orchestrator.kernel.cache import prune
from orchestrator.plan.checks import known_flavours, known_workloads
from orchestrator.plan.schema import json_schema
from orchestrator.sandbox import sandbox_works
from orchestrator.vm.accelerator import REMEMBERED, kvm_impossible, tiny_boot_trouble

_GIB = 1 << 30
_WANTED_GIB = 12  # a source, a private copy of it, and build folders of two arches
_CACHES = {
    "images": "built kernels",
    "trees": "private source trees and their build folders",
    "sources": "downloaded tarballs",
    "ccache": "compiler cache",
    "rootfs": "guest root file systems",
    "programs": "compiled guest programs",
    "objects": "how many objects a build has",
    "peers": "what benchmarks/peers.py compares with",
}


@click.command()
@AS_JSON
def doctor(as_json_text: bool) -> ExitCode:
    """Say what this host lacks, the command that mends it, and whether KVM really boots a guest.

    \b
    patchrig doctor --json | jq .missing
    """
    missing = missing_tools()
    sandbox = not missing and sandbox_works()
    kvm = {name: kvm_impossible(arch) or "" for name, arch in ARCHES.items()}
    if not missing:  # without QEMU there is nothing to try
        kvm = {name: why or tiny_boot_trouble(ARCHES[name], sandbox=sandbox) for name, why in kvm.items()}
    free_gib = shutil.disk_usage(_existing(paths.cache_root())).free // _GIB
    good = not missing and sandbox and free_gib >= _WANTED_GIB
    if as_json_text:
        rows = [{"package": tool.package, "tool": tool.tool, "reason": tool.reason} for tool in missing]
        said = {"good": good, "missing": rows, "sandbox": sandbox, "kvm": kvm, "free_gib": free_gib}
        click.echo(json.dumps(said, indent=2))
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
    click.echo(f"disk      {free_gib} GiB free for {paths.cache_root()}{enough}")
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
    for name, what in _CACHES.items():
        if (cache / name).exists():
            click.echo(f"{_size(cache / name) / _GIB:7.2f} GiB  {cache / name}  ({what})")
    abandoned = paths.abandoned_scratch()
    for folder in abandoned:
        click.echo(f"{_size(folder) / _GIB:7.2f} GiB  {folder}  (left behind by a run that was killed)")
    if dry_run:
        return ExitCode.OK
    for folder in abandoned:
        shutil.rmtree(folder, ignore_errors=True)
        click.echo(f"removed {folder}")
    if everything:
        for path in _remove_caches(cache):
            click.echo(f"removed {path}")
        return ExitCode.OK
    for folder in prune(cache, keep_gib * _GIB):
        click.echo(f"removed {folder}")
    return ExitCode.OK


def _remove_caches(cache: Path) -> Iterator[Path]:
    """Nothing but what is ours goes: PATCHRIG_CACHE may name a folder with other things in it."""
    for name in _CACHES:
        if (cache / name).exists():
            shutil.rmtree(cache / name, ignore_errors=True)
            yield cache / name
    for file in cache.glob(f"{REMEMBERED}*"):
        file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        cache.rmdir()


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


def _size(folder: Path) -> int:
    """Bytes in the files that can be seen: a build may be at work here, and what it has just removed has none."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += (Path(where) / name).lstat().st_size
    return total
