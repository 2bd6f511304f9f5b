"""The command that describes a network."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from robustbench_mix.cli import completion
from robustbench_mix.cli.answers import load_torch, print_answer
from robustbench_mix.cli.app import NETWORKS, command, data_option
from robustbench_mix.cli.options import AsJson, ChannelWord, Classes, InputSize, Quiet, SpatialWord
from robustbench_mix.config import catalog
from robustbench_mix.config.model import Interface, ModelSpec


@command(
    NETWORKS,
    "rbmix describe resnet14",
    "rbmix describe timm:convmixer_768_32 --spatial frozen --classes 10",
)
def describe(
    model: Annotated[
        str,
        typer.Argument(
            autocompletion=completion.models,
            help="Model, as for `rbmix train`: resnet14, timm:convmixer_768_32.",
        ),
    ],
    spatial: SpatialWord = "learned",
    channel: ChannelWord = "learned",
    dataset: Annotated[
        Optional[str],
        data_option(
            autocompletion=completion.datasets,
            help="Data set to fit, instead of 32x32 colour images.",
        ),
    ] = None,
    input_size: InputSize = None,
    classes: Classes = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show a model's mixers, separable convolutions and costs.

    The model is shown as it would be trained: with its dense convolutions made separable. No
    weights are needed or downloaded.
    """
    spec = ModelSpec(model, spatial, channel, interface=Interface(input_size, classes=classes))
    catalog.check_model(model)
    if dataset is not None:
        catalog.check_dataset(dataset)
    load_torch(as_json or quiet)

    from robustbench_mix.cli import render
    from robustbench_mix.models import description

    found = description.describe(spec, dataset)
    print_answer(as_json, quiet, found, lambda: render.description(found))
