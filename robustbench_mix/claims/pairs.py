"""Twins over several seeds: networks that differ in their mixers and in nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from robustbench_mix.claims.claim import Finding, compare
from robustbench_mix.results import twins
from robustbench_mix.results.headers import RunHeader
from robustbench_mix.results.records import Run

Kind = tuple[str, str]  # spatial, channel
MULTIPLIER = 9  # depth multiplier of the paper's ResNets


@dataclass(frozen=True)
class Pair:
    """Twins over several seeds; `first` and `second` map '0' and each epsilon to outcomes.

    Outcomes are bool arrays, (seeds, images): whether the image is kept.
    """

    header: RunHeader
    seeds: list[int]
    first: dict[str, np.ndarray]
    second: dict[str, np.ndarray]

    @property
    def size(self) -> tuple[bool, int, int]:
        """Its rank among other pairs of the same network (`twins.rank`)."""
        return twins.rank(self.header, len(self.seeds))

    def gain(self, eps: str) -> np.ndarray:
        """Return second minus first at one epsilon, (seeds, images) in -1, 0, 1."""
        return np.asarray(self.second[eps].astype(int) - self.first[eps])

    @property
    def half_standing(self) -> str:
        """The epsilon above 0 at which about half of the images stand for the first network.

        It is '0' for clean accuracy alone.
        """
        grid = [eps for eps in self.first if eps != "0"] or ["0"]
        return min(grid, key=lambda eps: abs(float(self.first[eps].mean()) - 0.5))

    def of_seeds(self, seeds: set[int]) -> Pair:
        """Return the part of these seeds."""
        at = [place for place, seed in enumerate(self.seeds) if seed in seeds]
        first, second = (
            {eps: kept[at] for eps, kept in side.items()} for side in (self.first, self.second)
        )
        return Pair(self.header, [self.seeds[place] for place in at], first, second)

    def finding(self, eps: str, paper: float | None, where: dict[str, str]) -> Finding:
        """Return the finding at one epsilon, second minus first.

        Args:
            eps: The epsilon as text, or '0'.
            paper: The paper's difference; None if it has none.
            where: Further words about where it was measured.
        """
        return compare(self.first[eps], self.second[eps], paper, where)


def pairs(runs: list[Run], first: Kind, second: Kind) -> list[Pair]:
    """Return every set of twins that differ in these kinds of mixers and in nothing else.

    Adversarially trained networks are left out, because the paper's claims are about standard
    training. Pretrained networks are left out, because it is not known what such twins share. If
    the same networks met the same protocol more than once (another training, another backend, more
    images), the largest set is taken (`Pair.size`).

    Args:
        runs: All runs.
        first: Spatial and channel mixers of the first twin.
        second: Those of the second.
    """
    chosen = [
        run
        for run in runs
        if kind_of(run) in (first, second) and not (run.header.adversarial or run.header.weights)
    ]
    groups = twins.groups(chosen, "spatial", "channel", "seed").values()
    found = [
        _pair(*(twins.by_seed(r for r in group if kind_of(r) == kind) for kind in (first, second)))
        for group in groups
    ]
    largest = twins.largest(
        (pair for pair in found if pair is not None),
        lambda pair: (pair.header.dataset, pair.header.model, pair.header.protocol),
        lambda pair: pair.size,
    )
    return [largest[key] for key in sorted(largest)]


def clean_pairs(runs: list[Run], first: Kind, second: Kind) -> list[Pair]:
    """Return pairs as `pairs`, whatever the protocol: each model's largest clean evaluation."""
    largest = twins.largest(
        pairs(runs, first, second),
        lambda pair: (pair.header.dataset, pair.header.model),
        lambda pair: pair.size,
    )
    return list(largest.values())


def kind_of(run: Run) -> Kind:
    """Return the words for the spatial and the channel mixers of a run's model."""
    return run.header.spatial, run.header.channel


def describe_pair(pair: Pair, *, protocol: bool = False) -> dict[str, str]:
    """Return the words that tell a reader which networks a pair consists of.

    Args:
        pair: The pair.
        protocol: Whether to name the attack.
    """
    h = pair.header
    found = {"model": h.model, "trained on": twins.trained_on(h)}
    return {**found, "attack": h.protocol} if protocol else found


def _pair(first: dict[int, Run], second: dict[int, Run]) -> Pair | None:
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        return None
    sides = [[side[seed].standing() for seed in seeds] for side in (first, second)]
    ones, twos = (
        {eps: np.stack([table[eps].to_numpy() for table in side]) for eps in side[0]}
        for side in sides
    )
    return Pair(first[seeds[0]].header, seeds, ones, twos)


def depth_multiplier(model: str) -> tuple[str, int] | None:
    """Return a CIFAR ResNet's family and its depth multiplier, the paper's unless named."""
    match = re.fullmatch(r"(resnet(?:14|20|26|32|38))(_w\d+)?(?:_d(\d+))?", model)
    return (match[1], int(match[3] or MULTIPLIER)) if match else None


def names_depth_multiplier(model: str) -> bool:
    """Return whether the name of a CIFAR ResNet contains a depth multiplier."""
    return depth_multiplier(model) is not None and "_d" in model
