"""Perturb the images of a training batch: by PGD, or by one step from noise (N-FGSM)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel, gradient_of
from robustbench_mix.attacks.native.geometry import wide
from robustbench_mix.attacks.native.pgd import pgd
from robustbench_mix.attacks.random import uniform
from robustbench_mix.config.epsilon import Eps
from robustbench_mix.config.training import Adversarial, NFgsm


def perturb(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    how: Adversarial | NFgsm,
    generator: torch.Generator,
    autocast: torch.autocast,
) -> Tensor:
    """Perturb images to train on.

    The attack runs in eval mode, so that only the training step updates the statistics of norms.
    The model is in train mode afterwards.

    Args:
        model: The network.
        x: Images (B, C, H, W) in [0, 1].
        y: Labels (B,).
        how: The attack and its settings.
        generator: Source of the seeds of the attack, on the CPU.
        autocast: Context of the forward passes.

    Returns:
        Perturbed images, (B, C, H, W), channels_last.
    """
    seeds = torch.randint(2**62, (len(x),), generator=generator).to(x.device)
    eps = torch.full((len(x),), Eps(how.eps).value, device=x.device)
    batch = Batch(x, y, eps, seeds, "linf")
    model.eval()
    with autocast:
        if isinstance(how, NFgsm):
            x_adv = n_fgsm(CountedModel(model), batch, noise=how.noise, step_size=how.step_size)
        else:
            x_adv = pgd(
                CountedModel(model), batch, steps=how.steps, step_size=how.step_size,
                random_start=True, early_stop=False,
            )  # fmt: skip
    model.train()
    return x_adv.to(memory_format=torch.channels_last)


def n_fgsm(model: CountedModel, batch: Batch, *, noise: float, step_size: float) -> Tensor:
    """Take one step of the gradient's sign from noise, and do not project it onto the ball.

    This is for training only: the result can be further away than epsilon.

    Args:
        model: The model.
        batch: The images.
        noise: The largest noise, as a share of eps.
        step_size: Length of the step, as a share of eps.

    Returns:
        Perturbed images (B, C, H, W) in [0, 1].

    Source: de Jorge et al., arXiv 2202.01181, Algorithm 1.
    """
    x, eps = batch.x, wide(batch.radius)
    draws = (2 * uniform(batch.seeds, 0, x[0].numel()) - 1).view_as(x).to(x)
    with torch.enable_grad():
        point = (x + noise * eps * draws).clamp(0, 1).requires_grad_()
        loss = F.cross_entropy(model(point), batch.y, reduction="sum")
        gradient = gradient_of(loss, point)
    return (point.detach() + step_size * eps * gradient.sign()).clamp(0, 1)
