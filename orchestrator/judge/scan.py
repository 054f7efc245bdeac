# SPDX-License-Identifier: GPL-2.0-or-later
"""A console of any size -> crashes: only what may be part of a splat is looked at line by line."""

from collections.abc import Generator, Iterable, Iterator

from orchestrator.judge.crash import LINES_BEFORE
from orchestrator.judge.halves import MARKED_HALF, STAMPED
from orchestrator.judge.lines import LONGEST, Reader, blocks
from orchestrator.judge.patterns import WORDS
from orchestrator.judge.prefixes import SECONDS
from orchestrator.judge.watch import Watch, may_complain
from orchestrator.model.crashes import Crash

# How far back the clock is read in text that is passed over.
CLOCK_REACH = 8192


def crashes_in(chunks: Iterable[bytes]) -> Iterator[Crash]:
    """The crashes of a console that comes in chunks of any size, each once its report is complete.

    The same as find_crashes() gives for the lines, an order of magnitude sooner where a console has few splats:
    100 MB in seconds. Memory does not grow with the console.
    """
    scan = _Scan()
    for text in blocks(chunks):
        yield from scan.see(text)
    yield from scan.end()


class _Scan:
    """One pass over the blocks of a console."""

    def __init__(self) -> None:
        self.watch = Watch()
        self._reader = Reader()
        self._number = 1  # of the line that comes next

    def see(self, text: str) -> Iterator[Crash]:
        at = yield from self._rest_of_line(text, 0)
        for start in (*_suspects(text), len(text)):
            if start < at:
                continue
            while at < start and self.watch.busy:
                at = yield from self._line(text, at, suspect=False)
            if at < start:
                self._pass_over(text, at, start)
                at = start
            if at < len(text):
                at = yield from self._line(text, at, suspect=True)
                at = yield from self._rest_of_line(text, at)

    def end(self) -> Iterator[Crash]:
        for line in self._reader.end():
            yield from self.watch.see(line)
        yield from self.watch.end()

    def _rest_of_line(self, text: str, at: int) -> Generator[Crash, None, int]:
        """Judge what may complete a line that a mail program broke."""
        while self._reader.half and at < len(text):
            at = yield from self._line(text, at, suspect=True)
        return at

    def _line(self, text: str, at: int, *, suspect: bool) -> Generator[Crash, None, int]:
        """Judge one line; returns where the next begins."""
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        for line in self._reader.read(self._number, text[at:end]):
            crashes = self.watch.see(line, suspect=suspect)
            if crashes:
                yield from crashes
        self._number += end < len(text)
        return end + 1

    def _pass_over(self, text: str, start: int, end: int) -> None:
        """Keep of harmless lines what a later report needs: the last of them, and what time it was."""
        self._reader.skip(text, start, end)
        if self._reader.stamps_seen:
            seconds = SECONDS.findall(text, max(start, end - CLOCK_REACH), end)
            self.watch.clock(max(map(float, seconds), default=0.0))
        self._number += text.count("\n", start, end)
        last = end
        for _ in range(LINES_BEFORE + 1):
            last = max(text.rfind("\n", start, last), start)
        last += last > start  # From the newline to what comes after it.
        for raw in text[last:end].removesuffix("\n").split("\n"):
            # Of a line that does not end, the last messages are enough.
            for line in self._reader.read(self._number, raw[-4 * LONGEST :]):
                self.watch.remember(line)


def _suspects(text: str) -> list[int]:
    """Where the lines begin that may begin a report, in order."""
    starts: dict[int, bool] = {}
    for word in WORDS:
        at = text.find(word)
        while at >= 0:
            start = text.rfind("\n", 0, at) + 1
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            if start not in starts:
                starts[start] = _broken(text, start, end) or may_complain(text[start:end])
            at = text.find(word, end)
    return sorted(start for start, suspect in starts.items() if suspect)


def _broken(text: str, start: int, end: int) -> bool:
    """Whether the next line may complete this one."""
    if STAMPED.match(text, end + 1):
        return False
    return text.endswith("=", start, end) or MARKED_HALF.search(text, start, end) is not None
