"""Any attack of foolbox by its name: what runs, what is refused, and that it is foolbox's own."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from robustbench_mix import cli
from robustbench_mix.attacks import registry
from robustbench_mix.attacks.reference import foolbox as from_foolbox
from robustbench_mix.config import protocols
from robustbench_mix.config.epsilon import parse_grid
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.harness import Settings
from robustbench_mix.evaluation.reference import attack_all
from robustbench_mix.evaluation.state import State

CPU = torch.device("cpu")
GRID = {"linf": ["0.002", "0.005", "0.01", "0.02"], "l2": ["0.02", "0.05", "0.1", "0.2"]}
# Options that cut what would take minutes; every attack keeps the rest of its defaults.
SHORT = {
    "BoundaryAttack": {"steps": 50},
    "HopSkipJumpAttack": {"steps": 2, "max_gradient_eval_steps": 20},
    "L2CarliniWagnerAttack": {"steps": 20, "binary_search_steps": 2},
    "LinearSearchContrastReductionAttack": {"steps": 100},
    "GaussianBlurAttack": {"steps": 50}, "SaltAndPepperNoiseAttack": {"steps": 50},
}  # fmt: skip
# Why some cannot run: needs what a protocol cannot give, or no norm of ours measures it.
REFUSALS = (
    "searches in", "requires starting_points", "after data has been provided",
    "unsupported criterion", "No module named 'numba'", "missing 1 required",
)  # fmt: skip


def run(case, name: str, norm: str, options: dict | None = None) -> State:
    """Attack the 16 images of a linear model of four classes over the grid."""
    model, split = case(4)
    protocol = Protocol("mine", "", f"foolbox:{name}", norm, parse_grid(GRID[norm], norm))
    stages = registry.reference_stages(protocol.algorithm, 4, options or {})
    return attack_all(model, split, protocol, stages, Settings(0, CPU, 16))


@pytest.mark.parametrize(
    ("name", "norm", "slack"),
    [
        ("LinfDeepFoolAttack", "linf", 1.1),
        ("L2DeepFoolAttack", "l2", 1.1),
        ("LinfPGD", "linf", 1.6),
        ("L2FMNAttack", "l2", 1.1),
    ],
)
def test_it_finds_the_boundary(linear_case, name: str, norm: str, slack: float) -> None:
    """Where the nearest example is known: none below it, all above a little more."""
    model, split = linear_case(4)
    grid = [float(eps) for eps in GRID[norm]]
    distances = model.distances(split.pixels(), split.labels, norm).tolist()
    state = run(linear_case, name, norm)
    assert min(state.level) < len(grid)
    for level, distance, reach in zip(state.level, distances, state.norm, strict=True):
        if level < len(grid):
            assert distance * (1 - 1e-6) <= reach <= grid[level]
        if level > 0:
            assert grid[level - 1] < distance * slack


@pytest.mark.parametrize(
    ("name", "runs"), [("L2DeepFoolAttack", [None]), ("L2PGD", [0.02, 0.05, 0.1])]
)
def test_what_minimises_runs_once(linear_case, monkeypatch, name: str, runs) -> None:
    """One run serves the whole grid; an attack of fixed epsilon runs until nothing stands."""
    import foolbox

    kind = getattr(foolbox.attacks, name)
    calls, original = [], kind.run

    def counted(self, *given, **words):
        calls.append(words.get("epsilon"))
        return original(self, *given, **words)

    monkeypatch.setattr(kind, "run", counted)
    state = run(linear_case, name, "l2")
    assert calls == runs
    assert set(state.component) <= {"", name}


@pytest.mark.parametrize("name", ["LinfDeepFoolAttack", "LinfFastGradientAttack"])
def test_verdicts_are_foolboxs(linear_case, name: str) -> None:
    """Image by image, the library's own call over the same epsilons breaks the same."""
    import foolbox

    model, split = linear_case(4)
    network = foolbox.PyTorchModel(model.eval(), bounds=(0, 1), device=CPU)
    model.requires_grad_(False)
    epsilons = [float(eps) for eps in GRID["linf"]]
    attack = getattr(foolbox.attacks, name)()
    *_, success = attack(network, split.pixels(), split.labels, epsilons=epsilons)
    broken = success.cummax(0).values  # the balls are nested
    state = run(linear_case, name, "linf")
    ours = torch.tensor([[level <= at for level in state.level] for at in range(len(epsilons))])
    assert torch.equal(ours, broken)


def test_a_stopped_run_goes_on_to_the_same_end(linear_case) -> None:
    """From the state after any batch, of what runs once and draws too."""
    model, split = linear_case(4)
    name = "LinearSearchBlendedUniformNoiseAttack"
    protocol = Protocol("", "", f"foolbox:{name}", "linf", parse_grid(["0.1", "0.4"], "linf"))
    stages = registry.reference_stages(protocol.algorithm, 4, {})
    saved: list[dict] = []
    settings = Settings(0, CPU, 6, save=lambda s: saved.append(asdict(s)))
    whole = attack_all(model, split, protocol, stages, settings)
    assert len(saved) == 3
    for state in saved[:2]:
        before = State(**deepcopy(state))
        resumed = attack_all(model, split, protocol, stages, Settings(0, CPU, 6), before)
        assert repr((resumed.level, resumed.norm)) == repr((whole.level, whole.norm))


@pytest.mark.parametrize(
    "name", ["L2RepeatedAdditiveGaussianNoiseAttack", "LinearSearchBlendedUniformNoiseAttack"]
)
def test_the_same_seed_gives_the_same(linear_case, name: str) -> None:
    """What it draws depends on the seed, not on what was drawn before."""
    states = []
    for before in range(2):
        torch.manual_seed(before)
        states.append(run(linear_case, name, "l2"))
    assert repr(states[0].norm) == repr(states[1].norm)


@pytest.mark.parametrize(
    ("name", "norm", "options", "message"),
    [
        ("LinfDeepFoolAtack", "linf", {}, "did you mean 'LinfDeepFoolAttack'"),
        ("LinfPGD", "linf", {"stepz": 3}, "unknown option of foolbox:LinfPGD 'stepz'.*'steps'.*"),
        ("LinfPGD", "l2", {}, "'LinfPGD' searches in linf, the protocol in l2"),
        ("EADAttack", "l2", {}, "'EADAttack' searches in l1, the protocol in l2"),
        ("SpatialAttack", "l2", {}, "SpatialAttack searches in no norm"),
        ("DatasetAttack", "l2", {}, "foolbox:DatasetAttack failed .ValueError"),
        ("LinfPGD", "linf", {"steps": "many"}, "foolbox:LinfPGD failed .TypeError"),
        ("L2DeepFoolAttack", "l2", {"loss": "none"}, "foolbox:L2DeepFoolAttack failed"),
    ],
)
def test_what_cannot_run_is_said(linear_case, name, norm, options, message) -> None:
    """In one line: the nearest name, the allowed options, the norm, or what the library says."""
    with pytest.raises(RbmixError, match=message) as error:
        run(linear_case, name, norm, options)
    assert "\n" not in str(error.value)


@pytest.mark.default
def test_by_the_command_line(tmp_path: Path, cached, capsys) -> None:
    """A protocol that names one is all it takes; one that is wrong is refused before training."""
    text = (
        'summary = "by its name"\nalgorithm = "foolbox:{}"\nnorm = "linf"\n[eps]\n'
        'default = ["1/16"]\n'
    )
    words = ["evaluate", "--model", "resnet14_w4", "--epochs", "5", "--train-examples", "600",
             "--examples", "10", "--out", str(tmp_path / "r")]  # fmt: skip
    path = tmp_path / "deepfool.toml"
    path.write_text(text.format("LinfDeepFoolAttack"))
    assert cli.main([*words, "--attack", str(path)]) == 0
    assert "LinfDeepFoolAttack" in capsys.readouterr().out
    path.write_text(text.format("LinfDeepFool"))
    assert cli.main([*words, "--seed", "9", "--attack", str(path)]) == 2
    said = capsys.readouterr().err
    assert "unknown foolbox attack 'LinfDeepFool'" in said
    assert "training" not in said
    assert cli.main([*words, "--attack", str(path), "--backend", "fast"]) == 2
    assert "no fast backend" in capsys.readouterr().err


def test_the_names_are_the_librarys() -> None:
    """All its attacks that can be made, and no base class."""
    names = from_foolbox.names()
    assert {"LinfPGD", "LinfDeepFoolAttack", "L2CarliniWagnerAttack", "DDNAttack"} <= set(names)
    assert "Attack" not in names
    assert protocols.load("pgd", "").algorithm not in names


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", from_foolbox.names())
def test_every_attack_works_or_says_why_not(linear_case, name: str, norm: str) -> None:
    """It runs through, or is refused in one line for a reason that is known."""
    try:
        state = run(linear_case, name, norm, SHORT.get(name))
    except RbmixError as error:
        assert any(reason in str(error) for reason in REFUSALS), error
        assert "\n" not in str(error)
    else:
        assert all(state.correct)
        assert {name for name in state.component if name} <= {name}
