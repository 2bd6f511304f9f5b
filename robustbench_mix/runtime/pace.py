"""How far work is whose size is an estimate, and how long the rest of it will take."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic

MIN_WINDOW_SECONDS = (
    5.0  # seconds of work that a speed is measured over, at least, if there were so many
)
MAX_MEASUREMENTS = 200  # measurements, about


class Pace:
    """Follows work of which `done` of `total` is done; the total may change as it goes.

    The share never falls, and reaches one only at the end. The speed is that of the latter half
    of what was seen, so that it follows a machine that becomes slower; what was done before
    (`done` at the start, of a run that goes on) has no part in it.
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
        """Take note of how much is done, and of what now."""
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
        """Whether all is done."""
        return self.done >= self.total

    @property
    def percent(self) -> int:
        """The share in whole per cent; 100 only when all is done."""
        return 100 if self.is_over else min(int(100 * self.fraction), 99)

    @property
    def elapsed_seconds(self) -> float:
        """Since the work was first seen."""
        return self._clock() - self._began

    @property
    def seconds_left(self) -> float | None:
        """About how many more it takes; None while there is nothing to go by."""
        since, before = self._seen[0]
        if self.is_over or self.done <= before:
            return None
        return (self.total - self.done) * (self._now - since) / (self.done - before)


def format_duration(seconds: float) -> str:
    """As 40 s, 2.5 min, 12 min, 3.5 h or 2.1 days."""
    for limit, unit, size in ((100, "s", 1), (6000, "min", 60), (172_800, "h", 3600)):
        if seconds < limit:
            digits = 1 if unit == "h" or (unit == "min" and seconds < 600) else 0
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds / 86400:.1f} days"
