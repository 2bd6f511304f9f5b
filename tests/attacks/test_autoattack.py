"""AutoAttack here is AutoAttack there: the same attacks with the same settings."""

from __future__ import annotations

import sys
from dataclasses import replace

import pyautoattack
import pytest
import torch

from robustbench_mix.attacks import registry
from robustbench_mix.attacks.autoattack import STANDARD, Options, stages_of
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.reference.autoattack import library_attack
from robustbench_mix.config import protocols
from robustbench_mix.config.epsilon import parse_grid
from robustbench_mix.config.norms import ROBUSTBENCH
from robustbench_mix.evaluation.harness import Settings
from robustbench_mix.evaluation.reference import attack_all

CPU = torch.device("cpu")


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_settings_are_those_of_the_librarys_standard_version(linear_case, norm: str) -> None:
    """Every attribute of every attack equals that in the library's own ensemble."""
    model, _ = linear_case(10)
    counted = CountedModel(model)
    library = pyautoattack.AutoAttack(
        counted, norm=ROBUSTBENCH[norm], eps=0.1, seed=3, version="standard", device=CPU
    )
    assert list(library.attacks_to_run) == STANDARD
    theirs = {
        "apgd-ce": library.apgd,
        "apgd-t": library.apgd_targeted,
        "fab-t": library.fab,
        "square": library.square,
    }
    # The driver chooses FAB's targeted form just before it runs it.
    library.fab.targeted = True
    protocol = protocols.load("autoattack", "", norm=norm, eps=["0.1"])
    settings = protocols.in_norm(protocol).options.get("settings")
    options = dict(stages_of(10, STANDARD, Options(), settings))
    for name, attack in theirs.items():
        ours = vars(
            library_attack(name, counted, options[name], norm=norm, eps=0.1, seed=3, device=CPU)
        )
        expected = {key: value for key, value in vars(attack).items() if key != "logger"}
        assert {key: ours[key] for key in expected} == expected, name


@pytest.mark.default
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_verdicts_are_the_librarys(linear_case, norm: str) -> None:
    """Image by image the same outcome as the library's driver, where the truth is known."""
    model, split = linear_case(10)
    eps = {"linf": "0.01", "l2": "0.03"}[norm]
    protocol = replace(protocols.load("autoattack", ""), norm=norm, eps=parse_grid([eps], norm))
    options = {"steps": 40, "queries": 50}
    stages = registry.reference_stages("autoattack", 10, options)
    state = attack_all(model, split, protocol, stages, Settings(0, CPU, 16))
    library = pyautoattack.AutoAttack(
        model, norm=ROBUSTBENCH[norm], eps=float(eps), seed=0, device=CPU
    )
    library.apgd.n_iter = library.apgd_targeted.n_iter = library.fab.n_iter = 40
    library.square.n_queries = 50
    trace = sys.gettrace()  # the library unsets it
    x_adv, _ = library.run_standard_evaluation(split.pixels(), split.labels, batch_size=16)
    sys.settrace(trace)
    broken = (model(x_adv).argmax(1) != split.labels).tolist()
    assert [level == 0 for level in state.level] == broken
    assert 0 < sum(broken) < len(broken)
