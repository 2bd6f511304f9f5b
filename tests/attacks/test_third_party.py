"""Attacks of other packages: what they are given, and what they may not do."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.reference.third_party import (
    as_images,
    check_options,
    keywords,
    one_line,
    third_party_stages,
)
from robustbench_mix.errors import RbmixError

BATCH = Batch(
    torch.rand(2, 1, 2, 2), torch.tensor([0, 1]), torch.full((2,), 0.1, dtype=torch.float64),
    torch.arange(2), "l2", (7, 9), 5,
)  # fmt: skip


def attack_with(function, **options):
    """What a registered attack gives."""
    (stage,) = third_party_stages("theirs", function, options)
    assert stage.name == "theirs"
    return stage.attack(CountedModel(nn.Flatten()), BATCH)


def test_it_is_given_what_it_names() -> None:
    """Beside its own options; copies, so that it cannot change the images."""

    def some(model, x, y, *, eps, seed, width=1):
        assert (eps, seed, width) == (0.1, 5, 3)
        return x.zero_()

    def everything(model, x, y, **given):
        assert given == {"eps": 0.1, "norm": "l2", "seed": 5, "index": [7, 9], "width": 3}
        y.zero_()
        return x + 1

    assert torch.equal(attack_with(some, width=3), torch.zeros(2, 1, 2, 2))
    assert torch.equal(attack_with(everything, width=3), BATCH.x + 1)
    assert BATCH.y.tolist() == [0, 1]
    assert BATCH.x.max() > 0


def test_options_are_checked_before_it_runs() -> None:
    """What it is given anyway is no option."""

    def attack(model, x, y, *, eps, width=1):
        return x

    for name in ("height", "eps", "x"):
        with pytest.raises(RbmixError, match=rf"unknown option of theirs '{name}'.*width\)"):
            third_party_stages("theirs", attack, {name: 1})
    with pytest.raises(RbmixError, match=r"allowed: none\)"):
        check_options("theirs", {"width": 1}, [])


def test_gradients_are_left_behind() -> None:
    """It may take them, also where the engine does not."""

    def attack(model, x, y, *, eps):
        x = x.requires_grad_()
        (gradient,) = torch.autograd.grad(model(x).sum(), x)
        return x + eps * gradient

    with torch.no_grad():
        found = attack_with(attack)
    assert not found.requires_grad
    torch.testing.assert_close(found, BATCH.x + 0.1)


def test_what_is_no_tensor() -> None:
    """Is named by its type."""
    with pytest.raises(RbmixError, match="theirs returned list, not a tensor of images"):
        as_images("theirs", [1, 2])


@pytest.mark.parametrize(
    ("error", "message"),
    [(ValueError("bad\nand more"), r"\(ValueError: bad\)"), (KeyError(), r"\(KeyError\)"),
     (RuntimeError("x" * 999), rf"\(RuntimeError: {'x' * 200}\)")],
)  # fmt: skip
def test_a_crash_is_one_line(error: Exception, message: str) -> None:
    """It names the attack and the first line of what it said."""
    with pytest.raises(RbmixError, match=f"^theirs failed {message}$") as found, one_line("theirs"):
        raise error
    assert found.value.__cause__ is error


@pytest.mark.parametrize("error", [RbmixError("known"), RuntimeError("CUDA out of memory")])
def test_what_others_handle_passes(error: Exception) -> None:
    """Our own errors, and memory that runs out, for smaller batches to be tried."""
    with pytest.raises(type(error)) as found, one_line("theirs"):
        raise error
    assert found.value is error


def test_what_does_not_tell_its_arguments() -> None:
    """Has none that are known."""
    assert keywords(type) == []
    assert [one.name for one in keywords(lambda a, *, b=1: a)] == ["a", "b"]
