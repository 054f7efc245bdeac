# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs one of our modules that read a built kernel inside the sandbox: its DWARF was written by a stranger's build."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError
from orchestrator.host.paths import PACKAGE, scratch_folder
from orchestrator.host.process import last_lines, run, signal_of
from orchestrator.host.sandbox import Limits, Mount, Sandbox, confined_argv, hand_over_all
from orchestrator.host.untrusted import BadFile, read_plain

T = TypeVar("T")

ANSWER_BYTES = 512 << 20
# vmlinux as the part inside sees it.
VMLINUX = Path("/patchrig/vmlinux")
_LIMITS = Limits(processes=64, process_bytes=16 << 30, file_bytes=ANSWER_BYTES)


def answered(module: str, request: bytes, *, mounts: Sequence[Mount], sandbox: bool, until: Deadline) -> bytes:
    """What `python -m MODULE REQUEST ANSWER` writes to the file ANSWER. Raises BadFile where it can't.

    Raises InfraError where somebody killed it: that says nothing of what it was to read.
    """
    with scratch_folder() as name:
        scratch = Path(name) / "exchange"
        scratch.mkdir()
        (scratch / "request").write_bytes(request)
        hand_over_all(scratch)
        inside = Sandbox(
            readable=(*_python(), *mounts),
            writable=(scratch,),
            env={"PYTHONPATH": str(PACKAGE.parent), "PYTHONDONTWRITEBYTECODE": "1"},
            limits=_LIMITS,
        )
        argv = [sys.executable, "-m", module, str(scratch / "request"), str(scratch / "answer")]
        done = run(confined_argv(argv, inside, sandbox=sandbox), log=Path(name) / "log", until=until)
        if signal := signal_of(done.status):
            raise InfraError(f"the reader of debug information was killed by signal {signal}", hint="dmesg | tail")
        if done.status != 0:
            raise BadFile(f"debug information that can't be read: {last_lines(done.output, 1)}")
        return read_plain(scratch, "answer", most_bytes=ANSWER_BYTES)


def value_of(adapter: TypeAdapter[T], answer: bytes) -> T:
    """The value that an answer states. Raises BadFile where it is none."""
    try:
        return adapter.validate_json(answer)
    except ValidationError as error:
        raise BadFile("debug information that makes no sense") from error


def _python() -> tuple[Path, ...]:
    """Our interpreter, its packages and our code."""
    places = (Path(sys.base_prefix), Path(sys.prefix), PACKAGE)
    return tuple(dict.fromkeys(path.resolve() for path in places if not path.resolve().is_relative_to("/usr")))
