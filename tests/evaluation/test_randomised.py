"""Networks that draw random numbers: said so, attacked in the mean and judged by a vote."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyautoattack
import pytest
import torch
from torch import nn

from robustbench_mix import cli
from robustbench_mix.attacks import registry
from robustbench_mix.attacks.autoattack import Options
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.reference.autoattack import library_attack
from robustbench_mix.attacks.voting import DRAWS, draw_logits
from robustbench_mix.config import protocols
from robustbench_mix.config.epsilon import parse_grid
from robustbench_mix.config.norms import ROBUSTBENCH
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.attack_plan import attack_plan
from robustbench_mix.evaluation.harness import Settings
from robustbench_mix.evaluation.reference import attack_all
from robustbench_mix.evaluation.schedules import schedule_of
from robustbench_mix.results import flags, records

pytestmark = pytest.mark.default

CPU = torch.device("cpu")
NETS = """
import torch
from torch import nn

class Noisy(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))

    def forward(self, x):
        return self.net(x + self.scale * torch.randn_like(x))

def noisy():
    return Noisy(0.1)

def still():
    return Noisy(0.0)
"""
BRIEF = """
summary = "brief"
algorithm = "{}"
norm = "linf"
[eps]
default = ["1/16", "4/16"]
[options]
steps = 5
"""
EOT = "eot = 3\n"  # instead of 20: a brief test


class Noisy(nn.Module):
    """A linear network whose logits carry Gaussian noise."""

    def __init__(self, net: nn.Module, scale: float) -> None:
        super().__init__()
        self.net, self.scale = net, scale

    def forward(self, x):
        logits = self.net(x)
        return logits + self.scale * torch.randn_like(logits)


@pytest.fixture
def evaluate(tmp_path: Path, monkeypatch, cached, capsys):
    """A function: exit code, standard output and standard error of a short evaluation."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "drawing.py").write_text(NETS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "drawing", raising=False)

    def run(net: str, *words: str, algorithm: str = "autoattack"):
        eot = EOT if "--randomised" in words else ""
        (tmp_path / "brief.toml").write_text(BRIEF.format(algorithm) + eot)
        code = cli.main(
            ["evaluate", "--model", f"drawing:{net}", "--attack", "./brief.toml",
             "--examples", "12", "--device", "cpu", *words]
        )  # fmt: skip
        return code, *capsys.readouterr()

    return run


def test_unsaid_it_is_refused(evaluate, tmp_path: Path) -> None:
    """In one line that names the flag, with exit code 2 and no records."""
    for words in ((), ("--backend", "reference"), ("--exhaustive",)):
        code, _, err = evaluate("noisy", *words, algorithm="pgd")
        assert code == 2
        assert "rbmix evaluate --randomised" in err.splitlines()[-1]
    assert not list(tmp_path.rglob("*.parquet"))


@pytest.mark.parametrize("algorithm", ["autoattack", "pgd"])
def test_said_it_is_evaluated_the_same_every_time(evaluate, tmp_path, algorithm: str) -> None:
    """Shown, in the header, without flags of its nature; a second run gives the same bytes."""
    code, out, _ = evaluate("noisy", "--randomised", algorithm=algorithm)
    assert code == 0
    assert f"each verdict is the majority of {DRAWS} passes" in " ".join(out.split())
    (path,) = tmp_path.glob("results/runs/*/*.parquet")
    before = path.read_bytes()
    run = records.read(path)
    assert (run.header.randomised, run.backend) == (DRAWS, "reference, randomised")
    assert run.header.diagnostics.unrepeatable > flags.ROUNDING
    assert not flags.of_run(run).keys() & flags.EXPECTED
    assert "randomised" in (tmp_path / "results" / "leaderboard.md").read_text()
    torch.manual_seed(77)
    torch.rand(5)
    assert evaluate("noisy", "--randomised", "--fresh", algorithm=algorithm)[0] == 0
    assert path.read_bytes() == before


def test_a_deterministic_network_may_be_said_to(evaluate) -> None:
    """It is told that it is deterministic, and has the verdicts that it has without."""
    code, out, err = evaluate("still", "--randomised", "--json", algorithm="pgd")
    assert code == 0
    said = json.loads(out)
    assert said["randomised"] == DRAWS
    code, out, err = evaluate("still", "--randomised", algorithm="pgd")
    assert "but it is deterministic" in " ".join(out.split())
    code, out, err = evaluate("still", "--backend", "reference", "--json", algorithm="pgd")
    unsaid = json.loads(out)
    curves = [[row["correct"] for row in found["rows"]] for found in (said, unsaid)]
    assert curves[0] == curves[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--backend", "fast"), "goes with the reference backend, not with --backend fast"),
        (("--exhaustive",), "not with --exhaustive"),
        (("--attack", "autoattack-audited"), "'autoattack-audited' has no form for randomised"),
    ],
)
def test_what_does_not_go_with_it(evaluate, words, message: str) -> None:
    """One line, exit code 2."""
    code, _, err = evaluate("noisy", "--randomised", *words)
    assert code == 2
    assert message in err.splitlines()[-1]


@pytest.mark.quick
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_autoattack_is_the_librarys_rand_version(linear_case, norm: str) -> None:
    """The same attacks, with every attribute of theirs."""
    model, _ = linear_case(10)
    counted = CountedModel(model)
    library = pyautoattack.AutoAttack(
        counted, norm=ROBUSTBENCH[norm], eps=0.1, seed=3, version="rand", device=CPU
    )
    protocol = protocols.randomised(protocols.load("autoattack", ""))
    assert protocol.options == {"components": list(library.attacks_to_run), "eot": 20}
    for name in library.attacks_to_run:
        library.apgd.loss = name.removeprefix("apgd-")
        eot = protocol.options["eot"]
        options = Options(eot=eot)
        ours = vars(library_attack(name, counted, options, norm=norm, eps=0.1, seed=3, device=CPU))
        expected = {key: value for key, value in vars(library.apgd).items() if key != "logger"}
        assert {key: ours[key] for key in expected} == expected


@pytest.mark.quick
def test_what_a_protocol_says_itself_stays() -> None:
    """Its own components and passes; other algorithms are as they are."""
    own = protocols.Protocol("", "", "autoattack", "linf", (), {"components": ["apgd-ce"]})
    assert protocols.randomised(own).options == {"components": ["apgd-ce"], "eot": 20}
    noise = protocols.load("noise", "")
    assert protocols.randomised(noise) == noise
    with pytest.raises(RbmixError, match="eot = 0 must be a whole number"):
        wrong = replace(own, algorithm="pgd", options={"eot": 0})
        schedule_of(attack_plan(wrong, randomised=True), 10)


def test_luck_does_not_break_an_image(linear_case) -> None:
    """Noise alone flips one pass in ten; many attacks later the image still stands."""
    model, split = linear_case(2)
    with torch.no_grad():
        values = model(split.pixels())
    gap = float((values[:, 0] - values[:, 1]).abs().median())
    noisy = Noisy(model, gap)
    protocol = replace(protocols.load("noise", ""), eps=parse_grid(["0.000001"], "linf"))
    stages = registry.reference_stages("noise", 2, {"draws": 8})
    settings = Settings(0, CPU, 16)
    single = attack_all(noisy, split, protocol, stages, settings)
    voted = attack_all(noisy, split, protocol, stages, settings, draws=25)
    lost = [
        sum(level == 0 for level in state.level) / sum(state.correct) for state in (single, voted)
    ]
    assert lost[0] > 2 * lost[1]
    counted = CountedModel(noisy)
    assert draw_logits(counted, split.pixels(), 3).shape == (3, 16, 2)


def test_eot_sees_through_noise(linear_case) -> None:
    """With means over passes PGD breaks more of a network whose gradients are drowned in noise."""
    model, split = linear_case(4)

    class Drowned(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = model

        def forward(self, x):
            tilt = torch.randn_like(x) * 3
            return self.net(x) + ((x - x.detach()) * tilt).flatten(1).sum(1)[
                :, None
            ] * torch.arange(4)

    protocol = replace(protocols.load("pgd", ""), eps=parse_grid(["0.01"], "linf"))
    broken = []
    for eot in (1, 20):
        stages = registry.reference_stages(
            "pgd", 4, {"steps": 3, "restarts": 1, "step_size": 0.4, "eot": eot}
        )
        settings = Settings(0, CPU, 16)
        state = attack_all(Drowned(), split, protocol, stages, settings, draws=DRAWS)
        broken.append(sum(level == 0 for level in state.level))
        assert state.passes["pgd-0"]["gradient"] == 3 * eot * sum(state.correct)
    assert broken[1] > broken[0]


@pytest.mark.quick
def test_the_callers_random_state_is_left_alone(linear_case) -> None:
    """Whatever the network draws."""
    model, split = linear_case(4)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    stages = registry.reference_stages("pgd", 4, {"steps": 2, "eot": 2})
    protocol = replace(protocols.load("pgd", ""), eps=parse_grid(["0.01"], "linf"))
    attack_all(Noisy(model, 0.1), split, protocol, stages, Settings(0, CPU, 16), draws=3)
    assert torch.equal(torch.rand(3), expected)
