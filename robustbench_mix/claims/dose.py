"""Claim 6: the gap between twins against the number of random filters of each channel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from robustbench_mix.claims.accuracy import CHANS, FULL
from robustbench_mix.claims.claim import Claim, Finding, compare, judge
from robustbench_mix.claims.pairs import Pair, depth_multiplier, pairs
from robustbench_mix.results import twins
from robustbench_mix.results.design import LEAST_SEEDS
from robustbench_mix.results.records import Run

MARGIN = 0.0025  # share per doubling of the multiplier: one point over about four, from 1 to 18
LEAST_DOSES = 3  # minimum number of multipliers for a trend

Doses = dict[int, Pair]  # pairs of twins by depth multiplier


def gap_closes(runs: list[Run]) -> Claim:
    """Test the claim that the gap under attack rises with the depth multiplier."""
    claim = Claim(
        "6", "More random filters close the gap",
        "The robustness of a frozen network minus that of its learned twin rises with the depth "
        "multiplier d, the number of random filters that each channel has.",
        "At each epsilon: the slope of the gap per doubling of d, by least squares for each seed "
        "and image; t test over seeds, Holm-corrected over all epsilons, and a 95 % interval above "
        f"0. It does not hold where a rise of {100 * MARGIN:g} points per doubling is ruled out.",
        [finding for doses in dose_sets(runs) for finding in _slopes(doses)],
        sides=("learned, per doubling", "frozen, per doubling"), margin=MARGIN,
    )  # fmt: skip
    return judge(claim)


def dose_sets(runs: list[Run]) -> list[Doses]:
    """Return, for each family of networks, its pairs of twins by depth multiplier.

    A set has at least three multipliers, and all its pairs share training, attack, images and
    seeds. If a family has several sets under one attack, the one with the most records is taken.
    """
    trainings: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        if depth_multiplier(run.header.model):
            alike = twins.trained_on(run.header), run.header.data_hash
            trainings.setdefault(alike, []).append(run)
    found: dict[tuple[object, ...], Doses] = {}
    for key, chosen in trainings.items():
        for pair in pairs(chosen, FULL, CHANS):
            h = pair.header
            named = depth_multiplier(h.model)
            assert named is not None
            family, dose = named
            found.setdefault((*key, h.dataset, family, h.protocol), {})[dose] = pair
    several = [
        doses for doses in map(_of_common_seeds, found.values()) if len(doses) >= LEAST_DOSES
    ]
    return list(twins.largest(several, _family, _size).values())


def _of_common_seeds(doses: Doses) -> Doses:
    """Restrict pairs to the seeds that they share; return an empty set if there are too few.

    Multipliers with few seeds are left out if the others then have enough seeds for an answer, or
    else if more pairs remain.
    """
    order = sorted(doses, key=lambda dose: len(doses[dose].seeds), reverse=True)
    sets: list[Doses] = [{}]
    for count in range(LEAST_DOSES, len(order) + 1):
        common = set.intersection(*(set(doses[dose].seeds) for dose in order[:count]))
        sets.append({dose: doses[dose].of_seeds(common) for dose in sorted(order[:count])})
    return max(sets, key=_worth)


def _worth(doses: Doses) -> tuple[bool, int, int]:
    """Return whether an answer is possible, the number of pairs, and that of multipliers."""
    seeds = [len(pair.seeds) for pair in doses.values()]
    return min(seeds, default=0) >= LEAST_SEEDS, sum(seeds), len(seeds)


def _slopes(doses: Doses) -> list[Finding]:
    logs = np.log2(np.array(list(doses), dtype=float))
    weights = (logs - logs.mean()) / ((logs - logs.mean()) ** 2).sum()
    one = next(iter(doses.values()))
    where = {
        "model": _family(doses)[1], "d": ", ".join(map(str, doses)),
        "trained on": twins.trained_on(one.header), "attack": one.header.protocol,
    }  # fmt: skip
    findings = []
    for eps in one.first:
        if eps == "0":
            continue
        sides = [
            np.stack([side[eps].astype(float) for side in column])
            for column in zip(*((p.first, p.second) for p in doses.values()), strict=True)
        ]
        first, second = (np.tensordot(weights, side, axes=1) for side in sides)
        finding = compare(first, second, None, {**where, "eps": eps})
        findings.append(replace(finding, standing=max(float(side.mean()) for side in sides)))
    return findings


def _family(doses: Doses) -> tuple[str, str, str]:
    h = next(iter(doses.values())).header
    named = depth_multiplier(h.model)
    assert named is not None
    return h.dataset, named[0], h.protocol


def _size(doses: Doses) -> int:
    return sum(pair.size[-1] for pair in doses.values())
