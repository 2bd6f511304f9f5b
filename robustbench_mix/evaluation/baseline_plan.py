"""The plan of the evaluation that a baseline repeats."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from robustbench_mix.config.weights import WeightsFile
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.attack_plan import attack_plan
from robustbench_mix.evaluation.data_plan import DataPlan
from robustbench_mix.evaluation.model_plan import model_plan
from robustbench_mix.evaluation.plan import EvaluationPlan

if TYPE_CHECKING:
    from robustbench_mix.results.regression.baselines import Baseline


def baseline_plan(
    baseline: Baseline,
    path: Path,
    *,
    examples: int | None = None,
    weights: Path | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    changes: Mapping[str, Any] = MappingProxyType({}),
) -> EvaluationPlan:
    """Return the plan of the evaluation behind a baseline.

    Args:
        baseline: The baseline.
        path: Its path, for messages.
        examples: Number of its first images to take; None takes all.
        weights: The weights that it names, or others to compare with it; None if there are none.
        batch_size: Number of images to attack at once; None depends on the device.
        device: Name of the device.
        changes: Words of `Baseline.words` to replace; None leaves a word as it is.

    Raises:
        RbmixError: A word is wrong, or there are more examples than the baseline has.
    """
    words = baseline.words
    given = {name: word for name, word in changes.items() if word is not None}
    if words["interface"] is not None and "interface" in given:
        given["interface"] = words["interface"].changed(given["interface"])
    words |= given
    most = words["examples"]
    if examples is not None and not 1 <= examples <= most:
        raise RbmixError(f"number of examples {examples} must be 1 to {most}, as in {path}")
    names = ("model", "spatial", "channel", "seed")
    data = DataPlan(words["dataset"], examples or most, class_index=words["class_index"])
    attack = attack_plan(
        words["attack"], data.name, eps=words["eps"], norm=words["norm"],
        backend="reference" if words["randomised"] else words["backend"],
        exhaustive=words["exhaustive"], randomised=words["randomised"], batch_size=batch_size,
    )  # fmt: skip
    file = None
    if weights is not None:
        file = WeightsFile(weights, words["weights_key"], words["ignore_weights"])
    model = model_plan(
        *(words[name] for name in names), interface=words["interface"], weights=file,
        pretrained=words["pretrained"] and file is None,
    )  # fmt: skip
    return EvaluationPlan(data=data, device=device, model=model, attack=attack)
