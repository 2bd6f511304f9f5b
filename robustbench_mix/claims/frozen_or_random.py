"""Claims 3d and 3e: whether freezing the spatial mixers matters, or their randomness.

Both claims use networks whose filters are fixed, but not independent random draws. They stand
between the learned network and the frozen one.
"""

from __future__ import annotations

from collections.abc import Callable

from robustbench_mix.claims.accuracy import CHANS, FULL
from robustbench_mix.claims.claim import Claim, Finding, judge
from robustbench_mix.claims.pairs import Kind, describe_pair, pairs
from robustbench_mix.config.model import STATIC
from robustbench_mix.results.records import Run

TEST = (
    "As claim 3, for each kind of static filters, under every attack, Holm-corrected over all of "
    "them."
)


def freezing_gains(runs: list[Run]) -> Claim:
    """Test whether any fixed filters make a network more robust than learned ones."""
    claim = Claim(
        "3d", "Freezing alone makes more robust",
        "A network with static filters that are not random draws is more robust than its learned "
        "twin: then it is the freezing that matters.",
        TEST, _findings(runs, lambda static: (FULL, static)), sides=("learned", "static"),
    )  # fmt: skip
    return judge(claim)


def randomness_gains(runs: list[Run]) -> Claim:
    """Test whether random filters make a network more robust than other fixed ones."""
    claim = Claim(
        "3e", "Random filters are more robust than other static ones",
        "A network with random spatial mixers is more robust than one whose static filters are not "
        "random draws: then it is the randomness that matters.",
        TEST, _findings(runs, lambda static: (static, CHANS)), sides=("static", "frozen"),
    )  # fmt: skip
    return judge(claim)


def _findings(runs: list[Run], sides: Callable[[Kind], tuple[Kind, Kind]]) -> list[Finding]:
    """Return the difference at each epsilon for each static mode and attack."""
    return [
        pair.finding(eps, None, {**describe_pair(pair, protocol=True), "filters": mode, "eps": eps})
        for mode in STATIC
        for pair in pairs(runs, *sides((mode, "learned")))
        for eps in pair.first
        if eps != "0"
    ]
