"""Move a progress bar by the passes of the running attack."""

from __future__ import annotations

from typing import Protocol

from robustbench_mix.attacks.passes import Count
from robustbench_mix.runtime.progress import Update


class Passes(Protocol):
    """Passes that are being counted."""

    forward: int
    gradient: int


class Meter:
    """Move a bar by passes; `CountedModel.on_pass` calls it.

    If a batch takes fewer passes than expected, the difference leaves the total at its end. If it
    takes more, they are added at once.
    """

    def __init__(self, update: Update) -> None:
        self._update = update
        self._before = self._rest = self._own = 0.0
        self._is_known = True

    def begin(
        self, before: float, left: float, own: float, note: str, *, is_known: bool = True
    ) -> None:
        """Begin a batch.

        Args:
            before: Work done so far, in forward passes.
            left: Expected work that is left, in forward passes.
            own: The expected part of this batch in it.
            note: Text of the bar beside its description.
            is_known: Whether it is known how much the batch takes.
        """
        self._is_known = is_known
        self._own = min(own, left)
        self._before, self._rest = before, left - self._own
        self._update(before, note, total=before + left)

    def __call__(self, passes: Passes) -> None:
        """Show how many passes the batch has taken."""
        done = Count(passes.forward, passes.gradient).work
        # If the attack's cost is unknown, assume that as much again is still to come.
        own = max(self._own, done if self._is_known else 2 * done)
        self._update(self._before + done, total=self._before + own + self._rest)

    def end(self, done: float) -> None:
        """Show that everything is done."""
        self._update(done, total=done)
