# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig replay`: its options. What does the work is imported when it is to be done."""

from pathlib import Path

import click

from orchestrator.cli.options import AGAIN, AS_JSON, IN_RESULTS, NO_SANDBOX
from orchestrator.host.errors import ExitCode


@click.command()
@click.argument("name", metavar="RUN|KEY")
@click.argument("cell", required=False)
@click.option("--gdb", is_flag=True, help="Stop before the cell's splat, in gdb.")
@click.option("--break", "places", multiple=True, metavar="PLACE",
              help=f"With --gdb: stop at PLACE instead: a function, *ADDRESS or FILE:LINE. {AGAIN}")  # fmt: skip
@click.option("--ex", "commands", multiple=True, metavar="COMMAND",
              help=f"With --gdb: gdb runs this command and ends; it uses no terminal. {AGAIN}")  # fmt: skip
@click.option("--trace", "traced", multiple=True, metavar="FUNC(ARG,...)",
              help=f"Also print each call of a kernel function. ARG: names you choose. {AGAIN}")  # fmt: skip
@click.option("--patch", "patches", multiple=True, type=click.Path(path_type=Path), metavar="PATH",
              help=f"With KEY: the series that the key has the digest of. {AGAIN}")  # fmt: skip
@click.option("--tree", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="With KEY: the kernel tree, where the source is no release.")  # fmt: skip
@click.option("--kernel", default="", metavar="NAME", help="With KEY: the kernel, where its version is not enough.")
@click.option("--workload", "workloads", multiple=True, metavar="FILE",
              help=f"With KEY: a workload that is not patchrig's. {AGAIN}")  # fmt: skip
@NO_SANDBOX
@IN_RESULTS
@AS_JSON
def replay(  # noqa: PLR0913  # click gives each option as an argument
    name: str, cell: str | None, gdb: bool, places: tuple[str, ...], commands: tuple[str, ...],
    traced: tuple[str, ...], patches: tuple[Path, ...], tree: Path | None, kernel: str, workloads: tuple[str, ...],
    sandbox: bool, results: Path, as_json_text: bool,
) -> ExitCode:  # fmt: skip
    """Run a CELL of a --deterministic RUN again and compare the consoles.

    Same QEMU, image, initramfs and seed: then all that the guest does is the
    same, each race too. RUN is an id, the start of one, a path, or "latest".
    CELL is a cell's name, its end, or else a part that no other cell has.

    --gdb starts gdb on the guest, which stops before the splat of the cell's
    finding. Without a terminal gdb prints the stack, or does what --ex says.

    With KEY, which a replay prints, image and initramfs are built first, on any
    machine with the same compiler and QEMU; the cell is then one of a new run.

    Exit code 0: the consoles are the same to the byte. 1: they differ; the
    first difference and what it comes from are printed. 2: the cell can't be
    replayed. 3: the host failed.

    \b
    Examples:
      patchrig run swapoff --deterministic --arch x86_64 --workload swapin
      patchrig replay latest x86_64.swapin
      patchrig replay latest x86_64.swapin --gdb --ex bt --ex 'info threads'
      patchrig replay 'patchrig-1 patched.widened...' --patch series.mbox
      patchrig replay latest x86_64.swapin --trace 'percpu_ref_exit(ref)'
    """
    if cell is None:
        from orchestrator.cli.key_text import replay_of_key

        if gdb or traced or places or commands:
            raise click.UsageError("a KEY is replayed first; the run that this makes can be looked at with RUN CELL")
        given = {"patches": patches, "tree": tree, "kernel": kernel, "workloads": workloads}
        return replay_of_key(name, given, results, sandbox=sandbox, as_json_text=as_json_text)
    if patches or tree or kernel or workloads:
        raise click.UsageError("--patch, --tree, --kernel and --workload are for a KEY")
    if (places or commands) and not gdb:
        raise click.UsageError("--break and --ex are for --gdb")
    if gdb and traced:
        raise click.UsageError("--gdb and --trace are two replays")
    if gdb:
        from orchestrator.cli.debug_text import debug_cell

        return debug_cell(name, cell, results, places, commands, sandbox=sandbox)
    from orchestrator.cli.replay_text import replay_cell

    return replay_cell(name, cell, results, traced, sandbox=sandbox, as_json_text=as_json_text)
