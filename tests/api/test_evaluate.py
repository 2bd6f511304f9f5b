"""`rbmix.evaluate`: the command line's numbers from Python, and documentation that runs."""

from __future__ import annotations

import doctest
import json
import re
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import pytest
import torch
from matplotlib import pyplot
from torch import nn

import robustbench_mix as rbmix
from robustbench_mix import cli
from robustbench_mix.api import evaluate
from robustbench_mix.data import loaders
from robustbench_mix.data.dataset import balanced_subset
from robustbench_mix.results import flags, records
from robustbench_mix.runtime import progress

pytestmark = pytest.mark.default

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"epochs": 5, "train_examples": 600}
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture(autouse=True)
def _no_windows():
    """Drawings need no screen, and are closed."""
    with mpl.rc_context():
        mpl.use("agg")
        yield
        pyplot.close("all")


@pytest.fixture
def net() -> nn.Module:
    """A small network of the caller's own, in train mode."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)).train()


@pytest.fixture
def images() -> tuple[torch.Tensor, torch.Tensor]:
    """Twelve digits and their labels."""
    split = balanced_subset(loaders.load("digits").test, 12)
    return split.pixels(), split.labels


def check(text: str, name: str) -> int:
    """Run the examples of a text; how many there were."""
    test = doctest.DocTestParser().get_doctest(text, {}, name, name, 0)
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
    return len(test.examples)


def test_the_docstrings_run(cached) -> None:
    """Every example in them gives what it says."""
    text = evaluate.evaluate.__doc__ or ""
    assert check(text, "evaluate") == text.count(">>> ") > 0


def test_the_page_runs(cached) -> None:
    """The examples of docs/python.md, in its order and one session."""
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```pycon\n(.*?)^```", page, re.M | re.S)
    assert check("\n".join(blocks), "python.md") == page.count("\n>>> ") > 0


@pytest.mark.quick
def test_a_wrong_example_is_seen() -> None:
    """The check of the examples can fail."""
    with pytest.raises(AssertionError):
        check(">>> 1 + 1\n3\n", "wrong")


def test_the_notebook_runs(cached, tmp_path: Path, monkeypatch) -> None:
    """It is valid, holds no outputs, and its cells run in order in one namespace.

    In this process: a kernel of its own would bring a server and its sockets along for the
    same lines of Python.
    """
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(ROOT / "docs" / "notebook.ipynb", as_version=4)
    nbformat.validate(notebook)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(cells):
        assert not cell.outputs
        exec(compile(cell.source, f"cell {number}", "exec"), names)
    assert not names["own"].flags.keys() & {"zero-gradients", "wrong-gradients", "wrong-scale"}
    assert "<svg" in names["pair"]["frozen"]._repr_html_()


@pytest.mark.parametrize("protocol", ["smoke", "fgsm"])
def test_it_gives_the_numbers_of_the_command_line(cached, tmp_path, capsys, protocol) -> None:
    """The same curve, and the same records to the byte."""
    result = rbmix.evaluate(
        "resnet14_w4", "digits", protocol, spatial="frozen", examples=20, device="cpu",
        results=tmp_path / "python", **SMALL,
    )  # fmt: skip
    words = ["evaluate", "--model", "resnet14_w4", "--spatial", "frozen", "--attack", protocol,
             "--examples", "20", "--epochs", "5", "--train-examples", "600", "--device", "cpu",
             "--out", str(tmp_path / "command"), "--json"]  # fmt: skip
    assert cli.main(words) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert result.curve["correct"].tolist() == [row["correct"] for row in rows]
    assert result.curve["eps_text"].tolist() == [row["eps"] for row in rows]
    (theirs,) = (tmp_path / "command").rglob("*.parquet")
    assert result.path.read_bytes() == theirs.read_bytes()
    assert records.read(result.path).header == result.run.header


def test_the_views_agree(net, images) -> None:
    """Curve, records and flags are those of the run; it draws itself."""
    result = rbmix.evaluate(net, images, "smoke")
    assert isinstance(result, rbmix.Result)
    assert result.path is None
    curve, table = result.curve, result.records
    assert curve["n"].tolist() == [12] * 3
    assert ((curve["low"] <= curve["accuracy"]) & (curve["accuracy"] <= curve["high"])).all()
    for row, eps in enumerate(curve["eps"]):
        gone = table["broken_at"].isin(curve["eps"][: row + 1])
        assert int((~gone).sum()) == curve["correct"][row], eps
    assert result.flags == flags.of_run(result.run)
    axes = result.plot()
    assert result.plot(axes) is axes
    assert len(axes.lines) == 2
    html = result._repr_html_()
    assert "<table" in html
    assert "<svg" in html
    assert all(name in html for name in result.flags)
    assert "accuracy" in repr(result)


def test_the_module_leaves_as_it_came(net, images) -> None:
    """Mode, gradient flags and the random state are the caller's."""
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    rbmix.evaluate(net, images, "smoke")
    assert net.training
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert torch.equal(torch.rand(3), expected)


def test_nothing_is_kept_unless_asked(net, images, tmp_path: Path, monkeypatch, capsys) -> None:
    """Not in the working folder either; and it is quiet unless told otherwise."""
    monkeypatch.chdir(tmp_path)
    rbmix.evaluate(net, images, "smoke")
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0.0)  # what is over in a moment says nothing
    rbmix.evaluate(net, images, "smoke", quiet=False)
    assert "smoke on 12 images" in capsys.readouterr().err
    kept = rbmix.evaluate(net, images, "smoke", results=tmp_path / "kept")
    again = rbmix.evaluate(net, images, "smoke", results=tmp_path / "kept")
    assert kept.path == again.path
    pd.testing.assert_frame_equal(kept.records, again.records)


def test_a_data_set_and_a_protocol_of_ones_own(net, write_folder, tmp_path: Path) -> None:
    """A folder by path, a `Protocol`, numbers as epsilons, another norm."""
    folder = write_folder(size=(8, 8))
    colour = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    own = rbmix.Protocol("mine", "", "pgd", "linf", (), {"steps": 3})
    result = rbmix.evaluate(colour, folder, own, eps=[0.25, 8 / 255], norm="l2", examples=5)
    assert result.curve["eps_text"].tolist() == ["0", "8/255", "0.25"]
    assert result.run.header.norm == "l2"
    assert len(result.records) == 5


def test_the_attack_has_two_names(net, images) -> None:
    """And a default; norms and radii in any usual form are the same run."""
    first = rbmix.evaluate(net, images, "pgd", eps=[0, 8 / 255], norm="Linf")
    for words in ({"attack": "PGD", "eps": "8/255"}, {"protocol": "pgd", "eps": 8 / 255}):
        other = rbmix.evaluate(net, images, norm=float("inf"), **words)
        assert other.run.header == first.run.header
        pd.testing.assert_frame_equal(other.records, first.records)
    with pytest.raises(rbmix.RbmixError, match="attack and protocol are two names"):
        rbmix.evaluate(net, images, "pgd", protocol="pgd")


def test_the_examples_come_on_request(net, images, tmp_path: Path) -> None:
    """Those that the records tell of; of a named data set too, and though the run is on disk."""
    with torch.no_grad():
        images = images[0], net.eval()(images[0]).argmax(1)
    given = {"eps": ["1/255", "100/255"], "results": tmp_path}
    assert rbmix.evaluate(net, images, "pgd", **given).x_adv is None
    result = rbmix.evaluate(net, images, "pgd", **given, x_adv=True)
    is_broken = torch.tensor(result.records["broken_at"].fillna(0).to_numpy() > 0)
    assert is_broken.any()
    away = (result.x_adv - images[0]).abs().amax((1, 2, 3))
    assert torch.equal(away > 0, is_broken)
    assert (away <= torch.tensor(result.records["broken_at"].fillna(0).to_numpy()) + 1e-6).all()
    with torch.no_grad():
        wrong = net.eval()(result.x_adv).argmax(1) != images[1]
    assert int((~wrong).sum()) == result.curve["correct"].iloc[-1]
    named = rbmix.evaluate(net, "digits", "fgsm", examples=10, x_adv=True)
    assert named.x_adv.shape == (10, 1, 8, 8)


def test_the_name_is_the_legend(net, images) -> None:
    """Results in one axes are told apart."""
    axes = None
    for name in ("mine", "yours"):
        axes = rbmix.evaluate(net, images, "fgsm", eps=0.1, name=name).plot(axes)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["mine", "yours"]


@pytest.mark.quick
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"model": 3}, "model is a int"),
        ({"model": "resnet14"}, "would have to be trained"),
        ({"data": "digts"}, "did you mean 'digits'"),
        ({"data": (torch.zeros(2, 1, 8, 8),)}, "data is a tuple of 1"),
        ({"data": (torch.ones(2, 1, 8, 8) * 9, torch.zeros(2))}, "needs pixels in"),
        ({"protocol": "pdg"}, "did you mean 'pgd'"),
        ({"eps": [-1]}, "'-1' is not a positive number"),
        ({"eps": []}, "grid is empty"),
        ({"norm": "l7"}, "unknown norm 'l7'"),
        ({"seed": -1}, "seed -1"),
        ({"examples": 0}, "examples 0"),
        ({"backend": "slow"}, "unknown backend 'slow'"),
        ({"spatial": "frosen", "model": "resnet14", "data": "digits"}, "did you mean 'frozen'"),
        ({"weights": "w.pt"}, "weights='w.pt' goes with a model that is named"),
        ({"epochs": 3}, "go with training"),
    ],
)
def test_wrong_words_are_named(net, images, words: dict, message: str) -> None:
    """In one line, as on the command line."""
    given = {"model": net, "data": images, "protocol": "smoke", **words}
    with pytest.raises(rbmix.RbmixError, match=message) as error:
        rbmix.evaluate(given.pop("model"), given.pop("data"), given.pop("protocol"), **given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("call", ["curve", "class"])
def test_a_network_that_draws_is_refused(net, images, call: str) -> None:
    """Also where only the fast schedule runs."""
    noisy = nn.Sequential(nn.Dropout(0.5), net)
    noisy.eval = lambda: noisy  # it insists on drawing
    with pytest.raises(rbmix.RbmixError, match="--randomised"):
        if call == "curve":
            rbmix.curve(noisy, *images, eps=["0.1"])
        else:
            rbmix.AutoAttack(noisy, verbose=False).run_standard_evaluation(*images)
