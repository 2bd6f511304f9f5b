"""The Python interface: one curve in one call, and the class that scripts already use."""

from __future__ import annotations

import inspect

import pytest
import torch

import robustbench_mix
from robustbench_mix import AutoAttack, curve
from robustbench_mix.errors import RbmixError

SCRIPT = """
adversary = AutoAttack(model, norm="Linf", eps=0.008, version="standard", device="cpu", seed=0)
x_adv, y_adv = adversary.run_standard_evaluation(x, y, batch_size=8)
alone = AutoAttack(model, norm="L2", eps=0.04, version="custom", attacks=["apgd-ce"], seed=1)
each = alone.run_standard_evaluation_individual(x, y, batch_size=16)
"""
ORIGINAL = """
adversary = AutoAttack(model, norm='Linf', eps=0.02, log_path=log, version='custom',
                       attacks_to_run=['apgd-ce', 'apgd-t'])
x_adv = adversary.run_standard_evaluation(x, y, bs=8)
both = adversary.run_standard_evaluation(x, y, bs=8, return_labels=True)
each = adversary.run_standard_evaluation_individual(x, y, bs=8)
"""


@pytest.fixture
def case(linear_case):
    """A linear model, its images and labels, one label wrong."""
    model, split = linear_case(10)
    x, y = split.pixels(), split.labels.clone()
    y[3] = (y[3] + 1) % 10
    return model, x, y


@pytest.mark.default
def test_a_script_runs_on_either_class(case) -> None:
    """With only the import changed, a script ends with the same verdicts."""
    pyautoattack = pytest.importorskip("pyautoattack")
    model, x, y = case
    outcomes = []
    for kind in (pyautoattack.AutoAttack, AutoAttack):
        names = {"AutoAttack": kind, "model": model, "x": x, "y": y}
        exec(SCRIPT, names)
        x_adv, y_adv = names["x_adv"], names["y_adv"]
        assert torch.equal(model(x_adv).argmax(1), y_adv)
        assert (x_adv - x).abs().max() <= 0.02 + 1e-6
        (alone,) = names["each"].values()
        assert (alone[0] - x).flatten(1).norm(dim=1).max() <= 0.1 + 1e-5
        outcomes.append([y_adv == y, alone[1] == y])
    for theirs, ours in zip(*outcomes, strict=True):
        assert torch.equal(theirs, ours)
        assert 0 < int(ours.sum()) < 15


def test_a_script_for_the_original_runs(case, tmp_path) -> None:
    """Its spelling, its return values, its log file."""
    model, x, y = case
    names = {"AutoAttack": AutoAttack, "model": model, "x": x, "y": y, "log": tmp_path / "log"}
    exec(ORIGINAL, names)
    x_adv = names["x_adv"]
    broken = model(x_adv).argmax(1) != y
    assert torch.equal(names["both"][0], x_adv)
    assert torch.equal(names["both"][1], model(x_adv).argmax(1))
    assert list(names["each"]) == ["apgd-ce", "apgd-t"]
    assert torch.equal(x_adv[3], x[3])
    assert broken.sum() > 1
    for alone in names["each"].values():
        assert not ((model(alone).argmax(1) != y) & ~broken).any()
    robust = 1 - broken.float().mean()
    log = (tmp_path / "log").read_text()
    assert "initial accuracy: 93.75%" in log
    assert f"robust accuracy: {robust:.2%} (apgd-ce, apgd-t)" in log
    assert AutoAttack(model).clean_accuracy(x, y) == pytest.approx(15 / 16)


def test_it_takes_the_arguments_of_the_original() -> None:
    """In the order of the original, so that positional calls work too."""
    words = list(inspect.signature(AutoAttack).parameters)
    assert words[:10] == [
        "model", "norm", "eps", "seed", "verbose", "attacks_to_run", "version", "is_tf_model",
        "device", "log_path",
    ]  # fmt: skip
    run = list(inspect.signature(AutoAttack.run_standard_evaluation).parameters)
    assert run[1:6] == ["x_orig", "y_orig", "bs", "return_labels", "state_path"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"norm": "L1"}, "unknown norm 'L1'"),
        ({"version": "rand"}, "unknown version 'rand'"),
        ({"attacks_to_run": ["square"]}, "go with version='custom'"),
        ({"is_tf_model": True}, "only PyTorch"),
        ({"version": "custom", "attacks": ["fab"]}, "unknown AutoAttack component 'fab'"),
        ({"eps": -1}, "epsilon -1 is not a positive number"),
    ],
)
def test_what_it_cannot_do_is_said(case, words: dict, message: str) -> None:
    """One line that names the value."""
    model, x, y = case
    with pytest.raises(RbmixError, match=message):
        AutoAttack(model, **words).run_standard_evaluation(x, y)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_curve_in_one_call(case, norm: str) -> None:
    """Counts, intervals, levels and examples agree with each other and with the truth."""
    model, x, y = case
    grid = {"linf": ["1/255", 0.01, 0.03], "l2": [0.1, 0.02, 0.2]}[norm]
    found = curve(model, x, y, eps=grid, norm=norm, steps=40, queries=50)
    radii = sorted(float(e) if not isinstance(e, str) else 1 / 255 for e in grid)
    assert found.table["correct"].tolist() == [int((found.level >= at).sum()) for at in range(4)]
    assert found.table["correct"][0] == 15
    assert (found.table["low"] <= found.table["accuracy"]).all()
    assert found.level[3] == -1
    distances = model.distances(x, y, norm)
    for row, level in enumerate(found.level.tolist()):
        if level < 0 or level == 3:
            assert torch.equal(found.x_adv[row], x[row])
        else:
            assert radii[level] >= distances[row] * (1 - 1e-6)
            assert model(found.x_adv[row : row + 1]).argmax() != y[row]
            moved = (found.x_adv[row].double() - x[row].double()).flatten()
            size = moved.abs().max() if norm == "linf" else moved.norm()
            assert size <= radii[level]
    assert found.passes["fgsm"]["gradient"] == 15  # of each image that is classified correctly


def test_bad_tensors_are_named(case) -> None:
    """Pixels outside [0, 1], shapes that do not fit, an empty grid."""
    model, x, y = case
    for given, message in (
        ((x * 255, y, [0.1]), "needs pixels in"),
        ((x[0], y, [0.1]), "needs images"),
        ((x, y[:3], [0.1]), "needs one label per image"),
        ((x, y, []), "the epsilon grid is empty"),
        ((x, y, ["a/b"]), "epsilon 'a/b' is not a positive number"),
    ):
        with pytest.raises(RbmixError, match=message):
            curve(model, *given)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        robustbench_mix.nothing  # noqa: B018
