"""Which images of a batch are broken by now, and by what point.

The network that an attack searches suspects; the network that is judged decides. An image
that is found leaves the batch, so that the batch stays packed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from robustbench_mix.attacks.base import Target
from robustbench_mix.attacks.losses import margin

# An image that came this close, as a share of the spread of its logits, and still stands is
# worth a second look in full precision: the last steps to a boundary are below bfloat16.
NEAR = 0.02

# On an accelerator the host looks only every so many steps: looking means waiting for it.
LOOK_EVERY = {"cpu": 1}
OTHERWISE = 10


def looks_at_once(device: torch.device) -> bool:
    """Whether the host sees every step's outcome there, because it need not wait for it."""
    return LOOK_EVERY.get(device.type, OTHERWISE) == 1


class Watch:
    """Follows the images of one batch through an attack.

    `found` (B, C, H, W) holds the point that broke each image, x where there is none;
    `row` says which image of the batch each packed one is, and `target` counts for those.
    With `early_stop` off nothing leaves. `copies` in a row are of one image: they leave
    together.
    """

    def __init__(
        self, target: Target, x: Tensor, y: Tensor, *, early_stop: bool, copies: int = 1
    ) -> None:
        self.found = x.clone()
        self.row = torch.arange(len(x), device=x.device)
        self.target = target
        self.early_stop = early_stop
        self.copies = copies
        self.every = LOOK_EVERY.get(x.device.type, OTHERWISE)
        self._unseen = 0
        self._y = y
        self._point = x
        self._lowest = torch.full((len(x),), torch.inf, device=x.device)
        self._refused = self._lowest
        self._closest = self._lowest.clone()
        self._settled = torch.zeros(len(x) // copies, dtype=torch.bool, device=x.device)

    @property
    def near(self) -> Tensor:
        """Which of the batch came close to the boundary, and whose image still stands, (B,)."""
        settled = self._settled.repeat_interleave(self.copies)
        return (self._closest <= NEAR) & ~settled

    def see(
        self, point: Tensor, logits: Tensor, within: Tensor | None = None, *, last: bool = False
    ) -> Tensor | None:
        """Take note of each image's point and its logits (B, classes) there.

        `within` (B,) says which points count at all. Returns which images to keep, (B,)
        bool, or None if all stay.
        """
        logits = logits.detach()
        value = margin(logits, self._y)
        if self.target.judge is None:
            suspect = logits.argmax(1) != self._y
        else:
            spread = logits.amax(1) - logits.amin(1)
            # What is merely close is asked about at each new low, so as not to ask for ever.
            close = (value <= self.target.doubt * spread) & (value < self._refused)
            suspect = (value <= 0) | close
            self._note(value / spread, within)
        if within is not None:
            suspect = suspect & within
        if self.every == 1:
            self._point = point
            self._lowest = torch.where(suspect, value, torch.inf)
            return self._look()
        lower = suspect & (value < self._lowest)
        self._point = torch.where(lower[:, None, None, None], point, self._point)
        self._lowest = torch.where(lower, value, self._lowest)
        self._unseen += 1
        if self._unseen < self.every and not last:
            return None
        return self._look()

    def _note(self, share: Tensor, within: Tensor | None) -> None:
        """Remember how close each image came."""
        if within is not None:
            share = torch.where(within, share, torch.inf)
        self._closest[self.row] = torch.minimum(self._closest[self.row], share)

    def _look(self) -> Tensor | None:
        self._unseen = 0
        broken = torch.nonzero(self._lowest < torch.inf).flatten()
        if len(broken) and self.target.judge is not None:
            verdict = self.target.misclassified(self._point[broken], self._y[broken], broken)
            broken = broken[verdict]
            self._refused = torch.minimum(self._refused, self._lowest)
        self._lowest = torch.full_like(self._lowest, torch.inf)
        if len(broken) == 0:
            return None
        self.found[self.row[broken]] = self._point[broken].detach()
        image = self.row // self.copies
        self._settled[image[broken]] = True
        if not self.early_stop:
            return None
        keep = ~self._settled[image]
        self.row, self._y = self.row[keep], self._y[keep]
        self._point, self._lowest = self._point[keep], self._lowest[keep]
        self._refused = self._refused[keep]
        self.target = self.target.take(keep)
        return keep
