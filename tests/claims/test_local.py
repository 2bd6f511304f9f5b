"""Explanations from the probes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from measured import make_probe, make_transfer

from robustbench_mix.claims.explanations import local


def test_a_heat_map_in_bands() -> None:
    """Each frequency counts in its ring."""
    heat_map = np.zeros((8, 5))
    heat_map[0, 0] = 1.0
    bands = local.heat_map_bands(heat_map)
    assert bands[0] == pytest.approx(1.0)
    assert bands[1:] == [0.0, 0.0, 0.0]


def test_a_ring_without_a_frequency_has_no_mean() -> None:
    """A heat map of one frequency fills the highest ring or the lowest alone."""
    assert local.heat_map_bands(np.ones((1, 1)), bands=2)[0] == 1.0
    assert math.isnan(local.heat_map_bands(np.ones((1, 1)), bands=2)[1])


def test_pairs_are_of_the_same_seed_and_training() -> None:
    """A learned network and each other kind of mixers."""
    probes = [make_probe(spatial=s, seed=seed) for seed in (0, 1) for s in ("learned", "frozen")]
    probes += [make_probe(spatial="box", seed=1), make_probe(spatial="same", seed=2)]
    probes += [make_probe(spatial="identity", epochs=9)]
    found = local.pairs_of(probes)
    assert {key[2]: len(pairs) for key, pairs in found.items()} == {"box": 1, "frozen": 2}
    for learned, other in found["digits", "resnet14", "frozen"]:
        assert (learned.header.spatial, other.header.spatial) == ("learned", "frozen")
        assert learned.header.seed == other.header.seed


def test_trainings_are_not_mixed() -> None:
    """The longest one is taken, unless only a shorter one has enough seeds for an answer."""
    sides = "learned", "frozen"
    long = [make_probe(spatial=s, seed=seed, epochs=9) for seed in (0, 1) for s in sides]
    short = [make_probe(spatial=s, seed=seed) for seed in range(5) for s in sides]
    (pairs,) = local.pairs_of([*short, *long]).values()
    assert [learned.header.epochs for learned, _ in pairs] == [9, 9]
    short += [make_probe(spatial=s, seed=5) for s in sides]
    (pairs,) = local.pairs_of([*short, *long]).values()
    assert len(pairs) == 6
    moved = [make_transfer(seed=seed, epochs=epochs) for seed, epochs in ((0, 9), (1, 9), (0, 3))]
    assert {row[5] for row in local.transfers(moved).rows} == {"2"}


def test_linearity_is_the_share_of_the_fall_that_happens() -> None:
    """Over the images that are classified correctly, at each epsilon."""
    half = {
        "margin": [1.0, 1.0, 1.0, -9.0],
        "real": [[0.9, 0.5]] * 3 + [[7.0, 7.0]],
        "predicted": [[0.8, 0.0]] * 3 + [[-7.0, -7.0]],
    }
    whole = {**half, "real": half["predicted"]}
    found = local.linearity([make_probe(half), make_probe(whole, spatial="frozen")])
    assert [row[3:] for row in found.rows] == [
        ["1/255", "1", "0.50", "1.00", "+0.50"],
        ["2/255", "1", "0.50", "1.00", "+0.50"],
    ]
    assert local.linearity([make_probe()]).rows == []


def test_distances_are_over_images_that_both_classify() -> None:
    """And for which a perturbation was found; the unit is a grey level of 255."""
    other = {"correct": [True, False, True, True], "distance": [0.003, 0.1, 0.1, 0.1]}
    found = local.distances([make_probe(), make_probe(other, spatial="frozen")])
    rows = {row[3]: row[5:] for row in found.rows}
    # Of the images 0 and 2 the learned network withstands one at every distance.
    assert rows["smallest found (FMN)"][:3] == ["1 x 1", "0.255", "0.765"]
    assert rows["smallest found (FMN)"][3].startswith("+0.51 ")
    assert rows["margin"][:3] == ["1 x 2", "0.75", "0.75"]
    assert rows["margin / gradient"][1] == f"{255 * 0.75:.3g}"


def test_transfers_are_in_per_cent_of_what_both_classify() -> None:
    """Made on one and judged by the other, at each epsilon."""
    fooled = {"pgd_second_first": [[True, True], [False, True], [False, True], [True, True]]}
    found = local.transfers([make_transfer(fooled), make_transfer(adversarial="8/255")])
    assert [row[3:5] for row in found.rows] == [
        ["fgsm", "1/255"], ["fgsm", "2/255"], ["pgd", "1/255"], ["pgd", "2/255"],
    ]  # fmt: skip
    assert found.rows[2][5:] == ["1", "0.0", "0.0", "33.3", "0.0"]
    assert found.rows[3][5:] == ["1", "100.0", "100.0", "100.0", "100.0"]


def test_frequencies_leave_out_what_was_not_measured() -> None:
    """The learned network has one row of each kind, however many twins it has."""
    probes = [make_probe(composed=[], spatial=s) for s in ("learned", "frozen", "box")]
    found = local.frequencies(probes)
    assert [row[2:4] for row in found.rows] == [
        [side, what]
        for side in ("learned", "box", "frozen")
        for what in ("filters", "perturbation")
    ]
    assert found.rows[0][5:] == ["30.0", "20.0", "10.0", "10.0", "10.0", "10.0", "5.0", "5.0"]
    assert len(local.frequencies([]).columns) == 13


def test_waves_are_means_of_seeds() -> None:
    """In per cent, with the images and the norm that they were measured with."""
    probes = [
        make_probe(spatial=s, seed=seed, heat_map=[[0.25 + seed / 2] * 3] * 4)
        for seed in (0, 1)
        for s in ("learned", "frozen")
    ]
    (learned, frozen) = local.waves(probes).rows
    assert learned[2:6] == ["learned", "2", "4", "0.50"]
    assert {float(cell) for cell in learned[6:] if cell != "nan"} == {50.0}
    assert frozen[2] == "frozen"
