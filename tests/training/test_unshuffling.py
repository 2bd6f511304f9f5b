"""Un-shuffling: the permutation, the network, the records, the table and the picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from robustbench_mix import cli
from robustbench_mix.config.training import Training
from robustbench_mix.data import loaders
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation import unshuffling_run
from robustbench_mix.evaluation.data_plan import DataPlan
from robustbench_mix.evaluation.plan import UnshufflingPlan
from robustbench_mix.results import gallery, unshuffling
from robustbench_mix.training import unshuffling as unshuffle
from robustbench_mix.training.unshuffling import Unshuffler

pytestmark = pytest.mark.default

CPU = torch.device("cpu")
WORDS = ["--width", "8", "--depth", "2", "--kernel", "3", "--epochs", "1", "--precision", "fp32"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan_of(unshuffler: Unshuffler, training: Training, examples: int = 1000) -> UnshufflingPlan:
    """Training one network on digits."""
    data = DataPlan("digits", examples)
    return UnshufflingPlan(data=data, device="cpu", unshufflers=(unshuffler,), training=training)


@pytest.mark.quick
def test_the_permutation_moves_every_pixel_and_depends_on_the_seed() -> None:
    """A permutation, the same for all images and channels, undone by its inverse."""
    order = unshuffle.permutation(64, 0)
    assert sorted(order.tolist()) == list(range(64))
    assert not torch.equal(order, unshuffle.permutation(64, 1))
    x = torch.rand(2, 3, 8, 8)
    shuffled = unshuffle.shuffle(x, order)
    assert torch.equal(shuffled[1, 2].flatten()[5], x[1, 2].flatten()[order[5]])
    assert torch.equal(unshuffle.shuffle(shuffled, order.argsort()), x)


@pytest.mark.quick
@pytest.mark.parametrize("patch", [1, 2])
def test_the_network_keeps_the_shape(patch: int) -> None:
    """Images in, images out, whatever the patch."""
    unshuffler = Unshuffler(8, 2, 3, patch)
    model = unshuffle.build(unshuffler, 3, torch.full((3,), 0.5), torch.full((3,), 0.2)).eval()
    assert model(torch.rand(2, 3, 8, 4)).shape == (2, 3, 8, 4)


@pytest.mark.quick
def test_twins_share_what_they_have_in_common() -> None:
    """The frozen twin starts from the same weights, and its spatial mixers stay."""
    learned, frozen = (
        unshuffle.build(Unshuffler(8, 2, 3, spatial=s), 1, torch.tensor([0.5]), torch.tensor([0.2]))
        for s in ("learned", "frozen")
    )
    for (name, a), (_, b) in zip(
        learned.named_parameters(), frozen.named_parameters(), strict=True
    ):
        assert torch.equal(a, b)
        assert b.requires_grad == ("depthwise" not in name)


@pytest.mark.quick
def test_reach_is_what_a_position_sees() -> None:
    """The output at one corner depends on the input up to `reach` pixels away, no further."""
    unshuffler = Unshuffler(4, 3, 3)
    assert unshuffler.reach == 3
    model = unshuffle.build(unshuffler, 1, torch.tensor([0.5]), torch.tensor([0.2])).eval()
    x = torch.rand(1, 1, 8, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(model(x)[0, 0, 0, 0], x)
    seen = torch.nonzero(gradient[0, 0].abs() > 0)
    assert seen.amax().item() == unshuffler.reach


@pytest.mark.quick
def test_warnings_name_the_reach() -> None:
    """One line each for a short reach and a patch; none for a network that fits."""
    (line,) = unshuffle.describe_limits(Unshuffler(8, 2, 3), 8, 8)
    assert "reaches 2 pixels, an image of 8 x 8 needs 7" in line
    assert unshuffle.describe_limits(Unshuffler(8, 4, 5), 8, 8) == []
    assert any(
        "patch 2" in line for line in unshuffle.describe_limits(Unshuffler(8, 4, 5, 2), 8, 8)
    )


def test_training_un_shuffles(tmp_path: Path) -> None:
    """A small network does far better than the mean image; the frozen one learns too."""
    digits = loaders.load("digits")
    mean = digits.train.pixels().mean(0)
    flat = ((digits.test.pixels() - mean) ** 2).flatten(1).mean(1)
    baseline = float(-10 * flat.log10().mean())
    for spatial in ("learned", "frozen"):
        (path,) = unshuffling_run.unshuffle(
            plan_of(Unshuffler(32, 4, 5, spatial=spatial), Training(epochs=6)), tmp_path
        )
        assert unshuffling.read(path).psnr.mean() > baseline + 1


def test_command_writes_records_table_and_picture(here: Path, capsys) -> None:
    """Both twins by default; a second call reads what there is and gives the same bytes."""
    words = ["unshuffle", *WORDS, "--examples", "20", "--json"]
    assert cli.main(words) == 0
    out = json.loads(capsys.readouterr().out)
    assert [row["spatial"] for row in out["rows"]] == ["learned", "frozen"]
    assert all(row["low"] < row["psnr"] < row["high"] for row in out["rows"])
    files = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    suffixes = sorted(path.suffix for path in files)
    assert suffixes == [".json", ".json", ".md", ".parquet", ".parquet", ".png"]
    text = (here / "results" / "unshuffle.md").read_text()
    assert "*difference*" in text
    assert "| digits | 2 | 8 | 3 | 2 | frozen | 0 | 1,497 x 1 | 20 |" in text
    assert cli.main(["unshuffle", *WORDS, "--examples", "20"]) == 0
    assert "already un-shuffled" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == files


def test_the_picture_shows_what_is_in_the_records(here: Path) -> None:
    """Four rows of eight: original, shuffled, and two decodings, pixel for pixel."""
    assert cli.main(["unshuffle", *WORDS, "--examples", "20"]) == 0
    learned, frozen = sorted(
        unshuffling.read_all(here / "results"), key=lambda d: d.header.spatial, reverse=True
    )
    (path,) = (here / "results").rglob("*.png")
    sheet = np.asarray(Image.open(path))
    tile, step = 96, 96 + gallery.GAP
    assert sheet.shape == (4 * step - gallery.GAP, 8 * step - gallery.GAP, 3)
    digits = loaders.load("digits")
    test = loaders.balanced_subset(digits.test, 20)
    shown = loaders.balanced_subset(test, 8)
    assert len(shown.labels.unique()) == 8
    first = (255 * shown.pixels()[3, 0]).round().byte().numpy()
    assert np.array_equal(learned.pictures("original")[3][:, :, 0], first)
    for row, image in enumerate(
        (learned.pictures("original"), learned.pictures("shuffled"),
         learned.pictures("decoded"), frozen.pictures("decoded"))
    ):  # fmt: skip
        drawn = sheet[row * step : row * step + tile : 12, 3 * step : 3 * step + tile : 12, 0]
        assert np.array_equal(drawn, image[3][:, :, 0])


def test_psnr_is_the_mean_squared_errors(tmp_path: Path) -> None:
    """-10 log10 of the error in pixel units."""
    training = Training(epochs=1, examples=64)
    (path,) = unshuffling_run.unshuffle(plan_of(Unshuffler(4, 1, 3), training, 9), tmp_path)
    found = unshuffling.read(path)
    original, decoded = (
        np.stack(found.pictures(name)).astype(float) for name in ("original", "decoded")
    )
    mse = ((original - decoded) ** 2).mean((1, 2, 3)) / 255**2
    # The pictures are rounded to 8 bits.
    kept = found.table["original"].notna().to_numpy()
    assert kept.sum() == 8
    assert found.psnr[kept] == pytest.approx(-10 * np.log10(mse), abs=0.2)
    assert found.header.train_examples == 64
    assert len(found.table) == 9


@pytest.mark.quick
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--depth", "four"], "'four' is not a list of whole numbers"),
        (["--width", "0"], "width 0 must be at least 1"),
        (["--patch", "3"], "patch 3 does not divide images of 8 x 8"),
        (["--spatial", "learned,frosen"], "unknown spatial 'frosen'"),
        (["--examples", "0"], "number of examples 0 must be at least 1"),
    ],
)
def test_wrong_words_are_named(here: Path, capsys, words: list[str], message: str) -> None:
    """One line, exit code 2, no record."""
    assert cli.main(["unshuffle", *words, "--epochs", "1"]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not list(here.rglob("*.parquet"))


def test_a_damaged_record_is_refused(here: Path, capsys) -> None:
    """Truncated: one line that names it."""
    assert cli.main(["unshuffle", *WORDS, "--examples", "9", "--spatial", "learned"]) == 0
    (path,) = (here / "results").rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RbmixError, match="are damaged"):
        unshuffling.read(path)
