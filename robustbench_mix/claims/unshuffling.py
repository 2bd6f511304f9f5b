"""Claim 5: networks with frozen spatial mixers un-shuffle pixels nearly as well."""

from __future__ import annotations

import numpy as np

from robustbench_mix.claims import paper
from robustbench_mix.claims.claim import Claim, Finding, is_not_below, with_verdict
from robustbench_mix.results import twins
from robustbench_mix.results.statistics import Difference, crossed_bootstrap
from robustbench_mix.results.unshuffling import Decoding

MARGIN = 2.0  # dB; the paper's own gaps are 0.3 to 2.2


def nearly_as_well(decodings: list[Decoding]) -> Claim:
    """PSNR of the frozen twin against the learned one, over seeds and images."""
    groups = twins.groups(decodings, "spatial", "seed")
    findings = []
    for key in sorted(groups, key=str):
        learned, frozen = (
            twins.by_seed(one for one in groups[key] if one.header.spatial == spatial)
            for spatial in ("learned", "frozen")
        )
        finding = _finding(learned, frozen)
        if finding is not None:
            findings.append(finding)
    claim = Claim(
        "5", "Random spatial mixers un-shuffle nearly as well",
        "A ConvMixer with frozen spatial mixers decodes pixel-shuffled images nearly as well as a "
        "learned one.",
        f"The 95 % interval of the difference in PSNR lies above -{MARGIN:.0f} dB (holds) or below "
        "(does not hold).",
        findings, unit="dB", margin=MARGIN,
    )  # fmt: skip
    return with_verdict(claim, is_not_below(MARGIN))


def _finding(learned: dict[int, Decoding], frozen: dict[int, Decoding]) -> Finding | None:
    seeds = sorted(learned.keys() & frozen.keys())
    if not seeds:
        return None
    h = learned[seeds[0]].header
    sides = [np.stack([side[seed].psnr for seed in seeds]) for side in (learned, frozen)]
    gain = sides[1] - sides[0]
    low, high = crossed_bootstrap(gain)
    by_seed = gain.mean(1)
    ours, theirs = (
        paper.psnr(h.dataset, h.depth, h.width, h.kernel, name) for name in ("frozen", "learned")
    )
    return Finding(
        where={
            "model": h.model,
            "trained on": f"{h.train_examples:,} x {h.epochs}",
        },
        first=float(sides[0].mean()),
        second=float(sides[1].mean()),
        difference=Difference(float(gain.mean()), low, high, 1.0, *gain.shape),
        discordant=0.0,
        spread=float(by_seed.std(ddof=1)) if len(seeds) > 1 else 0.0,
        paper=None if ours is None or theirs is None else ours - theirs,
    )  # fmt: skip
