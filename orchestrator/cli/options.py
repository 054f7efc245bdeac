# SPDX-License-Identifier: GPL-2.0-or-later
"""The options that several commands share, and the request that they make up."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from orchestrator.host import paths
from orchestrator.host.errors import UserError
from orchestrator.model.arch import ARCHES


class OutputFile(click.Path):
    """A file to be written at the end of what may take hours; that it can be is asked at the start."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if not os.access(path.parent, os.W_OK):
            self.fail(f"{path}: {path.parent} is no folder that can be written to", param, ctx)
        return path


_MATRICES = (paths.CONFIGS, paths.FOUND)


class MatrixFile(click.Path):
    """A matrix: a YAML file, or one that patchrig comes with by its name or by its path below the project."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        given = Path(value)
        named = [paths.PROJECT / given, *(folder / f"{given}.yaml" for folder in _MATRICES)]
        ours = [] if given.exists() and not given.is_dir() else named
        found = next((path for path in ours if path.is_file()), given)
        is_name = given.name == str(given) and not given.suffix
        # Beside other YAML files the user is told of those, and of the file that was asked for.
        if not found.exists() and (is_name or not any(given.parent.glob("*.yaml"))):
            # A help text has no need of it.
            from orchestrator.plan.names import unknown

            known = [path.stem for folder in _MATRICES for path in folder.glob("*.yaml")]
            hint = f"ls {' '.join(map(str, _MATRICES))}  # each YAML file is a matrix"
            raise UserError(unknown("matrix", str(given), known), hint=hint)
        return super().convert(found, param, ctx)


def _version_alone(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    return value.strip().removeprefix("v").removeprefix("V")


MATRIX = MatrixFile()
# Those of model.configuration, which takes longer to import than a help text may take.
VARIANTS = ("baseline", "patched")
# Those of plan.flavours.
FLAVOURS = ("plain", "debug", "widened", "reach", "kasan", "kcsan", "kselftest", "kunit", "16k", "64k", "numa",
            "memcg-v1", "thp-always", "rt", "ksm")  # fmt: skip
DEFAULT_MATRIX = paths.CONFIGS / "swapoff.yaml"
# The workloads that patchrig chooses from where no matrix is named.
ALL_WORKLOADS = paths.CONFIGS / "mm.yaml"
F = TypeVar("F", bound=Callable[..., Any])
Option = Callable[[F], F]
AGAIN = "May be given several times."
SERIES_VERSION = click.option("--series-version", default="", metavar="N", callback=_version_alone,
                              help="Of a mailbox that has several versions of the series, take this one.")  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The options that say which cells, which kernel and which series; as click gives them."""

    patch: tuple[Path, ...]
    series_version: str
    tree: Path | None
    kernel: str | None
    arch: tuple[str, ...]
    flavour: tuple[str, ...]
    workload: tuple[str, ...]
    suite: tuple[str, ...]
    variant: tuple[str, ...]
    seconds: int | None
    seed: int | None
    repeat: int | None
    widen: str | None
    sandbox: bool
    deterministic: bool = False
    config: tuple[str, ...] = ()
    suites_by_reach: bool = False  # suites that run what no workload does are chosen, too


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """Where the results of a command go."""

    results: Path
    junit: Path | None
    as_json: bool  # on standard output
    since: str = ""  # what failed before or in this run is old; "": all failures fail the run


NO_SANDBOX = click.option("--no-sandbox", "sandbox", flag_value=False, default=True, type=bool,
                          help="Build, and run QEMU, without bubblewrap: the kernel's build files and what breaks out "
                          "of a guest then have your rights.")  # fmt: skip
# For commands whose kernels an earlier run has built.
GUESTS_WITHOUT_SANDBOX = click.option("--no-sandbox", "sandbox", flag_value=False, default=True, type=bool,
                                      help="Run QEMU, and what reads the kernel's files, without bubblewrap: what "
                                      "breaks out of them then has your rights.")  # fmt: skip


def patch_option(what: str) -> Option[Any]:
    return click.option("--patch", multiple=True, type=click.Path(path_type=Path), metavar="PATH",
                        help=f"{what}: a patch, a mail, an mbox, a folder of patches, a git range of --tree, or a "
                        "Message-ID or a link to lore, whose thread b4 fetches. "
                        f"{AGAIN} `patchrig series PATH` shows what is in it.")  # fmt: skip


def tree_option(what: str) -> Option[Any]:
    return click.option("--tree", type=click.Path(exists=True, file_okay=False, path_type=Path), help=what)


def kernel_option(what: str) -> Option[Any]:
    return click.option("--kernel", metavar="NAME", help=what)


def widen_option(chance: str, *, partners: bool = True) -> Option[Any]:
    return click.option(
        "--widen",
        metavar="K=V,...",
        help=f"Delays of a widened flavour, with commas between them. The defaults are chance={chance}, max=30ms, "
        f"spin=1ms, hold=500ms, rest=10%{', partners=25%' * partners}; only=F+F delays these functions alone.",
    )


def suite_option(what: str) -> Option[Any]:
    return click.option("--suite", multiple=True, metavar="KIND:WHAT",
                        help=f"{what}: kselftest:mm, kunit:damon*, stress-ng:vm,swap. {AGAIN}")  # fmt: skip


ARCH = click.option("--arch", multiple=True, type=click.Choice(sorted(ARCHES)), help=f"Only this architecture. {AGAIN}")
WORKLOAD = click.option("--workload", multiple=True, metavar="W",
                        help=f"Only this workload: a name, or the path of its YAML file. {AGAIN}")  # fmt: skip
CONFIG = click.option("--config", multiple=True, metavar="CONFIG_X=y",
                      help=f"Kernel option beside those of the flavours; checked in the .config of each kernel. {AGAIN}"
                      )  # fmt: skip
# For commands that say why they refuse a suite.
REFUSED_SUITE = click.option("--suite", multiple=True, hidden=True, help="Refused, with the reason.")
_BUILD_CHOICE: dict[str, Option[Any]] = {
    "patch": patch_option("Series under test instead of the matrix's"),
    "series_version": SERIES_VERSION,
    "tree": tree_option("Build this kernel tree, which is copied and never touched, instead of the matrix's kernel."),
    "kernel": kernel_option("Build kernels/NAME.yaml, or a version such as 6.12.100, instead of the matrix's kernel."),
    "arch": ARCH,
    "flavour": click.option(
        "--flavour", multiple=True, metavar="F",
        help=f"Flavour, in place of the default ones: {', '.join(FLAVOURS)}, or several in one kernel as a+b. {AGAIN}",
    ),
    "config": CONFIG,
    "workload": WORKLOAD,
    "suite": suite_option("A test suite instead of the matrix's workloads"),
    "seed": click.option("--seed", type=click.IntRange(0), help="Seed of all random numbers of the workloads."),
    "widen": widen_option("2%"),
    "no_sandbox": NO_SANDBOX,
}  # fmt: skip
_CHOICE: dict[str, Option[Any]] = _BUILD_CHOICE | {
    "variant": click.option(
        "--variant", multiple=True, type=click.Choice(VARIANTS),
        help=f"Variant to run instead of the matrix's: patched has the series, baseline has not. {AGAIN}",
    ),
    "seconds": click.option("--seconds", type=click.IntRange(1), help="Load seconds of each cell."),
    "repeat": click.option(
        "--repeat", type=click.IntRange(1), help="Run each cell this many times, each with another seed."
    ),
}  # fmt: skip
IN_RESULTS = click.option("--results", type=click.Path(file_okay=False, path_type=Path), default=paths.RESULTS,
                          show_default="results/", help="Folder with the runs.")  # fmt: skip
RESULTS = click.option("--results", type=click.Path(file_okay=False, path_type=Path), default=paths.RESULTS,
                        show_default="results/", help="Folder in which the run's folder is made.")  # fmt: skip
JOBS = click.option("--jobs", type=click.IntRange(1), help="Guests side by side (default: as cores and memory allow).")
FAIL_FAST = click.option("--fail-fast/--keep-going", default=False, help="End at the first red or lost cell.")
DUMP_MEMORY = click.option("--dump-memory", is_flag=True, help="Keep the memory of a guest that hangs as memory.elf.")
RESTORE = click.option("--no-restore", "restore", flag_value=False, default=True, type=bool,
                        help="Boot every guest: restore none from a snapshot.")  # fmt: skip
DETERMINISTIC = click.option("--deterministic", is_flag=True,
                             help="Guests whose every step depends on their seed and files alone, so that `patchrig "
                             "replay` runs a cell again bit for bit. They never use KVM.")  # fmt: skip
JUNIT = click.option("--junit", type=OutputFile(), metavar="FILE", help="Also write JUnit XML to FILE.")
SINCE = click.option("--since", metavar="RUN", default="",
                     help="Only new failures fail the run: those that neither RUN nor the runs before it had. RUN is "
                     "an id, the start of one, or `last`, which stands for all runs so far.")  # fmt: skip
SHARD = click.option(
    "--shard", metavar="I/N", default="", help="Only the I-th of N parts of the cells: see `patchrig merge`."
)
CLUSTER = click.option(
    "--cluster", metavar="ADDRESS", default="",
    help="Run the guests on the workers of this Dask scheduler: tcp://HOST:PORT. Kernels are built here.",
)  # fmt: skip
HOSTS = click.option(
    "--hosts", metavar="A,B,...", default="",
    help="Start a Dask cluster on these hosts over SSH, the scheduler on the first, and run the guests there.",
)  # fmt: skip
SSH_CONFIG = click.option(
    "--ssh-config", metavar="FILE", default="",
    help="Of --hosts: an ssh_config(5) with user, port, key and known hosts, instead of ~/.ssh/config.",
)  # fmt: skip
HOSTS_PYTHON = click.option(
    "--hosts-python", metavar="PATH", default="",
    help="Of --hosts: the Python that has patchrig there (default: the path of the one that runs here).",
)  # fmt: skip
AS_JSON = click.option("--json", "as_json_text", is_flag=True, help="Print JSON for scripts.")


def names_in(text: str) -> tuple[str, ...]:
    """The names between commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


WHERE = ("cluster", "hosts", "ssh_config", "hosts_python")


def with_cluster(command: F) -> F:
    """The options that say on which machines guests run: cluster_options() takes them."""
    for option in (HOSTS_PYTHON, SSH_CONFIG, HOSTS, CLUSTER):
        command = option(command)
    return command


def cluster_options(cluster: str, hosts: str, ssh_config: str, hosts_python: str) -> dict[str, Any]:
    """The fields of a request that say where its guests run. Raises UsageError."""
    names = names_in(hosts)
    if cluster and names:
        raise click.UsageError("--cluster names a cluster, and --hosts starts one: give one of them")
    if hosts and not names:
        raise click.UsageError("--hosts: names no host")
    if cluster and not re.fullmatch(r"(tcp|tls|ws|wss|ucx)://\S+:\d+", cluster):
        raise click.UsageError(f"--cluster {cluster}: must be like tcp://HOST:PORT, as `dask scheduler` prints it")
    if (ssh_config or hosts_python) and not names:
        raise click.UsageError("--ssh-config and --hosts-python are about --hosts: give that, too")
    config = Path(ssh_config).absolute() if ssh_config else None
    if config and not config.is_file():
        raise click.UsageError(f"--ssh-config {config}: is no file")
    return {"cluster": cluster, "hosts": names, "ssh_config": config, "hosts_python": hosts_python}


def with_choice(**own: Option[Any] | None) -> Option[Any]:
    """The options of Choice; `own`: what the command has in place of those of these names, None for nothing."""
    return _with(_CHOICE, own)


def with_build_choice(**own: Option[Any] | None) -> Option[Any]:
    """with_choice() for a command that has its own mind on variants, repeats and seconds."""
    return _with(_BUILD_CHOICE, own)


def _with(table: Mapping[str, Option[Any]], own: Mapping[str, Option[Any] | None]) -> Option[Any]:
    assert own.keys() <= table.keys()

    def decorated(command: F) -> F:
        for option in reversed({**table, **own}.values()):
            command = option(command) if option else command
        return command

    return decorated
