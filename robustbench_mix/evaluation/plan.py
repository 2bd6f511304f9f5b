"""Frozen plans of the work to do, made of words that are checked once.

The command line, Python, sweeps and the regression gate all build these plans, and the code behind
them takes its instructions from plans alone. Nothing here imports PyTorch, which is slow, so that a
wrong word is refused at once. Words that depend on the machine, for example a device or the
networks of a library, are checked when the plan is carried out.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from robustbench_mix.config import catalog, protocols
from robustbench_mix.config.limits import MAX_TASKS, check_seed
from robustbench_mix.config.model import Unshuffler
from robustbench_mix.config.training import UNCHANGED, Training
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.attack_plan import AttackPlan
from robustbench_mix.evaluation.data_plan import DataPlan
from robustbench_mix.evaluation.model_plan import ModelPlan


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The parts that all plans share: the data, and the name of the device.

    Raises:
        RbmixError: For a word that is not a device on any machine.
    """

    data: DataPlan
    device: str = "auto"

    def __post_init__(self) -> None:
        catalog.check_device(self.device)


@dataclass(frozen=True, kw_only=True)
class TrainingPlan(Plan):
    """A network to train; all test images are used, whatever number `data` has."""

    model: ModelPlan


@dataclass(frozen=True, kw_only=True)
class EvaluationPlan(Plan):
    """A network to attack."""

    model: ModelPlan
    attack: AttackPlan


@dataclass(frozen=True, kw_only=True)
class ExplanationPlan(Plan):
    """A network to measure beside its learned twin, at these epsilons."""

    model: ModelPlan
    eps: tuple[str, ...]


def explanation_plan(
    model: ModelPlan, data: DataPlan, eps: list[str] | None = None, device: str = "auto"
) -> ExplanationPlan:
    """Return the plan to measure a network beside its learned twin.

    Args:
        model: The network.
        data: The images.
        eps: The epsilons; by default those of the FGSM protocol.
        device: Name of the device.
    """
    grid = protocols.load("fgsm", data.name, eps=eps).eps
    return ExplanationPlan(
        data=data, device=device, model=model, eps=tuple(one.text for one in grid)
    )


@dataclass(frozen=True, kw_only=True)
class UnshufflingPlan(Plan):
    """Networks that are trained to undo a permutation of the pixels, one after the other."""

    unshufflers: tuple[Unshuffler, ...]
    training: Training = UNCHANGED


def unshufflers_of(
    widths: list[int], depths: list[int], kernels: list[int], patch: int, spatial: list[str],
    seed: int,
) -> tuple[Unshuffler, ...]:  # fmt: skip
    """Return every combination of these settings.

    Args:
        widths: Numbers of channels.
        depths: Numbers of blocks.
        kernels: Kernel sizes in pixels.
        patch: Patch size in pixels.
        spatial: Spatial mixers.
        seed: Seed of permutation, weights and training.

    Raises:
        RbmixError: A value is wrong, or there are too many combinations.
    """
    check_seed(seed)
    count = len(widths) * len(depths) * len(kernels) * len(spatial)
    if count > MAX_TASKS:
        raise RbmixError(f"{count:,} networks (allowed: up to {MAX_TASKS:,})")
    return tuple(
        Unshuffler(width, depth, kernel, patch, mode, seed=seed)
        for width, depth, kernel, mode in product(widths, depths, kernels, spatial)
    )
