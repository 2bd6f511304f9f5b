"""Square in l-infinity with cached and batched queries.

Cached: a query whose candidate is the best point itself, or was rejected since the best point
last changed, has a known answer; the attack passes over it without a forward pass. Late in the
search, where squares are a few pixels, most queries are of that kind on small images.

Batched: while nothing is accepted, the next queries are known in advance. An image with many
rejections in a row puts several into one batch. Queries behind an acceptance are wasted: at most
one in `WASTE`, usually far fewer. The outcome is the same as with one query at a time; each image
advances at its own pace.
"""

from __future__ import annotations

from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.losses import margin
from robustbench_mix.attacks.native.square_patches import corner, repaint, side_at, stripes
from robustbench_mix.attacks.native.tracker import Tracker
from robustbench_mix.attacks.random import uniform

WINDOW = 64  # number of queries of an image that are examined together
WASTE = 16  # number of rejections in a row that allow one more query ahead
MEMORY = 2**14  # maximum number of remembered answers per image
TWICE = 2  # queries of one square: 450 of 5,000 reach a trained network on 8 x 8 pixels


class _Search(NamedTuple):
    """The search state of each image of the packed batch; the first dimension is the batch.

    `best`, with margin `lowest`, is the best point so far; `query` counts the answered
    queries and `since` those asked since the last acceptance; `rejected` holds the keys of
    squares that are known not to help.
    """

    x: Tensor
    y: Tensor
    eps: Tensor
    seeds: Tensor
    best: Tensor
    lowest: Tensor
    query: Tensor
    since: Tensor
    rejected: Tensor

    def keep(self, which: Tensor) -> _Search:
        """Return the state of some of the images."""
        return _Search(*(tensor[which] for tensor in self))


class _Queries(NamedTuple):
    """The next queries: for each its image `row`, place in the window `at`, `key` and `draw`.

    `end` (B,) is how many queries of each image are answered if none of these is accepted.
    """

    row: Tensor
    at: Tensor
    key: Tensor
    draw: Tensor
    end: Tensor


@torch.no_grad()
def square_cached(model: CountedModel, batch: Batch, *, queries: int) -> Tensor:
    """Run `square` in l-infinity with early stop, on a device whose every step the host sees.

    Args:
        model: The model.
        batch: The images.
        queries: Number of queries of each image, beside the start.

    Returns:
        Perturbed images (B, C, H, W): the point that broke an image, or the image itself.
    """
    x, y, seeds = batch.x, batch.y, batch.seeds
    count, channels, height, width = x.shape
    eps = batch.radius[:, None, None, None]
    tracker = Tracker(model, x, y, early_stop=True)
    sides = torch.tensor([side_at(query, x, "linf") for query in range(queries)] or [1])
    squares = height * width * 2**channels
    best = stripes(x, eps, seeds)
    logits = tracker.model(best)
    zero = torch.zeros(count, dtype=torch.int64)
    rejected = torch.zeros(count, squares if squares <= MEMORY else 0, dtype=torch.bool)
    search = _Search(x, y, eps, seeds, best, margin(logits, y), zero, zero, rejected)
    keep = tracker.update(best, logits)
    search = search if keep is None else search.keep(keep)
    while bool((search.query < queries).any()):
        ahead = 1 + (search.since // WASTE).clamp(max=max(model.capacity // len(search.x) - 1, 0))
        batched = _next(search, sides, queries, ahead)
        search, logits, better = _query(tracker.model, search, batched, sides)
        keep = tracker.update(search.best, logits, better) if bool(better.any()) else None
        search = search if keep is None else search.keep(keep)
    return tracker.found


def expected_cached_queries(x: Tensor, queries: int) -> float:
    """Estimate how many queries of an image reach the model, the start included.

    A square reaches the model about twice while its side stays the same, because an acceptance
    clears the remembered rejections. A square that changes nothing does not reach it.

    Args:
        x: Images of the same shape, (B, C, H, W).
        queries: Number of queries of each image, beside the start.
    """
    _, channels, height, width = x.shape
    if height * width * 2**channels > MEMORY:
        return queries + 1
    total = 1.0
    sides = (side_at(query, x, "linf") for query in range(queries))
    for side, run in groupby(sides):
        length = sum(1 for _ in run)
        places = TWICE * max(height - side, 1) * max(width - side, 1) * 2**channels
        new = 1 - 0.5 ** (channels * side**2)
        total += new * places * (1 - (1 - 1 / places) ** length)
    return total


def _next(search: _Search, sides: Tensor, queries: int, ahead: Tensor) -> _Queries:
    """Choose up to `ahead` (B,) queries of each image with unknown answers, in their order."""
    _, channels, height, width = search.x.shape
    place = torch.arange(WINDOW)
    at = search.query[:, None] + place
    side = sides[search.query.clamp(max=queries - 1)]
    # Rejections are of squares of one side: the window ends where the side changes.
    open_ = (at < queries) & (sides[at.clamp(max=queries - 1)] == side[:, None])
    draw = uniform(search.seeds.repeat_interleave(WINDOW), at.flatten() + 1, 2 + channels).view(
        len(at), WINDOW, -1
    )
    sign = ((draw[..., 2:] >= 0.5) * 2 ** torch.arange(channels)).sum(2)
    start = corner(draw[..., 0], height, side[:, None]) * width
    key = (start + corner(draw[..., 1], width, side[:, None])) * 2**channels + sign
    fresh = open_.clone()
    if search.rejected.shape[1]:
        fresh &= ~search.rejected.gather(1, key)
        # The same square again within the window is answered by its first appearance.
        earlier = (key[:, :, None] == key[:, None]) & (place[:, None] > place)
        fresh &= ~(earlier & open_[:, None]).any(2)
    number = fresh.cumsum(1)
    fresh &= number <= ahead[:, None]
    # All up to the last chosen query; the whole window if there are fewer.
    passed = open_ & (number - fresh.long() < ahead[:, None])
    row, column = torch.nonzero(fresh, as_tuple=True)
    return _Queries(row, column, key[row, column], draw[row, column], passed.sum(1))


def _query(
    model: CountedModel, search: _Search, batched: _Queries, sides: Tensor
) -> tuple[_Search, Tensor, Tensor]:
    """Pass the queries to the model and accept each image's first that helps.

    Returns the new state, the logits of the accepted points, (B, classes), and which images
    accepted one, (B,).
    """
    count, row = len(search.x), batched.row
    before = sides[search.query.clamp(max=len(sides) - 1)]
    candidate = repaint(search.x[row], search.best[row], search.eps[row], before[row], batched.draw)
    changes = (candidate != search.best[row]).flatten(1).any(1)
    first = torch.full((count,), WINDOW)
    accepted = torch.zeros(count, dtype=torch.int64)
    logits = search.lowest.new_zeros(count, 1)
    lowest, best = search.lowest, search.best
    if bool(changes.any()):
        position = torch.nonzero(changes).flatten()
        given = model.take(row[position])(candidate[position])
        value = margin(given, search.y[row[position]])
        # For an image that is already broken, any other point that breaks it will do.
        helps = (value < lowest[row[position]]) | (value <= 0)
        at = torch.where(helps, batched.at[position], WINDOW)
        first = first.scatter_reduce(0, row[position], at, "amin")
        chosen = torch.nonzero(helps & (at == first[row[position]])).flatten()
        image = row[position][chosen]
        accepted[image] = 1
        logits = given.new_zeros(count, given.shape[1])
        logits[image] = given[chosen]
        lowest, best = lowest.clone(), best.clone()
        lowest[image] = value[chosen]
        best[image] = candidate[position[chosen]]
    better = accepted.bool()
    query = search.query + torch.where(better, first + 1, batched.end)
    since = torch.where(better, 0, search.since + torch.bincount(row, minlength=count))
    if search.rejected.shape[1]:
        search.rejected[row, batched.key] = True
        turned = sides[query.clamp(max=len(sides) - 1)] != before
        search.rejected[better | turned] = False
    return search._replace(best=best, lowest=lowest, query=query, since=since), logits, better
