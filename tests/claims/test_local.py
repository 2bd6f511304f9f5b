"""Explanations from the probes."""

from __future__ import annotations

import pytest

from robustbench_mix.claims.explanations import local

pytestmark = pytest.mark.default


def test_a_heat_map_in_bands() -> None:
    """Each frequency counts in its ring."""
    import numpy as np

    heat_map = np.zeros((8, 5))
    heat_map[0, 0] = 1.0
    bands = local.heat_map_bands(heat_map)
    assert bands[0] == pytest.approx(1.0)
    assert bands[1:] == [0.0, 0.0, 0.0]
