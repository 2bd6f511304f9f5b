"""Measure a network beside its learned twin, and write the records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from robustbench_mix.evaluation.inputs import load_inputs
from robustbench_mix.evaluation.load_model import check_exists, label_of, train_model
from robustbench_mix.evaluation.model_plan import ModelPlan
from robustbench_mix.evaluation.plan import ExplanationPlan
from robustbench_mix.evaluation.probe import probe
from robustbench_mix.evaluation.transfer import transfer
from robustbench_mix.storage.files import check_writable


def explain(plan: ExplanationPlan, results: Path) -> list[Path]:
    """Measure a network, its learned twin, and how their examples transfer.

    Both are trained if needed. Existing records of the same networks and images are kept.

    Args:
        plan: The network, the images and the epsilons.
        results: The results folder.

    Returns:
        The paths of the records.

    Raises:
        RbmixError: For what a user can fix.
    """
    check_exists(plan.model)
    check_writable(results)
    inputs = load_inputs(plan)
    paths = []
    twins = []
    for model in models_of(plan):
        trained = train_model(model, inputs.dataset, inputs.device)
        label = label_of(model)
        paths.append(probe(label, trained, inputs, plan.eps, results))
        twins.append((label, trained))
    if len(twins) == 2:
        (_, learned), (label, other) = twins
        paths.append(transfer(label, other, learned, inputs, plan.eps, results))
    return paths


def models_of(plan: ExplanationPlan) -> list[ModelPlan]:
    """Return the learned twin and the network, or one plan if they are the same."""
    spec = plan.model.spec
    modes = dict.fromkeys(("learned", spec.spatial))
    return [replace(plan.model, spec=replace(spec, spatial=mode)) for mode in modes]
