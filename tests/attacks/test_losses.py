"""The losses that attacks ascend, by hand and against AutoAttack's own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robustbench_mix.attacks import losses

LOGITS = torch.tensor([[4.0, 1.0, 3.0, 0.0], [4.0, 1.0, 3.0, 0.0]])
Y = torch.tensor([0, 2])


def test_by_hand() -> None:
    """An image that is right, and one that is wrong."""
    assert losses.pick(LOGITS, Y).tolist() == [4, 3]
    assert losses.margin(LOGITS, Y).tolist() == [1, -1]
    # Own minus largest other, over largest minus third.
    torch.testing.assert_close(losses.dlr(LOGITS, Y), torch.tensor([-1 / 3, 1 / 3]))
    # Own minus target class, over largest minus the mean of third and fourth.
    towards = losses.dlr_targeted(LOGITS, Y, torch.tensor([1, 3]))
    torch.testing.assert_close(towards, torch.tensor([-3 / 3.5, -3 / 3.5]))
    norm = LOGITS[0].exp().sum().log()
    torch.testing.assert_close(losses.cross_entropy(LOGITS, Y), norm - torch.tensor([4.0, 3.0]))


@given(seed=st.integers(0, 2**31), classes=st.integers(4, 12))
def test_signs_tell_who_is_wrong(seed: int, classes: int) -> None:
    """The margin is not positive, and DLR not negative, exactly where the image is wrong."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(20, classes, generator=generator)
    y = torch.randint(classes, (20,), generator=generator)
    wrong = logits.argmax(1) != y
    assert torch.equal(losses.margin(logits, y) <= 0, wrong)
    assert torch.equal(losses.dlr(logits, y) >= 0, wrong)


@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_dlr_does_not_depend_on_the_scale(factor: float) -> None:
    """Nor on a shift, in either form; the cross-entropy does."""
    logits, y = torch.randn(9, 5), torch.arange(9) % 5
    target = (y + 1) % 5
    changed = factor * logits + 3
    torch.testing.assert_close(losses.dlr(changed, y), losses.dlr(logits, y), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(
        losses.dlr_targeted(changed, y, target), losses.dlr_targeted(logits, y, target),
        rtol=1e-3, atol=1e-4,
    )  # fmt: skip
    before = losses.cross_entropy(logits, y)
    assert not torch.allclose(losses.cross_entropy(changed, y), before)


def test_ties_are_finite() -> None:
    """All logits alike: nothing is divided by zero, and the margin speaks against the label."""
    logits, y = torch.ones(2, 4), torch.tensor([0, 3])
    assert losses.dlr(logits, y).tolist() == [0, 0]
    assert losses.dlr_targeted(logits, y, torch.tensor([1, 1])).tolist() == [0, 0]
    assert losses.margin(logits, y).tolist() == [0, 0]


def test_gradients_flow_to_the_logits_that_count() -> None:
    """Of the margin: the label's and the largest other."""
    logits = LOGITS.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(losses.margin(logits, Y).sum(), logits)
    assert gradient.tolist() == [[1, 0, -1, 0], [-1, 0, 1, 0]]
