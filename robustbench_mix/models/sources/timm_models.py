"""`timm:NAME`: the networks of timm (PyTorch Image Models), an optional extra."""

from __future__ import annotations

from typing import Any

from torch import nn

from robustbench_mix.data.shape import Shape
from robustbench_mix.errors import unknown
from robustbench_mix.models.sources.common import (
    Pretrained,
    announce_download,
    download_error,
    import_optional,
)

COMES_WITH_WEIGHTS = False


def check(name: str) -> None:
    """Raise RbmixError for a name that timm does not have; it suggests the nearest one."""
    timm = import_optional("timm", f"timm:{name}", "timm")
    if ":" in name or not timm.is_model(name):
        raise unknown("timm model", name, timm.list_models())


def build(name: str, shape: Shape) -> nn.Module:
    """Build the architecture for the channels and classes of a shape."""
    check(name)
    timm = import_optional("timm", f"timm:{name}", "timm")
    model: nn.Module = timm.create_model(
        name, pretrained=False, num_classes=shape.classes, in_chans=shape.channels
    )
    return model


def load_pretrained(name: str) -> Pretrained:
    """Load the network with timm's weights; raise RbmixError if there are none."""
    check(name)
    timm = import_optional("timm", f"timm:{name}", "timm")
    announce_download(f"timm:{name}")
    try:
        model = timm.create_model(name, pretrained=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: no weights for this name
        raise download_error(f"timm:{name}", error) from error
    return as_pretrained(model, str(model.pretrained_cfg.get("tag") or "pretrained"))


def as_pretrained(model: Any, weights: str) -> Pretrained:
    """Return a network of timm with mean and std of its configuration."""
    config = model.pretrained_cfg
    mean, std = config.get("mean"), config.get("std")
    if not (mean and std):
        return Pretrained(model, weights)
    return Pretrained(model, weights, tuple(mean), tuple(std))
