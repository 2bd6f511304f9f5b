"""Explanation of clean accuracy: every kind of static filters, beside the paper's order."""

from __future__ import annotations

from robustbench_mix.claims import paper
from robustbench_mix.claims.accuracy import CHANS
from robustbench_mix.claims.explanations.table import Explanation, percent, points
from robustbench_mix.claims.pairs import Pair, clean_pairs
from robustbench_mix.config.model import STATIC
from robustbench_mix.results import twins
from robustbench_mix.results.records import Run

SAME = ("same", "single", "repeated")  # possible meanings of the paper's "Same"


def static_filters(runs: list[Run]) -> Explanation:
    """Compare each kind of static filters with different random ones."""
    rows = []
    for mode in STATIC:
        for pair in clean_pairs(runs, CHANS, (mode, "learned")):
            h = pair.header
            rows.append(
                [h.dataset, h.model, twins.trained_on(h), mode, f"{len(pair.seeds)} x {h.n}",
                 percent(pair.first["0"]), percent(pair.second["0"]), points(pair.gain("0")),
                 _papers(pair, mode)]
            )  # fmt: skip
    return Explanation(
        "static", "Static filters, and what Same may mean",
        "Shows the clean accuracy of each kind of static filters minus that of different random "
        "filters. The paper loses 17 points with one set for all channels. Nine generic filters "
        "span every 3 x 3 kernel, so `same` need not lose; `single` (one filter in all) and "
        "`repeated` (one filter for each channel) are readings under which a loss is expected.",
        "It cannot show which reading the paper means: that is not stated there.",
        ["data", "model", "trained on", "filters", "seeds x images", "different, %", "static, %",
         "difference", "paper"],
        sorted(rows, key=lambda row: row[:3]),
    )  # fmt: skip


def _papers(pair: Pair, mode: str) -> str:
    """Return the paper's difference for filters of this name, or for its Same, in points."""
    dataset = pair.header.dataset
    theirs = paper.static(dataset, "same" if mode in SAME else mode)
    different = paper.static(dataset, "frozen")
    if theirs is None or different is None or pair.header.model != "resnet14":
        return ""
    return f"{100 * (theirs - different):+.1f}"
