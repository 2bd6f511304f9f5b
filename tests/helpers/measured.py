"""Probes, transfers and un-shufflings of four images, made by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from robustbench_mix.results import probes, unshuffling
from robustbench_mix.results.headers import ProbeHeader, TransferHeader, UnshufflingHeader
from robustbench_mix.results.probes import Probe, Transfer
from robustbench_mix.results.unshuffling import Decoding
from robustbench_mix.storage import validation

GRID = ["1/255", "2/255"]
SPECTRUM = [0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05]
NETWORK = {
    "model": "resnet14", "spatial": "learned", "channel": "learned", "seed": 0,
    "dataset": "digits", "data_hash": "d", "train_examples": 100, "epochs": 3, "device": "cpu",
    "n": 4,
}  # fmt: skip


def make_probe(columns: dict[str, list] | None = None, **header: object) -> Probe:
    """A probe of four images, the last of which is misclassified."""
    words = {
        **NETWORK, "kind": "probe", "eps": GRID, "filters": SPECTRUM, "composed": SPECTRUM,
        "perturbation": SPECTRUM, "heat_map": [[0.5] * 3] * 4, "heat_map_n": 4, "wave_norm": 0.5,
    }  # fmt: skip
    table = {
        "image": [0, 10, 20, 30], "correct": [True, True, True, False],
        "margin": [0.5, 0.25, 1.0, -0.5], "grad_l1": [1.0] * 4, "grad_l2": [0.5] * 4,
        "distance": [0.001, 0.002, math.inf, 0.0], "real": [[0.4, 0.3]] * 4,
        "predicted": [[0.3, 0.2]] * 4, **(columns or {}),
    }  # fmt: skip
    typed = validation.decode({**words, **header}, ProbeHeader, "a probe made by hand is wrong")
    return Probe(typed, pd.DataFrame(table))


def make_transfer(columns: dict[str, list] | None = None, **header: object) -> Transfer:
    """A transfer of four images of 1 x 2 x 3 pixels, the first of which has pictures."""
    words = {
        **NETWORK, "spatial": "frozen", "kind": "transfer", "eps": GRID, "classes": ["a", "b"],
        "shape": [1, 2, 3],
    }  # fmt: skip
    picture = (np.arange(6, dtype=np.float32) / 8).tobytes()
    examples = [name for name, kind in probes.TRANSFER_COLUMNS.items() if kind == "[bool]"]
    pictures = {
        name: [picture if name in probes.PIXELS else 1, None, None, None]
        for name in probes.PICTURES
    }
    table = {
        "image": [0, 10, 20, 30], "first": [True, True, True, False], "second": [True] * 4,
        **{name: [[False, True]] * 4 for name in examples}, **pictures, **(columns or {}),
    }  # fmt: skip
    typed = validation.decode(
        {**words, **header}, TransferHeader, "a transfer made by hand is wrong"
    )
    return Transfer(typed, pd.DataFrame(table))


def make_unshuffling(columns: dict[str, list] | None = None, **header: object) -> Decoding:
    """An un-shuffling of four grey images of 2 x 3 pixels, the first two of which are kept."""
    words = {
        **NETWORK, "model": "convmixer4_1_k3_p1", "width": 4, "depth": 1, "kernel": 3, "patch": 1,
        "reach": 1, "image": [1, 2, 3],
    }  # fmt: skip
    table = {
        "image": [0, 10, 20, 30], "mse": [0.1, 0.01, 0.001, 0.0],
        **{
            name: [bytes(range(at, at + 6)), bytes(6), None, None]
            for at, name in enumerate(unshuffling.PICTURES)
        }, **(columns or {}),
    }  # fmt: skip
    typed = validation.decode(
        {**words, **header}, UnshufflingHeader, "an un-shuffling made by hand is wrong"
    )
    return Decoding(typed, pd.DataFrame(table))
