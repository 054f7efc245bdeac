# SPDX-License-Identifier: GPL-2.0-or-later
"""A test suite by its name on the command line, as the workload that runs it: a table of the kinds of suites (pure)."""

import re
from collections.abc import Callable, Mapping

from orchestrator.host.errors import UserError
from orchestrator.model.configuration import DeviceKind, Results, SwapDevice, Workload
from orchestrator.plan.names import unknown

# What scripts of kselftest call, and what its programs are linked with.
_KSELFTEST_PACKAGES = (
    *("bash", "bc", "coreutils", "diffutils", "findutils", "gawk", "grep", "iproute2", "iputils-ping", "kmod", "mount"),
    *("perl-base", "procps", "sed", "util-linux"),
    *("libcap2", "libcap-ng0", "libelf1", "libmnl0", "libmount1", "libnuma1", "libpopt0", "libssl3", "liburing2"),
)
_TARGET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*")
_GLOB = re.compile(r"[A-Za-z0-9_*?][A-Za-z0-9_*?.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_STRESSOR = re.compile(r"[a-z0-9][a-z0-9-]*")
_ZRAM = SwapDevice(kind=DeviceKind.ZRAM, size_mib=256, priority=10)
_NULL_BLK = SwapDevice(kind=DeviceKind.NULL_BLK, size_mib=64, priority=5)


def is_suite(name: str) -> bool:
    """Whether a matrix's workload is the name of a suite: kselftest:mm."""
    return ":" in name and "/" not in name.partition(":")[0] and not name.endswith((".yaml", ".yml"))


def suite_workload(text: str) -> Workload:
    """The workload of a suite KIND:WHAT. Raises UserError."""
    kind, _, what = text.partition(":")
    if kind in _ABSENT:
        raise UserError(f"suite {text}: {_ABSENT[kind]}", hint="--suite kselftest:mm --suite stress-ng:vm,swap")
    if kind not in _KINDS:
        raise UserError(f"suite {text}: {unknown('kind', kind, _KINDS)}")
    wanted, make = _KINDS[kind]
    parts = what.split(",")
    if wrong := [part for part in parts if not wanted.fullmatch(part)]:
        raise UserError(f"suite {text}: {wrong[0]!r} is no name for {kind}", hint=f"--suite {_EXAMPLES[kind]}")
    if twice := [part for part in parts if parts.count(part) > 1]:
        raise UserError(f"suite {text}: {twice[0]} is there twice")
    return make(tuple(parts))


def suite_name(workload: Workload) -> str:
    """What --suite calls a suite's workload; "" for a workload that is no suite."""
    script, *arguments = workload.command or ("",)
    parts = {"suite-kselftest": workload.selftests, "suite-kunit": workload.kunit, "suite-stress-ng": arguments[2:]}
    return f"{script.removeprefix('suite-')}:{','.join(parts[script])}" if parts.get(script) else ""


def _name(kind: str, parts: tuple[str, ...]) -> str:
    """A workload's name: lower-case letters, digits and hyphens; another suite has another one."""
    plain = "-".join(part.replace("*", "-any-").replace("?", "-one-") for part in parts).lower()
    return f"{kind}-{re.sub(r'[^a-z0-9]+', '-', plain).strip('-') or 'any'}"


def _kselftest(targets: tuple[str, ...]) -> Workload:
    return Workload(
        name=_name("kselftest", targets),
        summary=f"tools/testing/selftests of the tree: {', '.join(targets)}",
        command=("suite-kselftest", "{limit}"),
        results=Results.KTAP,
        selftests=targets,
        flavour="kselftest",
        packages=_KSELFTEST_PACKAGES,
        # Huge pages of 2 MiB: 256 MiB of them, and as much again for two NUMA nodes or large tests.
        memory_mib=2048,
        most_seconds=2700,
        devices=(_ZRAM, _NULL_BLK),
        exercised={"operations": 1},
    )


def _kunit(globs: tuple[str, ...]) -> Workload:
    return Workload(
        name=_name("kunit", globs),
        summary=f"KUnit suites of the kernel: {', '.join(globs)}",
        command=("suite-kunit", *globs),
        results=Results.KTAP,
        kunit=globs,
        flavour="kunit",
        memory_mib=768,
        most_seconds=900,
        devices=(_ZRAM,),
        exercised={"operations": 1},
    )


def _stress_ng(stressors: tuple[str, ...]) -> Workload:
    return Workload(
        name=_name("stress-ng", stressors),
        summary=f"stress-ng's stressors, side by side: {', '.join(stressors)}",
        command=("suite-stress-ng", "{seconds}", "{seed}", *stressors),
        results=Results.KTAP,
        packages=("stress-ng",),
        memory_mib=448,
        most_seconds=60,
        devices=(_ZRAM, _NULL_BLK),
        exercised={"operations": 1},
    )


_KINDS: Mapping[str, tuple[re.Pattern[str], Callable[[tuple[str, ...]], Workload]]] = {
    "kselftest": (_TARGET, _kselftest),
    "kunit": (_GLOB, _kunit),
    "stress-ng": (_STRESSOR, _stress_ng),
}
SUITE_KINDS = tuple(_KINDS)
_EXAMPLES = {"kselftest": "kselftest:mm,cgroup", "kunit": "kunit:damon*", "stress-ng": "stress-ng:vm,swap"}
# Suites that one may expect, and why they are not there.
_ABSENT = {
    "ltp": "Debian 12 has no package of the Linux Test Project, and patchrig builds nothing that is not in the tree; "
    "a workload of your own can run it: `packages:` and `command:`",
}
