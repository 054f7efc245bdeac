# SPDX-License-Identifier: GPL-2.0-or-later
"""`--widen only=FUNCTION`: whether the series changes it, asked before a build as far as the source tells."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError, UserError
from orchestrator.host.paths import scratch_folder
from orchestrator.judge.frames import plain_name
from orchestrator.kernel.code.whole_diff import SeriesDiffs
from orchestrator.kernel.series.load import Series
from orchestrator.kernel.source.layer import patched
from orchestrator.kernel.source.tree import PreparedSource, kept_tree
from orchestrator.model.cells import Cell
from orchestrator.model.configuration import Variant
from orchestrator.model.events import Listener
from orchestrator.model.images import KernelImage

_UNPACK_SECONDS = 1800.0
# As TARGETS_MAX and BLOCKS_MAX of kernels/overlays/widened.
MOST_FUNCTIONS = 1024
MOST_BLOCKS = 65536


def check_targets(cells: Iterable[Cell], kernel: KernelImage) -> None:
    """Raise UserError for a function that is to be widened and is none of those that the built kernel has blocks of."""
    code = kernel.coverage
    known = {block.target for block in code.blocks if not block.partner} if code else set()
    whole = kernel.coverage.whole if kernel.coverage else ()
    blocks = len(kernel.coverage.blocks) if kernel.coverage else 0
    if whole and (len(known) > MOST_FUNCTIONS or blocks > MOST_BLOCKS):
        raise UserError(
            f"--in: these files have {len(known)} functions with {blocks} blocks in this kernel, and it delays in "
            f"{MOST_FUNCTIONS} with {MOST_BLOCKS} at most",
            hint="--in 'mm/swap*.c,mm/zswap.c'  # fewer files",
        )
    _check(_asked(cells), known, f"there is no such function in {', '.join(whole)}; there are" if whole else _CHANGES)


def check_changed(
    cells: Iterable[Cell],
    source: PreparedSource,
    series: Series,
    *,
    diffs: SeriesDiffs,
    cache: Path,
    listener: Listener,
) -> None:
    """Raise UserError for a function that is to be widened in a patched kernel and that the series does not change.

    By the source alone, before anything is compiled. What the compiler made of it, and the baseline, whose functions
    are others, are left to check_targets().
    """
    names = _asked(cell for cell in cells if cell.build.variant is Variant.PATCHED)
    if not names:
        return
    # What does not fit is an outcome of the build, and told there with file and hunk.
    with suppress(InfraError):
        fill_tree(source, series, cache=cache, listener=listener)
        diff = diffs.of_source(series, cache=cache, source_sha256=source.sha256)
        # A system call has one name in the source and another in the DWARF.
        known = {plain_name(function.name) for function in diff.functions}
        _check([name for name in names if plain_name(name) not in known], known)


def _asked(cells: Iterable[Cell]) -> list[str]:
    return list(dict.fromkeys(name for cell in cells if cell.widening for name in cell.widening.only))


_CHANGES = "the series changes no such function; it changes"


def _check(names: Sequence[str], known: Iterable[str], why: str = _CHANGES) -> None:
    known = sorted(known)
    for name in names:
        if name not in known:
            raise UserError(f"widen: only={name}: {why}: {', '.join(known) or 'none'}")


def fill_tree(source: PreparedSource, series: Series, *, cache: Path, listener: Listener) -> None:
    """The private tree, where there is none yet. One that is there is left alone: with an overlay on it, too."""
    if kept_tree(cache, source.sha256) is None:
        until = Deadline.after(_UNPACK_SECONDS, "the private source tree")
        with (
            scratch_folder() as scratch,
            patched(source, series, cache=cache, log_dir=Path(scratch), on_event=listener, until=until),
        ):
            pass
