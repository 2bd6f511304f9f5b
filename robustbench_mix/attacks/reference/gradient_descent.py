"""foolbox's gradient attacks with three corrections.

As shipped they also compute gradients of the parameters, return the last iterate even if an
earlier one had succeeded, and draw a start that depends on the batch. The subclass here keeps
foolbox's step, normalisation and projection, and corrects all three.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel, gradient_of
from robustbench_mix.attacks.norms import random_point


def descend(
    model: CountedModel,
    batch: Batch,
    *,
    steps: int,
    step_size: float,
    starts: list[torch.Generator] | None,
    eot: int = 1,
) -> Tensor:
    """Ascend the cross-entropy by signed (linf) or normalised (l2) steps, projected each step.

    Args:
        model: The model.
        batch: The images, all with one eps.
        steps: Number of steps.
        step_size: Length of a step, as a share of eps.
        starts: A generator for each image's uniform start in the ball; None starts at the image.
        eot: Number of passes whose gradients are summed (expectation over transformation).

    Returns:
        Perturbed images, (B, C, H, W): the iterate that the most passes misclassify, the first of
        several, if more than half of the passes do; else the last iterate.

    Sources: Madry et al., arXiv 1706.06083; for `eot` Athalye et al., arXiv 1802.00420.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # foolbox imports scipy.ndimage.filters
        import eagerpy
        import foolbox

    base = {
        "linf": foolbox.attacks.LinfProjectedGradientDescentAttack,
        "l2": foolbox.attacks.L2ProjectedGradientDescentAttack,
    }[batch.norm]

    class Descent(base):  # type: ignore[valid-type, misc]
        def get_random_start(self, x0: Any, epsilon: float) -> Any:
            return eagerpy.astensor(random_point(x0.raw, epsilon, batch.norm, starts or []))

        def value_and_grad(self, _: Any, iterate: Any) -> tuple[Any, Any]:
            gradient, wrong = torch.zeros_like(x), torch.zeros_like(most)
            raw = iterate.raw.detach().requires_grad_()
            for _ in range(eot):
                with torch.enable_grad():
                    logits = model(raw)
                    loss = F.cross_entropy(logits, y, reduction="sum")
                    gradient += gradient_of(loss, raw)
                wrong += logits.detach().argmax(1) != y
            self.remember(raw.detach(), wrong)
            return eagerpy.astensor(loss.detach()), eagerpy.astensor(gradient)

        def remember(self, iterate: Tensor, wrong: Tensor) -> None:
            more = wrong > most
            most[more], best[more] = wrong[more], iterate[more]

    x, y = batch.x, batch.y
    most = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    best = x.clone()
    attack = Descent(rel_stepsize=step_size, steps=steps, random_start=starts is not None)
    network = foolbox.PyTorchModel(model.eval(), bounds=(0, 1), device=x.device)
    last = attack.run(network, x, foolbox.Misclassification(y), epsilon=batch.one_eps())
    return torch.where((2 * most > eot)[:, None, None, None], best, last)
