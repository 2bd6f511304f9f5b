"""Networks in the forms that users have: the same numbers by every road, or one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import robustbench_mix as rbmix
from robustbench_mix import cli
from robustbench_mix.runtime.devices import has_fast_bfloat16

pytestmark = [
    pytest.mark.usefixtures("home", "unexamined"),
    pytest.mark.filterwarnings("ignore:logits", "ignore:.*torch.jit", "ignore:None of the inputs"),
]

GRID = ["1/16", "3/16"]
ROADS = ("evaluate", "curve", "AutoAttack")


def network() -> nn.Module:
    torch.manual_seed(3)
    layers = nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(216, 4)).eval()


NET = network()
X = torch.rand(8, 1, 6, 6, generator=torch.Generator().manual_seed(5))
Y = NET(X).argmax(1)


class Around(nn.Module):
    """The network, with something done to its images or its logits."""

    def __init__(self, before: Callable[[Tensor], Any] = lambda x: x,
                 after: Callable[[Tensor], Any] = lambda z: z) -> None:  # fmt: skip
        super().__init__()
        self.net = network()
        self.before, self.after = before, after

    def forward(self, x: Tensor) -> Any:
        return self.after(self.net(self.before(x)))


class Wrapper:
    def __call__(self, x: Tensor) -> Tensor:
        return Around(after=lambda z: (z, None)).eval()(x)[0]


class Extra(nn.Sequential):
    """Keeps a number beside its weights."""

    def get_extra_state(self) -> dict[str, int]:
        return {"epoch": 3}

    def set_extra_state(self, state: object) -> None:
        pass


def in_place(x: Tensor) -> Tensor:
    x -= 0.5
    x /= 0.5
    return x.mul_(0.5).add_(0.5)


def exported() -> torch.export.ExportedProgram:
    sizes = ({0: torch.export.Dim("batch", min=1, max=64)},)
    return torch.export.export(network(), (X,), dynamic_shapes=sizes)


def without_statistics() -> nn.Module:
    net = network()
    net[1] = nn.BatchNorm2d(6, track_running_stats=False)
    return net.eval()


@torch.inference_mode()
def made_in_inference_mode() -> nn.Module:
    return network()


class Slotted:
    """In train mode, behind an attribute that is no dictionary's."""

    __slots__ = ("net",)

    def __init__(self) -> None:
        self.net = network().train()

    def __call__(self, x: Tensor) -> Tensor:
        return self.net(x)


class NaNGradient(torch.autograd.Function):
    """Images that stay, with a gradient that is none."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * torch.nan


def broken_by(road: str, given: object) -> int:
    """How many images fall to PGD within the larger epsilon, or to APGD-CE."""
    if road == "AutoAttack":
        attack = rbmix.AutoAttack(
            given, eps=3 / 16, verbose=False, version="custom", attacks_to_run=["apgd-ce"]
        )
        _, labels = attack.run_standard_evaluation(X, Y, return_labels=True)
        return int((labels != Y).sum())
    if road == "curve":
        table = rbmix.curve(given, X, Y, GRID, attack="pgd", steps=3, restarts=1).table
    else:
        protocol = rbmix.Protocol("p", "", "pgd", "linf", (), {"steps": 3, "restarts": 1})
        table = rbmix.evaluate(given, (X, Y), protocol, eps=GRID).curve
    return len(X) - int(table["correct"].iloc[-1])


SAME: dict[str, Callable[[], object]] = {
    "tuple": lambda: Around(after=lambda z: (z, None)),
    "mapping": lambda: Around(after=lambda z: {"logits": z}),
    "function": lambda: lambda x: NET(x),
    "wrapper": Wrapper,
    "double": lambda: network().double(),
    "scripted": lambda: torch.jit.script(network()),
    "frozen": lambda: torch.jit.freeze(torch.jit.script(network())),
    "holds frozen": lambda: nn.Sequential(torch.jit.freeze(torch.jit.script(network()))),
    "exported": exported,
    "in place": lambda: Around(in_place),
    "extra state": lambda: Extra(*network()).eval(),
    "forgotten eval": lambda: network().train(),
    "inference mode": made_in_inference_mode,
    "slots": Slotted,
}


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("form", SAME)
def test_every_form_has_the_numbers_of_the_plain_network(form: str, road: str) -> None:
    """By every road."""
    assert broken_by(road, SAME[form]()) == broken_by(road, NET) > 0


@pytest.mark.parametrize("form", ["holds frozen", "exported", "scripted"])
def test_libraries_attack_programs_too(form: str) -> None:
    """On the reference backend, which sets modes of its own."""
    found = [
        rbmix.evaluate(given, (X, Y), "pgd", eps=GRID[1:], backend="reference").curve["correct"]
        for given in (SAME[form](), NET)
    ]
    assert found[0].tolist() == found[1].tolist()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_networks_of_low_precision_have_numbers(dtype: torch.dtype) -> None:
    """Which the records say."""
    found = rbmix.evaluate(network().to(dtype), (X, Y), "fgsm", eps=GRID)
    assert found.run.header.weights_precision == str(dtype).removeprefix("torch.")
    assert found.run.header.precision is None
    plain = rbmix.evaluate(network(), (X, Y), "fgsm", eps=GRID).run.header
    searched = "bfloat16" if has_fast_bfloat16(torch.device("cpu")) else None
    assert (plain.weights_precision, plain.search_precision) == (None, searched)


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "detached": (lambda: Around(torch.detach), "no gradient flows"),
    "integers": (lambda: Around(lambda x: (9 * x).int() / 9), "no gradient flows"),
    "checkpointing": (
        lambda: Around(lambda x: checkpoint(torch.relu, x, use_reentrant=True)),
        "no input gradient .*use_reentrant=False",
    ),
    "text": (lambda: Around(after=lambda z: "cat"), "the network returns a str"),
    "class": (lambda: nn.Linear, "model is the class Linear"),
    "raises": (lambda: Around(lambda x: x.view(3, -1)), "cannot take images of shape"),
    "ends": (lambda: Around(lambda x: sys.exit("usage")), "SystemExit: usage"),
    "sparse": (lambda: Around(after=Tensor.to_sparse), "a tensor that is sparse"),
    "later a tuple": (lambda: Around(after=lambda z: z if len(z) < 3 else (z, 1)), "a tuple"),
    "lazy": (lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(4)), "no weights 1.weight yet"),
}


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("form", REFUSED)
def test_what_cannot_be_attacked_is_refused_in_one_line(form: str, road: str) -> None:
    """By every road."""
    make, message = REFUSED[form]
    with pytest.raises(rbmix.RbmixError, match=message):
        broken_by(road, make())


@pytest.mark.parametrize(
    ("make", "flag"),
    [
        (lambda: Around(after=lambda z: 1e5 * z), "zero-gradients"),
        (lambda: Around(lambda x: (7 * x).round() / 7), "zero-gradients"),
        (lambda: Around(NaNGradient.apply), "zero-gradients"),
        (without_statistics, "batch-dependent"),
    ],
)
def test_what_says_little_is_flagged(make: Callable[[], nn.Module], flag: str) -> None:
    """A gradient that vanishes is no robustness, and a batch no image."""
    net = make().eval()
    with torch.no_grad():
        labels = net(X).argmax(1)
    assert flag in rbmix.evaluate(net, (X, labels), "fgsm", eps=GRID).flags


def test_another_network_of_this_name_is_another_run(tmp_path: Path) -> None:
    """Although its weights are the same, or cannot be seen; the same one is read again."""
    hot, cold = Around(after=lambda z: z), Around(after=lambda z: -z)
    clean = []
    for net in (hot, cold, cold):
        run = rbmix.evaluate(net, (X, Y), "fgsm", eps=GRID, results=tmp_path)
        clean.append(int(run.curve["correct"].iloc[0]))
    assert clean[0] == len(X) > clean[1] == clean[2]


CHATTY = """
import warnings
from torch import nn

print("==> Building model..")

class Loud(nn.Module):
    def __init__(self):
        super().__init__()
        print("all parameters", "loaded")
        warnings.warn("an old\\nformat")
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        print("forward")
        return self.head(x.flatten(1))

def ends():
    raise SystemExit("usage: train.py --data FOLDER")
"""


@pytest.fixture
def loud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module whose network prints at every occasion."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "loud", raising=False)
    (tmp_path / "loud.py").write_text(CHATTY)


CALL = ["evaluate", "--model", "loud:Loud", "--attack", "fgsm", "--examples", "10", "--out", "r"]


@pytest.mark.filterwarnings("default:an old")
def test_what_a_network_prints_is_not_the_answer(loud: None, capsys) -> None:
    """Standard output is one JSON value; beside a table, the first line is told, and a warning."""
    assert cli.main([*CALL, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["paths"]
    assert cli.main([*CALL, "--fresh"]) == 0
    out, err = capsys.readouterr()
    assert "all parameters" not in out and "\nforward\n" not in out
    assert "UserWarning: an old format\n" in err
    assert err.count("printed meanwhile: all parameters loaded\n") == 1
    assert err.count("more lines\n") == 1


def test_code_that_ends_the_program_is_told_in_one_line(loud: None, capsys) -> None:
    """As a script does that was not made for being imported."""
    assert cli.main([*CALL[:2], "loud:ends", *CALL[3:]]) == 2
    assert (
        "model 'loud:ends' cannot be made: SystemExit: usage: train.py" in capsys.readouterr().err
    )
