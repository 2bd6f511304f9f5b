"""The plan behind one call of `AutoAttack`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from robustbench_mix.api.calls import device_of
from robustbench_mix.config import norms
from robustbench_mix.config.epsilon import parse_grid, texts_of
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.data.dataset import Dataset
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.attack_plan import attack_plan
from robustbench_mix.evaluation.data_plan import DataPlan
from robustbench_mix.evaluation.model_plan import module_plan
from robustbench_mix.evaluation.plan import EvaluationPlan

if TYPE_CHECKING:
    from robustbench_mix.api.autoattack import AutoAttack


def ensemble_plan(
    adversary: AutoAttack, dataset: Dataset, components: Sequence[str], batch_size: int
) -> EvaluationPlan:
    """Return the plan to run these attacks, with the settings of the class as they are now.

    Args:
        adversary: The settings.
        dataset: The images.
        components: The attacks, in order.
        batch_size: Number of images to attack at once.

    Raises:
        RbmixError: There is no attack, or not one epsilon, or a setting is wrong.
    """
    device = device_of(adversary.model, adversary.device)  # refuses what cannot be called
    norm = norms.parse(adversary.norm)
    if isinstance(components, str):
        raise RbmixError(f"attacks_to_run is the text {components!r} (needs a list of texts)")
    components = list(components)
    if not components:
        raise RbmixError("attacks_to_run is empty (needs one or more attacks)")
    eps, settings = parse_grid(texts_of(adversary.epsilon), norm), adversary._attacks
    options = settings.options(components)
    if len(eps) > 1:
        raise RbmixError(f"eps = {adversary.epsilon!r} is several (needs one; `curve` takes many)")
    return EvaluationPlan(
        model=module_plan(adversary.model, adversary.get_seed()),
        data=DataPlan(dataset, len(dataset.test)),
        attack=attack_plan(
            Protocol("autoattack", "", "autoattack", norm, eps, options),
            randomised=adversary.version == "rand" or settings.is_averaged(components),
            batch_size=batch_size,
        ),
        device=device,
    )
