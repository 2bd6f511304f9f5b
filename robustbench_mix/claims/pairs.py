"""Twins over several seeds: networks that differ in their mixers and in nothing else."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from robustbench_mix.claims.claim import Finding
from robustbench_mix.results.leaderboard import PAIRED
from robustbench_mix.results.records import Run
from robustbench_mix.results.statistics import difference
from robustbench_mix.runtime.provenance import comparable_values

Kind = tuple[str, str]  # spatial, channel
MULTIPLIER = 9  # the depth multiplier of the paper's ResNets
SHARED = [name for name in PAIRED if name not in ("seed", "channel")]


@dataclass(frozen=True)
class Pair:
    """`first` and `second` map '0' and each epsilon to bool arrays (seeds, images)."""

    header: dict[str, Any]
    seeds: list[int]
    first: dict[str, np.ndarray]
    second: dict[str, np.ndarray]

    @property
    def weight(self) -> int:
        """How many records it rests on."""
        return len(self.seeds) * int(self.header["n"])

    def finding(self, eps: str, paper: float | None, where: dict[str, str]) -> Finding:
        """The difference at one epsilon, second minus first."""
        return compare(self.first[eps], self.second[eps], paper, where)


def compare(
    first: np.ndarray, second: np.ndarray, paper: float | None, where: dict[str, str]
) -> Finding:
    """The finding for two bool arrays (seeds, images) of twins."""
    by_seed = second.mean(1) - first.mean(1)
    return Finding(
        where=where,
        first=float(first.mean()),
        second=float(second.mean()),
        difference=difference(first, second),
        discordant=float((first != second).mean()),
        spread=float(by_seed.std(ddof=1)) if len(by_seed) > 1 else 0.0,
        paper=paper,
    )


def pairs(runs: list[Run], first: Kind, second: Kind) -> list[Pair]:
    """Every set of twins that differ in these kinds of mixers and in nothing else.

    Adversarially trained networks are left out: the paper's claims are of standard training.
    So are networks that brought their weights: what such twins share is not known.
    Where the same networks met the same protocol more than once (another backend, more
    images), the set that rests on the most records is taken.
    """
    groups: dict[tuple[Any, ...], dict[Kind, dict[int, Run]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for run in runs:
        kind = (run.header["spatial"], run.header["channel"])
        left_out = run.header.get("adversarial") or run.header.get("weights")
        if kind in (first, second) and not left_out:
            key = comparable_values(run.header, SHARED)
            groups[key][kind][run.header["seed"]] = run
    found = [_pair(group[first], group[second]) for group in groups.values()]
    best: dict[tuple[Any, ...], Pair] = {}
    for pair in found:
        if pair is None:
            continue
        h = pair.header
        key = (h["dataset"], h["model"], h["protocol"])
        if key not in best or pair.weight > best[key].weight:
            best[key] = pair
    return [best[key] for key in sorted(best)]


def clean_pairs(runs: list[Run], first: Kind, second: Kind) -> list[Pair]:
    """The same without the protocol: each network's largest clean evaluation."""
    best: dict[tuple[str, str], Pair] = {}
    for pair in pairs(runs, first, second):
        key = (pair.header["dataset"], pair.header["model"])
        if key not in best or pair.weight > best[key].weight:
            best[key] = pair
    return list(best.values())


def words(pair: Pair, *, protocol: bool = False) -> dict[str, str]:
    """What a reader needs to know of where a pair is from."""
    h = pair.header
    found = {"model": h["model"], "trained on": trained_on(h)}
    return {**found, "attack": h["protocol"]} if protocol else found


def trained_on(header: dict[str, Any]) -> str:
    """Images x epochs of a training, `?` where it was not ours."""
    if not header.get("train_examples"):
        return "?"
    return f"{header['train_examples']:,} x {header['epochs']}"


def _pair(first: dict[int, Run], second: dict[int, Run]) -> Pair | None:
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        return None
    sides = [[side[seed].survived() for seed in seeds] for side in (first, second)]
    ones, twos = (
        {eps: np.stack([table[eps].to_numpy() for table in side]) for eps in side[0]}
        for side in sides
    )
    return Pair(first[seeds[0]].header, seeds, ones, twos)


def multiplier(model: str) -> tuple[str, int] | None:
    """A CIFAR ResNet's family and its depth multiplier, which is the paper's unless named."""
    match = re.fullmatch(r"(resnet(?:14|20|26|32|38))(_w\d+)?(?:_d(\d+))?", model)
    return (match[1], int(match[3] or MULTIPLIER)) if match else None


def names_multiplier(model: str) -> bool:
    """Whether a CIFAR ResNet is there to have that depth multiplier, be it the paper's."""
    return multiplier(model) is not None and "_d" in model
