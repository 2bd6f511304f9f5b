"""Words of the commands that train and attack become one plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from robustbench_mix.config.model import Interface
from robustbench_mix.config.training import Training

INTERRUPTED = 130


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)


def test_words_of_an_evaluation_are_all_in_its_plan(rbmix, planned) -> None:
    """Those of the network, of its training, and of the attack."""
    given = planned("robustbench_mix.evaluation.evaluate.evaluate")
    code, _, _ = rbmix(
        "evaluate", "--model", "resnet20", "--spatial", "frozen", "--channel", "learned",
        "--attack", "pgd", "--examples", 9, "--eps", "1/255, 2/255", "--backend", "fast",
        "--exhaustive", "--seed", 3, "--batch-size", 7, "--mean", "0.5", "--std", "0.25",
        "--epochs", 2, "--train-examples", 50, "--lr", "0.1", "--precision", "bf16",
        "--adversarial", "--adversarial-eps", "1/16", "--adversarial-attack", "n-fgsm",
        "--averaging", "0.99", "--label-smoothing", "0.1", "--device", "cpu", "--out", "there",
        "--fresh",
    )  # fmt: skip
    assert code == INTERRUPTED
    ((plan, results, options),) = given
    assert (results, options) == (Path("there"), {"fresh": True})
    assert (plan.data.dataset, plan.data.examples, plan.device) == ("digits", 9, "cpu")
    spec, attack = plan.model.spec, plan.attack
    assert (spec.model, spec.spatial, spec.channel) == ("resnet20", "frozen", "learned")
    assert (spec.seed, spec.interface) == (3, Interface(None, (0.5,), (0.25,)))
    assert plan.model.training == Training(2, 50, 0.1, "bf16", True, "1/16", "n-fgsm", 0.99, 0.1)
    assert plan.model.mixers == ("frozen", "learned")
    assert [eps.text for eps in attack.protocol.eps] == ["1/255", "2/255"]
    assert (attack.word, attack.backend, attack.batch_size) == ("pgd", "fast", 7)
    assert attack.exhaustive
    assert not attack.randomised


def test_without_words_it_is_the_first_command_of_the_readme(rbmix, planned) -> None:
    """AutoAttack on a learned ResNet-18, with the fast engine."""
    given = planned("robustbench_mix.evaluation.evaluate.evaluate")
    assert rbmix("evaluate")[0] == INTERRUPTED
    ((plan, results, options),) = given
    assert (plan.model.spec.model, plan.model.mixers) == ("resnet18", (None, None))
    assert (plan.attack.word, plan.attack.backend) == ("autoattack", "fast")
    assert (plan.data.name, plan.data.examples) == ("digits", None)
    assert (results, options) == (Path("results"), {"fresh": False})


def test_words_of_a_training(rbmix, planned) -> None:
    """A pretrained architecture is always trained anew."""
    given = planned("robustbench_mix.evaluation.load_model.train")
    words = ["--model", "timm:resnet18", "--input-size", 64, "--classes", 10, "--epochs", 1]
    assert rbmix("train", *words, "--seed", 4)[0] == INTERRUPTED
    ((plan,),) = given
    assert (plan.model.spec.model, plan.model.spec.seed) == ("timm:resnet18", 4)
    assert plan.model.spec.interface == Interface(64, classes=10)
    assert plan.model.training == Training(epochs=1)
    assert not plan.model.published


def test_words_of_an_explanation(rbmix, planned) -> None:
    """The frozen network by default, on the epsilons of FGSM."""
    given = planned("robustbench_mix.evaluation.explain.explain")
    assert rbmix("explain", "--examples", 5, "--eps", "1/16,2/16")[0] == INTERRUPTED
    ((plan, results),) = given
    assert (plan.model.spec.spatial, plan.data.examples) == ("frozen", 5)
    assert list(plan.eps) == ["1/16", "2/16"]
    assert results == Path("results")


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["--adversarial", "--adversarial-eps", "9"], "epsilon '9' is above 1"),
        (["--adversarial-eps", "1/16"], "--adversarial-eps 1/16 needs --adversarial"),
        (["--adversarial-attack", "pgd"], "--adversarial-attack pgd needs --adversarial"),
        (["--averaging", "0"], "--averaging 0.0 needs --adversarial"),
        (["--label-smoothing", "0.1"], "--label-smoothing 0.1 needs --adversarial"),
        (["--adversarial", "--adversarial-attack", "fgsm"], "unknown adversarial attack 'fgsm'"),
        (["--adversarial", "--averaging", "1"], "averaging 1.0 must be at least 0 and below 1"),
        (["--adversarial", "--averaging", "nan"], "averaging nan must be at least 0 and below 1"),
        (["--adversarial", "--label-smoothing", "-1"], "label smoothing -1.0 must be at least 0"),
    ],
)
def test_adversarial_options_are_checked(rbmix, words, fragment: str) -> None:
    """A wrong or useless radius is one line and exit code 2."""
    code, _, err = rbmix("train", *words)
    assert code == 2
    assert fragment in err
