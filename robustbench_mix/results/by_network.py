"""Summarise runs by network and attack, over their seeds: what a sweep shows at its end."""

from __future__ import annotations

from typing import Any

import numpy as np

from robustbench_mix.results import twins
from robustbench_mix.results.records import Run


def rows(runs: list[Run]) -> list[dict[str, Any]]:
    """Return one row for each network under each attack, the members of a pair side by side.

    Args:
        runs: The runs.

    Returns:
        Rows with `network`, `attack`, `seeds`, `n`, and `accuracy`: the mean over the seeds, as a
        share, for '0' and each epsilon.
    """
    found = []
    for group in twins.groups(runs, "seed").values():
        h = group[0].header
        words = f"{h.model}, spatial {h.spatial}, channel {h.channel}, {h.dataset}"
        standing = [run.standing() for run in group]
        found.append(
            {
                "network": words + (", adversarial" if h.adversarial else ""),
                "attack": h.protocol,
                "seeds": len({run.header.seed for run in group}),
                "n": h.n,
                "accuracy": {
                    eps: float(np.mean([table[eps].mean() for table in standing]))
                    for eps in standing[0]
                },
            }
        )
    return sorted(found, key=lambda row: (row["attack"], row["network"]))
