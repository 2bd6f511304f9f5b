"""`torchvision:NAME`: the classifiers of torchvision."""

from __future__ import annotations

from typing import Any

from torch import nn

from robustbench_mix.data.shape import Shape
from robustbench_mix.errors import unknown
from robustbench_mix.models.sources.common import Pretrained, announce_download, download_error

COMES_WITH_WEIGHTS = False
# Their second heads are used in training only; their own initialisation is slow and warns.
INCEPTIONS = ("googlenet", "inception_v3")


def check(name: str) -> None:
    """Raise RbmixError for a name that is no classifier; it suggests the nearest one."""
    from torchvision import models

    names = models.list_models(module=models)
    if name not in names:
        raise unknown("torchvision model", name, names)


def build(name: str, shape: Shape) -> nn.Module:
    """Build the architecture for a shape; its stem changes unless there are three channels."""
    from torchvision import models

    check(name)
    extra: dict[str, Any] = (
        {"aux_logits": False, "init_weights": False} if name in INCEPTIONS else {}
    )
    model: nn.Module = models.get_model(name, weights=None, num_classes=shape.classes, **extra)
    return _with_channels(model, shape.channels)


def load_pretrained(name: str) -> Pretrained:
    """Load the network with torchvision's best weights; raise RbmixError if that fails."""
    from torchvision import models

    check(name)
    weights = models.get_model_weights(name).DEFAULT
    announce_download(f"torchvision:{name}")
    try:
        model = models.get_model(name, weights=weights)
    except (OSError, RuntimeError) as error:  # RuntimeError: a damaged file
        raise download_error(f"torchvision:{name}", error) from error
    transform = weights.transforms()
    return Pretrained(model, weights.name, tuple(transform.mean), tuple(transform.std))


def _with_channels(model: nn.Module, channels: int) -> nn.Module:
    """Replace the first convolution if the number of colour channels differs."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            if module.in_channels != channels:
                stem = nn.Conv2d(
                    channels,
                    module.out_channels,
                    module.kernel_size,  # type: ignore[arg-type]
                    module.stride,  # type: ignore[arg-type]
                    module.padding,  # type: ignore[arg-type]
                    bias=module.bias is not None,
                )
                model.set_submodule(name, stem)
            break
    return model
