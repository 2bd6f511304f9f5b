"""What `rbmix describe` counts, against numbers made by hand and another counter."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from robustbench_mix.config.model import ModelSpec
from robustbench_mix.models import factory, separable
from robustbench_mix.models.operations import count_multiply_adds
from robustbench_mix.models.summary import summarize, unreached_convolutions

COLOUR = factory.Shape(channels=3, size=32, classes=10)


class Net(nn.Module):
    """Layers in a row, then the mean over positions and a linear head."""

    def __init__(self, *layers: nn.Module, width: int = 4) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(x).flatten(2).mean(2))


@pytest.mark.parametrize(
    ("spatial", "channel", "trainable"),
    [
        ("learned", "learned", 205_149),
        ("frozen", "learned", 172_506),
        ("learned", "frozen", 34_221),
        ("frozen", "frozen", 205_149 - 32_643 - 170_928),
    ],
)
def test_resnet14_has_the_papers_counts(spatial: str, channel: str, trainable: int) -> None:
    """Full, Chans and Space as printed in arXiv 2503.16760, whichever variant is described."""
    found = summarize(
        factory.build_on_meta_device(ModelSpec("resnet14", spatial, channel), COLOUR), COLOUR
    )
    assert found.parameters() == {"full": 205_149, "chans": 172_506, "space": 34_221}
    plain = found.as_json()
    assert plain["trainable"] == trainable
    assert plain["trainable"] + plain["frozen"] == 205_149


def test_groups_strides_and_the_other_form_by_hand() -> None:
    """Groups, strides, and two steps where the dense kernel costs far more."""
    net = Net(separable.SeparableConv2d(8, 128, 3, stride=2, padding=1, multiplier=1), width=128)
    (cost,) = count_multiply_adds(net, factory.Shape(8, 9, 10)).separable
    assert cost.composed == 25 * 128 * 8 * 9
    assert cost.two_step == 25 * (8 * 9 + 8 * 128)
    assert (cost.runs, cost.as_it_runs) == ("two-step", cost.two_step)
    net = Net(separable.SeparableConv2d(8, 16, 3, groups=4, bias=True), width=16)
    (cost,) = count_multiply_adds(net, factory.Shape(8, 6, 10)).separable
    assert cost.composed == 16 * 16 * 2 * 9
    assert cost.two_step == 16 * (8 * 9 * 9 + 16 * 18)
    assert cost.composing == 8 * 9 * 9 * 4


def test_the_rest_by_hand() -> None:
    """Linear layers and all kinds of convolution, transposed ones by their input."""
    net = Net(nn.Conv2d(3, 6, 2, stride=2), nn.ConvTranspose2d(6, 4, 2, stride=2))
    done = count_multiply_adds(net, factory.Shape(3, 8, 10))
    assert done.separable == []
    assert done.rest == 16 * (6 * 3 * 4) + 16 * (6 * 4 * 4) + 4 * 10
    adds = summarize(net, factory.Shape(3, 8, 10)).multiply_adds()
    assert set(adds.values()) == {done.rest, 0}


@pytest.mark.parametrize("name", ["resnet14", "convmixer64_2_k8_p2", "torchvision:mobilenet_v2"])
def test_totals_agree_with_pytorchs_counter(name: str) -> None:
    """What runs, composing included, is half of the floating-point operations PyTorch counts."""
    net = factory.build_on_meta_device(ModelSpec(name), COLOUR).eval()
    with FlopCounterMode(display=False) as counter:
        net(torch.empty(1, 3, 32, 32, device="meta"))
    adds = summarize(net, COLOUR).multiply_adds()
    assert 2 * (adds["as_it_runs"] + adds["composing_a_batch"]) == counter.get_total_flops()


@pytest.mark.default
@pytest.mark.parametrize(
    "name", ["resnet14_w4", "resnet18_d2", "convmixer8_2_k3_p1", "torchvision:mobilenet_v3_small"]
)
def test_counts_agree_with_those_of_the_variants(name: str) -> None:
    """Summing kinds of layers gives what freezing them leaves trainable."""
    found = summarize(factory.build_on_meta_device(ModelSpec(name), COLOUR), COLOUR)
    assert found.parameters() == factory.trainable_parameters(name, COLOUR)


def test_every_kind_is_told_apart() -> None:
    """Spatial, channel, patch embedding, what no variant reaches, and everything else."""
    torch.manual_seed(0)
    normed = nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 3, padding=1))
    net = Net(
        nn.Conv2d(3, 4, 2, stride=2),
        nn.Conv2d(4, 4, 3, padding=1, groups=4),
        nn.Conv2d(4, 4, 1),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2),
        nn.ConvTranspose2d(4, 4, 2),
        normed,
        nn.BatchNorm2d(4),
    )
    found = summarize(separable.separate(net), factory.Shape(3, 8, 10))
    assert {layer.name: layer.kind for layer in found.layers} == {
        "layers.0": "patch embedding",
        "layers.1": "spatial",
        "layers.2": "channel",
        "layers.3.depthwise": "spatial",
        "layers.3.pointwise": "channel",
        "layers.4": "not set",
        "layers.5": "not set",
        "1 x ParametrizationList": "other",  # the weight norm's own
        "1 x BatchNorm2d": "other",
        "1 x Linear": "other",
    }
    notes = {layer.name: layer.note for layer in found.layers}
    assert "dense 3x3 convolution, depth multiplier 9" in notes["layers.3.depthwise"]
    assert "ConvTranspose2d is no Conv2d" in notes["layers.4"]
    assert "computed from other parameters" in notes["layers.5"]
    assert [layer.name for layer in unreached_convolutions(net)] == ["layers.4", "layers.5"]
    total = sum(layer.trainable + layer.frozen for layer in found.layers)
    assert total == sum(p.numel() for p in net.parameters())


def test_linear_layers_over_maps_and_attention_are_noted() -> None:
    """A vision transformer has no filters, and its linear layers are no channel mixers here."""
    net = torchvision.models.VisionTransformer(16, 8, 1, 2, 8, 16, num_classes=10)
    found = summarize(net, factory.Shape(3, 16, 10))
    notes = {layer.name: layer.note for layer in found.layers}
    assert "without filters" in notes["1 x MultiheadAttention"]
    assert "not set by --channel" in notes["2 x Linear"]
    assert notes["1 x Linear"] == ""
    parameters = found.parameters()
    assert (parameters["chans"], parameters["space"]) == (None, None)


def test_shared_layers_are_counted_once_and_run_twice() -> None:
    """Parameters of a module in two places count once, its multiply-adds for each use."""
    shared = separable.SeparableConv2d(4, 4, 3, padding=1)
    net = Net(nn.Conv2d(3, 4, 1), shared, shared)
    found = summarize(net, factory.Shape(3, 8, 10))
    assert found.costs[0].composed == 2 * 64 * 4 * 4 * 9
    assert found.as_json()["trainable"] == sum(p.numel() for p in net.parameters())


def test_describing_changes_nothing() -> None:
    """Modes, hooks and weights of a network in training are left alone."""
    net = separable.separate(Net(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    summarize(net, factory.Shape(3, 8, 10))
    assert all(module.training and not module._forward_hooks for module in net.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
