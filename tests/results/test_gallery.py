"""The table of un-shufflings follows its records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from robustbench_mix.results import gallery, unshuffling
from robustbench_mix.results.headers import UnshufflingHeader
from robustbench_mix.storage import parquet_table

pytestmark = pytest.mark.quick


def write_record(results: Path, spatial: str, mse: float, n: int = 4) -> None:
    """A decoder whose images all have about one error."""
    header = UnshufflingHeader(
        model="convmixer8_2_k3_p1", channel="learned", seed=0, dataset="digits", data_hash="d",
        train_examples=90, epochs=2, device="cpu", spatial=spatial, depth=2, width=8, kernel=3,
        patch=1, reach=2, n=n, image=[1, 1, 1],
    )  # fmt: skip
    none = dict.fromkeys(unshuffling.PICTURES, [None] * n)
    table = pd.DataFrame({"image": range(n), "mse": mse * np.linspace(1, 1.1, n), **none})
    path = unshuffling.path_for(results, "digits", header.model, spatial, 0, "k")
    parquet_table.write(path, header, table, {})


def test_the_table_is_stale_until_it_is_written(tmp_path: Path) -> None:
    """And again when a record comes."""
    assert gallery.stale(tmp_path) == []
    assert gallery.write(tmp_path) == []
    write_record(tmp_path, "learned", 0.01)
    assert gallery.stale(tmp_path) == [tmp_path / "unshuffle.md"]
    assert gallery.write(tmp_path) == [tmp_path / "unshuffle.md"]
    assert gallery.stale(tmp_path) == []
    write_record(tmp_path, "frozen", 0.02)
    assert gallery.stale(tmp_path) == [tmp_path / "unshuffle.md"]


def test_a_row_has_the_psnr_and_its_difference(tmp_path: Path) -> None:
    """Twice the error is 3 dB less."""
    write_record(tmp_path, "learned", 0.01)
    write_record(tmp_path, "frozen", 0.02)
    text = gallery.to_markdown(unshuffling.read_all(tmp_path))
    assert "| digits | 2 | 8 | 3 | 2 | learned | 0 | 90 x 2 | 4 | 19.7" in text
    assert "*difference* |  |  |  | -3.01 [-3.01, -3.01] |" in text
