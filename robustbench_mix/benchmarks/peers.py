"""Other attack libraries, called as in their documentation."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor, nn

from robustbench_mix.attacks.counted_model import CountedModel

Curve = list[int]  # robust images at each epsilon
Pgd = Callable[[nn.Module, Tensor, Tensor, list[float], int, float], Curve]


def installed_version(package: str) -> str | None:
    """Return the version of a package, None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def pyautoattack_curve(model: nn.Module, x: Tensor, y: Tensor, grid: list[float]) -> Curve:
    """Run pyautoattack's standard version on all images for each epsilon, as RobustBench does."""
    from pyautoattack import AutoAttack

    robust = []
    for eps in grid:
        adversary = AutoAttack(model, norm="Linf", eps=eps, seed=0, device=x.device)
        x_adv, _ = adversary.run_standard_evaluation(x, y, batch_size=len(x))
        robust.append(_count_robust(model, x_adv, y))
    return robust


def foolbox_pgd(
    model: nn.Module, x: Tensor, y: Tensor, grid: list[float], steps: int, step: float
) -> Curve:
    """Run foolbox's LinfPGD from the image; it repeats the attack for each epsilon of its list."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import foolbox

    wrapped = foolbox.PyTorchModel(model.eval(), bounds=(0, 1), device=x.device)
    attack = foolbox.attacks.LinfPGD(rel_stepsize=step, steps=steps, random_start=False)
    _, clipped, _ = attack(wrapped, x, y, epsilons=grid)
    return [_count_robust(model, x_adv, y) for x_adv in clipped]


def torchattacks_pgd(
    model: nn.Module, x: Tensor, y: Tensor, grid: list[float], steps: int, step: float
) -> Curve:
    """Run torchattacks' PGD with one attack object per epsilon."""
    import torchattacks

    robust = []
    for eps in grid:
        attack = torchattacks.PGD(model, eps=eps, alpha=step * eps, steps=steps, random_start=False)
        robust.append(_count_robust(model, attack(x, y), y))
    return robust


def art_pgd(
    model: nn.Module, x: Tensor, y: Tensor, grid: list[float], steps: int, step: float
) -> Curve:
    """Run ART's ProjectedGradientDescentPyTorch with one attack object per epsilon."""
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    with torch.no_grad():
        classes = model(x[:1]).shape[1]
    classifier = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), tuple(x.shape[1:]), classes, clip_values=(0, 1),
        device_type="gpu" if x.is_cuda else "cpu",
    )  # fmt: skip
    robust = []
    for eps in grid:
        attack = ProjectedGradientDescentPyTorch(
            classifier, eps=eps, eps_step=step * eps, max_iter=steps, batch_size=len(x),
            verbose=False,
        )  # fmt: skip
        x_adv = torch.from_numpy(attack.generate(x.cpu().numpy(), y.cpu().numpy()))
        robust.append(_count_robust(model, x_adv.to(x), y))
    return robust


MODULES = {"adversarial-robustness-toolbox": "art.attacks.evasion"}


def is_usable(package: str) -> bool:
    """Return whether a library is installed and can be imported with its dependencies."""
    if installed_version(package) is None:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(MODULES.get(package, package))
    except ImportError:
        return False
    return True


PGD: dict[str, Pgd] = {
    "foolbox": foolbox_pgd,
    "torchattacks": torchattacks_pgd,
    "adversarial-robustness-toolbox": art_pgd,
}


def timm_convmixer(width: int, depth: int, kernel: int, patch: int, classes: int) -> Any:
    """Build timm's ConvMixer as it is shipped."""
    from timm.models.convmixer import ConvMixer

    return ConvMixer(width, depth, kernel_size=kernel, patch_size=patch, num_classes=classes)


def with_pass_counter(model: nn.Module) -> CountedModel:
    """Return the network with a counter of its passes, and contiguous outputs for the peers."""
    return CountedModel(model)


@torch.no_grad()
def _count_robust(model: nn.Module, x_adv: Tensor, y: Tensor) -> int:
    return int((model(x_adv).argmax(1) == y).sum())
