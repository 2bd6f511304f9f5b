"""Explanations from the curves: weak attacks or strong models, controls, and capacity."""

from __future__ import annotations

import numpy as np

from robustbench_mix.claims.accuracy import CHANS, FULL
from robustbench_mix.claims.attacks import NAMES
from robustbench_mix.claims.explanations.table import Explanation, percent, points
from robustbench_mix.claims.pairs import (
    MULTIPLIER,
    Pair,
    clean_pairs,
    depth_multiplier,
    kind_of,
    pairs,
)
from robustbench_mix.results import twins
from robustbench_mix.results.records import Run

ATTACKS = tuple(NAMES)
MIXERS = ("spatial", "channel")
ALIKE = 0.02  # clean accuracy by which matched networks may differ


def strength(runs: list[Run]) -> Explanation:
    """Compare the gap under FGSM with the gap under stronger attacks."""
    rows = []
    for (dataset, model), by_attack in sorted(_attacked(runs).items()):
        grids = [set(pair.first) for pair in by_attack.values()]
        grid = [eps for eps in next(iter(by_attack.values())).first if eps != "0"]
        for eps in (eps for eps in grid if all(eps in g for g in grids)):
            cells = [
                points(by_attack[name].gain(eps)) if name in by_attack else "-" for name in ATTACKS
            ]
            fooled = [
                percent(by_attack["fgsm"].first[eps]) + " / " + percent(by_attack[name].first[eps])
                if {"fgsm", name} <= by_attack.keys()
                else "-"
                for name in ATTACKS[1:]
            ]
            rows.append([dataset, model, eps, *cells, *fooled])
    return Explanation(
        "strength", "A stronger model or a weaker attack?",
        "Shows the gain of the frozen twin in points under each attack, over the same kind of "
        "networks: what is there under FGSM and gone under AutoAttack was the attack's weakness.",
        "It cannot show why FGSM is weaker on one twin; the next two tables look for that.",
        ["data", "model", "eps", *(f"frozen - learned, {name}" for name in ATTACKS),
         "learned, % standing: FGSM / PGD", "FGSM / AutoAttack"],
        rows,
    )  # fmt: skip


def controls(runs: list[Run]) -> Explanation:
    """Compare the frozen network with a learned one of equal accuracy and with trained BN alone."""
    against: dict[tuple[str, ...], list[tuple[Run, Run]]] = {}
    for protocol in ATTACKS:
        chosen = [r for r in runs if r.header.protocol == protocol and _plain(r)]
        for frozen in (r for r in chosen if kind_of(r) == CHANS):
            h = frozen.header
            where = (h.dataset, h.model, twins.trained_on(h), protocol, h.data_hash)
            others = {
                "accuracy-matched": _matched(frozen, chosen),
                "norms alone trained": _same(frozen, chosen, ("frozen", "frozen")),
            }
            for name, other in others.items():
                if other is not None:
                    against.setdefault((*where, name), []).append((frozen, other))
    rows = []
    for (dataset, model, trained, protocol, _, name), matched in against.items():
        mine, theirs = ([run.standing() for run in column] for column in zip(*matched, strict=True))
        gains = [
            points(np.stack([a[e].to_numpy(int) - b[e].to_numpy(int) for a, b in
                             zip(mine, theirs, strict=True)]))
            for e in mine[0]
        ]  # fmt: skip
        which = {f"{o.header.model}, {twins.trained_on(o.header)}" for _, o in matched}
        clean = " / ".join(
            percent(np.stack([table["0"].to_numpy() for table in side])) for side in (mine, theirs)
        )
        size = f"{len(matched)} x {len(mine[0])}"
        cells = [size, name, "; ".join(sorted(which)), clean, gains[0], "; ".join(gains[1:])]
        rows.append([dataset, model, trained, protocol, *cells, ", ".join(mine[0].columns[1:])])
    return Explanation(
        "controls", "Against controls",
        "Shows the frozen network minus a learned one whose clean accuracy is nearest to its own, "
        "and minus one that trains its norms and head alone: robustness that is only lower "
        "accuracy, or only the norms' doing, leaves no gain here.",
        "It cannot match more than the clean accuracy; the matched network differs in width or "
        "training too.",
        ["data", "model", "trained on", "attack", "seeds x images", "control", "which",
         "clean, %: frozen / control", "clean, pp", "robust, pp", "eps"],
        rows,
    )  # fmt: skip


def capacity(runs: list[Run]) -> Explanation:
    """Show the gap by depth multiplier."""
    rows = []
    attacked = _attacked(runs)
    for pair in clean_pairs(runs, FULL, CHANS):
        h = pair.header
        named = depth_multiplier(h.model)
        if named is None:
            continue
        cells = {
            name: "; ".join(points(p.gain(e)) for e in p.first if e != "0")
            for name, p in attacked.get((h.dataset, h.model), {}).items()
        }
        family, depth = named
        rows.append(
            [h.dataset, family, str(depth), twins.trained_on(h), f"{len(pair.seeds)} x {h.n}",
             points(pair.gain("0")), *(cells.get(name, "-") for name in ATTACKS)]
        )  # fmt: skip
    rows.sort(key=lambda row: (row[0], row[1], int(row[2])))
    several = {tuple(row[:2]) for row in rows if row[2] != str(MULTIPLIER)}
    return Explanation(
        "capacity", "Capacity: the depth multiplier",
        "Shows frozen minus learned, in points, as the depth multiplier d grows: from d = 9 on, "
        "the number of taps of a 3 x 3 kernel, random filters span every kernel, and the frozen "
        "network can compute all that the learned one can.",
        "It cannot tell a smaller function class from harder training below d = 9: both change.",
        ["data", "model", "d", "trained on", "seeds x images", "clean",
         *(f"{name}, each eps" for name in ATTACKS)],
        [row for row in rows if tuple(row[:2]) in several],
    )  # fmt: skip


def _attacked(runs: list[Run]) -> dict[tuple[str, str], dict[str, Pair]]:
    """Return learned and frozen twins by data set and model, then by attack, on the same images.

    The images are those of the most attacks; of several such sets, the largest.
    """
    subsets: dict[str, list[Run]] = {}
    for run in runs:
        if run.header.protocol in ATTACKS:
            subsets.setdefault(run.header.data_hash, []).append(run)
    sets: list[dict[str, Pair]] = []
    for subset in subsets.values():
        by_model: dict[tuple[str, str], dict[str, Pair]] = {}
        for pair in pairs(subset, FULL, CHANS):
            by_model.setdefault(_model(pair), {})[pair.header.protocol] = pair
        sets += by_model.values()
    return twins.largest(sets, lambda by_attack: _model(next(iter(by_attack.values()))), _size)


def _model(pair: Pair) -> tuple[str, str]:
    return pair.header.dataset, pair.header.model


def _size(by_attack: dict[str, Pair]) -> tuple[int, tuple[bool, int], int]:
    sizes = [pair.size for pair in by_attack.values()]
    return len(by_attack), max(size[:2] for size in sizes), sum(size[-1] for size in sizes)


def _plain(run: Run) -> bool:
    return not run.header.adversarial and run.backend == "fast"


def _same(run: Run, runs: list[Run], kind: tuple[str, str]) -> Run | None:
    """Return the run of another kind of mixers under the same conditions."""
    others = (other for other in runs if kind_of(other) == kind)
    same = (o for o in others if twins.are_same(o.header, run.header, *MIXERS, "device"))
    return next(same, None)


def _matched(run: Run, runs: list[Run]) -> Run | None:
    """Return the learned network of other name or training with about the same clean accuracy."""
    but = (*MIXERS, "model", "train_examples", "epochs", "device")
    twin = _same(run, runs, FULL)
    others = [
        other
        for other in runs
        if kind_of(other) == FULL
        and other is not twin
        and other.header.model.split("_")[0] == run.header.model.split("_")[0]
        and depth_multiplier(other.header.model) == depth_multiplier(run.header.model)
        and twins.are_same(other.header, run.header, *but)
    ]
    target = float(run.table["correct"].mean())

    def apart(other: Run) -> float:
        return abs(float(other.table["correct"].mean()) - target)

    nearest = min(others, key=apart, default=None)
    return None if nearest is None or apart(nearest) > ALIKE else nearest
