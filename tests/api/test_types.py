"""What is public has types: no `Any`, and type checkers know words, results and typing errors."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import robustbench_mix as rbmix


def public(owner: object) -> Iterator[tuple[str, Callable[..., object]]]:
    """What a name of the package offers, with its name."""
    if not inspect.isclass(owner):
        yield getattr(owner, "__name__", ""), owner  # type: ignore[misc]
        return
    for name, value in vars(owner).items():
        if name.startswith("_") and name != "__init__":
            continue
        for one in (value.fget,) if isinstance(value, property) else (value,):
            if isinstance(one, classmethod):
                one = one.__func__
            if inspect.isfunction(one):
                yield f"{owner.__name__}.{name}", inspect.unwrap(one)


def hints(function: Callable[..., object]) -> dict[str, object]:
    """The types of a function or a class, with those that are imported for checkers alone."""
    from matplotlib.axes import Axes
    from torch import Tensor

    return typing.get_type_hints(function, localns={"Axes": Axes, "Tensor": Tensor})


def any_in(kind: object) -> bool:
    """Whether a type has an `Any` in it, however deep."""
    return kind is typing.Any or any(any_in(part) for part in typing.get_args(kind))


CALLS = {
    name: call
    for word in rbmix.__all__
    if callable(getattr(rbmix, word))
    for name, call in public(getattr(rbmix, word))
}


@pytest.mark.parametrize("name", CALLS)
def test_no_signature_says_any(name: str) -> None:
    """Neither what goes in nor what comes out."""
    found = hints(CALLS[name])
    assert found, name
    assert [part for part, kind in found.items() if any_in(kind)] == []


@pytest.mark.parametrize("name", ["Result", "Curve", "Protocol"])
def test_no_attribute_says_any(name: str) -> None:
    """Of what comes back."""
    owner = getattr(rbmix, name)
    found = hints(owner)
    for field in dataclasses.fields(owner):
        # Tables have columns of many types, and pandas ships no types of its own.
        assert not any_in(found[field.name]), field.name


def test_an_any_is_found() -> None:
    """At any depth."""
    assert any_in(dict[str, list[typing.Any]] | None)
    assert any_in(Callable[[int], typing.Any])
    assert not any_in(dict[str, list[object]] | None)
    assert len(CALLS) > 20


SCRIPT = """
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import robustbench_mix as rbmix

net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
x, y = torch.rand(8, 1, 8, 8), torch.arange(8)
data = TensorDataset(x, y)
opts = {"steps": 3}
result: rbmix.Result = rbmix.evaluate(net, (x, y), "pgd", eps=8 / 255, norm="Linf")
rbmix.evaluate(lambda x: net(x), (x.numpy(), y.numpy()), eps=[1 / 255, "2/255"], norm=2)
rbmix.evaluate(net, data, "fgsm", eps=np.linspace(0, 0.1, 3), norm=np.inf, name="mine", x_adv=True)
rbmix.evaluate(net, DataLoader(data, batch_size=4), protocol="./mine.toml", device=x.device)
rbmix.evaluate("resnet14", "digits", rbmix.Protocol("p", "", "pgd", "linf", (), opts))
axes = result.plot()
axes.set_title("mine")
found: Tensor | None = result.x_adv
flags: dict[str, str] = result.flags
curve = rbmix.curve(net, x, y.numpy(), [8 / 255], attack="pgd", steps=3)
level: Tensor = curve.level
adversary = rbmix.AutoAttack(net, norm="L2", eps=0.5, version="custom", attacks_to_run=["fab-t"])
adversary.apgd.n_restarts = 2
x_adv: Tensor = adversary.run_standard_evaluation(x, y, bs=4)
x_adv, y_adv = adversary.run_standard_evaluation(x, y, bs=4, return_labels=True)
x_adv, y_adv = adversary.run_standard_evaluation(x, y, batch_size=4)
"""
WRONG = {
    'rbmix.evaluate(net, (x, y), backend="fats")': "backend",
    'rbmix.evaluate("resnet14", channel="frosen")': "channel",
    'rbmix.AutoAttack(net, version="standart")': "version",
    'rbmix.AutoAttack(net, attacks_to_run=["apgd"])': "apgd",
    "rbmix.evalute(net, (x, y))": "evalute",
    "rbmix.evaluate(net, (x, y), epsilons=[0.1])": "epsilons",
    'result.plot("axes")': "plot",
}


@pytest.mark.default
def test_a_script_of_a_users_is_checked(tmp_path: Path, checkout: Path) -> None:
    """By mypy, strictly: a right one passes, each wrong line is found."""
    pytest.importorskip("mypy")
    wrong = "\n".join(WRONG)
    (tmp_path / "script.py").write_text(SCRIPT + wrong + "\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"),
         "--follow-imports", "silent", "--config-file", str(checkout / "pyproject.toml"),
         "script.py"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={"MYPYPATH": str(checkout), "PATH": ""},
    )  # fmt: skip
    first = SCRIPT.count("\n") + 1
    lines = [line for line in done.stdout.splitlines() if line.startswith("script.py:")]
    errors = {int(line.split(":")[1]) for line in lines if " error: " in line}
    assert errors == set(range(first, first + len(WRONG))), done.stdout + done.stderr
