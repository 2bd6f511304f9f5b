"""The examples that a network is trained on: by PGD, and by N-FGSM."""

from __future__ import annotations

import pytest
import torch
from brightness import fresh, split

from robustbench_mix.attacks.random import uniform
from robustbench_mix.config.training import Adversarial, NFgsm
from robustbench_mix.training.perturb import perturb

RADIUS = {Adversarial("8/255"): 8 / 255, NFgsm("8/255"): 24 / 255}


@pytest.mark.parametrize("how", RADIUS)
def test_perturbed_images_stay_near_and_raise_the_loss(how: Adversarial | NFgsm) -> None:
    """Within the ball, or the ball and its noise; in the box; mode and statistics stay."""
    model, x, y = fresh().train(), split().pixels(), split().labels
    before = {name: value.clone() for name, value in model.state_dict().items()}
    autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=False)
    x_adv = perturb(model, x, y, how, torch.Generator().manual_seed(0), autocast)
    again = perturb(model, x, y, how, torch.Generator().manual_seed(0), autocast)
    assert torch.equal(x_adv, again)
    assert (x_adv - x).abs().max() <= RADIUS[how] + 1e-6
    assert 0 <= x_adv.min() <= x_adv.max() <= 1
    assert model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    model.eval()
    loss = torch.nn.functional.cross_entropy
    assert loss(model(x_adv), y) > loss(model(x), y)


def test_n_fgsm_is_a_step_from_noise_without_projection() -> None:
    """By hand: noise of up to 2 epsilon, an epsilon along the sign of the gradient, the box."""
    model, x, y = fresh().eval(), split().pixels(), split().labels
    eps = 8 / 255
    autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=False)
    found = perturb(
        model, x, y, NFgsm("8/255"), torch.Generator().manual_seed(3), autocast
    ).contiguous()
    seeds = torch.randint(2**62, (len(x),), generator=torch.Generator().manual_seed(3))
    noise = (2 * uniform(seeds, 0, 36) - 1).view_as(x).float() * 2 * eps
    start = (x + noise).clamp(0, 1).requires_grad_()
    model.eval()
    torch.nn.functional.cross_entropy(model(start), y).backward()
    assert start.grad is not None
    wanted = (start.detach() + eps * start.grad.sign()).clamp(0, 1)
    assert (found - wanted).abs().max() < 1e-6
    assert (found - x).abs().max() > 2 * eps


def test_mixed_precision_gives_examples_in_float32() -> None:
    """The step is taken in the precision of the images."""
    model, x, y = fresh().train(), split().pixels(), split().labels
    autocast = torch.autocast("cpu", dtype=torch.bfloat16)
    found = perturb(model, x, y, NFgsm("8/255"), torch.Generator().manual_seed(0), autocast)
    assert found.dtype == torch.float32
    assert torch.isfinite(found).all()
