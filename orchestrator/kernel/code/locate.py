# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a kernel can be probed for a run's workloads and its series: found in the sandbox, kept with the image.

`python -m orchestrator.kernel.code.locate REQUEST ANSWER` is the part inside; both are files of JSON.
"""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from orchestrator.host.deadline import Deadline
from orchestrator.host.elf import Binary, open_binary
from orchestrator.host.sandbox import Mount
from orchestrator.host.sealed import kept_or_made
from orchestrator.host.untrusted import BadFile
from orchestrator.kernel.code.calls import CALLS
from orchestrator.kernel.code.dwarf_reader import VMLINUX, answered
from orchestrator.kernel.code.probe_places import MachineCode, located
from orchestrator.kernel.code.symbols import LANDMARK_FILE
from orchestrator.model.configuration import Workload
from orchestrator.model.images import KernelImage
from orchestrator.model.probes import Located, WantedSite
from orchestrator.model.series_diff import ChangedFunction

# To be raised when the same request gets another answer.
_VERSION = 2
_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class LocateRequest:
    """What is to be found in a kernel."""

    workloads: Mapping[str, tuple[WantedSite, ...]]
    changed: tuple[ChangedFunction, ...]
    arch: str
    image: Mapping[str, str]  # the hashes that tell it from any other
    version: int = _VERSION
    vmlinux: str = ""


_REQUEST = TypeAdapter(LocateRequest)
_LOCATED = TypeAdapter(Located)


def locate(
    image: KernelImage, workloads: Sequence[Workload], changed: Sequence[ChangedFunction], *, sandbox: bool
) -> Located:
    """What of the workloads' sites and the changed functions can be probed: found once, then kept beside the kernel.

    Raises BadFile where its DWARF can't be read, InfraError where the answer can't be kept.
    """
    wanted = {
        load.name: tuple(WantedSite(name=name, ways=ways) for name, ways in load.sites.items()) for load in workloads
    }
    request = LocateRequest(workloads=wanted, changed=tuple(changed), arch=image.build.arch, image=image.hashes)
    digest = hashlib.sha256(_REQUEST.dump_json(request)).hexdigest()
    kept = image.vmlinux.with_name(f"probes-{digest[:16]}.sealed")
    until = Deadline.after(_SECONDS, "the places of the probes")
    seen = VMLINUX if sandbox else image.vmlinux

    def find() -> bytes:
        asked = _REQUEST.dump_json(replace(request, vmlinux=str(seen)))
        mounts = (Mount(image.vmlinux, seen),)
        return answered(__name__, asked, mounts=mounts, sandbox=sandbox, until=until)

    try:
        return _LOCATED.validate_json(kept_or_made(kept, find, until))
    except ValidationError as error:
        raise BadFile("debug information that makes no sense") from error


def answer(request: Path, target: Path) -> None:
    """The part inside the sandbox."""
    asked = _REQUEST.validate_json(request.read_bytes())
    vmlinux = Path(asked.vmlinux)
    with open_binary(vmlinux, Path("/")) as binary:
        root = _root(binary)
    with open_binary(vmlinux, root) as binary:
        code = MachineCode(binary=binary, calls=CALLS[asked.arch], symbols=binary.functions())
        found = located(asked.workloads, asked.changed, code)
    target.write_bytes(_LOCATED.dump_json(found))


def _root(binary: Binary) -> Path:
    """Where the source tree was when the kernel was built."""
    # It is among the first that are linked.
    for unit in binary.units():
        # Files below / have lost their first slash.
        if unit.source.endswith(f"/{LANDMARK_FILE}"):
            return Path("/") / unit.source.removesuffix(f"/{LANDMARK_FILE}")
    return Path("/")


if __name__ == "__main__":
    answer(Path(sys.argv[1]), Path(sys.argv[2]))
