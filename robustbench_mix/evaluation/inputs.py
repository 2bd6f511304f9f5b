"""Load the inputs of a plan: its data, and the device."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property

import torch

from robustbench_mix.data import class_index, loaders
from robustbench_mix.data.dataset import Dataset, Split, balanced_subset
from robustbench_mix.evaluation.plan import Plan
from robustbench_mix.runtime.devices import pick_device

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inputs:
    """The data set of a plan, how many of its test images are taken, and the device."""

    dataset: Dataset
    count: int
    device: torch.device

    @cached_property
    def split(self) -> Split:
        """The test images that are taken, balanced over the classes."""
        return balanced_subset(self.dataset.test, self.count)


def load_inputs(plan: Plan) -> Inputs:
    """Choose the device and load the data.

    Raises:
        RbmixError: For a device that is not there, and for data or a class index that cannot be
            read.
    """
    device, data = pick_device(plan.device), plan.data
    loaded = loaders.load(data.dataset) if isinstance(data.dataset, str) else data.dataset
    if data.class_index is not None:
        loaded = class_index.apply(loaded, data.class_index)
    asked, there = data.examples or 0, len(loaded.test)
    if asked > there:
        logger.info(
            f"{loaded.name} has {there:,} test images, {asked:,} were asked for: all are taken"
        )
    return Inputs(loaded, data.count, device)
