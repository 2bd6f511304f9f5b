"""About how long a training or an attack will take here: a few steps are timed, then counted."""

from __future__ import annotations

import math
from functools import cache

import torch

from robustbench_mix import zoo
from robustbench_mix.bench.clock import seconds
from robustbench_mix.bench.steps import engine_steps, training_step
from robustbench_mix.measures import FMN_STEPS, PGD_STEPS
from robustbench_mix.probing import HEAT_MAP_IMAGES
from robustbench_mix.protocols import Protocol
from robustbench_mix.specs import ModelSpec, Recipe
from robustbench_mix.unshuffle import Decoder, build

BATCH = 64
# Passes that an image took on the fast backend, rounded up: results/leaderboard's curves of
# standard-trained networks. What is not named here takes its steps, forward and backward.
PASSES = {"autoattack": 6500, "autoattack-audited": 2700, "fgsm": 8, "noise": 10}


class Costs:
    """Seconds of work on one device; what was timed once is not timed again."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._training_step = cache(self._time_training_step)
        self._attack_pass = cache(self._time_attack_pass)

    def training(self, spec: ModelSpec, shape: zoo.Shape, recipe: Recipe, images: int) -> float:
        """Seconds to train a classifier on so many images."""
        plain = ModelSpec(spec.model, spec.spatial, spec.channel)  # no seed is slower
        step: float = self._training_step(plain, shape, recipe.batch_size, recipe.precision)
        cost = step * math.ceil(images / recipe.batch_size) * recipe.epochs
        if recipe.adversarial is not None:
            passes = 2 * recipe.adversarial.steps * images * recipe.epochs
            cost += passes * self._attack_pass(spec.model, shape)
        return cost

    def unshuffling(self, decoder: Decoder, shape: zoo.Shape, recipe: Recipe, images: int) -> float:
        """Seconds to train an un-shuffler on so many images."""
        step: float = self._training_step(decoder, shape, recipe.batch_size, recipe.precision)
        cost: float = step * math.ceil(images / recipe.batch_size) * recipe.epochs
        return cost

    def attack(self, spec: ModelSpec, shape: zoo.Shape, protocol: Protocol, images: int) -> float:
        """Seconds to attack so many images under a protocol with the fast backend."""
        steps = 2 * protocol.options.get("steps", 20) * protocol.options.get("restarts", 1)
        passes = PASSES.get(protocol.algorithm, steps)
        return float(images * passes * self._attack_pass(spec.model, shape))

    def explaining(self, spec: ModelSpec, shape: zoo.Shape, images: int, levels: int) -> float:
        """Seconds to measure a network and its twin, and the transfer between them."""
        waves = HEAT_MAP_IMAGES * shape.size * (shape.size // 2 + 1)
        each = 2 * FMN_STEPS + 4 + 3 * levels * (2 * PGD_STEPS + 10)
        return float((2 * waves + 2 * images * each) * self._attack_pass(spec.model, shape))

    def _time_training_step(
        self, what: ModelSpec | Decoder, shape: zoo.Shape, batch: int, precision: str
    ) -> float:
        middle = torch.full((shape.channels,), 0.5)
        if isinstance(what, Decoder):
            model = build(what, shape.channels, middle, middle)
        else:
            model = zoo.build(what, shape, middle, middle)
        x = torch.rand(batch, shape.channels, shape.size, shape.size, device=self.device)
        x = x.contiguous(memory_format=torch.channels_last)
        y = torch.zeros(batch, dtype=torch.int64, device=self.device)
        if isinstance(what, Decoder):
            # A step of either loss costs the same: any class of any position will do.
            model = torch.nn.Sequential(model, torch.nn.Flatten())  # type: ignore[assignment]
        model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        step = training_step(model, x, y)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=precision == "bf16"):
            step()
            return seconds(step, self.device)[0]

    def _time_attack_pass(self, name: str, shape: zoo.Shape) -> float:
        middle = torch.full((shape.channels,), 0.5)
        model = zoo.build(ModelSpec(name), shape, middle, middle).to(self.device)
        x = torch.rand(BATCH, shape.channels, shape.size, shape.size, device=self.device)
        steps = engine_steps(model, x, 2, exact=False)
        steps()
        return seconds(steps, self.device)[0] / (2 * 2 * BATCH)
