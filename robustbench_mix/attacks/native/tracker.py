"""Track which images of a batch already have an adversarial example.

The attacked model finds suspects; its judge decides. A broken image leaves the batch, so that the
batch stays packed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.losses import margin

# An image that came this close, as a share of the spread of its logits, and still stands is
# attacked again in full precision: bfloat16 cannot resolve the last steps to a boundary.
NEAR = 0.02

# On an accelerator the host checks only every so many steps, because it must wait to check.
CHECK_EVERY = {"cpu": 1}
OTHERWISE = 10


def checks_every_step(device: torch.device) -> bool:
    """Return whether the host checks after every step on this device, because it need not wait."""
    return CHECK_EVERY.get(device.type, OTHERWISE) == 1


class Tracker:
    """Follow the images of one batch through an attack.

    Args:
        model: The model that is attacked.
        x: Images, (B, C, H, W).
        y: Their labels, (B,) int64.
        early_stop: Whether an image leaves the batch once it is broken.
        copies: Number of consecutive entries that are copies of one image; they leave together.

    Attributes:
        found: The point that broke each image, x where there is none, (B, C, H, W).
        row: Which image of the batch each packed one is, (n,) int64.
        model: The model, counting for the packed images.
    """

    def __init__(
        self, model: CountedModel, x: Tensor, y: Tensor, *, early_stop: bool, copies: int = 1
    ) -> None:
        self.found = x.clone()
        self.row = torch.arange(len(x), device=x.device)
        self.model = model
        self.early_stop = early_stop
        self.copies = copies
        self.every = CHECK_EVERY.get(x.device.type, OTHERWISE)
        self._unchecked = 0
        self._y = y
        self._point = x
        self._lowest = torch.full((len(x),), torch.inf, device=x.device)
        self._refused = self._lowest
        self._closest = self._lowest.clone()
        self._broken = torch.zeros(len(x) // copies, dtype=torch.bool, device=x.device)

    @property
    def standing(self) -> Tensor:
        """The entries whose image still stands, (B,) bool."""
        return ~self._broken.repeat_interleave(self.copies)

    @property
    def near(self) -> Tensor:
        """The entries that came close to the boundary and whose image still stands, (B,) bool."""
        return (self._closest <= NEAR) & self.standing

    def update(
        self, point: Tensor, logits: Tensor, within: Tensor | None = None, *, last: bool = False
    ) -> Tensor | None:
        """Record each packed image's point and its logits there.

        Args:
            point: Points, (n, C, H, W).
            logits: Their logits, (n, classes).
            within: Which points count, (n,) bool; None for all.
            last: Whether this is the last step, after which no point may stay unchecked.

        Returns:
            Which of the packed images to keep, (n,) bool, or None if all stay.
        """
        logits = logits.detach()
        value = margin(logits, self._y)
        if self.model.judge is None:
            suspect = logits.argmax(1) != self._y
        else:
            spread = logits.amax(1) - logits.amin(1)
            # A point that is merely close is checked only if it is closer than all before.
            close = (value <= self.model.doubt * spread) & (value < self._refused)
            suspect = (value <= 0) | close
            self._note(value / spread, within)
        if within is not None:
            suspect = suspect & within
        if self.every == 1:
            self._point = point
            self._lowest = torch.where(suspect, value, torch.inf)
            return self._check()
        lower = suspect & (value < self._lowest)
        self._point = torch.where(lower[:, None, None, None], point, self._point)
        self._lowest = torch.where(lower, value, self._lowest)
        self._unchecked += 1
        if self._unchecked < self.every and not last:
            return None
        return self._check()

    def _note(self, share: Tensor, within: Tensor | None) -> None:
        """Remember how close each image came."""
        if within is not None:
            share = torch.where(within, share, torch.inf)
        self._closest[self.row] = torch.minimum(self._closest[self.row], share)

    def _check(self) -> Tensor | None:
        """Ask the judge about the suspects; record and pack as `update` does."""
        self._unchecked = 0
        suspects = torch.nonzero(self._lowest < torch.inf).flatten()
        if len(suspects) and self.model.judge is not None:
            verdict = self.model.judge_misclassifies(
                self._point[suspects], self._y[suspects], suspects
            )
            suspects = suspects[verdict]
            self._refused = torch.minimum(self._refused, self._lowest)
        self._lowest = torch.full_like(self._lowest, torch.inf)
        if len(suspects) == 0:
            return None
        self.found[self.row[suspects]] = self._point[suspects].detach()
        image = self.row // self.copies
        self._broken[image[suspects]] = True
        if not self.early_stop:
            return None
        keep = ~self._broken[image]
        self.row, self._y = self.row[keep], self._y[keep]
        self._point, self._lowest = self._point[keep], self._lowest[keep]
        self._refused = self._refused[keep]
        self.model = self.model.take(keep)
        return keep
