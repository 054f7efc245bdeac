# SPDX-License-Identifier: GPL-2.0-or-later
"""What the parameters of functions are called: read from a kernel's DWARF in the sandbox.

`python -m orchestrator.kernel.code.parameter_names REQUEST ANSWER` is the part inside; both are files of JSON.
"""

import json
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic import TypeAdapter

from orchestrator.host.deadline import Deadline
from orchestrator.host.elf import Binary, open_binary
from orchestrator.host.sandbox import Mount
from orchestrator.kernel.code.dwarf_reader import VMLINUX, answered, value_of
from orchestrator.model.images import KernelImage

_SECONDS = 300.0
_ANSWER = TypeAdapter(dict[str, tuple[str, ...]])


def parameter_names(image: KernelImage, functions: Collection[str], *, sandbox: bool) -> Mapping[str, tuple[str, ...]]:
    """Function -> its parameters in their order, of those of which they are known.

    Raises BadFile where the kernel's DWARF can't be read.
    """
    seen = VMLINUX if sandbox else image.vmlinux
    request = json.dumps({"vmlinux": str(seen), "functions": sorted(functions)}).encode()
    until = Deadline.after(_SECONDS, "the names of parameters")
    found = answered(__name__, request, mounts=(Mount(image.vmlinux, seen),), sandbox=sandbox, until=until)
    return value_of(_ANSWER, found)


def names_in(binary: Binary, functions: Collection[str]) -> dict[str, tuple[str, ...]]:
    """What the part inside answers, of a kernel that is open."""
    found = {}
    for symbol in binary.functions():
        unit = binary.unit_at(symbol.address) if symbol.name in functions else None
        for body in unit.bodies() if unit else ():
            if not body.copy and body.address == symbol.address:
                found[symbol.name] = tuple(parameter.name for parameter in body.parameters)
    return found


def answer(request: Path, target: Path) -> None:
    """The part inside the sandbox."""
    asked = json.loads(request.read_bytes())
    with open_binary(Path(asked["vmlinux"]), Path("/")) as binary:
        target.write_text(json.dumps(names_in(binary, asked["functions"])), encoding="utf-8")


if __name__ == "__main__":
    answer(Path(sys.argv[1]), Path(sys.argv[2]))
