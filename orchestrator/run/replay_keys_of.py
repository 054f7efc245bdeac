# SPDX-License-Identifier: GPL-2.0-or-later
"""The replay key of a deterministic cell that has run."""

import base64
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.guest.archive import programs_in
from orchestrator.host import paths
from orchestrator.host.errors import UserError
from orchestrator.model.cells import Cell
from orchestrator.model.configuration import Allowed, Results, Variant, Workload
from orchestrator.model.kernel_options import options_in
from orchestrator.model.replay_keys import ReplayKey, short
from orchestrator.model.replays import ReplayRecord
from orchestrator.plan.config import load_workload
from orchestrator.plan.delays import delays_text
from orchestrator.run.bootable import Bootable

_QEMU = re.compile(r"version (\d[\w.]*)")
# Where the program lies is this machine's own business.
_OWN = {"program"}
_MOST_CHANGES = 1 << 20


def qemu_number(said: str) -> str:
    """The version in the first line of QEMU's --version."""
    m = _QEMU.search(said)
    return m[1] if m else "unknown"


def key_text(cell: Cell, bootable: Bootable, record: ReplayRecord) -> str:
    """The key; "" for a cell that no key stands for: with tests of a suite, or of a seeded mutant."""
    image = bootable.kernel
    if cell.workload.results is Results.KTAP or cell.mutant is not None:
        return ""
    programs = programs_in(bootable.initramfs_of(cell.workload).read_bytes())
    if not programs or not {"source", "series"} <= image.hashes.keys():
        return ""
    build, coverage = cell.build, image.coverage
    return ReplayKey(
        variant=str(build.variant),
        flavour=build.flavour,
        arch=build.arch,
        workload=cell.workload.name,
        version=image.release,
        source=short(image.hashes["source"]),
        series="" if build.variant is Variant.BASELINE else short(image.hashes["series"]),
        seconds=str(cell.seconds),
        seed=str(cell.seed),
        delays=delays_text(cell.widening) if cell.widening else "",
        files=coverage.whole if coverage else (),
        claim=coverage.claim if coverage else "",
        changes=packed(changes_of(cell.workload)),
        options=packed(options_in(image.options)),
        allow=packed_allow(bootable.guests.allow),
        programs=programs,
        qemu=qemu_number(record.qemu),
        image=short(record.image),
        initramfs=short(record.initramfs),
        console=short(record.console.sha256),
    ).text


def changes_of(workload: Workload) -> dict[str, Any]:
    """In what a workload differs from patchrig's own of that name; all of it, where there is none."""
    now = workload.model_dump(mode="json", exclude=_OWN)
    try:
        shipped = load_workload(workload.name, beside=paths.CONFIGS).model_dump(mode="json", exclude=_OWN)
    except UserError:
        return now
    return {name: value for name, value in now.items() if value != shipped[name]}


def packed_allow(allow: Iterable[Allowed]) -> str:
    """What the matrix allows; "" for nothing."""
    titles = {one.title: one.reason for one in allow}
    return packed(titles)


def unpacked_allow(text: str) -> tuple[Allowed, ...]:
    """What packed_allow() was given, by title. Raises ValueError."""
    titles = unpacked_changes(text)
    return tuple(Allowed(title=title, reason=str(titles[title])) for title in titles)


def packed(changes: Mapping[str, Any]) -> str:
    """As text without blanks; "" for none."""
    if not changes:
        return ""
    text = json.dumps(changes, separators=(",", ":"), sort_keys=True)
    return base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode()


def unpacked_changes(text: str) -> dict[str, Any]:
    """What packed() was given. Raises ValueError."""
    if not text:
        return {}
    try:
        unpack = zlib.decompressobj()
        data = unpack.decompress(base64.urlsafe_b64decode(text), _MOST_CHANGES)
        value = json.loads(data)
    except (zlib.error, RecursionError) as e:
        raise ValueError(str(e)) from e
    if not isinstance(value, dict):
        raise ValueError("no object")  # noqa: TRY004  # one kind of error for a bad key
    return value
