"""`curve`: attack a given network over a grid of epsilons in one call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd
import torch
from torch import Tensor

from robustbench_mix.api.calls import Device, device_of, find_examples
from robustbench_mix.api.result import Result
from robustbench_mix.config import norms
from robustbench_mix.config.epsilon import Radius, parse_grid, texts_of
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.config.words import Algorithm, Norm
from robustbench_mix.data.tensors import Array, dataset_of
from robustbench_mix.evaluation.attack_plan import attack_plan
from robustbench_mix.evaluation.data_plan import DataPlan
from robustbench_mix.evaluation.model_plan import module_plan
from robustbench_mix.evaluation.plan import EvaluationPlan
from robustbench_mix.models.given import Network
from robustbench_mix.runtime.torch_modes import default_modes


@dataclass(frozen=True)
class Curve:
    """A robustness curve and the adversarial examples behind it.

    Attributes:
        table: One row per epsilon, in ascending order, epsilon 0 (clean) first, with the columns
            of `Result.curve`.
        level: int64 tensor (n,). The position, in the ascending grid, of the smallest epsilon
            that broke each image; -1 where the clean image is misclassified; the length of the
            grid where no epsilon broke it.
        x_adv: float32 tensor (n, C, H, W) on the CPU, in [0, 1]. The adversarial example found
            at that epsilon, or the clean image where none was found.
        passes: Forward and gradient passes of each attack, by its name, summed over the images.
        flags: Reasons not to trust the curve yet, as in `Result.flags`.
    """

    table: pd.DataFrame
    level: Tensor
    x_adv: Tensor
    passes: dict[str, dict[str, int]]
    flags: dict[str, str] = field(default_factory=dict)


@default_modes()
def curve(
    model: Network,
    x: Array,
    y: Array,
    eps: Radius | Iterable[Radius],
    *,
    norm: Norm = "linf",
    attack: Algorithm = "autoattack",
    seed: int = 0,
    batch_size: int | None = None,
    device: Device | None = None,
    **options: object,
) -> Curve:
    """Attack a network over a grid of epsilons in one job.

    The checks, the diagnostics and the numbers are those of `evaluate`. The network is left as it
    was found, and so are the global random states.

    Args:
        model: A network that maps images (n, C, H, W) in [0, 1] to logits (n, classes), as for
            `evaluate`.
        x: Images (n, C, H, W), floating point, in [0, 1]; a tensor or an array.
        y: Labels (n,), integers from 0.
        eps: One or more radii in pixel units, in any order: numbers (`8 / 255`) or text
            (`"8/255"`).
        norm: Norm of the radii: `"linf"`, `"l2"` or `"l1"`, in any usual spelling.
        attack: An algorithm, for example `"autoattack"`, `"autoattack-audited"`, `"pgd"` or
            `"fgsm"`.
        seed: Seed of the attack. The same seed gives the same result at every batch size.
        batch_size: Images attacked at once. By default it fits the images and the device.
        device: Where to run the attack. By default the device of the model's parameters.
        **options: Options of the algorithm, as in a protocol file, for example `steps=40`.

    Returns:
        The curve, and one adversarial example for each broken image.

    Raises:
        RbmixError: If an argument is wrong, or if the network draws random numbers.
    """
    own_norm = norms.parse(norm)
    grid = parse_grid(texts_of(eps), own_norm)
    protocol = Protocol(attack, "", attack, own_norm, grid, options)
    dataset = dataset_of((x, y))
    plan = EvaluationPlan(
        model=module_plan(model, seed),
        data=DataPlan(dataset, len(dataset.test)),
        attack=attack_plan(protocol, batch_size=batch_size),
        device=device_of(model, device),
    )
    run, x_adv = find_examples(plan)
    standing = run.standing().to_numpy()
    level = torch.from_numpy(standing.sum(1)) - 1  # standing at 0 and at so many epsilons
    passes = {
        name: {"forward": spent.forward, "gradient": spent.gradient}
        for name, spent in run.header.passes.items()
    }
    result = Result(run)
    return Curve(result.curve, level, x_adv, passes, result.flags)
