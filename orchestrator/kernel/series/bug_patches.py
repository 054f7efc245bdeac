# SPDX-License-Identifier: GPL-2.0-or-later
"""Seeded bugs, read from a folder of patches: what each header says, and what each diff touches."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import UserError
from orchestrator.host.paths import scratch_folder
from orchestrator.kernel.series.load import load_series
from orchestrator.kernel.series.quilt import folder_order
from orchestrator.model.bugs import SeededBug

READING_SECONDS = 600.0
_FIELD = re.compile(r"(Class|Broken|Symptom|Workload|Detectable):[ \t]*(.*)")
_DIFF = re.compile(r"diff --git |--- |@@ ")
_UNDETECTABLE = re.compile(r"no\b[,:;]?\s*(?:because\s*)?(.*)", re.IGNORECASE)


def read_bugs(place: Path, ids: Sequence[str]) -> tuple[tuple[SeededBug, ...], tuple[SeededBug, ...]]:
    """The bugs to try, and those that nothing can tell from the original: these are tried only when named in `ids`."""
    with scratch_folder() as scratch:
        until = Deadline.after(READING_SECONDS, f"reading {place}")
        bugs = load_bugs(place, ids, log=Path(scratch) / "log", until=until)
    if ids:
        return bugs, ()
    counted = tuple(bug for bug in bugs if not bug.undetectable)
    if not counted:
        raise UserError(f"{place}: every bug there says that it can't be detected", hint=f"ls {place}")
    return counted, tuple(bug for bug in bugs if bug.undetectable)


def load_bugs(place: Path, ids: Sequence[str], *, log: Path, until: Deadline) -> tuple[SeededBug, ...]:
    """The bugs of a folder, by name, or the one in a file; only `ids` when there are any.

    Raises UserError for what is no patch, and for an id that is not there.
    """
    if not place.exists():
        raise UserError(f"{place} does not exist; seeded bugs are patches in a folder", hint="ls kernels/bugs")
    files = folder_order(place) if place.is_dir() else (place,)
    by_id: dict[str, Path] = {}
    for file in files:
        if file.stem in by_id:
            raise UserError(f"{file} and {by_id[file.stem]} would both be the bug {file.stem!r}", hint=f"ls {place}")
        by_id[file.stem] = file
    for name in ids:
        if name not in by_id:
            raise UserError(f"there is no seeded bug {name!r} in {place}{_nearest(name, by_id)}", hint=f"ls {place}")
    chosen = dict.fromkeys(ids or by_id)
    return tuple(_load_bug(by_id[name], log, until) for name in chosen)


def _load_bug(path: Path, log: Path, until: Deadline) -> SeededBug:
    series = load_series((path,), tree=None, log=log, until=until)
    text = path.read_bytes().decode("utf-8", "replace")
    header = parse_header(text)
    return SeededBug(
        id=path.stem,
        path=path,
        diff="".join(patch.diff.decode("utf-8", "replace") for patch in series.patches),
        touched=tuple(str(file) for file in series.touched),
        bug_class=_class_of(header.get("Class", "")),
        broken=header.get("Broken", ""),
        symptom=header.get("Symptom", ""),
        workloads=tuple(re.findall(r"[a-z0-9][a-z0-9-]*", header.get("Workload", ""))),
        undetectable=_reason(header.get("Detectable", "")),
    )


def parse_header(text: str) -> dict[str, str]:
    """The known `Key: value` lines before the diff; a line that begins with a space goes on with the one before.

    They may stand at the top or in the message of a mailed patch; what is no such line is passed over.
    """
    fields: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        if _DIFF.match(line):
            break
        if found := _FIELD.match(line):
            key = found[1]
            fields[key] = found[2].strip()
        elif key and line[:1] in (" ", "\t") and line.strip():
            fields[key] = f"{fields[key]} {line.strip()}"
        else:
            key = ""
    return fields


def _class_of(text: str) -> str:
    found = re.match(r"[ABC]\b", text)
    return found[0] if found else ""


def _reason(text: str) -> str:
    found = _UNDETECTABLE.match(text)
    return (found[1] or "its header gives no reason") if found else ""


def _nearest(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, list(names), n=1, cutoff=0.4)
    return f"; the nearest is {near[0]}" if near else ""
