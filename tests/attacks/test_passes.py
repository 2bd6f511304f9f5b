"""Passes: what they cost together, and who took them."""

from __future__ import annotations

import torch

from robustbench_mix.attacks.passes import Count, PassCounter


def test_a_gradient_costs_as_much_as_a_forward_pass() -> None:
    """On top of its own."""
    assert Count(3, 2).work == 5
    assert Count(3, 2).times(1.5) == (4.5, 3)
    assert Count().work == 0


def test_each_image_has_its_passes() -> None:
    """Where it is known whose they are; an image may be there twice."""
    counter = PassCounter(3)
    counter.add(0, 3, torch.tensor([0, 2, 2]))
    counter.add(1, 1, torch.tensor([1]))
    assert counter.each.tolist() == [[1, 0, 2], [0, 1, 0]]
    counter.add(0, 5, torch.tensor([0, 1, 2]))  # a library's own batch
    assert counter.each.tolist() == [[1, 0, 2], [0, 1, 0]]
    assert (counter.forward, counter.gradient) == (8, 1)


def test_whoever_asks_is_told_of_every_pass() -> None:
    """After it was counted."""
    seen = []
    counter = PassCounter(on_pass=lambda one: seen.append((one.forward, one.gradient)))
    for kind in (0, 1, 0):
        counter.add(kind, 2, torch.empty(0, dtype=torch.int64))
    assert seen == [(2, 0), (2, 2), (4, 2)]
    assert bool(counter.finite)
