# SPDX-License-Identifier: GPL-2.0-or-later
r"""F8: guests that say what no honest guest says.

guests/NAME.guest begins with what it tries and with the outcomes that are right; then a step a line: `say`, `console`,
`boot-console`, `ready`, `exit`, `die`, `cut` as in fake_qemu.py, `pass` and `pass-line` for an honest result, `flood`.
@REPEAT TEXT COUNT@, @PROGRESS@ and @ESCAPES@ stand for long texts, \x1b for a byte.
"""

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.campaign import Plan, Try
from tests.faults.fuzz import fuzzed_lines, read_in_process
from tests.faults.hostile_series import check_shown
from tests.faults.rig import Rig
from tests.process.fake_host import BOOT, PROGRESS, Step, passing

GUESTS = Path(__file__).with_name("guests")
_REPEAT = re.compile(r"@REPEAT (.+?) (\d+)@", re.DOTALL)
_LINES_PER_CELL = 2000
_BLOCK = 1 << 20
_MIB_OF_CONSOLE = 1024
_SPLAT = "[ 9000.000002][  T400] BUG: KASAN: slab-use-after-free in swap_read+0x41/0x90\n"


@dataclass(slots=True)
class Guest:
    """What a file of the folder asks the fake guest to do."""

    expect: frozenset[str]
    boot: list[Step] = field(default_factory=lambda: [list(step) for step in BOOT])
    run: list[Step] = field(default_factory=list)


def guests_tried(plan: Plan) -> list[Try]:
    """`count` fuzzed lines in this process and in cells, each guest of the folder, and the large consoles."""
    files = sorted(GUESTS.glob("*.guest"))
    short = plan.short
    chosen = plan.random("F8").sample(files, 3) if short else files
    tries = [Try(name=f"guest {file.stem}", play=_guest(file)) for file in chosen]
    fuzzed = [Try(name=f"fuzzed lines {n}", play=_fuzzed_cell) for n in range(1 if short else 20)]
    tries += [*fuzzed, Try(name="fuzzed lines of all kinds", play=read_in_process(plan.count), template=False)]
    mib = 16 if short else _MIB_OF_CONSOLE
    return [
        *tries,
        Try(name=f"console of {mib} MiB", play=_long_console(mib)),
        Try(name="line of 64 MiB", play=_long_line),
    ]


def read_guest(text: str) -> Guest:
    lines = text.split("\n")
    expect = next(line for line in lines if line.startswith("# Expect: ")).partition(": ")[2]
    guest = Guest(expect=frozenset(re.split(r",\s*", expect.strip())))
    steps = [line.partition(" ")[::2] for line in lines if line and not line.startswith("#")]
    # A guest that says itself when it is ready, or that ends before, has no honest boot.
    if {"ready", "boot-console"} & {verb for verb, _ in steps} or steps[0][0] == "die":
        guest.boot = [list(BOOT[0])]
    for verb, rest in steps:
        _step(guest, verb, _text(rest))
    return guest


def _step(guest: Guest, verb: str, rest: str) -> None:
    at_boot = all(step[0] != "ready" for step in guest.boot)
    if verb == "ready":
        guest.boot += [["ready", dict(word.split("=", 1) for word in rest.split() if "=" in word)]]
    elif verb == "boot-console":
        guest.boot.append(["console", rest])
    elif verb in ("exit", "die"):
        (guest.boot if verb == "die" and at_boot else guest.run).append([verb, int(rest)])
    elif verb in ("pass", "pass-line"):
        guest.run += passing()[1 : 3 if verb == "pass" else 2]
    elif verb == "flood":
        line, _, count = rest.rpartition(" ")
        guest.run += [["say", "\n".join([line] * 1000)]] * (int(count) // 1000)
    elif verb == "flood-line":
        letter, _, count = rest.partition(" ")
        guest.run.append(["say", letter * int(count)])
    else:
        guest.run.append([verb, rest] if rest else [verb])


def _text(raw: str) -> str:
    text = raw.replace("@PROGRESS@", PROGRESS).replace("@ESCAPES@", "".join(escapes(200)))
    text = re.sub(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|n)", _letter, text.replace("\\\\", "\0")).replace("\0", "\\")
    return _REPEAT.sub(lambda m: m[1] * int(m[2]), text)


def _letter(m: re.Match[str]) -> str:
    code = m[1] or m[2]
    return chr(int(code, 16)) if code else "\n"


def escapes(count: int) -> Iterator[str]:
    """Control sequences of terminals: colours, titles, cursor, device reports, C1, bidirectional text."""
    chosen = random.Random("escapes")
    for number in range(count):
        body = str(chosen.randrange(100))
        yield chosen.choice(
            (f"\x1b[{body}m", f"\x1b]0;{body}\x07", f"\x1b[{body}A", "\x1bc", f"\x9b{body}J", "\x1b[6n", "\r", "\b\b",
             f"\x1bP$q{body}\x1b\\", "\x1b[?1049h", "\u202e", "\u2066", "\x0e", f"\x1b]52;c;{body}\x07", "\x7f")
        ) + f"x{number}"  # fmt: skip


def _guest(file: Path) -> Callable[[Rig], None]:
    def play(rig: Rig) -> None:
        guest = read_guest(file.read_text(encoding="utf-8"))
        rig.host.scenario(guest.run, boot=guest.boot)
        _check(rig, guest.expect, seen=f"tries: {file.stem}")

    return play


def _check(rig: Rig, expect: frozenset[str], *, seen: str) -> None:
    ran = rig.call("run", "--variant", "patched")
    outcomes = set(ran.cells())
    if ran.code not in (None, 70) and (not outcomes or outcomes - expect):
        rig.wrong(f"{seen}: {sorted(outcomes)}, not {sorted(expect)}: {ran.end()}")
    right = {"passed": {0}, "lost": {3}}.get(next(iter(outcomes), ""), {1})
    if len(outcomes) == 1 and ran.code not in {*right, None, 70}:
        rig.wrong(f"{seen}: {outcomes}, and {ran.end()}")
    check_shown(rig, ran)


_RED = frozenset({"not-exercised", "failed", "hung", "corrupted", "crashed", "lost"})


def _fuzzed_cell(rig: Rig) -> None:
    """Nothing that is made up at random is a result, so nothing of it may pass."""
    lines = list(fuzzed_lines(rig.random, _LINES_PER_CELL))
    steps: list[Step] = [["say", "\n".join(lines[at : at + 100])] for at in range(0, len(lines), 100)]
    # The fake reads its scenario as UTF-8, and sends it as such.
    steps = json.loads(json.dumps(steps).encode("utf-8", "replace"))
    rig.host.scenario([*steps, ["exit", 0]])
    _check(rig, _RED, seen="fuzzed lines")


def _long_console(mib: int) -> Callable[[Rig], None]:
    """`patchrig judge` finds the one crash at the end of a console that is longer than memory need be."""

    def play(rig: Rig) -> None:
        line = "[   12.345678][  T412] zram0: detected capacity change from 0 to 32768, and so it goes on for ever\n"
        block = (line * (_BLOCK // len(line) + 1))[: _BLOCK - 1] + "\n"
        console = rig.folder / "console.log"
        with console.open("w") as file:
            for _ in range(mib):
                file.write(block)
            file.write(_SPLAT)
        _check_judged(rig, console)

    return play


def _long_line(rig: Rig) -> None:
    console = rig.folder / "console.log"
    console.write_text("x" * (64 << 20) + f"\n{_SPLAT}")
    _check_judged(rig, console)


def _check_judged(rig: Rig, console: Path) -> None:
    ran = rig.call("judge", str(console), limit=600)
    if ran.code not in (1, None, 70) or "swap_read" not in ran.out:
        rig.wrong(f"the crash at the end was not found: {ran.end()}")
