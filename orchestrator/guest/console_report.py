# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest that nobody can reach tells on its console, as guest-scripts/job.c writes it, and the watch over it."""

import base64
import binascii
import re
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from orchestrator.guest.block_counts import counted_of
from orchestrator.guest.workload import Progress, ProtocolReader, Watched
from orchestrator.host.deadline import POLL_SECONDS, Deadline, pause_seconds
from orchestrator.model.blocks import Counted
from orchestrator.model.guests import Ending

_STAMPS = r"^(?:\[[^\]]*\] ?)*patchrig: "
_PIECE = re.compile(
    _STAMPS + r"(?P<stream>said|blocks) (?P<number>\d{1,9}) (?P<crc>[0-9a-f]{8}) (?P<data>[\w+/=]{0,1024})$", re.ASCII
)
_ENDED = re.compile(_STAMPS + r"ended (?P<how>status|no-progress|timeout|splat) (?P<status>\d{1,3})$", re.ASCII)
# A guest counts its blocks in a few hundred KiB.
_MOST_BLOCK_BYTES = 64 << 20
_ENDINGS = {"no-progress": Ending.NO_PROGRESS, "timeout": Ending.TIMED_OUT, "splat": Ending.STOPPED}
_WHY = {
    "no-progress": "no operation was finished for as many guest seconds as are allowed",
    "timeout": "no result within the guest seconds that are allowed",
    "splat": "the guest saw a splat, and ended",
}


@dataclass(slots=True)
class ConsoleReport:
    """The lines of a console, as far as they are addressed to us."""

    trouble: str = ""
    how: str = ""  # "": not ended
    status: int = 0
    blocks: str = ""
    _next: int = 0

    def take(self, lines: Iterable[str]) -> str:
        """What the workload printed in these lines."""
        said = ""
        for line in lines:
            if self.how:
                break
            if piece := _PIECE.match(line):
                text = self._text(piece)
                if piece["stream"] == "said":
                    said += text
                elif len(self.blocks) < _MOST_BLOCK_BYTES:
                    self.blocks += text
            elif ended := _ENDED.match(line):
                self.how, self.status = ended["how"], int(ended["status"])
        return said

    def _text(self, piece: re.Match[str]) -> str:
        number = int(piece["number"])
        if number != self._next:
            self._complain(f"piece {self._next} of what the guest tells is missing: it goes on with piece {number}")
        self._next = number + 1
        try:
            data = base64.b64decode(piece["data"], validate=True)
        except binascii.Error as e:
            self._complain(f"piece {number} of what the guest tells is no base64: {e}")
            return ""
        if zlib.crc32(data) != int(piece["crc"], 16):
            self._complain(f"piece {number} of what the guest tells has another checksum than it says")
            return ""
        # A character that two pieces share is not worth the state: the protocol is ASCII.
        return data.decode(errors="replace")

    def _complain(self, text: str) -> None:
        self.trouble = self.trouble or text

    def counted(self) -> Counted | None:
        """The blocks that ran; None where the guest did not tell, or not in a way that makes sense."""
        try:
            return counted_of(self.blocks) if self.blocks else None
        except ValueError:
            return None


@dataclass(slots=True)
class ConsoleWatch:
    """The watch over a guest's console. Limits are the guest's own: the host only sees to it that there is an end."""

    lines: Callable[[], list[str]]
    alive: Callable[[], bool]
    on_progress: Callable[[Progress], None]
    enough: Callable[[], bool]
    report: ConsoleReport = field(default_factory=ConsoleReport)
    reader: ProtocolReader = field(default_factory=ProtocolReader)

    def run(self, until: Deadline) -> Watched:
        ending, detail = self._follow(until)
        status = self.report.status if self.report.how == "status" else None
        return Watched(
            ending=ending,
            detail=detail,
            result=self.reader.result,
            exit_status=status if ending is Ending.REPORTED else None,
            output=self.reader.output.text(),
            broken=self.report.trouble or self.reader.trouble,
        )

    def _follow(self, until: Deadline) -> tuple[Ending, str]:
        while True:
            running = self.alive()
            lines = self.lines()
            self.reader.take(self.report.take(lines), self.on_progress)
            if self.report.how:
                return self._ended()
            if not running and not lines:
                return Ending.GUEST_GONE, ""
            if self.enough():
                return Ending.STOPPED, ""
            if until.passed():
                return Ending.TIMED_OUT, "it told no end within the time of this machine's that it has at most"
            pause_seconds(POLL_SECONDS)

    def _ended(self) -> tuple[Ending, str]:
        how, result = self.report.how, self.reader.result
        if result is not None and result.swapoff_stuck:
            return Ending.SWAPOFF_STUCK, ""
        if how == "status":
            trouble = self.report.trouble or self.reader.trouble
            return (
                (Ending.REPORTED, "")
                if result
                else (Ending.PROGRAM_DIED, trouble or "the program ended without a result")
            )
        if result is not None and how != "splat":
            return Ending.TIMED_OUT, "it reported, but its process did not end"
        return _ENDINGS[how], _WHY[how]
