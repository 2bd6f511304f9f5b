"""Records with planted effects, shared by the tests of the claims."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from robustbench_mix.results import records
from robustbench_mix.results import unshuffling as decodings
from robustbench_mix.results.headers import UnshufflingHeader
from robustbench_mix.results.unshuffling import Decoding
from robustbench_mix.storage import parquet_table


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


def _decoding(spatial: str, seed: int, psnr: float, n: int = 60) -> Decoding:
    """A record of un-shuffling whose images all come out about as well."""
    noise = np.random.default_rng([seed, len(spatial)]).normal(0, 0.3, n)
    header = UnshufflingHeader(
        model="convmixer128_4_k5_p1", channel="learned", seed=seed, dataset="cifar10",
        data_hash="d", train_examples=9, epochs=2, device="cpu", spatial=spatial,
        depth=4, width=128, kernel=5, patch=1, reach=8, n=n, image=[1, 1, 1],
    )  # fmt: skip
    empty = dict.fromkeys(decodings.PICTURES, [None] * n)
    mse = 10 ** (-(psnr + noise) / 10)
    return Decoding(header, pd.DataFrame({"image": range(n), "mse": mse, **empty}))


@pytest.fixture
def make_decoding():
    """The function that makes a record of un-shuffling by hand."""
    return _decoding


@pytest.fixture
def results(planted, make_decoding, tmp_path: Path) -> Path:
    """A results folder with records of two data sets and one pair of un-shufflers."""
    folder = tmp_path / "results"
    shares = {"learned": (0.9, 0.6, 0.3), "frozen": (0.9, 0.65, 0.35)}
    for dataset in ("cifar10-jpeg", "digits"):
        for run in planted(shares, dataset=dataset, n=200):
            key = f"{run.header.spatial}{run.header.seed}"
            records.write(run, records.run_path(folder, run.header, key))
    for spatial in ("learned", "frozen"):
        one = make_decoding(spatial, 0, 18)
        path = decodings.path_for(folder, "cifar10", one.header.model, spatial, 0, "k")
        parquet_table.write(path, one.header, one.table, {})
    return folder
