"""Attack a given network: a whole curve in one call, and a drop-in `AutoAttack`.

Both run the fast engine on the caller's own network and tensors. They restore the network (mode,
gradient flags, `.grad`, buffers, device) and the global random state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from robustbench_mix.attacks import registry
from robustbench_mix.attacks.autoattack import STANDARD
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.config.epsilon import Eps
from robustbench_mix.config.norms import FROM_ROBUSTBENCH, NORMS
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.data.dataset import Split
from robustbench_mix.errors import RbmixError, unknown
from robustbench_mix.evaluation import diagnostics
from robustbench_mix.evaluation.fast import FastOptions, search_all
from robustbench_mix.evaluation.harness import Settings, borrow, classes_of, sample
from robustbench_mix.evaluation.state import State
from robustbench_mix.models import given
from robustbench_mix.models.given import adapt, as_module
from robustbench_mix.results import flags, records
from robustbench_mix.runtime.devices import default_batch_size
from robustbench_mix.runtime.progress import silenced

VERSIONS = ("standard", "custom")


@dataclass(frozen=True)
class Curve:
    """A robustness curve and the adversarial examples behind it.

    Attributes:
        table: One row per epsilon, in ascending order, epsilon 0 (clean) first. Columns: `eps`
            (text, in pixel units), `n` (images), `correct` (images that are classified correctly
            and not broken within `eps`), `accuracy` (a share from 0 to 1), and the bounds `low`
            and `high` of its 95 % Wilson interval.
        level: int64 tensor (n,). The position, in the ascending grid, of the smallest epsilon
            that broke each image; -1 where the clean image is misclassified; the length of the
            grid where no epsilon broke it.
        x_adv: float32 tensor (n, C, H, W) on the CPU, in [0, 1]. The adversarial example found
            at that epsilon, or the clean image where none was found.
        passes: Forward and gradient passes of each attack, by its name, summed over the images.
    """

    table: pd.DataFrame
    level: Tensor
    x_adv: Tensor
    passes: dict[str, dict[str, int]]


def curve(
    model: nn.Module | Callable[[Tensor], Any],
    x: Tensor,
    y: Tensor,
    eps: Sequence[float | str],
    *,
    norm: str = "linf",
    attack: str = "autoattack",
    seed: int = 0,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    **options: Any,
) -> Curve:
    """Attack a network over a grid of epsilons in one job.

    Args:
        model: A network that maps images (n, C, H, W) in [0, 1] to logits (n, classes), as for
            `evaluate`.
        x: Images (n, C, H, W), floating point, in [0, 1].
        y: Labels (n,), integers from 0.
        eps: One or more radii in pixel units, in any order: numbers (`0.03`) or text (`"8/255"`).
        norm: Norm of the radii: `"linf"` or `"l2"`.
        attack: An algorithm of the fast engine: `"autoattack"`, `"autoattack-audited"`, `"pgd"`
            or `"fgsm"`.
        seed: Seed of the attack. The same seed gives the same result at every batch size.
        batch_size: Images attacked at once. By default it fits the images and the device.
        device: Where to run the attack. By default the device of the model's parameters.
        **options: Options of the algorithm, as in a protocol file, for example `steps=40`.

    Returns:
        The curve, and one adversarial example for each broken image.

    Raises:
        RbmixError: If an argument is wrong, or if the network draws random numbers.
    """
    if norm not in NORMS:
        raise unknown("norm", norm, NORMS)
    grid = sorted((_eps(one) for one in eps), key=lambda one: one.value)
    if not grid:
        raise RbmixError("the epsilon grid is empty (needs one or more)")
    protocol = Protocol(attack, "", attack, norm, tuple(grid), options)
    state, found = _search(model, x, y, protocol, seed, batch_size, device)
    correct = {
        one: sum(c and level >= at for c, level in zip(state.correct, state.level, strict=True))
        for at, one in enumerate(["0", *(radius.text for radius in grid)])
    }
    table = records.curve(correct, len(x))
    level = torch.where(torch.tensor(state.correct), torch.tensor(state.level), -1)
    return Curve(table, level, found, state.passes)


class AutoAttack:
    """A faster drop-in replacement for the original `AutoAttack` class.

    It accepts the arguments of the original class (`attacks_to_run`, `bs`, `return_labels`) and
    those of pyautoattack (`attacks`, `batch_size`). A success counts only after the harness has
    verified it. The same call gives the same result at every batch size.

    Args:
        model: A network that maps images (n, C, H, W) in [0, 1] to logits (n, classes), as for
            `evaluate`.
        norm: Norm of the radius: `"Linf"` or `"L2"`.
        eps: The radius in pixel units, a positive number.
        seed: Seed of the attack; None is seed 0.
        verbose: Print the clean and the robust accuracy.
        attacks_to_run: The attacks to run, in order, if the version is `"custom"`:
            `"apgd-ce"`, `"apgd-dlr"`, `"apgd-t"`, `"fab-t"`, `"square"`.
        version: `"standard"` (APGD-CE, APGD-T, FAB-T and Square) or `"custom"`.
        is_tf_model: Must be False: only PyTorch models are supported.
        device: Where to run the attack. By default the device of the model's parameters.
        log_path: A file to which the printed lines are appended.
        attacks: Another name for `attacks_to_run`, as in pyautoattack.

    Raises:
        RbmixError: If an argument is wrong, or a list of attacks is given with the standard
            version.
    """

    def __init__(
        self,
        model: nn.Module | Callable[[Tensor], Any],
        norm: str = "Linf",
        eps: float = 0.3,
        seed: int | None = None,
        verbose: bool = True,
        attacks_to_run: Sequence[str] | None = None,
        version: str = "standard",
        is_tf_model: bool = False,
        device: torch.device | str | None = None,
        log_path: str | None = None,
        *,
        attacks: Sequence[str] | None = None,
    ) -> None:
        if is_tf_model:
            raise RbmixError("is_tf_model=True: only PyTorch models can be attacked")
        if norm not in FROM_ROBUSTBENCH:
            raise unknown("norm", norm, list(FROM_ROBUSTBENCH))
        if version not in VERSIONS:
            raise unknown("version", version, VERSIONS)
        chosen = list(attacks_to_run or attacks or [])
        if version == "standard" and chosen:
            raise RbmixError(f"the attacks {chosen} go with version='custom'")
        self.model = model
        self.norm = norm
        self.epsilon = eps
        self.seed = seed
        self.verbose = verbose
        self.version = version
        self.device = device
        self.log_path = log_path
        self.attacks_to_run = list(STANDARD) if version == "standard" else chosen

    def run_standard_evaluation(
        self,
        x_orig: Tensor,
        y_orig: Tensor,
        bs: int = 250,
        return_labels: bool = False,
        state_path: Any = None,
        *,
        batch_size: int | None = None,
    ) -> Any:
        """Run the whole ensemble; an image that one attack has broken is not attacked again.

        Args:
            x_orig: Images (n, C, H, W), floating point, in [0, 1].
            y_orig: Labels (n,), integers from 0.
            bs: Images attacked at once.
            return_labels: Also return the predicted labels of the result.
            state_path: Must be None: `rbmix evaluate` resumes, this class does not.
            batch_size: Another name for `bs`, as in pyautoattack; the labels are then returned.

        Returns:
            The images `x_adv` (n, C, H, W) in [0, 1] with the adversarial example where one was
            found, and the clean image elsewhere. With `return_labels` or `batch_size`, the pair
            `(x_adv, y_adv)`, where `y_adv` (n,) are the predictions.

        Raises:
            RbmixError: If an argument is wrong, or if the network draws random numbers.
        """
        if state_path is not None:
            raise RbmixError("state_path is not supported: `rbmix evaluate` resumes by itself")
        x_adv, y_adv = self._run(self.attacks_to_run, x_orig, y_orig, batch_size or bs)
        return (x_adv, y_adv) if return_labels or batch_size is not None else x_adv

    def run_standard_evaluation_individual(
        self,
        x_orig: Tensor,
        y_orig: Tensor,
        bs: int = 250,
        return_labels: bool = False,
        *,
        batch_size: int | None = None,
    ) -> dict[str, Any]:
        """Run each attack alone, on every image.

        Args:
            x_orig: Images (n, C, H, W), floating point, in [0, 1].
            y_orig: Labels (n,), integers from 0.
            bs: Images attacked at once.
            return_labels: Also return the predicted labels of each result.
            batch_size: Another name for `bs`, as in pyautoattack; the labels are then returned.

        Returns:
            For each attack's name, the return value of `run_standard_evaluation` for it alone.

        Raises:
            RbmixError: If an argument is wrong, or if the network draws random numbers.
        """
        pairs = return_labels or batch_size is not None
        results = {
            name: self._run([name], x_orig, y_orig, batch_size or bs)
            for name in self.attacks_to_run
        }
        return {name: both if pairs else both[0] for name, both in results.items()}

    def clean_accuracy(self, x_orig: Tensor, y_orig: Tensor, bs: int = 250) -> float:
        """Return the share of images that the model classifies correctly.

        Args:
            x_orig: Images (n, C, H, W), floating point, in [0, 1].
            y_orig: Labels (n,), integers from 0.
            bs: Images in each forward pass.

        Returns:
            A share from 0 to 1.
        """
        predicted = self._predict(x_orig, bs)
        return float((predicted == y_orig.to(predicted.device)).float().mean())

    def _run(
        self, components: list[str], x: Tensor, y: Tensor, batch_size: int
    ) -> tuple[Tensor, Tensor]:
        protocol = Protocol(
            "autoattack", "", "autoattack", FROM_ROBUSTBENCH[self.norm], (_eps(self.epsilon),),
            {"components": components},
        )  # fmt: skip
        # A single attack runs without the gradient step that places images, which would help it.
        state, x_adv = _search(
            self.model, x, y, protocol, self.seed or 0, batch_size, self.device,
            place=len(components) > 1,
        )  # fmt: skip
        x_adv = x_adv.to(x.device)
        self._log(f"initial accuracy: {sum(state.correct) / len(x):.2%}")
        standing = sum(c and level > 0 for c, level in zip(state.correct, state.level, strict=True))
        self._log(f"robust accuracy: {standing / len(x):.2%} ({', '.join(components)})")
        return x_adv, self._predict(x_adv, batch_size).to(y)

    @torch.no_grad()
    def _predict(self, x: Tensor, batch_size: int) -> Tensor:
        home = device_of(self.model, self.device)
        network = adapt(as_module(self.model), x[:2].float())
        return torch.cat([network(part.to(home)).argmax(1) for part in torch.split(x, batch_size)])

    def _log(self, line: str) -> None:
        if self.verbose:
            print(line)
        if self.log_path is not None:
            with Path(self.log_path).open("a", encoding="utf-8") as file:
                file.write(line + "\n")


def _search(
    model: object,
    x: Tensor,
    y: Tensor,
    protocol: Protocol,
    seed: int,
    batch_size: int | None,
    device: torch.device | str | None,
    *,
    place: bool = True,
) -> tuple[State, Tensor]:
    """Run the fast engine on tensors; return its state and the examples found, (n, C, H, W)."""
    split = split_of(x, y)
    home = device_of(model, device)
    found = split.images.clone()
    network = adapt(as_module(model), split.pixels(0, 2))
    _check_repeatable(network, split, home)
    with silenced():
        classes = classes_of(network, split, home)
        stages = registry.fast_stages(protocol.algorithm, classes, protocol.options)
        settings = Settings(seed, home, batch_size or default_batch_size(min(x.shape[2:]), home))
        options = FastOptions(found=found, place=place)
        state = search_all(network, split, protocol, stages, settings, options=options)
    return state, found


def _check_repeatable(model: nn.Module, split: Split, device: torch.device) -> None:
    """Raise RbmixError for a network that draws, because the fast engine decides by one pass."""
    with borrow(model, device):
        differ = diagnostics.of_passes(CountedModel(model), sample(split, device))
    if differ > flags.ROUNDING:
        raise flags.undeclared_randomness(differ)


def split_of(x: Tensor, y: Tensor) -> Split:
    """Return images and labels as a split.

    Args:
        x: Images, (n, C, H, W) in [0, 1].
        y: Labels, (n,), integers from 0.

    Raises:
        RbmixError: The shapes or values differ from that.
    """
    if x.ndim != 4 or len(x) == 0:
        raise RbmixError(f"x has shape {tuple(x.shape)} (needs images, (n, C, H, W))")
    if y.shape != (len(x),):
        raise RbmixError(f"y has shape {tuple(y.shape)} (needs one label per image, ({len(x)},))")
    low, high = float(x.min()), float(x.max())
    if not (low >= 0 and high <= 1):
        raise RbmixError(f"x spans {low:g} to {high:g} (needs pixels in [0, 1])")
    images = x.detach().float().cpu().contiguous()
    return Split(images, y.detach().cpu().long(), torch.arange(len(x)), 1)


def _eps(value: float | str) -> Eps:
    radius = Eps(str(value))
    try:
        positive = radius.value > 0
    except (ValueError, ZeroDivisionError):
        positive = False
    if not positive:
        raise RbmixError(f"epsilon {value!r} is not a positive number (allowed: 0.03, '8/255')")
    return radius


def device_of(model: object, named: torch.device | str | None = None) -> torch.device:
    """Return the named device, or the device of the model if none is named."""
    return given.device_of(as_module(model)) if named is None else torch.device(named)
