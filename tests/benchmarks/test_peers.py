"""Attacks of other libraries."""

from __future__ import annotations

import pytest

from robustbench_mix.benchmarks import peers


@pytest.mark.default
def test_the_peers_attack(linear_case) -> None:
    """Each peer that is here gives a falling curve on a model with known distances."""
    model, split = linear_case(10)
    x, y = split.pixels(), split.labels
    distances = model.distances(x, y, "linf")
    grid = [1e-6, 0.05]
    there = [name for name in peers.PGD if peers.is_usable(name)]
    assert "foolbox" in there
    for name in there:
        counts = peers.PGD[name](peers.with_pass_counter(model), x, y, grid, 20, 0.1)
        assert counts[0] == len(x)
        assert counts[1] >= int((distances > 0.05).sum())
        assert counts[1] < len(x)
    assert peers.pyautoattack_curve(peers.with_pass_counter(model), x, y, [1e-6]) == [len(x)]
