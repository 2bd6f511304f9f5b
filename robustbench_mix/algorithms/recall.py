"""Square in l-infinity without asking twice.

A query whose candidate is the best point itself, or was rejected since the best point last
changed, has a known answer: the attack goes on to its next query without a forward pass.
Late in the search, where squares are a few pixels, most queries are of that kind on small
images. The outcome is that of asking every time; each image advances at its own pace.
"""

from __future__ import annotations

import torch
from torch import Tensor

from robustbench_mix.algorithms.attack import Target
from robustbench_mix.algorithms.losses import margin
from robustbench_mix.algorithms.squares import corner, repaint, side_at, stripes
from robustbench_mix.algorithms.watch import Watch
from robustbench_mix.draws import uniform

AHEAD = 64  # queries that an image may pass over between two forward passes of the batch
MEMORY = 2**14  # answers remembered per image, at most


def square_recalled(
    target: Target, x: Tensor, y: Tensor, seeds: Tensor, *, eps: Tensor, queries: int
) -> Tensor:
    """As `square` in l-infinity with early stop, where the host sees every step's outcome."""
    count, channels, height, width = x.shape
    eps = eps[:, None, None, None]
    watch = Watch(target, x, y, early_stop=True)
    sides = torch.tensor([side_at(query, x, "linf") for query in range(queries)] or [1])
    answers = height * width * 2**channels
    rejected = torch.zeros(count, answers if answers <= MEMORY else 0, dtype=torch.bool)
    best = stripes(x, eps, seeds)
    lowest = torch.full((count,), torch.inf)
    query = torch.zeros(count, dtype=torch.int64)  # the number of queries answered
    candidate, key = best.clone(), torch.zeros(count, dtype=torch.int64)
    fresh = torch.ones(count, dtype=torch.bool)
    while len(x):
        logits = watch.target.take(fresh)(candidate[fresh])
        value = torch.full_like(lowest, torch.inf)
        value[fresh] = margin(logits, y[fresh])
        better = fresh & ((value < lowest) | (value <= 0))
        if rejected.shape[1]:
            worse = torch.nonzero(fresh & ~better).flatten()
            rejected[worse, key[worse]] = True
            rejected[better] = False
        best = torch.where(better[:, None, None, None], candidate, best)
        lowest = torch.where(better, value, lowest)
        spread_out = logits.new_zeros(len(x), logits.shape[1])
        spread_out[fresh] = logits
        keep = watch.see(candidate, spread_out, better)
        if keep is not None:
            x, y, eps, seeds, best, lowest, query, rejected = (
                t[keep] for t in (x, y, eps, seeds, best, lowest, query, rejected)
            )
        fresh = torch.zeros(len(x), dtype=torch.bool)
        while not bool(fresh.any()) and bool((query < queries).any()):
            candidate, key, fresh = _next(x, best, eps, seeds, query, rejected, sides, queries)
        if not bool(fresh.any()):
            break
    return watch.found


def _next(
    x: Tensor,
    best: Tensor,
    eps: Tensor,
    seeds: Tensor,
    query: Tensor,
    rejected: Tensor,
    sides: Tensor,
    queries: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Each image's next candidate with an unknown answer, its key, and whether it has one.

    Counts the queries passed over in `query`, and forgets in `rejected`, in place.
    """
    _, channels, height, width = x.shape
    bits = 2 ** torch.arange(channels)
    candidate, key = best.clone(), torch.zeros_like(query)
    fresh = torch.zeros(len(x), dtype=torch.bool)
    row = torch.nonzero(query < queries).flatten()
    for _ in range(AHEAD):
        if len(row) == 0:
            break
        at = query[row]
        side = sides[at]
        query[row] += 1
        # Rejections are of squares of one side.
        rejected[row[(at > 0) & (side != sides[(at - 1).clamp_min(0)])]] = False
        draw = uniform(seeds[row], at + 1, 2 + channels)
        proposal = repaint(x[row], best[row], eps[row], side, draw)
        known = (proposal == best[row]).flatten(1).all(1)
        if rejected.shape[1]:
            where = corner(draw[:, 0], height, side) * width + corner(draw[:, 1], width, side)
            sign = ((draw[:, 2:] >= 0.5) * bits).sum(1)
            key[row] = where * 2**channels + sign
            known |= rejected[row, key[row]]
        taken = row[~known]
        candidate[taken] = proposal[~known]
        fresh[taken] = True
        row = row[known]
        row = row[query[row] < queries]
    # Whoever ran ahead without finding one waits for the next round.
    return candidate, key, fresh
