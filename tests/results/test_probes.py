"""Records of probes and transfers: read as they were written, refused where they are damaged."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from measured import make_probe, make_transfer

from robustbench_mix.errors import RbmixError
from robustbench_mix.results import probes
from robustbench_mix.storage import parquet_table


def save(results: Path, one: probes.Probe | probes.Transfer, key: str = "k") -> Path:
    """Write records where they belong."""
    path = probes.path_for(results, one.header, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet_table.write(path, one.header, one.table, {})
    return path


def test_records_lie_by_data_set_under_their_words(tmp_path: Path) -> None:
    """Names are made safe, and the key tells apart what words do not."""
    one = make_probe(spatial="smoothed:2", channel="frozen", seed=3, dataset="a/b")
    path = probes.path_for(tmp_path, one.header, "key")
    assert path.name == "probe-resnet14-smoothed2-frozen-s3-key.parquet"
    assert path.parent.parent == tmp_path / "probes"
    assert "/" not in path.parent.name
    assert probes.path_for(tmp_path, one.header, "other") != path


def test_a_probe_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Header, columns, and infinite distances."""
    one = make_probe()
    read = probes.read_probe(save(tmp_path, one))
    assert read.header == one.header
    pd.testing.assert_frame_equal(read.table, one.table, check_like=True)
    assert math.isinf(read.table["distance"][2])
    assert read.matrix("real").tolist() == [[0.4, 0.3]] * 4


def test_a_transfer_is_read_as_it_was_written(tmp_path: Path) -> None:
    """The pictures are height x width x channels, of the images that have them."""
    one = make_transfer()
    read = probes.read_transfer(save(tmp_path, one))
    assert read.header == one.header
    assert read.matrix("pgd_first_second").shape == (4, 2)
    (picture,) = read.pixels("clean")
    assert picture.shape == (2, 3, 1)
    assert np.array_equal(picture[:, :, 0], np.arange(6).reshape(2, 3) / 8)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"distance": [0.1, -0.1, 0.1, 0.1]}, r"damaged \(distances\)"),
        ({"distance": [0.1, math.nan, 0.1, 0.1]}, "distance"),
        ({"margin": [0.5, math.inf, 1.0, 0.5]}, "margin is not finite"),
        ({"real": [[0.1]] * 4}, "real: a short list"),
        ({"image": [0, 0, 1, 2]}, "not one record for each image"),
        ({"correct": [1, 1, 1, 0]}, "correct is int64, not bool"),
    ],
)
def test_a_damaged_probe_is_named(tmp_path: Path, columns: dict, message: str) -> None:
    """With what is wrong with it."""
    path = save(tmp_path, make_probe(columns))
    with pytest.raises(RbmixError, match=message) as error:
        probes.read_probe(path)
    assert path.name in str(error.value)


PICTURE = np.zeros(6, np.float32)


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"clean": [PICTURE[:5].tobytes(), None, None, None]}, "clean"),
        ({"clean": [(PICTURE + np.nan).tobytes(), None, None, None]}, "clean"),
        ({"adversarial_first": [None] * 4}, "adversarial_first"),
        ({"adversarial_second": [PICTURE.tobytes()] * 2 + [None] * 2}, "adversarial_second"),
        ({"label": [2, None, None, None]}, "label"),
        ({"says_first_second": [None, 1, None, None]}, "says_first_second"),
    ],
)
def test_pictures_belong_together(tmp_path: Path, columns: dict, named: str) -> None:
    """A row has all of them or none, of the right size, with classes that there are."""
    path = save(tmp_path, make_transfer(columns))
    with pytest.raises(RbmixError, match=rf"damaged \(pictures: {named}\)"):
        probes.read_transfer(path)


def test_each_kind_is_found_by_its_name(tmp_path: Path) -> None:
    """In the order of the paths; an empty folder has none."""
    assert probes.read_probes(tmp_path) == probes.read_transfers(tmp_path) == []
    for seed in (1, 0):
        save(tmp_path, make_probe(seed=seed))
    save(tmp_path, make_transfer(seed=5))
    assert [one.header.seed for one in probes.read_probes(tmp_path)] == [0, 1]
    assert [one.header.seed for one in probes.read_transfers(tmp_path)] == [5]
    with pytest.raises(RbmixError, match="damaged"):
        probes.read_transfer(probes.path_for(tmp_path, make_probe().header, "k"))


def test_the_same_data_has_the_same_images(tmp_path: Path) -> None:
    """And heat maps of one size."""
    save(tmp_path, make_probe())
    path = save(tmp_path, make_probe({"image": [1, 2, 3, 4]}, seed=1))
    with pytest.raises(RbmixError, match=r"contradict .*s0-k\.parquet \(data d\)"):
        probes.read_probes(tmp_path)
    path.unlink()
    path = save(tmp_path, make_probe(seed=1, heat_map=[[0.5] * 5] * 8))
    with pytest.raises(RbmixError, match="contradict"):
        probes.read_probes(tmp_path)
    path.unlink()
    save(tmp_path, make_probe({"image": [1, 2, 3, 4]}, seed=1, data_hash="other"))
    assert len(probes.read_probes(tmp_path)) == 2
