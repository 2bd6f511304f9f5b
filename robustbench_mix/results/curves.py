"""Robustness-accuracy curves over seeds, and their differences to the learned twin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robustbench_mix.config.epsilon import Eps
from robustbench_mix.results import twins
from robustbench_mix.results.intervals import paired_difference, wilson
from robustbench_mix.results.leaderboard import ORDER
from robustbench_mix.results.random_effects import estimate
from robustbench_mix.results.records import Run
from robustbench_mix.storage.files import safe_name

GONE = 0.01  # an accuracy below this share is as good as none
LEARNED = ("learned", "learned")

# A share or a difference of shares with the ends of its 95 % interval.
Interval = tuple[float, float, float]


@dataclass(frozen=True)
class Curve:
    """A value for each epsilon, '0' included, of a kind of network over its seeds.

    The values are shares of images that stand (`curves`), or those minus the shares of the learned
    twin (`differences`). Each has a 95 % interval: of one seed, Wilson's or that of a paired
    difference; of more, seeds and images both vary.
    """

    name: str
    seeds: int
    images: int
    shares: dict[str, Interval]
    training: str = ""

    @property
    def label(self) -> str:
        """The name in the legend, with the training where there are others."""
        seeds = "" if self.seeds == 1 else f"{self.seeds} seeds"
        return ", ".join(word for word in (self.name, self.training, seeds) if word)


def groups(runs: list[Run]) -> dict[str, list[Run]]:
    """Return the runs of each drawing (one data set, model, protocol and backend) by its stem."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        h = run.header
        backend = () if run.backend == "fast" else (run.backend,)
        words = "-".join((h.dataset, h.model, h.protocol, *backend))
        found.setdefault(safe_name(words), []).append(run)
    return found


def title(runs: list[Run]) -> str:
    """Return the title of a group's drawing."""
    header, backend = runs[0].header, runs[0].backend
    words = f"{header.model} on {header.dataset}, {header.protocol}"
    return words if backend == "fast" else f"{words} ({backend})"


def curves(runs: list[Run]) -> list[Curve]:
    """Return one curve for each kind of model.

    Which of several trainings and choices of images is taken follows from `twins.rank`.
    """
    sets: list[list[tuple[Run, ...]]] = [
        [(run,) for run in twins.by_seed(group).values()]
        for group in twins.groups(runs, "seed").values()
    ]
    return _largest(sets, _share)


def differences(runs: list[Run]) -> list[Curve]:
    """Return the difference of each kind of model to its learned twins, of the same seeds.

    Twins differ in their spatial and channel mixers alone, and met the same images. Which set is
    taken is decided as in `curves`.
    """
    sets: list[list[tuple[Run, ...]]] = []
    for group in twins.groups(runs, "spatial", "channel", "seed").values():
        kinds: dict[tuple[str, str], list[Run]] = {}
        for run in group:
            kinds.setdefault((run.header.spatial, run.header.channel), []).append(run)
        learned = twins.by_seed(kinds.pop(LEARNED, []))
        for others in kinds.values():
            other = twins.by_seed(others)
            seeds = sorted(learned.keys() & other.keys())
            if seeds:
                sets.append([(other[seed], learned[seed]) for seed in seeds])
    return _largest(sets, _difference)


def informative(shown: list[Curve]) -> list[str]:
    """Return the epsilons to draw, ascending: all up to the first one at which no network is left.

    Args:
        shown: Curves of accuracies.
    """
    found = {eps for curve in shown for eps in curve.shares}
    grid = sorted(found, key=lambda eps: Eps(eps).exact)
    gone: set[int] = set()
    for count, eps in enumerate(grid, start=1):
        gone |= {at for at, one in enumerate(shown) if one.shares.get(eps, (1.0,))[0] < GONE}
        if len(gone) == len(shown):
            return grid[:count]
    return grid


def ticks(grid: list[str]) -> tuple[list[str], str]:
    """Return short labels for epsilons, and the unit that they are in.

    Args:
        grid: Epsilons as exact text, '0' perhaps among them.

    Returns:
        The labels, and '' or the common unit, for example '1/255'.
    """
    denominators = {eps.partition("/")[2] for eps in grid if eps != "0"}
    if len(denominators) == 1 and (common := denominators.pop()):
        return [eps.partition("/")[0] for eps in grid], f"1/{common}"
    return grid, ""


def _largest(sets: list[list[tuple[Run, ...]]], measure: Callable[..., Interval]) -> list[Curve]:
    """Return the curve of the largest set of each kind; a set has a run, or a pair, per seed.

    `measure` takes whether images stand, (seeds, images) bool: of the run, or of both of the pair.
    """
    chosen = twins.largest(sets, lambda one: kind_name(one[0][0]), _rank)
    # Empty for networks that were not trained here.
    headers = {name: seeds[0][0].header for name, seeds in chosen.items()}
    trainings = {n: twins.trained_on(h) if h.train_examples else "" for n, h in headers.items()}
    several = len({*trainings.values()} - {""}) > 1
    found = []
    for name, seeds in chosen.items():
        first = seeds[0][0]
        columns = [[run.standing() for run in column] for column in zip(*seeds, strict=True)]
        shares = {
            eps: measure(*(np.stack([one[eps].to_numpy(bool) for one in each]) for each in columns))
            for eps in ("0", *first.eps)
        }
        training = trainings[name] if several else ""
        found.append(Curve(name, len(seeds), first.header.n, shares, training))
    return sorted(found, key=lambda curve: (ORDER.get(curve.name, len(ORDER)), curve.name))


def _share(kept: np.ndarray) -> Interval:
    if len(kept) == 1:
        return float(kept.mean()), *wilson(int(kept.sum()), kept.size)
    low, high = (float(np.clip(end, 0, 1)) for end in estimate(kept * 1.0).interval())
    return float(kept.mean()), low, high


def _difference(other: np.ndarray, learned: np.ndarray) -> Interval:
    if len(other) == 1:
        return paired_difference(learned[0], other[0])
    found = estimate(other.astype(float) - learned)
    return found.mean, *found.interval()


def _rank(seeds: list[tuple[Run, ...]]) -> tuple[bool, int, int]:
    return twins.rank(seeds[0][0].header, len(seeds))


def kind_name(run: Run) -> str:
    """Return what sets a run apart from its twins: its mixers, and adversarial training."""
    spatial, channel = run.header.spatial, run.header.channel
    name = str(spatial) if channel in ("learned", "external") else f"{spatial}, channel {channel}"
    return f"{name}, adversarial {run.header.adversarial}" if run.header.adversarial else name
