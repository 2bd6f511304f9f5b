"""Networks that come with their weights: evaluated as they are, never trained."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from robustbench_mix.config import command_checks
from robustbench_mix.config.model import Interface, ModelSpec
from robustbench_mix.data.dataset import Dataset
from robustbench_mix.evaluation.identity import Label
from robustbench_mix.models import checkpoint, factory, state_dict
from robustbench_mix.models.sources import registry
from robustbench_mix.models.sources.common import Pretrained
from robustbench_mix.training.load_or_train import TrainedModel

logger = logging.getLogger(__name__)


def comes_with_weights(
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
    command_checks.weights_of(
        word, spatial=spatial, channel=channel, file=file, pretrained=pretrained
    )
    origin = registry.parse(word)
    origin.check()
    variant = spatial is not None or channel is not None
    if file is not None:
        return not (origin.is_builtin or checkpoint.is_rbmix_checkpoint(file))
    return pretrained or (origin.source.COMES_WITH_WEIGHTS and not variant)


def load_network(
    word: str,
    dataset: Dataset,
    *,
    spatial: str | None,
    channel: str | None,
    seed: int,
    interface: Interface | None,
    file: Path | None,
) -> tuple[Label, TrainedModel]:
    """The network with the weights of `file`, or those that it was published with.

    Without `spatial` and `channel` it is taken as it is, `external` in the records. With one of
    them its mixers are set as for training before the file is loaded, which must have been
    made so; the records then carry the words, and twins can be compared. Raises RbmixError
    if the weights do not fit, or the network does not fit the data set.
    """
    spec = ModelSpec(word, spatial or "learned", channel or "learned", seed, interface)
    origin, interface = registry.parse(word), interface or Interface()
    shape = factory.input_shape(spec, factory.shape_of(dataset))
    is_variant = spatial is not None or channel is not None
    if file is None:
        found = origin.load_pretrained()
    else:
        net = (
            factory.build_without_normalization(spec, factory.shape_of(dataset))
            if is_variant
            else origin.build(shape)
        )
        state_dict.load(net, file)
        found = Pretrained(net, file.name)
    outputs = factory.count_outputs(found.model, shape, word)
    if interface.classes is not None or outputs > shape.classes:
        factory.check_output_count(outputs, shape, word)
    model, mean, std = found.model, interface.mean or found.mean, interface.std or found.std
    if mean is None and found.weights:
        logger.info(f"{word} gets pixels in [0, 1] as they are; --mean and --std standardise them")
    if mean is not None or interface.input_size is not None:
        model = factory.wrap_normalized(
            model, interface, torch.tensor(mean or (0.0,)), torch.tensor(std or (1.0,)),
            channels_last=False,
        )  # fmt: skip
    mixers = (spec.spatial, spec.channel) if is_variant else ("external", "external")
    header = {"weights": found.weights} if found.weights else {}
    return Label(spec.name, *mixers, seed), TrainedModel(model.eval(), file or Path(), header, 0.0)
