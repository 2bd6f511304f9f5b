"""Plans: what words become, checked once and without PyTorch."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

from robustbench_mix.config import protocols
from robustbench_mix.config.model import ModelSpec
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.attack_plan import attack_plan
from robustbench_mix.evaluation.data_plan import DataPlan
from robustbench_mix.evaluation.model_plan import model_plan, trained_model
from robustbench_mix.evaluation.plan import (
    EvaluationPlan,
    TrainingPlan,
    UnshufflingPlan,
    explanation_plan,
    unshufflers_of,
)

# Each makes a plan, or a part of one, of a wrong word.
WRONG = {
    "model_plan('resnet81')": "unknown model 'resnet81'",
    "model_plan('resnet18', 'frozn')": "unknown spatial 'frozn'",
    "model_plan('resnet18', seed=-1)": "seed -1 is out of range",
    "model_plan('resnet18', pretrained=True)": "--pretrained goes with your own model",
    "model_plan('timm:x', 'frozen', pretrained=True)": "takes the network as it was published",
    "model_plan('timm:x', weights=Path('w.pt'), pretrained=True)": "cannot both be the weights",
    "model_plan('timm:x', weights=Path('w.pt'))": "checkpoint w.pt does not exist",
    "model_plan('hf:a/b', training=Training(epochs=3))": "comes with its weights",
    "trained_model(ModelSpec('resnet81'))": "unknown model 'resnet81'",
    "Training(epochs=0)": "epochs 0 must be at least 1",
    "Training(lr=float('nan'))": "learning rate nan must be a positive number",
    "Training(adversarial_eps='1/16')": "needs --adversarial",
    "DataPlan('digts')": "unknown data set 'digts'",
    "DataPlan('digits', 0)": "number of examples 0 must be at least 1",
    "attack_plan('autoatack')": "unknown attack 'autoatack'",
    "attack_plan('pgd', eps=['abc'])": "epsilon 'abc' is not a positive number",
    "attack_plan('pgd', norm='l2')": "give one with --eps",
    "attack_plan('pgd', backend='quick')": "unknown backend 'quick'",
    "attack_plan('pgd', batch_size=0)": "batch size 0 must be at least 1",
    "attack_plan('pgd', exhaustive=True, randomised=True)": "goes with the reference backend",
    "TrainingPlan(data=DataPlan('digits'), device='tpu', model=MODEL)": "unknown device 'tpu'",
    "EvaluationPlan(data=DataPlan('digits'), device='cuda:x', model=MODEL, "
    "attack=attack_plan('pgd'))": "unknown device 'cuda:x'",
    "explanation_plan(MODEL, DataPlan('digits'), ['8'])": "epsilon '8' is above 1",
    "unshufflers_of([0], [4], [5], 1, ['learned'], 0)": "width 0 must be at least 1",
    "unshufflers_of([8] * 1000, [4] * 1000, [5], 1, ['learned'], 0)": "1,000,000 networks",
    "UnshufflingPlan(data=DataPlan('digits'), device='tpu', unshufflers=())": "unknown device",
    "baseline_plan(BASELINE, Path('kept.csv'), examples=9)": "must be 1 to 8, as in kept.csv",
    "baseline_plan(BASELINE, Path('kept.csv'), device='tpu')": "unknown device 'tpu'",
    "baseline_plan(BASELINE, Path('kept.csv'), changes={'dataset': 'digts'})": "unknown data set",
}
CODE = """
import sys
from pathlib import Path
from types import SimpleNamespace

from robustbench_mix.config.model import ModelSpec
from robustbench_mix.config.training import Training
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.attack_plan import *
from robustbench_mix.evaluation.baseline_plan import *
from robustbench_mix.evaluation.data_plan import *
from robustbench_mix.evaluation.model_plan import *
from robustbench_mix.evaluation.plan import *

MODEL = trained_model(ModelSpec("resnet14"))
BASELINE = SimpleNamespace(words={
    "model": "resnet14", "spatial": "learned", "channel": "learned", "seed": 0, "norm": "linf",
    "dataset": "digits", "attack": "pgd", "eps": ["1/16"], "backend": "fast", "examples": 8,
    "interface": None, "pretrained": False, "randomised": False, "exhaustive": False,
    "weights_key": None, "ignore_weights": (), "class_index": None,
})
for line in sys.stdin.read().splitlines():
    try:
        print(eval(line))
    except RbmixError as error:
        print(error)
assert not {"torch", "pandas", "numpy"} & sys.modules.keys()
"""


def evaluation() -> EvaluationPlan:
    """One like another."""
    data = DataPlan("digits", 8)
    return EvaluationPlan(
        data=data, device="cpu", model=model_plan("resnet14", "frozen"), attack=attack_plan("pgd")
    )


@pytest.mark.default
def test_wrong_words_are_refused_without_torch(tmp_path: Path) -> None:
    """By whatever makes a plan of them: one line that names the word."""
    done = subprocess.run(
        [sys.executable, "-c", CODE], input="\n".join(WRONG), capture_output=True, text=True,
        cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for (call, said), answer in zip(WRONG.items(), done.stdout.splitlines(), strict=True):
        assert said in answer, call


def test_right_words_pass() -> None:
    """Nothing is raised, whatever there is on this machine."""
    for model in ("resnet18", "convmixer64_6_k7_p1", "timm:any", "hf:a/b", "json:loads"):
        for device in ("auto", "cpu", "cuda:1", "mps"):
            plan = replace(evaluation(), model=model_plan(model), device=device)
            assert plan.model.spec.model == model


def test_a_plan_is_frozen_and_equal_to_another_of_the_same_words() -> None:
    """What was checked stays; two plans can be compared."""
    plan = evaluation()
    assert plan == evaluation()
    assert plan != replace(plan, data=DataPlan("digits", 9))
    with pytest.raises(FrozenInstanceError):
        plan.device = "cuda"  # type: ignore[misc]
    with pytest.raises(RbmixError, match="unknown device 'tpu'"):
        replace(plan, device="tpu")
    model = trained_model(ModelSpec("resnet14"))
    training = TrainingPlan(data=plan.data, model=model)
    assert hash(training) == hash(TrainingPlan(data=plan.data, model=model))


def test_an_explanation_uses_the_epsilons_of_fgsm() -> None:
    """Those of its data set."""
    plan = explanation_plan(trained_model(ModelSpec("resnet14")), DataPlan("digits"))
    assert plan.eps == tuple(eps.text for eps in protocols.load("fgsm", "digits").eps)


def test_unshufflers_are_every_combination() -> None:
    """In the order of the words."""
    found = unshufflers_of([8], [2, 3], [5], 1, ["learned", "frozen"], 4)
    assert [(one.depth, one.spatial) for one in found] == [
        (2, "learned"), (2, "frozen"), (3, "learned"), (3, "frozen")
    ]  # fmt: skip
    plan = UnshufflingPlan(data=DataPlan("digits"), unshufflers=found)
    assert {one.seed for one in plan.unshufflers} == {4}
