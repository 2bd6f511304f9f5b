"""Measures that may explain robustness: margins, gradients, linearity, frequencies.

Each function takes a network as `CountedModel` (pixels in [0, 1] to logits) and images x
(B, C, H, W) with labels y (B,), and returns one value or list of values per image unless
it says otherwise.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor

from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel, gradient_of
from robustbench_mix.attacks.losses import margin
from robustbench_mix.attacks.native.fgsm import fgsm_direction
from robustbench_mix.attacks.native.pgd import pgd
from robustbench_mix.attacks.norms import distance

PGD_STEPS, PGD_STEP_SIZE = 20, 0.125
FMN_STEPS = 100
STEP_FACTORS = (1.01, 1.1, 1.5, 2.5)  # of the distance predicted to first order
BANDS = 8


def margins_and_gradients(model: CountedModel, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logit of the label minus the largest other, and its input gradient.

    margin / ||gradient||_1 is the l-infinity distance to the boundary to first order, and
    margin / ||gradient||_2 the l2 one.

    Args:
        model: The network.
        x: Images, (B, C, H, W).
        y: Their labels, (B,) int64.

    Returns:
        The margins, (B,) float32, and the gradients, (B, D) float32.

    Source: Hein & Andriushchenko, arXiv 1705.08475.
    """
    with torch.enable_grad():
        point = x.detach().clone().requires_grad_()
        value = margin(model(point), y)
        gradient = gradient_of(value.sum(), point)
    return value.detach(), gradient.flatten(1)


@torch.no_grad()
def margins_along_fgsm(
    model: CountedModel, x: Tensor, y: Tensor, eps: list[float]
) -> tuple[Tensor, Tensor]:
    """Measure margins one FGSM step away, for steps of several sizes.

    If a network is linear along the attack's direction, the gradient predicts these margins. If
    the margin falls less than predicted, a single step is a weak attack on it.

    Args:
        model: The network.
        x: Images, (B, C, H, W).
        y: Their labels, (B,) int64.
        eps: Lengths of the steps, in pixel units.

    Returns:
        The measured and the predicted margins, both (B, len(eps)) float32.
    """
    value, gradient = margins_and_gradients(model, x, y)
    direction = fgsm_direction(model, x, y, "linf")
    points = [(x + size * direction).clamp(0, 1) for size in eps]
    real = torch.stack([margin(model(point), y) for point in points], dim=1)
    moved = torch.stack([(gradient * (p - x).flatten(1)).sum(1) for p in points], dim=1)
    return real, value[:, None] + moved


def minimal_distance(model: CountedModel, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Search for the smallest adversarial perturbation of each image in l-infinity.

    The search is FMN through foolbox with 100 steps, or a step along the gradient of the margin
    where that is shorter: FMN may overshoot the nearest boundaries.

    Args:
        model: The network.
        x: Images, (B, C, H, W).
        y: Their labels, (B,) int64.

    Returns:
        The norms, (B,) float64 in pixel units: 0 if the clean image is misclassified, infinite if
        nothing was found. And the perturbed images, (B, C, H, W).

    Source: Pintor et al., arXiv 2102.12827.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # foolbox imports scipy.ndimage.filters
        import foolbox

    attack = foolbox.attacks.LInfFMNAttack(steps=FMN_STEPS)
    network = foolbox.PyTorchModel(model.eval(), bounds=(0, 1), device=x.device)
    found, _, _ = attack(network, x.contiguous(), foolbox.Misclassification(y), epsilons=None)
    value, gradient = margins_and_gradients(model, x, y)
    predicted = value / gradient.norm(p=1, dim=1).clamp_min(1e-12)
    step = predicted[:, None, None, None] * -gradient.sign().view_as(x)
    moves = [found.detach() - x, *(stretch * step for stretch in STEP_FACTORS)]
    best, norms = x.clone(), torch.full((len(x),), torch.inf, dtype=torch.float64, device=x.device)
    with torch.no_grad():
        for move in moves:
            x_adv = (x + move).clamp(0, 1)
            length = distance(x_adv, x, "linf")
            shorter = (model(x_adv).argmax(1) != y) & (length < norms)
            best = torch.where(shorter[:, None, None, None], x_adv, best)
            norms = torch.where(shorter, length, norms)
    return norms.masked_fill(value <= 0, 0.0), best


def craft_transfer_examples(
    model: CountedModel, x: Tensor, y: Tensor, eps: float, seeds: Tensor
) -> dict[str, Tensor]:
    """Make adversarial examples to test on another network: one FGSM step, and the end of PGD-20.

    Args:
        model: The network that they are made on.
        x: Images, (B, C, H, W).
        y: Their labels, (B,) int64.
        eps: l-infinity radius in pixel units.
        seeds: A seed for each image's random start, (B,) int64.

    Returns:
        The perturbed images, (B, C, H, W), by the attack: `fgsm` and `pgd`.
    """
    radius = torch.full((len(x),), eps, device=x.device)
    walked = pgd(
        model, Batch(x, y, radius, seeds, "linf"), steps=PGD_STEPS, step_size=PGD_STEP_SIZE,
        random_start=True, early_stop=False,
    )  # fmt: skip
    step = (x + eps * fgsm_direction(model, x, y, "linf")).clamp(0, 1)
    return {"fgsm": step, "pgd": walked}


def radial_spectrum(images: Tensor, bands: int = BANDS) -> list[float]:
    """Return the mean share of power in each band of spatial frequency.

    Band k holds the frequencies whose larger component lies in [k, k + 1) / bands of the
    Nyquist frequency; the last band includes its end. The bands are square rings, so that every
    frequency lies in one.

    Args:
        images: Images, (..., H, W).
        bands: Number of bands.

    Returns:
        One share per band; they sum to one. Empty if there is no power at all.
    """
    pixels = images.detach().cpu().double().numpy()
    power = np.abs(np.fft.fft2(pixels)) ** 2
    height, width = pixels.shape[-2:]
    rows, columns = (np.abs(np.fft.fftfreq(size)) * 2 for size in (height, width))
    ring = np.maximum(rows[:, None], columns[None])
    band = np.minimum((ring * bands).astype(int), bands - 1)
    shares = np.stack([power[..., band == k].sum(-1).ravel() for k in range(bands)], axis=1)
    total = shares.sum(1)
    if not (total > 0).any():
        return []
    shares = shares[total > 0] / total[total > 0, None]
    return [float(share) for share in shares.mean(0)]


@torch.no_grad()
def fourier_heat_map(
    model: CountedModel, x: Tensor, y: Tensor, norm: float, generator: torch.Generator
) -> Tensor:
    """Measure the accuracy under noise of one spatial frequency at a time.

    For entry (i, j), a real wave of that frequency is added to each image, with a random sign per
    image and channel, and the sum is clipped to the box.

    Args:
        model: The network.
        x: Images, (B, C, H, W).
        y: Their labels, (B,) int64.
        norm: l2 norm of the wave, in pixel units.
        generator: The source of the signs.

    Returns:
        Accuracies, (H, W // 2 + 1). Frequency 0 is at (0, 0); rows beyond H // 2 are negative
        frequencies.

    Source: Yin et al., arXiv 1906.08988.
    """
    batch, channels, height, width = x.shape
    found = torch.zeros(height, width // 2 + 1)
    for i in range(height):
        for j in range(width // 2 + 1):
            spectrum = np.zeros((height, width // 2 + 1), complex)
            spectrum[i, j] = 1
            wave = torch.from_numpy(np.fft.irfft2(spectrum, s=(height, width))).float()
            wave = wave / wave.norm().clamp_min(1e-12)
            sign = torch.randint(0, 2, (batch, channels, 1, 1), generator=generator) * 2 - 1
            noise = norm / channels**0.5 * (sign * wave).to(x.device)
            logits = model((x + noise).clamp(0, 1))
            found[i, j] = (logits.argmax(1) == y).float().mean()
    return found
