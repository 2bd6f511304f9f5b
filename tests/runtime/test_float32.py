"""Full precision within a block, the user's own choice after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from robustbench_mix.evaluation.borrow import borrow
from robustbench_mix.runtime import float32
from robustbench_mix.runtime.float32 import ieee_float32

pytestmark = pytest.mark.quick


@pytest.fixture(params=["highest", "high", "medium"])
def precision(request: pytest.FixtureRequest) -> Iterator[str]:
    """What a script allows for matrix products."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(request.param)
    yield request.param
    torch.set_float32_matmul_precision(before)


def test_products_are_exact_within_and_as_allowed_after(precision: str) -> None:
    """Where a processor has bfloat16 units, `medium` rounds to them: not within the block."""
    torch.manual_seed(0)
    a, b = torch.randn(64, 256), torch.randn(256, 64)
    exact = (a.double() @ b.double()).float()
    with ieee_float32():
        torch.testing.assert_close(a @ b, exact, rtol=1e-5, atol=1e-4)
    assert torch.get_float32_matmul_precision() == precision


def test_every_switch_is_put_back(precision: str) -> None:
    """Also after an error, and for convolutions on a GPU, which round to TF32 by default."""
    before = [getattr(owner, name) for owner, name, _ in float32._switches()]
    with pytest.raises(KeyError), ieee_float32():
        inside = [getattr(owner, name) == exact for owner, name, exact in float32._switches()]
        assert inside == [True] * len(before)
        assert len(before) > 1
        raise KeyError
    assert [getattr(owner, name) for owner, name, _ in float32._switches()] == before


def test_older_versions_have_other_switches(precision: str) -> None:
    """Up to 2.8 there is one for convolutions and one for products."""
    switches = float32._old_switches()
    assert [name for _, name, _ in switches] == ["allow_tf32", "precision"]
    owner, name, exact = switches[1]
    assert getattr(owner, name) == precision
    setattr(owner, name, exact)
    assert torch.get_float32_matmul_precision() == "highest"


def test_a_borrowed_model_computes_in_full_precision(precision: str) -> None:
    """Whatever a script allows, on any device: the switches say so in the forward pass."""
    seen: list[list[bool]] = []

    class Watched(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            switches = float32._switches()
            seen.append([getattr(owner, name) == exact for owner, name, exact in switches])
            return x

    model = Watched()
    model(torch.zeros(1))
    with borrow(model, torch.device("cpu")):
        model(torch.zeros(1))
    assert not all(seen[0])  # convolutions on a GPU are TF32 by default
    assert all(seen[1])


def test_the_precision_is_recorded_where_it_was_another_one_before() -> None:
    """On a CPU it has always been IEEE float32, and its records stay what they were."""
    assert float32.recorded_precision(torch.device("cpu")) is None
    assert float32.recorded_precision(torch.device("cuda:1")) == "IEEE float32"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_convolutions_on_a_card_are_exact() -> None:
    """TF32 keeps ten bits of a number: far more than rounding of float32 is lost with it."""
    torch.manual_seed(0)
    model = nn.Conv2d(64, 64, 3).cuda()
    x = torch.randn(8, 64, 16, 16, device="cuda")
    exact = nn.functional.conv2d(x.double(), model.weight.double(), model.bias.double()).float()
    with borrow(model, torch.device("cuda")):
        torch.testing.assert_close(model(x), exact, rtol=1e-5, atol=1e-5)
