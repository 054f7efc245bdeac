# SPDX-License-Identifier: GPL-2.0-or-later
"""A crash under other schedules that part from its own at some moment before it."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """Trials that left the cell's schedule about as long before the splat."""

    asked: float  # seconds of guest time from there to the splat, as the search chose it
    crashed: int = 0
    trials: int = 0
    unmoved: int = 0  # of those that crashed: at the same microsecond as the cell, so maybe by the same schedule
    seconds: float = 0.0  # from there to the splat, of all trials together, measured

    def with_trial(self, *, before: float, crashed: bool, unmoved: bool) -> "Moment":
        return replace(
            self,
            crashed=self.crashed + crashed,
            trials=self.trials + 1,
            unmoved=self.unmoved + unmoved,
            seconds=self.seconds + before,
        )

    @property
    def before(self) -> float:
        """Seconds from there to the splat, the mean of what was measured."""
        return self.seconds / self.trials if self.trials else self.asked

    @property
    def unavoidable(self) -> bool:
        """Each trial crashed."""
        return self.crashed == self.trials


@dataclass(frozen=True, kw_only=True, slots=True)
class Parted:
    """What all trials came to."""

    splat: str
    seconds: float  # of guest time, when it came
    moments: tuple[Moment, ...]  # those nearest to the splat first
    lost: int = 0  # trials that were another execution before they parted, or did not come so far
    after: float = 0.0  # a crash counts if it comes so much later than the cell's, at most, beside `before`

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """The crash could still be avoided so long before it, and no longer so long before it; None: not found."""
        near = far = None
        for moment in self.moments:
            if not moment.unavoidable:
                far = moment.before
                break
            near = moment.before
        return far, near
