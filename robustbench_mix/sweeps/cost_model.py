"""Estimate how long a training or an attack takes on this machine, by timing a few steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from robustbench_mix.config.model import ModelSpec, Unshuffler
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.config.training import Recipe
from robustbench_mix.evaluation.probe import probe_passes
from robustbench_mix.evaluation.search_model import search_model
from robustbench_mix.evaluation.transfer import transfer_passes
from robustbench_mix.models import factory
from robustbench_mix.runtime.timing import Step, gradient_step, time_call, training_step
from robustbench_mix.training.unshuffling import build

BATCH = 64
REPEATS = 3
# Forward and gradient passes per image on the fast backend, rounded up, of the standard-trained
# networks in results/runs. Other algorithms are counted by their steps, and half as many again
# because the grid has several epsilons.
PASSES = {
    "autoattack": (5300, 1400),
    "autoattack-audited": (900, 300),  # of 1,000 images with the bound of the protocol
    "fgsm": (3, 1),
    "noise": (10, 0),
}


def passes_per_image(protocol: Protocol) -> tuple[float, float]:
    """Estimate the forward and the gradient passes per image on the fast backend."""
    options: Mapping[str, Any] = protocol.options
    steps = 1.5 * options.get("steps", 20) * options.get("restarts", 1)
    return PASSES.get(protocol.algorithm, (steps, steps))


def seconds_per_pass(model: nn.Module, x: Tensor) -> tuple[float, float]:
    """Time the passes of attacks on a model, in batches of x.

    Args:
        model: The model; its parameters need no gradients afterwards.
        x: Images (B, C, H, W) on its device.

    Returns:
        Seconds of a forward and of a gradient pass of one image.
    """
    counted = search_model(model.eval().requires_grad_(False), x[:8], exact=False)
    y = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    both = fastest_seconds(gradient_step(counted, x, y), x.device)
    with torch.no_grad():
        forward = fastest_seconds(lambda: counted(x), x.device)
    return forward / len(x), max(both - forward, 0.0) / len(x)


def fastest_seconds(step: Step, device: torch.device) -> float:
    """Return the seconds of the fastest of a few runs of a step, because other load only adds."""
    step()
    return min(time_call(step, device)[0] for _ in range(REPEATS))


class CostModel:
    """Estimates of the seconds of work on one device; each kind of step is timed once."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._training_step = cache(self._time_training_step)
        self._attack_passes = cache(self._time_attack_passes)

    def training_seconds(
        self, spec: ModelSpec, shape: factory.Shape, recipe: Recipe, images: int
    ) -> float:
        """Estimate the seconds to train a classifier.

        Args:
            spec: The network.
            shape: The shape of the data set.
            recipe: The recipe of the training.
            images: Number of training images.
        """
        plain = ModelSpec(spec.model, spec.spatial, spec.channel)  # all seeds take the same time
        step: float = self._training_step(plain, shape, recipe.batch_size, recipe.precision)
        cost = step * _steps(recipe, images)
        if recipe.perturbation is not None:
            each = 1 if recipe.adversarial is None else recipe.adversarial.steps
            steps = each * images * recipe.epochs
            cost += self._pass_seconds(spec, shape, steps, steps)
        return cost

    def unshuffling_seconds(
        self, unshuffler: Unshuffler, shape: factory.Shape, recipe: Recipe, images: int
    ) -> float:
        """Estimate the seconds to train an un-shuffler.

        Args:
            unshuffler: The network.
            shape: The shape of the data set.
            recipe: The recipe of the training.
            images: Number of training images.
        """
        step: float = self._training_step(unshuffler, shape, recipe.batch_size, recipe.precision)
        return step * _steps(recipe, images)

    def attack_seconds(
        self, spec: ModelSpec, shape: factory.Shape, protocol: Protocol, images: int
    ) -> float:
        """Estimate the seconds of an attack on the fast backend.

        Args:
            spec: The network.
            shape: The shape of the data set.
            protocol: The protocol of the attack.
            images: Number of test images.
        """
        forward, gradient = passes_per_image(protocol)
        return self._pass_seconds(spec, shape, images * forward, images * gradient)

    def explanation_seconds(
        self, spec: ModelSpec, shape: factory.Shape, images: int, epsilons: int
    ) -> float:
        """Estimate the seconds to measure a network, its twin, and the transfer between them.

        Args:
            spec: The network.
            shape: The shape of the data set.
            images: Number of test images.
            epsilons: Number of epsilons.
        """
        one = probe_passes(images, epsilons, shape.size, shape.size)
        between = transfer_passes(images, epsilons)
        forward, gradient = (2 * a + b for a, b in zip(one, between, strict=True))
        return self._pass_seconds(spec, shape, forward, gradient)

    def _pass_seconds(
        self, spec: ModelSpec, shape: factory.Shape, forward: float, gradient: float
    ) -> float:
        """Return the seconds of so many forward and gradient passes of one image."""
        seconds: tuple[float, float] = self._attack_passes(spec.model, shape)
        return forward * seconds[0] + gradient * seconds[1]

    def _time_training_step(
        self, what: ModelSpec | Unshuffler, shape: factory.Shape, batch: int, precision: str
    ) -> float:
        middle = torch.full((shape.channels,), 0.5)
        if isinstance(what, Unshuffler):
            model = build(what, shape.channels, middle, middle)
        else:
            model = factory.build(what, shape, middle, middle)
        x = torch.rand(batch, shape.channels, shape.size, shape.size, device=self.device)
        x = x.contiguous(memory_format=torch.channels_last)
        y = torch.zeros(batch, dtype=torch.int64, device=self.device)
        if isinstance(what, Unshuffler):
            # A step of either loss costs the same.
            model = torch.nn.Sequential(model, torch.nn.Flatten())  # type: ignore[assignment]
        model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        step = training_step(model, x, y)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=precision == "bf16"):
            return fastest_seconds(step, self.device)

    def _time_attack_passes(self, name: str, shape: factory.Shape) -> tuple[float, float]:
        """Return the seconds of a forward and of a gradient pass of one image in a batch."""
        middle = torch.full((shape.channels,), 0.5)
        model = factory.build(ModelSpec(name), shape, middle, middle)
        model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        x = torch.rand(BATCH, shape.channels, shape.size, shape.size, device=self.device)
        x = x.contiguous(memory_format=torch.channels_last)
        return seconds_per_pass(model, x)


def _steps(recipe: Recipe, images: int) -> int:
    """Return the number of optimiser steps of a training."""
    return math.ceil(images / recipe.batch_size) * recipe.epochs
