"""Describe a network for `rbmix describe`."""

from __future__ import annotations

from typing import Any

from robustbench_mix.config import command_checks
from robustbench_mix.data import loaders
from robustbench_mix.models import factory, summary
from robustbench_mix.models.sources import registry


def describe(
    *,
    model: str,
    spatial: str = "learned",
    channel: str = "learned",
    dataset: str | None = None,
    input_size: int | None = None,
    classes: int | None = None,
) -> dict[str, Any]:
    """The layers and costs of a network as it would be trained, as plain values.

    Without a data set, for colour images of 32 pixels and ten classes unless said otherwise.
    """
    spec = command_checks.description(
        model=model, spatial=spatial, channel=channel, dataset=dataset,
        input_size=input_size, classes=classes,
    )  # fmt: skip
    registry.parse(model).check()
    shape = factory.Shape(3, 32, classes or 10) if dataset is None else loaders.shape(dataset)
    network = factory.build_on_meta_device(spec, shape)
    fitted = factory.input_shape(spec, shape)
    return {
        "model": model, "spatial": spatial, "channel": channel,
        "image": list(fitted.image), "classes": fitted.classes,
        **summary.summarize(network, fitted).as_json(),
    }  # fmt: skip
