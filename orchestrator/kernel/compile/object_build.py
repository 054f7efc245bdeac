# SPDX-License-Identifier: GPL-2.0-or-later
"""A few objects of a kernel, compiled alone: whether a change of the source is one of the machine code."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.host.deadline import Deadline
from orchestrator.host.files import trouble_named
from orchestrator.host.object_code import object_code
from orchestrator.host.untrusted import BadFile, open_plain
from orchestrator.kernel.compile.build_mark import BuildMark, drop_setuid
from orchestrator.kernel.compile.make import BuildDirs, compile_objects, configure
from orchestrator.kernel.compile.prepare import BuildContext, KernelInputs, build_dirs, in_its_tree
from orchestrator.model.images import BuildFailure

_SECONDS = 1800.0
_OBJECT_BYTES = 64 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectCode:
    """A compiled object."""

    sha256: str  # of what it brings into the kernel
    written: int  # when, in nanoseconds


ObjectCodes = Mapping[str, ObjectCode]


def same_code(one: ObjectCodes, later: ObjectCodes) -> bool:
    """Whether all objects were compiled again, and came out the same."""
    return one.keys() == later.keys() and all(
        code.sha256 == later[name].sha256 and code.written != later[name].written for name, code in one.items()
    )


def object_codes(inputs: KernelInputs, objects: Sequence[str], context: BuildContext) -> ObjectCodes | None:
    """Compile the objects, in the sandbox, where the kernel of these inputs is built; None where one can't be read."""
    until = Deadline.after(_SECONDS, f"compiling {' '.join(objects)}")
    with in_its_tree(inputs, context, until) as place:
        if isinstance(place, BuildFailure):
            return None
        dirs = build_dirs(inputs, place.tree, context)
        mark = BuildMark(dirs.out)
        with trouble_named(dirs.out):
            mark.begin(context.on_event)
            failure = configure(dirs, inputs.asked, until, inputs.wished(dirs.src, context.wished))
            failure = failure or compile_objects(dirs, objects, until)
            drop_setuid(dirs.out)
            if failure:
                return None
            mark.end({name: inputs.hashes[name] for name in ("source", "config", "toolchain")})
            return _codes(dirs, objects)


def _codes(dirs: BuildDirs, objects: Sequence[str]) -> ObjectCodes | None:
    found = {}
    for name in objects:
        try:
            with open_plain(dirs.out, name, most_bytes=_OBJECT_BYTES) as file:
                code, written = object_code(file.read(_OBJECT_BYTES)), os.fstat(file.fileno()).st_mtime_ns
        except (BadFile, OSError):
            return None
        if code is None:
            return None
        found[name] = ObjectCode(sha256=hashlib.sha256(code.encode()).hexdigest(), written=written)
    return found
