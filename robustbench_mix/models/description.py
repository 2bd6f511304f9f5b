"""Describe a network for `rbmix describe`."""

from __future__ import annotations

from typing import Any

from robustbench_mix.config.model import ModelSpec
from robustbench_mix.data import loaders
from robustbench_mix.models import factory, summary
from robustbench_mix.models.given import precision_of
from robustbench_mix.models.sources import registry
from robustbench_mix.runtime.float32 import FULL


def describe(spec: ModelSpec, dataset: str | None = None) -> dict[str, Any]:
    """Return the layers and costs of a network as it would be trained, as plain values.

    Args:
        spec: The network.
        dataset: The name of the data set; None stands for colour images of 32 x 32 pixels and ten
            classes, unless the network's interface differs.
    """
    registry.parse(spec.model).check()
    classes = spec.interface.classes if spec.interface else None
    shape = factory.Shape(3, 32, classes or 10) if dataset is None else loaders.shape(dataset)
    network = factory.build_on_meta_device(spec, shape)
    fitted = factory.input_shape(spec, shape)
    return {
        "model": spec.model, "spatial": spec.spatial, "channel": spec.channel,
        "image": list(fitted.image), "classes": fitted.classes,
        "precision": f"{precision_of(network)} weights, decided in {FULL}",
        **summary.summarize(network, fitted).as_json(),
    }  # fmt: skip
