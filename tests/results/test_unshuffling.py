"""Records of un-shuffling: read as they were written, refused where they are damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from measured import make_unshuffling

from robustbench_mix.errors import RbmixError
from robustbench_mix.results import unshuffling
from robustbench_mix.results.unshuffling import Decoding
from robustbench_mix.storage import parquet_table


def save(results: Path, one: Decoding, key: str = "k") -> Path:
    """Write records where they belong."""
    h = one.header
    path = unshuffling.path_for(results, h.dataset, h.model, h.spatial, h.seed, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet_table.write(path, one.header, one.table, {})
    return path


def test_psnr_is_in_decibels() -> None:
    """Ten times less squared error is 10 dB; a perfect image is no infinity."""
    assert make_unshuffling().psnr == pytest.approx([10, 20, 30, 100])


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    """The pictures are height x width x channels, of the images that have them."""
    one = make_unshuffling()
    read = unshuffling.read(save(tmp_path, one))
    assert read.header == one.header
    pd.testing.assert_frame_equal(read.table, one.table)
    first, second = read.pictures("decoded")
    assert np.array_equal(first[:, :, 0], np.arange(2, 8).reshape(2, 3))
    assert not second.any()


def test_records_lie_by_data_set_under_their_words(tmp_path: Path) -> None:
    """Names are made safe."""
    path = unshuffling.path_for(tmp_path, "a/b", "convmixer4_1", "smoothed:2", 3, "key")
    assert path.name == "convmixer4_1-smoothed2-s3-key.parquet"
    assert path.parent.parent == tmp_path / "unshuffle"


@pytest.mark.parametrize(
    "columns",
    [
        {"original": [bytes(6), None, None, None]},
        {"decoded": [bytes(5), bytes(6), None, None]},
        {name: [bytes(5), None, None, None] for name in unshuffling.PICTURES},
    ],
)
def test_pictures_belong_together(tmp_path: Path, columns: dict) -> None:
    """An image has all three or none, of the size in the header."""
    with pytest.raises(RbmixError, match="pictures that do not belong together"):
        unshuffling.read(save(tmp_path, make_unshuffling(columns)))


def test_no_more_pictures_than_are_kept(tmp_path: Path) -> None:
    """Eight at most."""
    most = unshuffling.DECODED
    header = make_unshuffling(n=most + 1).header
    for kept in (most, most + 1):
        pictures = [bytes(6)] * kept + [None] * (most + 1 - kept)
        table = {"image": range(most + 1), "mse": [0.1] * (most + 1)}
        table |= dict.fromkeys(unshuffling.PICTURES, pictures)
        path = save(tmp_path, Decoding(header, pd.DataFrame(table)))
        if kept == most:
            assert len(unshuffling.read(path).pictures("original")) == most
    with pytest.raises(RbmixError, match="pictures that do not belong together"):
        unshuffling.read(path)


def test_errors_are_finite(tmp_path: Path) -> None:
    """What is no number is no measurement."""
    for value, words in ((np.inf, "mse is not finite"), (np.nan, "mse lacks values")):
        path = save(tmp_path, make_unshuffling({"mse": [0.1, value, 0.1, 0.1]}))
        with pytest.raises(RbmixError, match=words):
            unshuffling.read(path)


def test_all_are_read_and_may_not_contradict_each_other(tmp_path: Path) -> None:
    """In the order of the paths; the same data has the same images."""
    assert unshuffling.read_all(tmp_path) == []
    save(tmp_path, make_unshuffling())
    save(tmp_path, make_unshuffling(spatial="frozen"))
    assert [one.header.spatial for one in unshuffling.read_all(tmp_path)] == ["frozen", "learned"]
    save(tmp_path, make_unshuffling({"image": [1, 2, 3, 4]}, seed=1))
    with pytest.raises(RbmixError, match=r"contradict .* \(data d\)"):
        unshuffling.read_all(tmp_path)
