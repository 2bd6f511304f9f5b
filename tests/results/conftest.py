"""Runs and entries that several files of tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from entries import FULL
from kept import HEADER, kept_of

from robustbench_mix.results import records
from robustbench_mix.results.regression import baselines


@pytest.fixture
def run(make_run):
    """Twenty images: one wrong, and of the rest as many fall at each epsilon as stand."""
    correct = [False] + [True] * 19
    return make_run([2] + [0, 1, 2] * 6 + [2], correct, **HEADER)


@pytest.fixture
def path(run, tmp_path: Path) -> Path:
    """Its baseline on disk."""
    path = tmp_path / "kept.csv"
    baselines.write(kept_of(run), path)
    return path


@pytest.fixture
def results(tmp_path: Path, make_run) -> Path:
    """A pair, a stray twin of another seed, and an external model."""
    runs = {
        "learned": make_run([0, 0, 1, 2, 2, 2, 2, 2]),
        "frozen": make_run([0, 1, 2, 2, 2, 2, 2, 2], spatial="frozen"),
        "stray": make_run([2] * 8, spatial="frozen", seed=1),
        "own": make_run(
            [1] * 8,
            model="my.net:make",
            spatial="external",
            channel="external",
            train_examples=None,
            epochs=None,
        ),
    }
    for name, run in runs.items():
        records.write(run, tmp_path / "runs" / "digits" / f"{name}.parquet")
    return tmp_path


@pytest.fixture
def save(make_run, tmp_path: Path):
    """A function that writes a run of 20 images on cifar10 under AutoAttack and gives its path."""

    def save(folder: Path = tmp_path / "results", key: str = "k", **header) -> Path:
        levels = [0] * 5 + [1] * 7 + [2] * 8
        run = make_run(levels, **{"dataset": "cifar10", **FULL, **header})
        path = records.run_path(folder, run.header, key)
        records.write(run, path)
        return path

    return save
