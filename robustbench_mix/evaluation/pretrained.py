"""Load networks that come with their weights; they are never trained."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from robustbench_mix.config.model import Interface
from robustbench_mix.config.weights import WeightsFile
from robustbench_mix.data.dataset import Dataset
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.identity import Label
from robustbench_mix.evaluation.model_plan import ModelPlan
from robustbench_mix.models import factory, state_dict
from robustbench_mix.models.checkpoint import CheckpointHeader
from robustbench_mix.models.normalizers import Normalizer
from robustbench_mix.models.sources import registry
from robustbench_mix.models.sources.common import Pretrained
from robustbench_mix.training.load_or_train import TrainedModel

logger = logging.getLogger(__name__)


def load_pretrained(plan: ModelPlan, dataset: Dataset) -> tuple[Label, TrainedModel]:
    """Load the network with the weights of its file, or those that it was published with.

    Without words for its mixers the network stays as it is and is `external` in the records. With
    them, its mixers are set as for training before the file is loaded, whose weights must be of
    such a network. The records then carry the words, so that twins can be compared.

    Raises:
        RbmixError: If the weights do not fit, or the network does not fit the data set.
    """
    spec, file = plan.spec, plan.weights
    origin, interface = registry.parse(spec.model), spec.interface or Interface()
    shape = factory.input_shape(spec, factory.shape_of(dataset))
    if file is None:
        found = origin.load_pretrained()
    else:
        net = (
            factory.build_without_normalization(spec, factory.shape_of(dataset))
            if plan.is_variant
            else origin.build(shape)
        )
        found = Pretrained(
            net, file.name, *_statistics(file, state_dict.load(net, file), interface)
        )
    Interface(mean=found.mean, std=found.std).check_channels(shape.channels)
    model, outputs = factory.fit(found.model, shape, spec.model)
    is_free = dataset.labels_are_outputs and outputs > shape.classes
    if interface.classes is not None or (outputs != shape.classes and not is_free):
        factory.check_output_count(outputs, shape, spec.model)
        if outputs > len(dataset.classes) and not dataset.labels_are_outputs:
            logger.info(
                f"of {outputs:,} outputs, the first {len(dataset.classes)} are taken for the "
                f"classes {dataset.classes[0]} to {dataset.classes[-1]} in their order; "
                "--class-index FILE says it otherwise"
            )
    mean, std = interface.mean or found.mean, interface.std or found.std
    if mean is None and found.weights:
        logger.info(
            f"{spec.model} gets pixels in [0, 1] as they are; --mean and --std standardise them"
        )
    if mean is not None or interface.input_size is not None:
        model = factory.wrap_normalized(
            model, interface, torch.tensor(mean or (0.0,)), torch.tensor(std or (1.0,)),
            channels_last=False,
        )  # fmt: skip
    mixers = (spec.spatial, spec.channel) if plan.is_variant else ("external", "external")
    header = CheckpointHeader(weights=found.weights or None)
    label = Label(spec.name, *mixers, spec.seed)
    return label, TrainedModel(model.eval(), plan.file or Path(), header, 0.0)


def _statistics(
    file: WeightsFile, found: list[Normalizer], interface: Interface
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Return mean and std of the normalisation in a file of weights, None if it has none.

    The user's own take precedence.

    Raises:
        RbmixError: The file has several that differ.
    """
    if not found or interface.mean is not None:
        return None, None
    first = found[0]
    if any((one.mean, one.std) != (first.mean, first.std) for one in found):
        modules = ", ".join(one.module for one in found)
        raise RbmixError(
            f"{file.path} has normalisations that differ ({modules}); --mean and --std choose"
        )
    mean, std = (",".join(f"{value:g}" for value in values) for values in (first.mean, first.std))
    logger.info(f"{file.path.name}: mean {mean} and std {std} are those of its {first.names[0]}")
    return first.mean, first.std
