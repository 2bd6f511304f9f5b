"""Square: random search over square-shaped updates, without gradients.

The defaults are AutoAttack's: 5,000 queries, p = 0.8, the margin as loss. Every image draws its
own squares, from numbers that depend on its seed and the step alone, and leaves the batch as soon
as it is misclassified.

Source: Andriushchenko et al., arXiv 1912.00049.
"""

from __future__ import annotations

import torch
from torch import Tensor

from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.losses import margin
from robustbench_mix.attacks.native.square_cache import expected_cached_queries, square_cached
from robustbench_mix.attacks.native.square_patches import corner, repaint, side_at, stripes, window
from robustbench_mix.attacks.native.tracker import Tracker, checks_every_step
from robustbench_mix.attacks.random import uniform


@torch.no_grad()
def square(
    model: CountedModel, batch: Batch, *, queries: int = 5000, early_stop: bool = True
) -> Tensor:
    """Lower the margin by random search: a query is kept if it lowers it.

    Args:
        model: The model.
        batch: The images.
        queries: Number of queries of each image, beside the start.
        early_stop: Whether an image leaves the batch once it is broken.

    Returns:
        Perturbed images (B, C, H, W): the point that broke an image, or the image itself.
    """
    x, y, seeds, norm = batch.x, batch.y, batch.seeds, batch.norm
    if norm == "linf" and early_stop and checks_every_step(x.device):
        return square_cached(model, batch, queries=queries)
    propose = _square_linf if norm == "linf" else _square_l2
    eps = batch.radius[:, None, None, None]
    tracker = Tracker(model, x, y, early_stop=early_stop)
    best = stripes(x, eps, seeds) if norm == "linf" else _tiles(x, eps, seeds)
    candidate, lowest = best, torch.full_like(eps.flatten(), torch.inf)
    for query in range(queries + 1):
        logits = tracker.model(candidate)
        value = margin(logits, y)
        # For an image that is already broken, any other point that breaks it will do.
        better = (value < lowest) | (value <= 0)
        best = torch.where(better[:, None, None, None], candidate, best)
        lowest = torch.where(better, value, lowest)
        keep = tracker.update(candidate, logits, last=query == queries)
        if keep is not None:
            x, y, eps, seeds, best, lowest = (t[keep] for t in (x, y, eps, seeds, best, lowest))
            if len(x) == 0:
                break
        if query < queries:
            candidate = propose(x, best, eps, side_at(query, x, norm), seeds, query + 1)
    return tracker.found


def expected_queries(x: Tensor, norm: str, queries: int) -> float:
    """Estimate the forward passes of an image that withstands all queries.

    Args:
        x: Images of the same shape, (B, C, H, W).
        norm: `linf` or `l2`.
        queries: Number of queries of each image, beside the start.
    """
    if norm == "linf" and checks_every_step(x.device):
        return expected_cached_queries(x, queries)
    return queries + 1


def _square_linf(
    x: Tensor, best: Tensor, eps: Tensor, side: int, seeds: Tensor, step: int
) -> Tensor:
    draw = uniform(seeds, step, 2 + x.shape[1])
    return repaint(x, best, eps, torch.full_like(seeds, side), draw)


def _tiles(x: Tensor, eps: Tensor, seeds: Tensor) -> Tensor:
    """Draw the l2 start: small wave patterns of random sign, one per tile and channel."""
    count, channels, height, width = x.shape
    side = max(min(height, width) // 5, 1)
    rows, columns = height // side, width // side
    wave = _wave(side, x)
    draw = uniform(seeds, 0, rows * columns * (channels + 1))
    draw = draw.view(count, channels + 1, rows, 1, columns, 1)
    turned = torch.where(draw[:, :1] < 0.5, wave[None, :, None], wave.T[None, :, None])
    tiles = turned * torch.where(draw[:, 1:] < 0.5, -1.0, 1.0)
    delta = torch.zeros_like(x)
    # The reference leaves the same margin before the tiles.
    top, left = (height - 5 * side) // 2, (height - 5 * side) // 2
    top, left = max(min(top, height - rows * side), 0), max(min(left, width - columns * side), 0)
    delta[:, :, top : top + rows * side, left : left + columns * side] = tiles.reshape(
        count, channels, rows * side, columns * side
    )
    return _onto_sphere(delta, x, eps)


def _square_l2(x: Tensor, best: Tensor, eps: Tensor, side: int, seeds: Tensor, step: int) -> Tensor:
    """Move the perturbation of one window into another, as a wave that fills the ball."""
    _, channels, height, width = x.shape
    draw = uniform(seeds, step, 5 + channels)
    delta = best - x
    first = _mask(draw[:, 0], draw[:, 1], x, side)
    second = _mask(draw[:, 2], draw[:, 3], x, side)
    in_first = _length(delta * first, (2, 3))
    in_both = _length(delta * (first | second), (2, 3))
    spare = (eps**2 - _length(delta, (1, 2, 3)) ** 2).clamp_min(0) / channels
    sign = torch.where(draw[:, 5:] < 0.5, -1.0, 1.0)[:, :, None, None]
    wave = _placed(_wave(side, x), draw, height, width) * sign + delta / (1e-12 + in_first)
    wave = wave * first
    wave = wave / (1e-12 + _length(wave, (2, 3))) * (spare + in_both**2).sqrt()
    return _onto_sphere(torch.where(first, wave, delta * ~second), x, eps)


def _wave(side: int, like: Tensor) -> Tensor:
    """Return a positive bump above a negative one, (side, side), of l2 norm one (section 4.3)."""

    def bump(height: int) -> Tensor:
        rows = (torch.arange(height, device=like.device) - height // 2).abs()
        columns = (torch.arange(side, device=like.device) - side // 2).abs()
        ring = torch.maximum(rows[:, None], columns[None])
        size = max(height // 2, side // 2) + 1
        terms = 1 / torch.arange(1, size + 1, device=like.device, dtype=like.dtype) ** 2
        tails = terms.flip(0).cumsum(0).flip(0)
        values: Tensor = tails[ring.clamp(max=size - 1)]
        return torch.div(values, torch.linalg.vector_norm(values).clamp_min(1e-12))

    wave = torch.cat([bump(side // 2), -bump(side - side // 2)])
    return torch.div(wave, torch.linalg.vector_norm(wave))


def _placed(wave: Tensor, draw: Tensor, height: int, width: int) -> Tensor:
    """Return the wave, turned or not, at each image's first window, (B, 1, height, width)."""
    side = len(wave)
    position = torch.arange(max(height, width), device=wave.device)
    rows = position[:height] - corner(draw[:, 0], height, side)[:, None]
    columns = position[:width] - corner(draw[:, 1], width, side)[:, None]
    rows, columns = rows.clamp(0, side - 1)[:, :, None], columns.clamp(0, side - 1)[:, None]
    turned = draw[:, 4, None, None] < 0.5
    return torch.where(turned, wave[rows, columns], wave[columns, rows])[:, None]


def _mask(down: Tensor, right: Tensor, x: Tensor, side: int) -> Tensor:
    """Return each image's window as (B, 1, H, W) bool."""
    rows = window(down, x.shape[2], side)[:, None, :, None]
    return rows & window(right, x.shape[3], side)[:, None, None, :]


def _length(delta: Tensor, dims: tuple[int, ...]) -> Tensor:
    squares: Tensor = delta.square().sum(dims, keepdim=True)
    return squares.sqrt()


def _onto_sphere(delta: Tensor, x: Tensor, eps: Tensor) -> Tensor:
    unit = delta / (_length(delta, (1, 2, 3)) + 1e-12)
    return torch.clamp(x + unit * eps, 0, 1)
