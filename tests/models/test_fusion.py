"""The cheapest equal network: exact where it says so, and left alone where it cannot be."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robustbench_mix.models.fusion import Affine, MapLinear, convert_to_bfloat16, simplify
from robustbench_mix.models.separable import SeparableConv2d


def count(model: nn.Module, *kinds: type[nn.Module]) -> list[int]:
    """How many modules of each kind there are."""
    return [sum(type(module) is kind for module in model.modules()) for kind in kinds]


@pytest.mark.default
@pytest.mark.parametrize(
    ("name", "size", "norms", "matrices"),
    [("resnet14", 16, 7, 0), ("resnet18", 8, 0, 7), ("convmixer16_2_k5_p2", 8, 5, 0)],
)
def test_simplified_is_equal(network, name: str, size: int, norms: int, matrices: int) -> None:
    """Logits and input gradients agree in float64; the model itself is not touched."""
    model = network(name, size).double()
    before = count(model, SeparableConv2d, nn.BatchNorm2d)
    x = torch.rand(6, 3, size, size, dtype=torch.float64, requires_grad=True)
    cheap = simplify(model, x.detach())
    kinds = SeparableConv2d, nn.BatchNorm2d, Affine, MapLinear
    assert count(cheap, *kinds) == [0, 0, norms, matrices]
    assert count(model, SeparableConv2d, nn.BatchNorm2d) == before
    gradients = []
    for net in (model, cheap):
        logits = net(x)
        torch.testing.assert_close(logits, model(x), rtol=1e-9, atol=1e-9)
        gradients += torch.autograd.grad(logits.square().sum(), x)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-8, atol=1e-10)


class Shared(nn.Module):
    """One convolution used twice, and a norm whose input something else takes as well."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.twice = nn.Conv2d(4, 4, 3, padding=1)
        self.after = nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.first(x)
        b = self.twice(self.norm(a) + a)
        return self.after(self.twice(b)).mean((2, 3))


def test_what_cannot_be_folded_is_kept() -> None:
    """A norm behind a shortcut or a shared convolution stays, as a map of its own."""
    torch.manual_seed(1)
    model = Shared().eval()
    model.norm.running_mean += 1
    model.after.running_var += 1
    x = torch.rand(4, 3, 2, 2)
    cheap = simplify(model, x)
    assert count(cheap, nn.BatchNorm2d, Affine) == [0, 2]
    assert count(cheap, MapLinear) == [1]  # the first convolution, on a map of four pixels
    torch.testing.assert_close(cheap(x), model(x))


def test_random_networks_are_searched_as_they_are() -> None:
    """A copy that does not agree with the model, here by chance, is not used."""

    class Noisy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((2, 3)) + 9 * torch.rand(())

    noisy = Noisy()
    assert simplify(noisy, torch.rand(2, 3, 4, 4)) is noisy
    assert convert_to_bfloat16(noisy, torch.rand(2, 3, 4, 4)) is None


def test_networks_that_cannot_be_copied_are_searched_as_they_are() -> None:
    """A tensor with a history cannot be copied: no reason to fail."""
    model = nn.Conv2d(3, 4, 3).eval()
    model.odd = model.weight * 2
    assert simplify(model, torch.rand(2, 3, 4, 4)) is model


class Hooked(nn.Module):
    """Keeps features by a hook on the network that it was made with, and not on a copy."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.features = net, None

        def keep(_: nn.Module, __: object, made: torch.Tensor) -> None:
            self.features = made

        net[1].register_forward_hook(keep)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.net(x)
        return self.features.mean((2, 3))


class Branches(nn.Module):
    """Skips its norm for dark images, of which there are none at first."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = self.net[0](x)
        is_dark = bool(x[:1].mean() < 0.65)
        return (made if is_dark else self.net[1](made)).mean((2, 3))


class Uncopied(nn.Module):
    """Cannot be copied, for a reason of its own."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def __deepcopy__(self, _: object) -> nn.Module:
        raise KeyError("a handle")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x).mean((2, 3))


@pytest.mark.parametrize("kind", [Hooked, Branches, Uncopied])
def test_a_copy_is_believed_on_other_images_only(kind: type[nn.Module]) -> None:
    """Whatever goes wrong with it, the network itself is searched."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)).eval()
    nn.init.uniform_(layers[1].running_var, 2, 4)
    model = kind(layers).eval().requires_grad_(False)
    x = 0.5 + 0.5 * torch.rand(4, 3, 4, 4)
    x[-1] /= 9
    with torch.no_grad():
        model(x)
    assert simplify(model, x) is model


def test_norms_of_the_batch_are_kept() -> None:
    """They have no statistics to fold; others are folded all the same."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4, track_running_stats=False), nn.Flatten(),
    ).eval()  # fmt: skip
    nn.init.uniform_(model[1].running_var, 2, 4)
    cheap = simplify(model, torch.rand(4, 3, 4, 4))
    assert count(cheap, nn.BatchNorm2d) == [1]


def test_halved_is_near_and_keeps_pixels_and_head_in_full_precision(network) -> None:
    """Logits within a few percent; a twentieth of a grey level still reaches the network."""
    model = network("resnet14_w4", 8)
    x = torch.rand(8, 3, 8, 8)
    halved = convert_to_bfloat16(simplify(model, x), x)
    assert halved is not None
    first, *others = [m for m in halved.modules() if type(m) is nn.Conv2d]
    assert first.weight.dtype == torch.float32
    assert {m.weight.dtype for m in others} == {torch.bfloat16}
    logits = model(x)
    assert halved(x).dtype == torch.float32
    assert (halved(x) - logits).abs().max() < 0.05 * logits.abs().max()
    assert not torch.equal(first(x), first(x + 0.05 / 255))


@pytest.mark.parametrize("affine", [True, False])
def test_a_norm_is_an_affine_map(affine: bool) -> None:
    """With and without weights of its own, in float64."""
    norm = nn.BatchNorm2d(5, affine=affine).double().eval()
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.1, 3)
    if affine:
        nn.init.uniform_(norm.weight, -1, 1)
        nn.init.uniform_(norm.bias, -1, 1)
    x = torch.randn(3, 5, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(Affine(norm)(x), norm(x), rtol=1e-12, atol=1e-12)
