"""The class that scripts already use."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from robustbench_mix import AutoAttack
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation import pending_run

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
        ({"norm": "L3"}, "unknown norm 'L3'"),
        ({"version": "random"}, "unknown version 'random'; did you mean 'rand'"),
        ({"attacks_to_run": ["square"]}, "go with version='custom'"),
        ({"is_tf_model": True}, "only PyTorch"),
        ({"version": "custom", "attacks": ["fabt"]}, "unknown AutoAttack component 'fabt'"),
        ({"version": "custom"}, "attacks_to_run is empty"),
        ({"eps": -1}, "epsilon '-1' is not a positive number"),
        ({"eps": 8}, "epsilon '8' is above 1.*did you mean 8/255"),
        ({"eps": [0.1, 0.2]}, "is several"),
        ({"eps": None}, "epsilon None is not a positive number"),
        ({"seed": -1}, "seed -1"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"log_path": "no/such/folder/log.txt"}, "folder no/such/folder does not exist"),
    ],
)
def test_what_it_cannot_do_is_said(case, words: dict, message: str) -> None:
    """One line that names the value."""
    model, x, y = case
    with pytest.raises(RbmixError, match=message):
        AutoAttack(model, **words).run_standard_evaluation(x, y)


# In the shape of RobustBench's quick tour, and of AutoAttack's example.
QUICK_TOUR = """
adversary = AutoAttack(model, norm='Linf', eps=eps, version='custom', device='cpu', SPELLED)
adversary.apgd.n_restarts = 1
adversary.apgd.n_iter = 30
x_adv = first(adversary.run_standard_evaluation(x, y))
"""
EXAMPLE = """
adversary = AutoAttack(model, norm='L2', eps=eps, version='custom', device='cpu', SPELLED)
adversary.attacks_to_run = ['apgd-ce', 'fab']
adversary.apgd.n_restarts = 2
adversary.fab.n_restarts = 2
adversary.apgd.n_iter = adversary.fab.n_iter = 30
adversary.seed = 0
with torch.no_grad():
    x_adv = first(adversary.run_standard_evaluation(x, y, BATCH=8))
    adv_individual = adversary.run_standard_evaluation_individual(x, y, BATCH=8)
accuracy = adversary.clean_accuracy(x, y, bs=8)
logits = adversary.get_logits(x)
"""
STANDARD_L1 = """
adversary = AutoAttack(model, norm='L1', eps=eps, device='cpu', seed=0)
adversary.apgd.n_iter = adversary.apgd_targeted.n_iter = adversary.fab.n_iter = 20
adversary.square.n_queries = 50
x_adv = first(adversary.run_standard_evaluation(x, y, BATCH=8))
"""


@pytest.mark.default
@pytest.mark.parametrize(
    ("script", "eps"), [(QUICK_TOUR, 0.01), (EXAMPLE, 0.03), (STANDARD_L1, 0.25)]
)
def test_documented_scripts_run_on_both_classes(case, script: str, eps: float) -> None:
    """The same images fall, where the truth is known."""
    pyautoattack = pytest.importorskip("pyautoattack")
    model, x, y = case
    trace, found = sys.gettrace(), []
    spellings = {
        pyautoattack.AutoAttack: ("attacks=['apgd-ce', 'apgd-dlr']", "batch_size"),
        AutoAttack: ("attacks_to_run=['apgd-ce', 'apgd-dlr']", "bs"),
    }
    for kind, (chosen, batch) in spellings.items():
        names = {"AutoAttack": kind, "model": model, "x": x, "y": y, "eps": eps, "torch": torch}
        names["first"] = lambda result: result[0] if isinstance(result, tuple) else result
        exec(script.replace("SPELLED", chosen).replace("BATCH", batch), names)
        found.append(model(names["x_adv"]).argmax(1) == y)
    sys.settrace(trace)  # the library unsets it
    assert torch.equal(*found)
    assert 0 < int(found[1].sum()) < 15


def short(model, version: str = "custom", **words) -> AutoAttack:
    """A short attack by APGD alone."""
    found = AutoAttack(model, eps=0.01, verbose=False, version=version, **words)
    found.attacks_to_run = ["apgd-ce"]
    found.apgd.n_restarts, found.apgd.n_iter = 1, 10
    return found


@pytest.mark.default
def test_plus_is_at_least_as_strong_as_its_parts(case) -> None:
    """All six attacks run, with restarts; an image that one of them breaks does not stand."""
    model, x, y = case
    found = AutoAttack(model, eps=0.01, verbose=False, version="plus")
    for attack in (found.apgd, found.apgd_targeted, found.fab):
        attack.n_iter, attack.n_restarts = 10, 2
    found.square.n_queries = 20
    x_adv = found.run_standard_evaluation(x, y)
    broken = model(x_adv).argmax(1) != y
    alone = found.run_standard_evaluation_individual(x, y)
    assert list(alone) == ["apgd-ce", "apgd-dlr", "fab", "square", "apgd-t", "fab-t"]
    for one in alone.values():
        assert not ((model(one).argmax(1) != y) & ~broken).any()


class Noisy(torch.nn.Module):
    """A network that draws."""

    def __init__(self, net) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x + 0.002 * torch.randn_like(x))


@pytest.mark.parametrize("announced", ["rand", "eot_iter"])
def test_a_network_that_draws_needs_its_version(case, announced: str) -> None:
    """It is refused without; with averaged gradients it is attacked."""
    model, x, y = case
    with pytest.raises(RbmixError, match=r"draws random numbers.*version='rand'"):
        short(Noisy(model)).run_standard_evaluation(x, y)
    found = short(Noisy(model), "rand" if announced == "rand" else "custom")
    found.apgd.eot_iter = 3
    x_adv = found.run_standard_evaluation(x, y)
    assert (model(x_adv).argmax(1) != y).sum() > 1
    assert (x_adv - x).abs().max() <= 0.01 + 1e-6


class Sharp(Noisy):
    """A network whose cross-entropy has no gradient."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 1e7 * self.net(x)


def test_flags_go_to_the_log_and_to_an_attribute(case, tmp_path: Path) -> None:
    """Those of `evaluate`; those of an earlier result are gone."""
    model, x, y = case
    log = tmp_path / "log"
    found = short(Sharp(model), log_path=log)
    found.run_standard_evaluation(x, y)
    assert "zero-gradients" in found.flags
    assert "flag zero-gradients: share of images without gradient" in log.read_text()
    found.model = model
    found.run_standard_evaluation(x, y)
    assert "zero-gradients" not in found.flags


def test_a_state_is_continued(case, tmp_path: Path, monkeypatch) -> None:
    """After a kill, with all examples, to the same bytes; and a finished one ends at once."""
    model, x, y = case
    whole = short(model).run_standard_evaluation(x, y, bs=4)
    state, passes, real = tmp_path / "state.json", [], pending_run.Settings

    class Killed(BaseException):
        pass

    def settings(*args, **words):
        save, count = words["save"], []

        def saved(now):
            save(now)
            save.flush()
            passes.append(sum(spent["gradient"] for spent in now.passes.values()))
            count.append(1)
            if len(count) == 2 and len(passes) == 2:
                raise Killed

        return real(*args, **{**words, "save": saved})

    monkeypatch.setattr(pending_run, "Settings", settings)
    with pytest.raises(Killed):
        short(model).run_standard_evaluation(x, y, bs=4, state_path=state)
    x_adv = short(model).run_standard_evaluation(x, y, bs=4, state_path=str(state))
    assert torch.equal(x_adv, whole)
    assert (x_adv != x).any()
    done = len(passes)
    assert torch.equal(short(model).run_standard_evaluation(x, y, bs=4, state_path=state), whole)
    assert len(passes) == done
    found = short(model)
    found.epsilon = 0.02
    with pytest.raises(RbmixError, match="is the state of another run.*delete it"):
        found.run_standard_evaluation(x, y, bs=4, state_path=state)
    state.write_text('{"_attacks_to_run": ["apgd-ce"], "_run_attacks": []}')  # the original's form
    with pytest.raises(RbmixError, match="is damaged, or not the state of a run of rbmix"):
        found.run_standard_evaluation(x, y, bs=4, state_path=state)
    with pytest.raises(RbmixError, match="state_path .* does not exist"):
        found.run_standard_evaluation(x, y, state_path=tmp_path / "no" / "state")


def test_an_attribute_that_does_nothing_is_refused(case) -> None:
    """A wrong word is no setting."""
    model, _, _ = case
    found = AutoAttack(model, verbose=False)
    with pytest.raises(RbmixError, match="unknown setting of AutoAttack 'eps'"):
        found.eps = 0.1
    with pytest.raises(RbmixError, match="unknown version 'plsu'; did you mean 'plus'"):
        found.set_version("plsu")
    found.set_version("plus")
    found.cheap()
    assert (found.version, found.apgd.n_restarts, found.square.n_queries) == ("plus", 1, 1000)
    assert found.get_seed() == 0
    found.seed = 4
    assert found.get_seed() == 4


@pytest.mark.default
@pytest.mark.parametrize("eps", [0.01, "0.01", torch.tensor(0.01)])
def test_forms_of_data_and_epsilon(case, eps) -> None:
    """Arrays, text, other types of tensors: the same examples, where the images were."""
    model, x, y = case
    expected = short(model).run_standard_evaluation(x, y)
    found = short(model)
    found.epsilon = eps
    x_adv = found.run_standard_evaluation(x.numpy(), y.tolist())
    assert torch.equal(x_adv, expected)
    x_adv, y_adv = found.run_standard_evaluation(x.double(), y.int(), return_labels=True)
    assert torch.equal(x_adv, expected)
    assert torch.equal(y_adv, model(expected).argmax(1))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"bs": 0}, "batch size 0 must be at least 1"),
        ({"bs": -2}, "batch size -2 must be at least 1"),
        ({"bs": 2.5}, "batch size 2.5 is not a whole number"),
        ({"y_orig": torch.arange(16)}, "the model has 10 classes, but the data set has labels"),
    ],
)
def test_the_clean_accuracy_takes_the_same_checks(case, words: dict, message: str) -> None:
    """Of the batch size and of the labels."""
    model, x, _ = case
    with pytest.raises(RbmixError, match=message):
        short(model).clean_accuracy(**{"x_orig": x[:16], "y_orig": torch.zeros(16).long(), **words})


def test_numbers_of_numpy_are_numbers(case) -> None:
    """As a seed, a batch size, or a setting; the result is that of Python's own."""
    model, x, y = case
    one, other = short(model, seed=3), short(model, seed=np.int64(3))
    other.apgd.n_iter = np.int64(one.apgd.n_iter)
    expected = one.run_standard_evaluation(x, y, bs=4)
    assert torch.equal(other.run_standard_evaluation(x, y, bs=np.int64(4)), expected)


def test_settings_that_would_be_misread_are_refused(case) -> None:
    """A version that changes no attack, a text as a list, and a network that is none."""
    model, x, y = case
    found = short(model)
    with pytest.raises(RbmixError, match=r"version = 'rand': set_version\('rand'\) changes it"):
        found.version = "rand"
    found.attacks_to_run = "apgd-ce"
    with pytest.raises(RbmixError, match="attacks_to_run is the text 'apgd-ce'"):
        found.run_standard_evaluation(x, y)
    found.model = None
    with pytest.raises(RbmixError, match="model is a NoneType"):
        found.run_standard_evaluation(x, y)
