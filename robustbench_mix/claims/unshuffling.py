"""Claim 5: networks with frozen spatial mixers un-shuffle pixels nearly as well."""

from __future__ import annotations

import numpy as np

from robustbench_mix.claims import paper
from robustbench_mix.claims.claim import Claim, Finding, compare, judge
from robustbench_mix.results import twins
from robustbench_mix.results.unshuffling import Decoding

MARGIN = 2.0  # dB; the paper's own gaps are 0.3 to 2.2


def nearly_as_well(decodings: list[Decoding]) -> Claim:
    """Test the claim that frozen networks un-shuffle nearly as well, in PSNR."""
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
        f"Non-inferiority of the PSNR with a margin of {MARGIN:.0f} dB, one-sided at 2.5 %, "
        "Holm-corrected. It does not hold where a larger loss is shown in the same way.",
        findings, unit="dB", margin=MARGIN, is_bound=True,
    )  # fmt: skip
    return judge(claim)


def _finding(learned: dict[int, Decoding], frozen: dict[int, Decoding]) -> Finding | None:
    seeds = sorted(learned.keys() & frozen.keys())
    if not seeds:
        return None
    h = learned[seeds[0]].header
    first, second = (np.stack([side[seed].psnr for seed in seeds]) for side in (learned, frozen))
    ours, theirs = (
        paper.psnr(h.dataset, h.depth, h.width, h.kernel, name) for name in ("frozen", "learned")
    )
    return compare(
        first, second, None if ours is None or theirs is None else ours - theirs,
        {"model": h.model, "trained on": f"{h.train_examples:,} x {h.epochs}"},
    )  # fmt: skip
