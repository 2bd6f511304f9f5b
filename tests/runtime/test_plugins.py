"""Algorithms and models that other packages register by entry points."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from robustbench_mix import cli
from robustbench_mix.errors import RbmixError
from robustbench_mix.models.sources import registry
from robustbench_mix.results import records
from robustbench_mix.runtime import plugins

MODULE = """
import torch
from torch import nn

def signs(model, x, y, *, eps, strength=1.0):
    x = x.requires_grad_()
    loss = nn.functional.cross_entropy(model(x), y)
    return x + strength * eps * torch.autograd.grad(loss, x)[0].sign()

def crash(model, x, y, *, eps):
    raise KeyError("no such thing")

def nothing(model, x, y, *, eps):
    return None

def told(model, x, y, *, eps, norm, seed, index):
    assert (norm, seed, len(index)) == ("linf", 3, len(x))
    return x + eps * torch.randn_like(x).sign()

def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

def broken():
    raise ValueError("no weights")
"""
ENTRIES = """
[robustbench_mix.algorithms]
signs = fakepack:signs
crash = fakepack:crash
nothing = fakepack:nothing
told = fakepack:told
absent = fakepack_absent:attack
notthere = fakepack:nowhere
pgd = fakepack:signs

[robustbench_mix.models]
flatnet = fakepack:net
brokennet = fakepack:broken
absentnet = fakepack_absent:net
resnet14_w4 = fakepack:net
resnet14 = fakepack:net
"""
PROTOCOL = """
summary = "mine"
algorithm = "{}"
norm = "linf"
[eps]
default = ["1/16", "4/16"]
[options]
{}
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function that puts a distribution on the path; one is there already."""

    def install(name: str, entries: str) -> None:
        folder = tmp_path / "site"
        info = folder / f"{name}-1.2.dist-info"
        info.mkdir(parents=True)
        (folder / "fakepack.py").write_text(MODULE)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(entries)
        monkeypatch.syspath_prepend(str(folder))

    install("fakepack", ENTRIES)
    yield install
    sys.modules.pop("fakepack", None)


@pytest.fixture
def evaluate(package, tmp_path: Path, cached, capsys):
    """A function: exit code, standard output and standard error of an evaluation."""

    def run(algorithm: str = "signs", model: str = "flatnet", options: str = "", *words: str):
        path = tmp_path / "mine.toml"
        path.write_text(PROTOCOL.format(algorithm, options))
        code = cli.main(
            ["evaluate", "--model", model, "--attack", str(path), "--examples", "10",
             "--out", str(tmp_path / "results"), *words]
        )  # fmt: skip
        return code, *capsys.readouterr()

    return run


def test_a_registered_attack_and_model_run(evaluate, tmp_path: Path) -> None:
    """By their names, on the reference backend, judged by the harness as any other."""
    code, out, _ = evaluate(options="strength = 3.0")
    assert code == 0
    (run,) = records.read_all(tmp_path / "results")
    assert (run.header.model, run.header.spatial, run.backend) == (
        "flatnet", "external", "reference",
    )  # fmt: skip
    for row in run.table.itertuples():
        for position, (broken, norm) in enumerate(zip(row.broken, row.norm, strict=True)):
            assert not broken or norm <= run.radius(position)
    assert any(broken[-1] for broken in run.table["broken"])


def test_what_it_names_it_is_given(evaluate) -> None:
    """Norm, seed and the images' names, where the function has such parameters."""
    assert evaluate("told", "flatnet", "", "--seed", "3")[0] == 0


@pytest.mark.default
@pytest.mark.parametrize(
    ("algorithm", "options", "message"),
    [
        ("crash", "", "crash failed (KeyError: 'no such thing')"),
        ("nothing", "", "nothing returned NoneType, not a tensor"),
        ("signs", "strenght = 1.0", "'strenght'; did you mean 'strength'"),
        ("absent", "", "algorithm 'absent' of fakepack 1.2 cannot be imported (ModuleNotFound"),
        ("notthere", "", "algorithm 'notthere' of fakepack 1.2 cannot be imported (AttributeE"),
        ("pgd", "", "algorithm 'pgd' is rbmix's own, and fakepack 1.2 registers another"),
        ("sings", "", "unknown algorithm 'sings'; did you mean 'signs'"),
    ],
)
def test_what_is_wrong_with_an_attack_is_one_line(evaluate, algorithm, options, message) -> None:
    """Exit code 2, and nothing else is broken by it."""
    code, _, err = evaluate(algorithm, "flatnet", options)
    assert code == 2
    assert message in err.splitlines()[-1]
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("brokennet", "model 'brokennet' cannot be made: ValueError: no weights"),
        ("absentnet", "model 'absentnet' of fakepack 1.2 cannot be imported"),
        ("resnet14_w4", "model 'resnet14_w4' is rbmix's own"),
        ("flatnit", "unknown model 'flatnit'; did you mean 'flatnet'"),
    ],
)
def test_what_is_wrong_with_a_model_is_one_line(evaluate, model: str, message: str) -> None:
    """Exit code 2, with the package's name."""
    code, _, err = evaluate("signs", model)
    assert code == 2
    assert message in err.splitlines()[-1]


def test_two_packages_of_one_name(package) -> None:
    """Which of them is meant cannot be told; the others still can be."""
    package("other", "[robustbench_mix.models]\nflatnet = fakepack:net\nsecond = fakepack:net\n")
    with pytest.raises(RbmixError, match="fakepack 1.2 and other 1.2: several packages"):
        registry.parse("flatnet").load_pretrained()
    net = registry.parse("second").load_pretrained().model
    assert net(torch.zeros(1, 1, 8, 8)).shape == (1, 10)


@pytest.mark.default
def test_they_are_listed(package, capsys) -> None:
    """With their packages, broken ones too: nothing is imported for that."""
    assert cli.main(["attacks"]) == 0
    assert "algorithm signs, of fakepack 1.2" in capsys.readouterr().out
    assert cli.main(["models"]) == 0
    assert "model absentnet, of fakepack 1.2" in capsys.readouterr().out
    assert cli.main(["attacks", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {"algorithm": "signs", "package": "fakepack 1.2"} in listed
    assert cli.main(["models", "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert counts["flatnet"] == {"package": "fakepack 1.2"}
    assert counts["resnet14"]["full"] == 205_149
    assert "fakepack" not in sys.modules


def test_nothing_is_registered_without_packages() -> None:
    """The groups are empty where nobody fills them."""
    assert {kind: plugins.registering_packages(kind) for kind in plugins.GROUPS} == {
        "algorithm": {}, "model": {},
    }  # fmt: skip
