"""Recommend numbers of seeds and images, from the variances and costs of existing records."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robustbench_mix.claims.accuracy import CHANS, FULL
from robustbench_mix.claims.pairs import Pair, kind_of, pairs
from robustbench_mix.results import twins
from robustbench_mix.results.design import Costs, Design, cheapest
from robustbench_mix.results.random_effects import components
from robustbench_mix.results.records import Run


@dataclass(frozen=True)
class Recommendation:
    """A design for a network and an attack, with the variances and costs behind it.

    Attributes:
        where: Data set, model, training, attack and epsilon.
        spread: Standard deviations of a difference from seed to seed, from image to image, and of
            the rest, as shares.
        costs: Measured costs of a pair of twins.
        design: The cheapest design that reaches the wanted width.
    """

    where: dict[str, str]
    spread: tuple[float, float, float]
    costs: Costs
    design: Design


def recommend(runs: list[Run], wanted: float) -> list[Recommendation]:
    """Recommend a design for each network and attack with twins of at least two seeds.

    Args:
        runs: All runs.
        wanted: Half-width of the 95 % interval of frozen minus learned, as a share.

    Returns:
        One recommendation for each, with at most as many images as the largest evaluation on that
        data set.
    """
    most: dict[str, int] = {}
    for run in runs:
        most[run.header.dataset] = max(run.header.n, most.get(run.header.dataset, 0))
    return [
        _recommendation(pair, runs, wanted, most[pair.header.dataset])
        for pair in pairs(runs, FULL, CHANS)
        if len(pair.seeds) > 1 and pair.header.n > 1
    ]


def _recommendation(pair: Pair, runs: list[Run], wanted: float, most: int) -> Recommendation:
    h = pair.header
    eps = pair.half_standing
    parts = components(pair.gain(eps).astype(float))
    costs = _costs(pair, runs)
    return Recommendation(
        {"data": h.dataset, "model": h.model, "trained on": twins.trained_on(h),
         "attack": h.protocol, "eps": eps},
        (parts.seeds**0.5, parts.images**0.5, parts.rest**0.5),
        costs,
        cheapest(parts, costs, wanted, most_images=most),
    )  # fmt: skip


def _costs(pair: Pair, runs: list[Run]) -> Costs:
    """Return the mean costs of both twins together."""
    training = image = 0.0
    alike = [
        run for run in runs if twins.are_same(run.header, pair.header, "spatial", "channel", "seed")
    ]
    for kind in (FULL, CHANS):
        same = [run for run in alike if kind_of(run) == kind]
        training += float(np.mean([run.time_seconds.get("training", 0.0) for run in same]))
        image += float(
            np.mean([run.time_seconds.get("attacking", 0.0) / run.header.n for run in same])
        )
    return Costs(training, image)
