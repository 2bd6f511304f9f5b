"""Estimate which share of some work is done, and how long the rest takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic

MIN_WINDOW_SECONDS = 5.0  # shortest time over which a speed is measured
MAX_MEASUREMENTS = 200  # approximate maximum


class Pace:
    """Fraction done, speed and time left of work whose total is an estimate.

    The fraction never falls, and reaches one only at the end. The speed is that of the latter half
    of the time so far, so that it follows a machine that becomes slower.

    Args:
        total: Total work, in any unit; `update` may change it.
        done: Work that an interrupted run did before; the speed leaves it out.
        clock: Returns seconds, as `time.monotonic`.
    """

    def __init__(
        self, total: float, done: float = 0.0, clock: Callable[[], float] = monotonic
    ) -> None:
        self._clock = clock
        self._seen = deque([(clock(), done)])
        self._began = self._now = clock()
        self.done, self.total = done, total
        self.fraction = 0.0
        self.update(done, total)

    def update(self, done: float, total: float | None = None) -> None:
        """Record how much work is done, and the new total if there is one."""
        self._now = self._clock()
        self.done = done
        self.total = self.total if total is None else total
        fraction = 1.0 if self.is_over else min(done / self.total, 1.0)
        self.fraction = max(self.fraction, fraction)
        elapsed = self._now - self._began
        if self._now - self._seen[-1][0] >= elapsed / MAX_MEASUREMENTS:
            self._seen.append((self._now, done))
        half = self._now - max(elapsed / 2, MIN_WINDOW_SECONDS)
        while len(self._seen) > 2 and self._seen[1][0] <= half:
            self._seen.popleft()

    @property
    def is_over(self) -> bool:
        """Whether all of it is done."""
        return self.done >= self.total

    @property
    def percent(self) -> int:
        """The fraction in whole per cent; 100 only when all is done."""
        return 100 if self.is_over else min(int(100 * self.fraction), 99)

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since this object was made."""
        return self._clock() - self._began

    @property
    def seconds_left(self) -> float | None:
        """Return the estimated seconds that the rest takes; None before any work was done."""
        since, before = self._seen[0]
        if self.is_over or self.done <= before:
            return None
        return (self.total - self.done) * (self._now - since) / (self.done - before)


def format_duration(seconds: float) -> str:
    """Return a duration in words: 40 s, 2.5 min, 12 min, 3.5 h or 2.1 days."""
    for limit, unit, size in ((100, "s", 1), (6000, "min", 60), (172_800, "h", 3600)):
        if seconds < limit:
            digits = 1 if unit == "h" or (unit == "min" and seconds < 600) else 0
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds / 86400:.1f} days"
