"""The average of weights: its decay, what it leaves alone, and lending it to a network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robustbench_mix.training.averaging import (
    borrowed_weights,
    copy_weights,
    decay_at,
    update_average,
)


def network() -> nn.Module:
    """A network with a frozen layer, norm statistics and a counter of batches."""
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))
    model[0].weight.requires_grad_(False)
    return model


def test_the_decay_grows_to_its_limit() -> None:
    """From 2/11 on, so that the first weights are soon forgotten."""
    assert decay_at(1, 0.9995) == 2 / 11
    assert decay_at(980, 0.9995) == 981 / 990
    assert decay_at(100_000, 0.9995) == 0.9995
    assert decay_at(1, 0.1) == 0.1


@pytest.mark.parametrize("steps", [8, 980])
def test_a_short_training_is_not_dominated_by_its_first_weights(steps: int) -> None:
    """What is left of them is little, and half of the average is from the last tenth."""
    first = torch.tensor([decay_at(step, 0.9995) for step in range(1, steps + 1)]).prod()
    assert first < 1e-3
    model, ages = nn.Linear(1, 1), []
    average = copy_weights(model)
    for step in range(1, steps + 1):
        nn.init.constant_(model.weight, step)
        update_average(average, model, 0.9995, step)
        ages.append(1 - average["weight"].item() / step)
    assert ages[-1] < 0.12


def test_an_average_is_as_written_down() -> None:
    """Weights and running statistics alike; counters are copied; what is frozen stays exactly."""
    torch.manual_seed(0)
    model = network()
    frozen = model[0].weight.clone()
    average = copy_weights(model)
    wanted = {name: tensor.double() for name, tensor in average.items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for step in range(1, 6):
        model(torch.randn(4, 3)).square().mean().backward()
        optimizer.step()
        update_average(average, model, 0.4, step)
        share = decay_at(step, 0.4)
        for name, tensor in model.state_dict().items():
            wanted[name] = share * wanted[name] + (1 - share) * tensor.double()
    assert torch.equal(average["0.weight"], frozen)
    assert average["1.num_batches_tracked"] == 5
    assert not torch.equal(average["1.running_var"], model[1].running_var)
    for name, tensor in average.items():
        if tensor.is_floating_point():
            assert torch.allclose(tensor.double(), wanted[name], atol=1e-6), name


def test_a_network_gets_its_own_weights_back() -> None:
    """Also after an error."""
    model, other = network(), copy_weights(network())
    own = copy_weights(model)
    with pytest.raises(ZeroDivisionError), borrowed_weights(model, other):
        assert torch.equal(model[2].weight, other["2.weight"])
        _ = 1 / 0
    assert all(torch.equal(tensor, own[name]) for name, tensor in model.state_dict().items())
