"""Networks that come with their weights: evaluated as they are, never trained."""

from __future__ import annotations

from pathlib import Path

import torch

from robustbench_mix import checking, checkpoints, sources, weights, zoo
from robustbench_mix.identity import Label
from robustbench_mix.obtain import Obtained
from robustbench_mix.progress import say
from robustbench_mix.sources.common import Published
from robustbench_mix.specs import Interface, ModelSpec
from robustbench_mix.splits import Dataset


def is_brought(
    word: str,
    *,
    spatial: str | None,
    channel: str | None,
    file: Path | None = None,
    pretrained: bool = False,
) -> bool:
    """Whether a network is evaluated with weights that it comes with, rather than trained.

    It is if a file of weights is given that is none of our checkpoints, or the published ones
    are asked for, or if it is a callable of the user's or from the hub and no variant of its
    mixers is asked for. Raises RbmixError for a word that names nothing, and for wishes that
    contradict each other.
    """
    checking.weights_of(word, spatial=spatial, channel=channel, file=file, pretrained=pretrained)
    origin = sources.parse(word)
    origin.check()
    variant = spatial is not None or channel is not None
    if file is not None:
        return not (origin.is_builtin or checkpoints.is_ours(file))
    return pretrained or (origin.source.BRINGS_WEIGHTS and not variant)


def bring(
    word: str,
    dataset: Dataset,
    *,
    spatial: str | None,
    channel: str | None,
    seed: int,
    interface: Interface | None,
    file: Path | None,
) -> tuple[Label, Obtained]:
    """The network with the weights of `file`, or those that it was published with.

    Without `spatial` and `channel` it is taken as it is, `external` in the records. With one of
    them its mixers are set as for training before the file is loaded, which must have been
    made so; the records then carry the words, and twins can be compared. Raises RbmixError
    if the weights do not fit, or the network does not fit the data set.
    """
    spec = ModelSpec(word, spatial or "learned", channel or "learned", seed, interface)
    origin, interface = sources.parse(word), interface or Interface()
    shape = zoo.fitting(spec, zoo.shape_of(dataset))
    is_variant = spatial is not None or channel is not None
    if file is None:
        found = origin.published()
    else:
        net = zoo.network(spec, zoo.shape_of(dataset)) if is_variant else origin.fresh(shape)
        weights.load(net, file)
        found = Published(net, file.name)
    outputs = zoo.check_takes(found.model, shape, word)
    if interface.classes is not None or outputs > shape.classes:
        zoo.check_outputs(outputs, shape, word)
    model, mean, std = found.model, interface.mean or found.mean, interface.std or found.std
    if mean is None and found.weights:
        say(f"{word} gets pixels in [0, 1] as they are; --mean and --std standardise them")
    if mean is not None or interface.input_size is not None:
        model = zoo.wrap(
            model, interface, torch.tensor(mean or (0.0,)), torch.tensor(std or (1.0,)),
            channels_last=False,
        )  # fmt: skip
    mixers = (spec.spatial, spec.channel) if is_variant else ("external", "external")
    header = {"weights": found.weights} if found.weights else {}
    return Label(spec.name, *mixers, seed), Obtained(model.eval(), file or Path(), header, 0.0)
