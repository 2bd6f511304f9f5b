"""Measures that explain robustness, against closed forms; and the records they end in."""

from __future__ import annotations

import json
from pathlib import Path

import networks
import numpy as np
import pytest
import torch

from robustbench_mix import cli
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation import measures
from robustbench_mix.results import probes

WORDS = [
    "--model", networks.MODEL, "--examples", "12", "--eps", "1/16,4/16",
]  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> Path:
    """An empty working directory, and networks that need no training."""
    networks.lend(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_linear_network_is_its_first_order(linear_case) -> None:
    """Margin over gradient norm is the exact distance, and FGSM's path is as predicted."""
    model, split = linear_case(2)
    x, y = split.pixels(), split.labels
    value, gradient = measures.margins_and_gradients(CountedModel(model), x, y)
    exact = model.distances(x, y, "linf")
    assert torch.allclose(value / gradient.norm(p=1, dim=1), exact.float(), rtol=1e-4)
    exact = model.distances(x, y, "l2")
    assert torch.allclose(value / gradient.norm(dim=1), exact.float(), rtol=1e-4)
    real, predicted = measures.margins_along_fgsm(CountedModel(model), x, y, [0.01, 0.1])
    assert real.shape == (len(x), 2)
    assert torch.allclose(real, predicted, atol=1e-4)
    assert (real[:, 1] < real[:, 0]).all()


def test_fmn_finds_the_exact_distance(linear_case) -> None:
    """Never below it, and at most a few percent above."""
    model, split = linear_case(3)
    x, y = split.pixels(), split.labels
    found, x_adv = measures.minimal_distance(CountedModel(model.requires_grad_(False)), x, y)
    exact = model.distances(x, y, "linf")
    assert (found >= exact * (1 - 1e-5)).all()
    assert (found <= exact * 1.25).all()
    assert (model(x_adv).argmax(1) != y).all()
    wrong = (y + 1) % 3
    assert (measures.minimal_distance(CountedModel(model), x, wrong)[0] == 0).all()


def test_crafted_examples_stay_in_the_ball_and_break(linear_case) -> None:
    """Both attacks, beyond the exact distance, on the network they were made on."""
    model, split = linear_case(10)
    x, y = split.pixels(), split.labels
    eps = 1.5 * float(model.distances(x, y, "linf").max())
    for x_adv in measures.craft_transfer_examples(
        CountedModel(model), x, y, eps, torch.arange(len(x))
    ).values():
        assert (x_adv - x).abs().max() <= eps + 1e-6
        assert (model(x_adv).argmax(1) != y).float().mean() > 0.8


@pytest.mark.parametrize(
    ("frequency", "band"), [((0, 0), 0), ((1, 0), 0), ((4, 4), 2), ((0, 8), 4), ((16, 3), 7)]
)
def test_a_wave_has_its_power_in_its_band(frequency: tuple[int, int], band: int) -> None:
    """A cosine of (i, j) cycles over 32 pixels; Nyquist is 16."""
    i, j = frequency
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    wave = torch.cos(2 * torch.pi * (i * rows + j * columns) / 32)
    shares = measures.radial_spectrum(wave[None, None])
    assert sum(shares) == pytest.approx(1)
    assert shares[band] == pytest.approx(1, abs=1e-6)


def test_white_noise_has_as_much_power_as_frequencies() -> None:
    """Each band in proportion to its area; an empty image counts for nothing."""
    noise = torch.randn(50, 3, 32, 32)
    shares = measures.radial_spectrum(torch.cat([noise, torch.zeros(5, 3, 32, 32)]))
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares)
    assert shares[-1] / shares[1] == pytest.approx((32**2 - 27**2) / (7**2 - 3**2), rel=0.1)


def test_the_heat_map_finds_the_frequency_a_network_reads() -> None:
    """A network that looks at one frequency alone is fooled by that wave alone."""
    rows = torch.arange(8.0)
    wave = torch.cos(2 * torch.pi * 2 * rows / 8)[:, None].expand(8, 8)

    class Reads(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            score = ((x - 0.5) * wave).sum((1, 2, 3))
            return torch.stack([score, -score], dim=1)

    x = 0.5 + 0.02 * wave.expand(40, 1, 8, 8)
    y = torch.zeros(40, dtype=torch.int64)
    found = measures.fourier_heat_map(
        CountedModel(Reads()), x, y, 1.0, torch.Generator().manual_seed(0)
    )
    assert found.shape == (8, 5)
    fooled = torch.nonzero(found < 1).tolist()
    assert fooled == [[2, 0], [6, 0]]


@pytest.mark.default
def test_explain_measures_both_twins_and_the_transfer(here: Path, capsys) -> None:
    """Three records; a second call reads what there is, and the bytes stay."""
    words = [*WORDS, "--spatial", "box"]  # it is wrong about half of the images
    assert cli.main(["explain", *words, "--json"]) == 0
    paths = [Path(path) for path in json.loads(capsys.readouterr().out)["paths"]]
    assert [path.name.split("-")[0] for path in paths] == ["probe", "probe", "transfer"]
    before = [path.read_bytes() for path in paths]
    assert cli.main(["explain", *words]) == 0
    assert capsys.readouterr().err.count("already measured") == 3
    assert [path.read_bytes() for path in paths] == before
    box, learned = probes.read_probes(here / "results")
    assert (learned.header.spatial, box.header.spatial) == ("learned", "box")
    assert learned.matrix("real").shape == (12, 2)
    assert np.array(learned.header.heat_map).shape == (8, 5)
    for name in ("filters", "composed", "perturbation"):
        assert sum(getattr(learned.header, name)) == pytest.approx(1)
    assert learned.header.filters != box.header.filters
    table = learned.table
    assert (table["distance"][~table["correct"]] == 0).all()
    assert (table["distance"][table["correct"]] > 0).all()
    (crossed,) = probes.read_transfers(here / "results")
    made_here = crossed.matrix("pgd_second_second")
    assert made_here.shape == (12, 2)
    # What misclassifies the image as it is, misclassifies it attacked.
    assert made_here[~crossed.table["second"].to_numpy()].mean() > 0.5


@pytest.mark.default
def test_explaining_a_learned_network_needs_no_twin(here: Path, capsys) -> None:
    """One record."""
    assert cli.main(["explain", *WORDS, "--spatial", "learned", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["paths"]) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--examples", "0"], "number of examples 0 must be at least 1"),
        (["--eps", "two"], "epsilon 'two' is not a positive number"),
        (["--model", "resnet15"], "unknown model 'resnet15'"),
        (["--spatial", "frosen"], "unknown spatial 'frosen'"),
    ],
)
def test_wrong_words_are_named(here: Path, capsys, words: list[str], message: str) -> None:
    """One line, exit code 2, nothing written."""
    assert cli.main(["explain", *words]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not list(here.rglob("*.parquet"))


@pytest.mark.default
def test_a_record_of_another_kind_is_refused(here: Path) -> None:
    """A probe without its columns is damaged."""
    assert cli.main(["explain", *WORDS, "--spatial", "learned"]) == 0
    (path,) = here.rglob("probe-*.parquet")
    found = probes.read_probe(path)
    probes.parquet_table.write(path, found.header, found.table.drop(columns="margin"), {})
    with pytest.raises(RbmixError, match="no margin"):
        probes.read_probe(path)
