"""Claim 5: the PSNR of un-shuffled images."""

from __future__ import annotations

import pytest

from robustbench_mix.claims import unshuffling
from robustbench_mix.claims.claim import FAILS, HOLDS, OPEN
from robustbench_mix.results.unshuffling import Decoding


def test_un_shuffling_within_two_decibels_holds(make_decoding) -> None:
    """The paper's figure for this network is -0.70 dB."""

    def twins(gap: float, seeds: int = 6) -> list[Decoding]:
        return [
            make_decoding(spatial, seed, 18 - gap * (spatial == "frozen"))
            for seed in range(seeds)
            for spatial in ("learned", "frozen")
        ]

    claim = unshuffling.nearly_as_well(twins(1.0))
    assert claim.verdict == HOLDS
    assert claim.findings[0].paper == pytest.approx(17.02 - 17.72)
    assert unshuffling.nearly_as_well(twins(4.0)).verdict == FAILS
    assert unshuffling.nearly_as_well(twins(1.0, seeds=5)).verdict == OPEN
