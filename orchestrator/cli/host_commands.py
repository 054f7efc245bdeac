# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig doctor`, `clean`, `schema` and `completion`: their options."""

import click
from click.shell_completion import get_completion_class

from orchestrator.cli.options import AS_JSON
from orchestrator.host.errors import ExitCode


@click.command()
@click.option("--verify", is_flag=True, help="Also read all of the cache and compare it with what was stored.")
@AS_JSON
def doctor(verify: bool, as_json_text: bool) -> ExitCode:
    """Check this machine: packages, sandbox, KVM, disk space.

    For each package that is missing it prints the command that installs it. It
    boots a tiny guest to see whether KVM works. Exit code 3: something must be
    fixed before a run.

    \b
    Examples:
      patchrig doctor --json | jq .missing
      patchrig doctor --verify         # after a power failure
    """
    from orchestrator.cli.host_report import examine

    return examine(verify=verify, as_json_text=as_json_text)


@click.command()
@click.option("--all", "everything", is_flag=True, help="Remove all of the cache: tarballs, trees, compiler cache.")
@click.option("--keep-gib", type=click.IntRange(0), default=2, show_default=True,
              help="Keep this much of built kernels: those used last.")  # fmt: skip
@click.option(
    "--dry-run",
    is_flag=True,
    help="Remove nothing: show the size of each part of the cache, and what killed runs left.",
)
def clean(everything: bool, keep_gib: int, dry_run: bool) -> ExitCode:
    """Free disk space in the cache: old kernels, or everything.

    Without --all: the built kernels beyond --keep-gib. It also removes what
    killed runs left behind.

    \b
    Examples:
      patchrig clean --keep-gib 1
      patchrig clean --all
    """
    from orchestrator.cli.cache_report import free_space

    return free_space(everything=everything, keep_gib=keep_gib, dry_run=dry_run)


@click.command()
@click.argument("kind", type=click.Choice(["matrix", "workload", "kernel"]))
def schema(kind: str) -> ExitCode:
    """Print the JSON Schema of a KIND of YAML file, for editors.

    \b
    Example:
      patchrig schema matrix > matrix.schema.json
    """
    from orchestrator.cli.schema_text import print_schema

    return print_schema(kind)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> ExitCode:
    """Print the script that completes patchrig's commands in a SHELL.

    \b
    Examples:
      patchrig completion fish > ~/.config/fish/completions/patchrig.fish
      eval "$(patchrig completion bash)"      # in ~/.bashrc
    """
    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(context.find_root().command, {}, "patchrig", "_PATCHRIG_COMPLETE").source())
    return ExitCode.OK
