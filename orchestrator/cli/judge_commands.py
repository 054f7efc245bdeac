# SPDX-License-Identifier: GPL-2.0-or-later
"""`patchrig judge`: its options."""

import click

from orchestrator.cli.options import AS_JSON
from orchestrator.host.errors import ExitCode


@click.command()
@click.argument(
    "logs", metavar="CONSOLE.log...", nargs=-1, type=click.Path(exists=True, dir_okay=False, allow_dash=True)
)
@AS_JSON
def judge(logs: tuple[str, ...], as_json_text: bool) -> ExitCode:
    """Find every kernel splat in console logs.

    The logs may be of any kernel, machine and size. Without a file, or with
    "-", standard input is read. A log may come in any form: a serial console,
    dmesg, journalctl or syslog with any options and in any language,
    netconsole, /dev/kmsg, a CI's log, a quoted mail; in UTF-8 or UTF-16;
    packed with gzip, xz or bzip2 (2 GiB of text at most). What a log daemon
    has from programs is left out.

    Each splat has a severity. "fatal" fails a cell unless its matrix or
    workload allows it by its title, which is not known here. "note" (an OOM
    kill, a driver's own WARNING) is only shown, and so is "coverage", which
    ends a check of the kernel's (lockdep that has no room left).

    Exit code 0: nothing fatal, or an empty log, which is called empty. 1: a
    fatal splat. 2: a file can't be read, is damaged, or is no text (a memory
    dump, a picture, systemd's own journal); the message says what it is.

    With --json, an object maps each file name to its splats, in the order of
    their first lines. A title is given ten times at most.

    \b
    Examples:
      patchrig judge results/latest/cells/*/console.log
      dmesg | patchrig judge --json | jq -r '.["-"][].title'
    """
    from orchestrator.cli.console_text import print_crashes

    return print_crashes(logs, as_json_text=as_json_text)
