"""Summarise a network: its spatial mixers, channel mixers, other layers, and their costs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from robustbench_mix.data.shape import Shape
from robustbench_mix.models.mixers import channel_mixers, patch_embedding, spatial_mixers
from robustbench_mix.models.operations import SeparableCost, count_multiply_adds
from robustbench_mix.models.separable import SeparableConv2d

SPATIAL, CHANNEL, EMBEDDING = "spatial", "channel", "patch embedding"
UNSET = "not set"  # a convolution that neither --spatial nor --channel changes
OTHER = "other"


@dataclass(frozen=True)
class Layer:
    """A layer with its own parameters; those of kind `other` are grouped by their type."""

    name: str
    kind: str
    what: str
    trainable: int
    frozen: int
    note: str = ""


@dataclass(frozen=True)
class ModelSummary:
    """The layers of a network, and the multiply-adds of its separable and other layers."""

    layers: list[Layer]
    costs: list[SeparableCost]
    rest: int

    def parameters(self) -> dict[str, int | None]:
        """Count the parameters that Full, Chans and Space train; None if there is no such mixer."""
        of = dict.fromkeys((SPATIAL, CHANNEL, EMBEDDING, UNSET, OTHER), 0)
        for layer in self.layers:
            of[layer.kind] += layer.trainable + layer.frozen
        full = sum(of.values())
        return {
            "full": full,
            "chans": full - of[SPATIAL] if of[SPATIAL] else None,
            "space": full - of[CHANNEL] if of[CHANNEL] else None,
        }

    def multiply_adds(self) -> dict[str, int]:
        """Count the multiply-adds of the whole network for one image.

        Returns:
            The counts with every separable convolution composed, with all in two steps, as the
            network runs, and of composing the kernels once per batch.
        """
        return {
            "composed": self.rest + sum(cost.composed for cost in self.costs),
            "two_step": self.rest + sum(cost.two_step for cost in self.costs),
            "as_it_runs": self.rest + sum(cost.as_it_runs for cost in self.costs),
            "composing_a_batch": sum(c.composing for c in self.costs if c.runs == "composed"),
        }

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "layers": [asdict(layer) for layer in self.layers],
            "separable": [asdict(cost) for cost in self.costs],
            "parameters": self.parameters(),
            "trainable": sum(layer.trainable for layer in self.layers),
            "frozen": sum(layer.frozen for layer in self.layers),
            "multiply_adds": self.multiply_adds(),
        }


def summarize(model: nn.Module, shape: Shape) -> ModelSummary:
    """Summarise a network, separated and with its mixers set, for images of `shape`."""
    done = count_multiply_adds(model, shape)
    return ModelSummary(_layers(model, done.on_maps), done.separable, done.rest)


def unreached_convolutions(model: nn.Module) -> list[Layer]:
    """Return the convolutions that no variant changes."""
    return [layer for layer in _layers(model, set()) if layer.kind == UNSET]


def _layers(model: nn.Module, linear_on_maps: set[nn.Module]) -> list[Layer]:
    """List the mixers in order, then other layers by type; shared parameters count once."""
    spatial, channel = set(spatial_mixers(model)), set(channel_mixers(model))
    embedding = patch_embedding(model)
    notes = _notes_of_separable(model)
    counted: set[Tensor] = set()
    found: list[Layer] = []
    groups: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for name, module in model.named_modules():
        own = [p for p in module._parameters.values() if p is not None and p not in counted]
        counted.update(own)
        trainable = sum(p.numel() for p in own if p.requires_grad)
        frozen = sum(p.numel() for p in own if not p.requires_grad)
        if module in spatial:
            kind, note = SPATIAL, notes.get(module, "depthwise as it comes")
        elif module in channel:
            kind, note = CHANNEL, notes.get(module, "")
        elif module is embedding:
            kind, note = EMBEDDING, "cuts the image into patches: neither spatial nor channel"
        elif isinstance(module, _ConvNd) and _mixes_positions(module) and hasattr(module, "weight"):
            kind, note = UNSET, _why_unreached(module)
        else:
            note = _note_of_other(module, linear_on_maps)
            if own or note:
                groups.setdefault((type(module).__name__, note), []).append((trainable, frozen))
            continue
        assert isinstance(module, _ConvNd)
        what = _describe(module)
        found.append(Layer(name, kind, what, trainable, frozen, note))
    for (kind_of, note), counts in groups.items():
        trainable, frozen = (sum(column) for column in zip(*counts, strict=True))
        found.append(Layer(f"{len(counts)} x {kind_of}", OTHER, "", trainable, frozen, note))
    return found


def _notes_of_separable(model: nn.Module) -> dict[nn.Module, str]:
    notes: dict[nn.Module, str] = {}
    for module in model.modules():
        if isinstance(module, SeparableConv2d):
            kernel = "x".join(str(side) for side in module.depthwise.kernel_size)
            shell = (
                "" if module.shell is None else f", which keeps its {type(module.shell).__name__}"
            )
            stands = f"of a dense {kernel} convolution{shell}"
            notes[module.depthwise] = f"part {stands}, depth multiplier {module.multiplier}"
            notes[module.pointwise] = "the other part"
    return notes


def _mixes_positions(module: _ConvNd) -> bool:
    return max(module.kernel_size) > 1


def _why_unreached(module: _ConvNd) -> str:
    """Return why a convolution that mixes positions could not be made separable."""
    if not isinstance(module, nn.Conv2d):
        return f"{type(module).__name__} is no Conv2d: stays as it is, learned"
    return "its weight is computed from other parameters: stays as it is, learned"


def _note_of_other(module: nn.Module, linear_on_maps: set[nn.Module]) -> str:
    """Return a note on a layer that is no convolution, '' if none is needed."""
    if "attention" in type(module).__name__.lower():
        return "mixes positions without filters: nothing for --spatial to set"
    if module in linear_on_maps:
        return "mixes a map or tokens along their last axis: not set by --channel"
    return ""


def _describe(conv: _ConvNd) -> str:
    kernel = "x".join(str(side) for side in conv.kernel_size)
    parts = [f"{kernel}, {conv.in_channels} -> {conv.out_channels}"]
    if conv.groups > 1:
        parts.append("depthwise" if conv.groups == conv.in_channels else f"{conv.groups} groups")
    for name in ("stride", "dilation"):
        value = getattr(conv, name)
        if max(value) > 1:
            parts.append(f"{name} {value[0] if len(set(value)) == 1 else value}")
    return ", ".join(parts)
