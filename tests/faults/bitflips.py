# SPDX-License-Identifier: GPL-2.0-or-later
"""F5: bits turn over in what patchrig keeps. Each must be noticed: made anew, or reported; never used."""

import os
from collections.abc import Callable
from pathlib import Path

from tests.faults.campaign import Plan, Try
from tests.faults.rig import FILES, Rig, Template

# What is damaged: a pattern below the rig, how much of all flips it gets, and how the damage would be used.
_PLACES = (
    ("cache/images/*/image", 0.10, "images"),
    ("cache/images/*/vmlinux", 0.15, "images"),
    ("cache/images/*/config", 0.08, "images"),
    # All but the probes, which only guests use.
    ("cache/images/*/[!p]*", 0.07, "images"),
    ("cache/images/*/probes-*", 0.02, "guests"),
    ("cache/trees/*/src/**/*", 0.15, "trees"),
    ("cache/trees/*/*", 0.13, "trees"),
    ("cache/trees/*/layers/*/src/**/*", 0.05, "trees"),
    ("cache/trees/*/builds/**/*", 0.05, "trees"),
    ("cache/trees/*/layers/*/*.json", 0.05, "trees"),
    ("cache/rootfs/*", 0.06, "guests"),
    ("cache/programs/*", 0.06, "guests"),
    ("results/*/cells.jsonl", 0.08, "results"),
    ("results/*/run.json", 0.05, "results"),
)


def bits_flipped(plan: Plan) -> list[Try]:
    chosen = plan.random("F5")
    patterns = chosen.choices(_PLACES, weights=[weight for _, weight, _ in _PLACES], k=plan.count)
    # In a short form each use of damage has to come up.
    for number, place in enumerate(one for one in _PLACES if plan.count >= len(_PLACES)):
        patterns[number] = place
    return [
        Try(name=f"{pattern} {number}", play=_USES[use](pattern, number))
        for number, (pattern, _, use) in enumerate(patterns)
        if _matching(plan.template, pattern)
    ]


def _matching(template: Template, pattern: str) -> list[Path]:
    found = sorted(template.folder.glob(pattern))
    return [path for path in found if path.is_file() and path.stat().st_size and path.suffix != ".lock"]


def _flip(rig: Rig, pattern: str) -> tuple[Path, bytes]:
    """Turn one bit over; the file's times stay, as they do on a disk that rots. Returns what it was."""
    assert rig.template is not None
    files = [rig.folder / path.relative_to(rig.template.folder) for path in _matching(rig.template, pattern)]
    file = rig.random.choice(files)
    was = file.read_bytes()
    at, bit = rig.random.randrange(len(was)), rig.random.randrange(8)
    before = file.stat()
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(bytes([was[at] ^ 1 << bit]))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    return file, was


def _in_an_image(pattern: str, _: int) -> Callable[[Rig], None]:
    def play(rig: Rig) -> None:
        assert rig.template is not None
        file, was = _flip(rig, pattern)
        for variant in ("baseline", "patched"):
            ran = rig.build(variant)
            if ran.code == 3:
                continue
            if ran.code != 0:
                rig.wrong(f"{file.name}: {variant}: {ran.end()}")
                continue
            said = ran.said[0]
            used = [name for name in FILES if Path(said[name]).read_bytes() != rig.template.right[variant][name]]
            # The log is no build's twin: what counts is that a damaged one was not kept.
            if Path(said["image"]).parent == file.parent and file.exists() and "from the cache" in ran.err:
                used += [] if file.read_bytes() == was or _is_note(file, was) else [file.name]
            if used:
                rig.silent(f"{file.name}, damaged, was used for {variant}: {', '.join(dict.fromkeys(used))}")

    return play


def _is_note(file: Path, was: bytes) -> bool:
    """A JSON file may be rewritten in another form that says the same."""
    return file.suffix == ".json" and file.read_bytes().split() == was.split()


def _in_a_tree(pattern: str, number: int) -> Callable[[Rig], None]:
    def play(rig: Rig) -> None:
        _flip(rig, pattern)
        variant = ("baseline", "patched")[number % 2]
        ran = rig.build(variant, "--flavour", "debug")
        rig.check_image(ran, f"{variant}/debug", also=(3,))
        if ran.code == 3:
            if not ran.err.strip():
                rig.wrong("exit 3 without a word")
            return
        rig.clean_baseline()

    return play


def _in_a_guests_file(pattern: str, _: int) -> Callable[[Rig], None]:
    def play(rig: Rig) -> None:
        file, was = _flip(rig, pattern)
        ran = rig.call("run", "--variant", "patched")
        if ran.code not in (0, 3) or (ran.code == 0 and ran.cells() != ["passed"]):
            rig.wrong(f"{file.name}: {ran.end()} {ran.cells()}")
        if ran.code == 0 and file.exists() and file.read_bytes() != was:
            rig.silent(f"{file.name}, damaged, went into a guest")

    return play


def _in_results(pattern: str, _: int) -> Callable[[Rig], None]:
    def play(rig: Rig) -> None:
        file, _was = _flip(rig, pattern)
        ran = rig.call("repro", "latest", "mincore", "--results", str(rig.results))
        if ran.code == 1:
            rig.wrong(f"{file.name}: {ran.end()}")
        if ran.code == 0 and file.name not in ran.err:
            rig.silent(f"{file.name}, damaged, was used without a word")

    return play


_USES = {"images": _in_an_image, "trees": _in_a_tree, "guests": _in_a_guests_file, "results": _in_results}
