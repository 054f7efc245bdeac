# SPDX-License-Identifier: GPL-2.0-or-later
"""F3, F4: the disk fails, or the host loses power before the disk has what was written."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.faults import strace
from tests.faults.campaign import Plan, Try
from tests.faults.kills import record
from tests.faults.rig import Rig, Template
from tests.faults.strace import WRITES, Point

ERRORS = ("ENOSPC", "EIO", "EROFS")
# A full disk or a read-only one is the host's: patchrig says so and ends with 3.
_HONEST = (3,)


# F3


def _build(rig: Rig, wrap: Sequence[str] = ()) -> None:
    ran = rig.build("patched", "--flavour", "debug", wrap=wrap)
    rig.check_image(ran, "patched/debug", also=_HONEST)
    _check_said(rig, ran.code, ran.err)


def _run(rig: Rig, wrap: Sequence[str] = ()) -> None:
    ran = rig.call("run", "--variant", "patched", wrap=wrap)
    # None and 70 are findings already.
    if ran.code not in (0, 3, 70, None) or (ran.code == 0 and ran.cells() != ["passed"]):
        rig.wrong(f"the host's disk is at fault, not the kernel: {ran.end()} {ran.cells()}")
    _check_said(rig, ran.code, ran.err)


def _check_said(rig: Rig, code: int | None, text: str) -> None:
    if code == 3 and not text.strip():
        rig.wrong("exit 3 without a word")


_WORK = {"build": _build, "run": _run}


def disks_failing(plan: Plan) -> list[Try]:
    """Each error at each call that writes; `count` of them, chosen at random, where that is fewer."""
    tries = []
    for name, act in list(_WORK.items())[: 1 if plan.short else None]:
        for point in record(plan, f"F3.{name}", act, WRITES):
            tries += [Try(name=f"{name}, {error} at {point}", play=_failing(act, point, error)) for error in ERRORS]
    return plan.random("F3").sample(tries, min(plan.count, len(tries)))


def _failing(act: Callable[[Rig, Sequence[str]], None], point: Point, error: str) -> Callable[[Rig], None]:
    def play(rig: Rig) -> None:
        act(rig, strace.injecting(point, f"error={error}"))
        if point.name in ("unlink", "unlinkat", "rmdir"):
            # What could not be removed is there.
            rig.findings[:] = [one for one in rig.findings if "scratch folder" not in one.text]
            rig.excuse_killed()
        rig.clean_baseline()

    return play


# F4


def power_lost(plan: Plan) -> list[Try]:
    """Each file of the cache or the results that patchrig did not bring to the disk is empty after the loss."""
    strace.check_strace()
    work = list(_WORKLOADS)[: 1 if plan.short else None]
    found = [(name, file) for name in work for file in _unsynced(plan.template, name)]
    tries = [Try(name=f"{name}: {file}", play=_emptied(name, (file,))) for name, file in found]
    alike = {name: tuple(file for whose, file in found if whose == name) for name in work}
    tries += [Try(name=f"{name}: all at once", play=_emptied(name, files)) for name, files in alike.items()]
    return plan.random("F4").sample(tries, min(plan.count, len(tries)))


def _cold_build(rig: Rig, wrap: Sequence[str] = ()) -> None:
    rig.call("clean", "--all")
    rig.build("baseline", wrap=wrap)


def _cold_run(rig: Rig, wrap: Sequence[str] = ()) -> None:
    rig.call("clean", "--all")
    rig.call("run", "--variant", "patched", wrap=wrap)


_WORKLOADS = {"build": _cold_build, "run": _cold_run}


def _unsynced(template: Template, name: str) -> list[str]:
    """The files, as paths below the rig, that lie there after the work and whose content was not fsynced."""
    rig = Rig(template.folder.parent / f"record.F4.{name}", template=template, seed=name)
    rig.warm()
    log = rig.folder / "strace.log"
    before = set(_files(rig))
    wrap = strace.recording(log, ("fsync", "fdatasync", "sync_file_range", "syncfs", "sync", *strace.WRITES))
    _WORKLOADS[name](rig, ["strace", "-f", "--seccomp-bpf", *wrap[1:]])
    synced = synced_files(strace.traced(log))
    left = [file for file in _files(rig) if str(rig.folder / file) not in synced and file not in before]
    rig.forget()
    # Names with a process or a run in them are other ones the next time.
    return [file for file in left if not file.startswith("results/")]


def synced_files(calls: Sequence[strace.Traced]) -> set[str]:
    """The files whose content has reached the disk, under the names that they have at the end."""
    synced: set[str] = set()
    for call in calls:
        if call.result < 0 or not call.files:
            continue
        if call.name in ("fsync", "fdatasync"):
            synced.add(call.files[0])
        elif call.name.startswith("rename") and len(call.files) > 1:
            old, new = call.files[:2]
            synced = {new + path[len(old) :] if path == old or path.startswith(f"{old}/") else path for path in synced}
        elif call.name.startswith(("write", "pwrite", "copy", "ftruncate")):
            synced.discard(call.files[-1] if call.name == "copy_file_range" else call.files[0])
        elif call.name in ("sync", "syncfs"):
            continue
    return synced


def _files(rig: Rig) -> Iterator[str]:
    for top in (rig.cache, rig.results):
        for where, _, names in os.walk(top):
            yield from (str((Path(where) / name).relative_to(rig.folder)) for name in names)


def _emptied(name: str, files: Sequence[str]) -> Callable[[Rig], None]:
    def play(rig: Rig) -> None:
        _WORKLOADS[name](rig)
        rig.findings.clear()
        for file in files:
            path = rig.folder / file
            if path.is_file() and not path.is_symlink():
                os.truncate(path, 0)
        rig.clean_baseline()
        rig.check_image(rig.build("patched", "--flavour", "debug"), "patched/debug")
        ran = rig.call("run", "--variant", "patched")
        if ran.code != 0 or ran.cells() != ["passed"]:
            rig.wrong(f"a run after the power loss: {ran.end()} {ran.cells()}")

    return play
