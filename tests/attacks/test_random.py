"""Random numbers that belong to an image, whatever batch it sits in."""

from __future__ import annotations

import torch

from robustbench_mix.attacks import random as draws


def test_draws_are_uniform_and_belong_to_the_image() -> None:
    """Means, variances and correlations of a uniform law; the same in any batch."""
    seeds = torch.arange(200)
    sample = draws.uniform(seeds, 3, 500)
    assert torch.equal(draws.uniform(seeds[[7, 3]], 3, 500), sample[[7, 3]])
    assert 0 <= sample.min() < 1e-4
    assert 1 - 1e-4 < sample.max() < 1
    assert abs(sample.mean() - 0.5) < 0.005
    assert abs(sample.var() - 1 / 12) < 0.002
    for other in (draws.uniform(seeds, 4, 500), draws.uniform(seeds + 1, 3, 500)):
        assert abs(torch.corrcoef(torch.stack([sample.flatten(), other.flatten()]))[0, 1]) < 0.01
    gauss = draws.normal(seeds, 0, 501)
    assert gauss.shape == (200, 501)
    assert abs(gauss.mean()) < 0.01
    assert abs(gauss.std() - 1) < 0.01
    assert set(draws.signs(seeds, 0, 9).unique().tolist()) == {-1, 1}
    assert not torch.equal(draws.derive(seeds, 1), draws.derive(seeds, 2))
