"""What `rbmix describe` prints of a network."""

from __future__ import annotations

from typing import Any

from robustbench_mix import anatomy, checking, data, sources, zoo


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
    spec = checking.description(
        model=model, spatial=spatial, channel=channel, dataset=dataset,
        input_size=input_size, classes=classes,
    )  # fmt: skip
    sources.parse(model).check()
    shape = zoo.Shape(3, 32, classes or 10) if dataset is None else data.shape(dataset)
    network = zoo.sketch(spec, shape)
    fitted = zoo.fitting(spec, shape)
    return {
        "model": model, "spatial": spatial, "channel": channel,
        "image": list(fitted.image), "classes": fitted.classes,
        **anatomy.anatomy(network, fitted).as_json(),
    }  # fmt: skip
