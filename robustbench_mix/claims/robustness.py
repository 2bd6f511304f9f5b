"""Claims 3 and 4: adversarial robustness, of random filters and of smoothed ones."""

from __future__ import annotations

import re

from robustbench_mix.claims import paper
from robustbench_mix.claims.accuracy import CHANS, FULL
from robustbench_mix.claims.attacks import NAMES, NUMBERS
from robustbench_mix.claims.claim import Claim, Finding, judge
from robustbench_mix.claims.pairs import Pair, clean_pairs, describe_pair, pairs
from robustbench_mix.results.records import Run

COST = 0.01  # clean accuracy that smoothing may lose; the paper's loss is 0.3 points


def more_robust(runs: list[Run], attack: str) -> Claim:
    """Test the claim that frozen networks are more robust than learned ones under an attack."""
    name = NAMES[attack] + (", the paper's attack" if attack == "fgsm" else "")
    findings = []
    for pair in pairs(runs, FULL, CHANS):
        if pair.header.protocol != attack:
            continue
        for eps in list(pair.first)[1:]:
            gap = _paper_gap(pair, eps) if attack == "fgsm" else None
            findings.append(pair.finding(eps, gap, {**describe_pair(pair), "eps": eps}))
    claim = Claim(
        NUMBERS[attack], f"Random spatial mixers are more robust: {name}",
        "Within each epsilon, a network with frozen spatial mixers keeps more images than its "
        "learned twin.",
        "At each epsilon: t test over seeds, Holm-corrected over all epsilons, and a 95 % interval "
        "above 0. It does not hold where a gain of 1 point is ruled out.",
        findings,
    )  # fmt: skip
    return judge(claim)


def smoothing_gains(runs: list[Run]) -> Claim:
    """Test the claim that low-passed random filters gain robustness."""
    claim = Claim(
        "4a", "Smoothing random filters gains robustness",
        "Low-passed random filters make a network more robust than random filters as drawn.",
        "As claim 3, against the frozen twin, under every attack.",
        _smoothing(runs, clean=False), sides=("frozen", "smoothed"),
    )  # fmt: skip
    return judge(claim)


def smoothing_is_free(runs: list[Run]) -> Claim:
    """Test the claim that low-passing random filters costs no clean accuracy."""
    claim = Claim(
        "4b", "Smoothing costs no clean accuracy",
        "Low-passing the random filters costs no clean accuracy.",
        f"Non-inferiority to the frozen twin with a margin of {100 * COST:.0f} point, one-sided at "
        "2.5 %, Holm-corrected. It does not hold where a larger loss is shown in the same way.",
        _smoothing(runs, clean=True), sides=("frozen", "smoothed"), margin=COST, is_bound=True,
    )  # fmt: skip
    return judge(claim)


def _smoothing(runs: list[Run], *, clean: bool) -> list[Finding]:
    modes = sorted({r.header.spatial for r in runs if r.header.spatial.startswith("smooth")})
    findings = []
    for mode in modes:
        twins = (clean_pairs if clean else pairs)(runs, CHANS, (mode, "learned"))
        for pair in twins:
            grid = ["0"] if clean else list(pair.first)[1:]
            for eps in grid:
                where = {**describe_pair(pair, protocol=not clean), "filters": mode}
                where |= {} if clean else {"eps": eps}
                findings.append(pair.finding(eps, _smoothing_gap(pair, mode, eps), where))
    return findings


def _smoothing_gap(pair: Pair, mode: str, eps: str) -> float | None:
    """Return the paper's relative change as a share of this network's accuracy, for FGSM only."""
    match = re.fullmatch(r"smoothed:(\d+)(:rescaled)?", mode)
    wanted = pair.header.protocol == "fgsm" or eps == "0"
    if not match or not wanted or not pair.header.model.startswith("convmixer"):
        return None
    change = paper.smoothing(int(match[1]), eps)
    return None if change is None else change * float(pair.first[eps].mean())


def _paper_gap(pair: Pair, eps: str) -> float | None:
    h = pair.header
    ours, theirs = (paper.fgsm(h.model, h.dataset, eps, *side) for side in (CHANS, FULL))
    return None if ours is None or theirs is None else ours - theirs
