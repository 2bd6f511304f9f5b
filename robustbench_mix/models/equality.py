"""Decide whether two networks compute the same, on images that neither of them was made from."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EXACT_TOLERANCE = 1e-4  # largest difference of logits, as a share of the largest logit
COARSE_TOLERANCE = 0.1
# Largest difference of an image's gradients, as a share of their length. Rounding may switch single
# units on or off, which can change a small gradient by any share: most images must be within it.
GRADIENTS = {EXACT_TOLERANCE: 1e-3, COARSE_TOLERANCE: 1.0}
MOST = 0.75


def is_in_train_mode(net: nn.Module) -> bool:
    """Return whether any part of a network is in train mode; a frozen program has no mode."""
    return any(getattr(module, "training", False) for module in net.modules())


def nearly_equal(before: Tensor, after: Tensor, tolerance: float) -> bool:
    """Return whether two tensors agree up to a share of the largest value.

    Args:
        before: A tensor.
        after: Another one of the same shape.
        tolerance: The largest difference, as a share of the largest absolute value of `before`.
    """
    difference = (before - after).abs().amax()
    return bool(difference <= tolerance * before.abs().amax())


def outputs_agree(net: nn.Module, other: nn.Module, x: Tensor, tolerance: float) -> bool:
    """Return whether two networks agree in logits and input gradients.

    Args:
        net: A network, (B, C, H, W) -> (B, classes).
        other: Another one of the same shape, perhaps made from images `x`.
        x: Images, (B, C, H, W) in [0, 1]. They are passed, and so are others made from them, in
            batches of several sizes.
        tolerance: `EXACT_TOLERANCE` or `COARSE_TOLERANCE`.
    """
    fresh = fresh_images(x)
    batches = [x, fresh, fresh.flip(0)[: len(x) // 2 + 1], fresh[:1].flip(3)]
    # All batches of one network first: a stale result of an earlier batch then differs.
    expected = [logits_and_gradient(net, batch) for batch in batches]
    given = [logits_and_gradient(other, batch) for batch in batches]
    logits = [nearly_equal(a, b, tolerance) for (a, _), (b, _) in zip(expected, given, strict=True)]
    return all(logits) and _gradients_agree(
        torch.cat([gradient for _, gradient in expected]),
        torch.cat([gradient for _, gradient in given]),
        tolerance,
    )


def _gradients_agree(before: Tensor, after: Tensor, tolerance: float) -> bool:
    lengths = before.flatten(1).norm(dim=1)
    apart = (after - before).flatten(1).norm(dim=1) / lengths.clamp_min(1e-30)
    return float((apart <= GRADIENTS[tolerance]).float().mean()) >= MOST


def fresh_images(x: Tensor) -> Tensor:
    """Return images like `x` but different from all of them, the same ones at every call.

    Each is mixed from two images, mirrored, with a little noise.

    Args:
        x: Images, (B, C, H, W) in [0, 1].
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(x.shape, generator=generator).to(x) - 0.5
    return (0.6 * x.flip(3) + 0.4 * x.roll(1, 0) + 0.1 * noise).clamp(0, 1)


def logits_and_gradient(net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits, and the input gradient of one fixed combination of an image's logits."""
    x = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        logits = net(x)
        weights = torch.cos(torch.arange(1, logits.shape[1] + 1, device=logits.device))
        (gradient,) = torch.autograd.grad((logits * weights).sum(), x)
    return logits.detach(), gradient
