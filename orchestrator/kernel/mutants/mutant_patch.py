# SPDX-License-Identifier: GPL-2.0-or-later
"""Mutants as a patch on top of the series: it is applied and built as any other (pure)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import unified_diff

from orchestrator.kernel.mutants.guards import broken, guarded
from orchestrator.model.mutants import Guard, Mutant, Operator

_CONTEXT = 3


def guarded_files(texts: Mapping[str, str], mutants: Iterable[Mutant]) -> dict[str, bytes]:
    """Each file with all of its mutants that can be guarded."""
    here = [mutant for mutant in mutants if mutant.guard is not Guard.OWN_BUILD]
    return {
        file: b"".join(piece.text for piece in guarded(texts[file], [one for one in here if one.file == file]))
        for file in sorted({mutant.file for mutant in here})
    }


def patch_of_one(texts: Mapping[str, str], mutant: Mutant) -> bytes:
    """A mutant as a patch on top of the series, without any guard."""
    old = texts[mutant.file]
    return file_patch(mutant.file, old.encode(), broken(old, mutant).encode())


def bug_patch(texts: Mapping[str, str], mutant: Mutant, operator: Operator) -> bytes:
    """A mutant as a seeded bug: the patch behind a header that says what it breaks."""
    where = f"{mutant.function}()" if mutant.function else f"line {mutant.line}"
    header = (
        f"Id: {bug_name(mutant)}\nFile: {mutant.file}\n"
        f"Broken: {where}: {operator.breaks}: {_on_one_line(mutant.before)} -> {_on_one_line(mutant.after)}\n"
        f"Symptom: {operator.detector}\n\n"
    )
    return header.encode() + patch_of_one(texts, mutant)


def bug_name(mutant: Mutant) -> str:
    return f"{mutant.number:03}-{mutant.operator}"


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def file_patch(path: str, old: bytes | None, new: bytes) -> bytes:
    """A diff for git; `old` is None for a file that is not there yet. Lines end at \\n alone, as they do for git."""
    names = [b"diff --git a/%b b/%b" % (path.encode(), path.encode())]
    names += [b"new file mode 100644"] if old is None else []
    before = b"/dev/null" if old is None else b"a/" + path.encode()
    names += [b"--- " + before, b"+++ b/" + path.encode()]
    hunks = b"".join(_hunks(_lines(old or b""), _lines(new)))
    return b"".join(line + b"\n" for line in names) + hunks if hunks else b""


def _lines(content: bytes) -> list[bytes]:
    parts = content.split(b"\n")
    return [*(part + b"\n" for part in parts[:-1]), *([parts[-1]] if parts[-1] else [])]


def _hunks(old: Sequence[bytes], new: Sequence[bytes]) -> Iterator[bytes]:
    found = _same_lines(old, new) if len(old) == len(new) else _moved_lines(old, new)
    for line in found:
        yield line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n"


def _same_lines(old: Sequence[bytes], new: Sequence[bytes]) -> Iterator[bytes]:
    """No line moved: a file of any size is compared at once."""
    differ = [at for at, (one, other) in enumerate(zip(old, new, strict=True)) if one != other]
    while differ:
        group = [differ.pop(0)]
        while differ and differ[0] - group[-1] <= 2 * _CONTEXT:
            group.append(differ.pop(0))
        first, end = max(0, group[0] - _CONTEXT), min(len(old), group[-1] + 1 + _CONTEXT)
        yield b"@@ -%d,%d +%d,%d @@\n" % (first + 1, end - first, first + 1, end - first)
        for at in range(first, end):
            yield from (b"-" + old[at], b"+" + new[at]) if old[at] != new[at] else (b" " + old[at],)


def _moved_lines(old: Sequence[bytes], new: Sequence[bytes]) -> Iterator[bytes]:
    # Bytes as text, one for one: difflib knows no bytes.
    before, after = ([line.decode("latin-1") for line in side] for side in (old, new))
    found = unified_diff(before, after, n=_CONTEXT)
    for line in list(found)[2:]:
        yield line.encode("latin-1")
