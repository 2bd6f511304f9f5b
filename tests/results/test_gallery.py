"""Un-shuffling in a table and in pictures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from measured import make_unshuffling
from PIL import Image

from robustbench_mix.results import gallery, unshuffling
from robustbench_mix.results.headers import UnshufflingHeader
from robustbench_mix.storage import parquet_table


@pytest.fixture
def pair() -> list[unshuffling.Decoding]:
    """A learned and a frozen decoder; the frozen one is 10 dB worse on every image."""
    learned = make_unshuffling({"mse": [0.01, 0.02, 0.03, 0.05]})
    return [make_unshuffling({"mse": [0.1, 0.2, 0.3, 0.5]}, spatial="frozen"), learned]


def test_twins_stand_together_with_their_difference(pair) -> None:
    """The learned first; the difference has no width where it is the same for all images."""
    lines = gallery.to_markdown(pair).splitlines()[-3:]
    assert lines[0].startswith("| digits | 1 | 4 | 3 | 1 | learned | 0 | 100 x 3 | 4 | 16.")
    assert lines[1].startswith("| digits | 1 | 4 | 3 | 1 | frozen | 0 | 100 x 3 | 4 | 6.")
    assert lines[2] == ("|  |  |  |  |  | *difference* |  |  |  | -10.00 [-10.00, -10.00] |")
    assert "*difference* |" not in gallery.to_markdown(pair[:1])
    assert gallery.to_markdown([]).endswith("| --- |\n")


def test_other_trainings_have_sheets_of_their_own(pair) -> None:
    """Those that kept no pictures have none."""
    other = make_unshuffling(seed=1)
    bare = make_unshuffling(dict.fromkeys(unshuffling.PICTURES, [None] * 4), seed=2)
    groups = gallery.twin_groups([*pair, other, bare])
    assert [[one.header.spatial for one in group] for group in groups] == [
        ["learned", "frozen"],
        ["learned"],
    ]
    names = [gallery.picture_path(group, Path("r")).as_posix() for group in groups]
    assert names == [
        "r/unshuffle/digits/convmixer4_1_k3_p1-learned-frozen-s0-100x3.png",
        "r/unshuffle/digits/convmixer4_1_k3_p1-learned-s1-100x3.png",
    ]


def test_a_sheet_shows_every_pixel(pair) -> None:
    """Rows: original, shuffled, each decoding; columns: images; gaps are white."""
    (group,) = gallery.twin_groups(pair)
    scale = gallery.SCALE // 3
    height, width = 2 * scale, 3 * scale
    sheet = gallery.sheet(group)
    assert sheet.shape == (4 * height + 3 * gallery.GAP, 2 * width + gallery.GAP, 3)
    for row, kept in enumerate(("original", "shuffled", "decoded", "decoded")):
        top = row * (height + gallery.GAP)
        tile = sheet[top : top + height : scale, :width:scale]
        wanted = group[0].pictures(kept)[0]
        assert np.array_equal(tile, wanted.repeat(3, axis=2))
    assert (sheet[height : height + gallery.GAP] == 255).all()
    assert (sheet[:, width : width + gallery.GAP] == 255).all()
    with Image.open(io.BytesIO(gallery.to_png(group))) as image:
        assert np.array_equal(np.asarray(image), sheet)


def test_colours_stay_and_grey_is_repeated() -> None:
    """Each pixel becomes a square."""
    colour = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    large = gallery.enlarge(colour, 2)
    assert large.shape == (2, 4, 3)
    assert large[1, 1].tolist() == [0, 1, 2]
    assert large[0, 2].tolist() == [3, 4, 5]
    grey = gallery.enlarge(np.array([[[7]]], np.uint8), 1)
    assert grey.tolist() == [[[7, 7, 7]]]


def test_the_files_are_what_the_records_give(pair, tmp_path: Path) -> None:
    """Written once; the rows have mean and interval."""
    paths = []
    for one in pair:
        h = one.header
        path = unshuffling.path_for(tmp_path, h.dataset, h.model, h.spatial, h.seed, "k")
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet_table.write(path, h, one.table, {})
        paths.append(path)
    written = gallery.write(tmp_path)
    assert sorted(path.suffix for path in written) == [".md", ".png"]
    assert (tmp_path / "unshuffle.md").read_text() == gallery.to_markdown(pair)
    assert gallery.write(tmp_path) == []
    frozen, learned = gallery.rows(paths)
    assert frozen["psnr"] == pytest.approx(learned["psnr"] - 10)
    assert frozen["low"] < frozen["psnr"] < frozen["high"]
    assert (learned["spatial"], learned["n"], learned["epochs"]) == ("learned", 4, 3)


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
