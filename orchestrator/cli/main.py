# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands; the only reader of argv and the only caller of sys.exit."""

import errno
import gc
import io
import logging
import os
import sys
import traceback
from typing import NoReturn

import click

from orchestrator.cli.lazy import Command, LazyGroup
from orchestrator.cli.messages import tell
from orchestrator.host import signals
from orchestrator.host.errors import ExitCode, OrchestratorError, UserError, of_this_machine
from orchestrator.host.text import printable

# Imported when they are used: all of them take a second of CPU, and help and completion are asked for often.
COMMANDS = {
    "b4-check": Command(
        "orchestrator.cli.b4_commands:b4_check", "Check a series for `b4 review` or `b4 prep --check`."
    ),
    "bisect": Command(
        "orchestrator.cli.bisect_commands:bisect",
        "Find the patch of a series, or the commit of a range, that a failure comes with.",
    ),
    "boot": Command(
        "orchestrator.cli.guest_commands:boot",
        "Boot the first kernel that `patchrig run` would test, to a prompt here.",
    ),
    "build": Command(
        "orchestrator.cli.run_commands:build", "Build the kernels of a run and print where they are; run nothing."
    ),
    "clean": Command(
        "orchestrator.cli.host_commands:clean", "Free disk space in the cache: old kernels, or everything."
    ),
    "completion": Command(
        "orchestrator.cli.host_commands:completion", "Print the script that completes patchrig's commands in a SHELL."
    ),
    "coverage": Command("orchestrator.cli.coverage_commands:coverage", "Show which of the changed lines ran in RUN."),
    "doctor": Command(
        "orchestrator.cli.host_commands:doctor", "Check this machine: packages, sandbox, KVM, disk space."
    ),
    "explain": Command(
        "orchestrator.cli.explain_commands:explain",
        "Show both sides of the race in a red CELL of a --deterministic RUN.",
    ),
    "history": Command("orchestrator.cli.history_commands:history", "Show what became of each cell over all runs."),
    "hunt": Command("orchestrator.cli.hunt_commands:hunt", "Look for bugs that nobody knows, for hours."),
    "judge": Command("orchestrator.cli.judge_commands:judge", "Find every kernel splat in console logs."),
    "list": Command("orchestrator.cli.run_commands:list_cells", "Show the cells of a run and what each would do."),
    "merge": Command(
        "orchestrator.cli.continued_commands:merge", "Put the shards of a run together: one run, one report."
    ),
    "minimise": Command(
        "orchestrator.cli.minimise_commands:minimise",
        "Take parts of a red CELL of a --deterministic RUN away, one by one.",
    ),
    "mutate": Command(
        "orchestrator.cli.mutate_commands:mutate",
        "Break what a series changes, and see what the workloads notice.",
    ),
    "reach": Command(
        "orchestrator.cli.reach_commands:reach",
        "Record which kernel functions each workload of MATRIX, or each suite, runs.",
    ),
    "replay": Command(
        "orchestrator.cli.replay_commands:replay", "Run a CELL of a --deterministic RUN again and compare the consoles."
    ),
    "report": Command(
        "orchestrator.cli.report_commands:report",
        "Write the report of a RUN in the forms of other tools, into its folder.",
    ),
    "repro": Command("orchestrator.cli.run_commands:repro", "Run a CELL of an earlier RUN again."),
    "resume": Command(
        "orchestrator.cli.continued_commands:resume", "Run what is left of a RUN that was killed or interrupted."
    ),
    "run": Command("orchestrator.cli.run_commands:run", "Patch, build, boot and judge a series or a matrix."),
    "schema": Command(
        "orchestrator.cli.host_commands:schema", "Print the JSON Schema of a KIND of YAML file, for editors."
    ),
    "sensitivity": Command(
        "orchestrator.cli.bug_commands:sensitivity", "Break the series on purpose and see which workload notices."
    ),
    "series": Command(
        "orchestrator.cli.series_commands:series",
        "Show which patches a run would test, and what it would leave out.",
    ),
    "settle": Command(
        "orchestrator.cli.settle_commands:settle", "Decide whether two places of the kernel race, as a CLAIM says."
    ),
    "shell": Command(
        "orchestrator.cli.guest_commands:shell", "Boot the guest of a CELL and open an SSH session in it."
    ),
}


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@click.version_option(package_name="patchrig")
@click.option("-v", "--verbose", is_flag=True, help="Show every command that is started.")
def cli(verbose: bool) -> None:
    """Does a kernel series break anything, and would we have noticed?

    Builds the kernel with the series (with --variant baseline --variant
    patched: also without it), boots it under QEMU on x86_64 and arm64, runs
    workloads that race the changed code, and says what broke and which changed
    code ran.

    \b
    Examples:
      patchrig run swapoff                  # all of configs/swapoff.yaml
      patchrig run --patch series.mbox --tree ~/linux
      patchrig repro latest x86_64.swapin   # one cell of a run again
      patchrig sensitivity swapoff          # would it have noticed a bug?

    \b
    Shell completion (also zsh, fish):
      eval "$(patchrig completion bash)"
    """
    log = logging.StreamHandler(sys.stderr)
    log.setFormatter(_Printable("%(message)s"))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.WARNING, handlers=[log])
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    logging.getLogger("qemu").setLevel(logging.CRITICAL)


_UMASK = 0o022
# Imports make so many objects, none of them garbage, that looking for some takes 5 % of the CPU of a quick command.
_OBJECTS_BEFORE_COLLECTION = 50_000


def collect_garbage_seldom() -> None:
    """For the whole process."""
    gc.set_threshold(_OBJECTS_BEFORE_COLLECTION)


def main() -> NoReturn:
    # A title may hold any character, and the user's terminal may have an encoding without it.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    collect_garbage_seldom()
    signals.install()
    # The user of the sandbox has to read sources and images, whatever our own umask is. Other users of this machine are
    # kept out by the folders around them: the cache's, and that of each run.
    os.umask(_UMASK)
    try:
        code = cli(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else ExitCode.OK)
    except click.ClickException as e:
        e.show()
        sys.exit(e.exit_code)
    except OrchestratorError as e:
        tell(e)
        sys.exit(e.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # `patchrig list ... | head`: nobody reads on, and that is fine.
        sys.stderr.close()
        sys.exit(ExitCode.OK)
    except Exception as e:
        if isinstance(e, OSError) and e.errno == errno.ENAMETOOLONG:
            tell(UserError(str(e)))
            sys.exit(ExitCode.USAGE)
        if isinstance(e, OSError) and e.errno is not None:
            tell(of_this_machine(e))
            sys.exit(ExitCode.INFRA)
        click.echo(printable(traceback.format_exc()), err=True)
        click.echo("patchrig: this is a bug of patchrig's own; nothing was found out about the kernel", err=True)
        sys.exit(ExitCode.BUG)


class _Printable(logging.Formatter):
    """Commands have the names of strangers' files in them."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))
