"""Runs of twins whose robust accuracies are planted."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def planted(make_run):
    """A function: runs of twins over seeds whose robust accuracies are given per epsilon."""

    def make(shares, seeds=6, n=400, protocol="pgd", **header):
        """`shares` maps a spatial mode to (clean, first, second epsilon), as shares kept."""
        runs = []
        for seed in range(seeds):
            # The same images are hard for everybody; a little luck for each network.
            hard = np.random.default_rng(7).random(n)
            for spatial, (clean, first, second) in shares.items():
                luck = np.random.default_rng([seed, len(spatial)]).normal(0, 0.01, n)
                place = hard + luck
                levels = [int(p < first) + int(p < second) for p in place]
                correct = [bool(p < clean) for p in place]
                levels = [level if c else 2 for level, c in zip(levels, correct, strict=True)]
                runs.append(
                    make_run(
                        levels, correct, spatial=spatial, seed=seed, protocol=protocol, **header
                    )
                )
        return runs

    return make
