"""Run evaluations for the regression gate: to write a baseline, and to compare with it."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

from robustbench_mix.config import catalog
from robustbench_mix.data.dataset import balanced_subset
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.data_plan import DataPlan
from robustbench_mix.evaluation.evaluate import evaluate
from robustbench_mix.evaluation.inputs import load_inputs
from robustbench_mix.evaluation.load_model import is_pretrained, train
from robustbench_mix.evaluation.plan import EvaluationPlan, TrainingPlan
from robustbench_mix.models import checkpoint
from robustbench_mix.results.records import Run
from robustbench_mix.results.regression import baselines
from robustbench_mix.results.regression.baselines import ELSEWHERE, Baseline, Settings
from robustbench_mix.storage.files import check_writable, replacing, safe_name


def write(plan: EvaluationPlan, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Evaluate a network and write its baseline into `folder`.

    A network that rbmix trains is trained if needed, and its checkpoint is copied beside the
    baseline. The baseline names the weights of your own model if they lie in that folder.

    Args:
        plan: The network, the data and the attack.
        folder: The folder of the baseline.
        overwrite: Whether an existing baseline may be replaced.

    Returns:
        The files that were written.

    Raises:
        RbmixError: For what a user can fix, for example a baseline that already exists.
    """
    path = folder / f"{safe_name(_stem(plan))}.csv"
    if path.exists() and not overwrite:
        raise RbmixError(f"baseline {path} exists; --replace writes it anew")
    check_writable(folder)
    run = _evaluate_afresh(plan)
    if plan.model.is_trained:
        kept = train(TrainingPlan(data=plan.data, device=plan.device, model=plan.model)).path
        plan = replace(plan, model=plan.model.with_weights(kept))
    return update(plan, run, path)


def rerun(plan: EvaluationPlan, baseline: Baseline, path: Path) -> Run:
    """Evaluate the network of the baseline at `path` again.

    Earlier records are not read, and no records are kept.

    Args:
        plan: The plan of the baseline, from `baseline_plan`.
        baseline: The baseline.
        path: Its path, for messages.

    Raises:
        RbmixError: If the images are not those of the baseline.
    """
    word, most = plan.data.dataset, len(baseline.images)
    dataset = load_inputs(plan).dataset
    split, wanted = balanced_subset(dataset.test, most), baseline.identity["data_hash"]
    if split.hash != wanted:
        raise RbmixError(
            f"data set {word!r} has changed since {path} was written: its first "
            f"{most} images hash to {split.hash}, not {wanted}"
        )
    if baseline.images["label"].to_dict() != dict(
        zip(split.index.tolist(), split.labels.tolist(), strict=True)
    ):
        raise RbmixError(f"baseline {path} is damaged: its images are not those of its data_hash")
    return _evaluate_afresh(replace(plan, data=DataPlan(dataset, plan.data.examples)))


def update(plan: EvaluationPlan, run: Run, path: Path) -> list[Path]:
    """Write a run as the baseline at `path`.

    The network is evaluated once more, to find images whose outcome is a close call.

    Args:
        plan: The plan of the run, on all images of the baseline.
        run: The run.
        path: The path of the baseline.

    Returns:
        The files that were written.
    """
    nearby = plan.attack.on_grid(baselines.nearby_grid(run.eps, plan.attack.protocol.norm))
    around = _evaluate_afresh(replace(plan, attack=nearby))
    weights = plan.model.file
    kept = partial(
        baselines.of_run, run, around, dataset=str(plan.data.dataset), attack=plan.attack.word,
        settings=_settings(plan),
    )  # fmt: skip
    if weights is None or not checkpoint.is_rbmix_checkpoint(weights):
        named = _weights_name(weights, path.parent)
        baselines.write(kept(weights=named), path)
        return [path]
    beside = path.parent / _checkpoint_name(weights)
    if not (beside.exists() and beside.samefile(weights)):
        with replacing(beside) as temporary:
            shutil.copyfile(weights, temporary)
    baselines.write(kept(weights=beside.name), path)
    return [beside, path]


def _settings(plan: EvaluationPlan) -> Settings:
    """Return what a baseline keeps of a network and its data beside their names."""
    model, weights = plan.model, plan.model.weights
    interface, named = model.spec.interface, model.spec.model
    return Settings(
        model=named if interface else "",
        interface=interface,
        pretrained=model.published and not catalog.comes_with_weights(named),
        weights_key=(weights.key if weights else None) or "",
        ignore_weights=weights.ignore if weights else (),
        class_index=plan.data.class_index or "",
    )


def _evaluate_afresh(plan: EvaluationPlan) -> Run:
    """Evaluate without reading earlier records or keeping new ones."""
    with tempfile.TemporaryDirectory() as results:
        return evaluate(plan, Path(results), fresh=True).run


def _stem(plan: EvaluationPlan) -> str:
    """Return the name of a baseline's file, made of the words of its plan."""
    model, data = plan.model, plan.data
    unsaid = "external" if is_pretrained(model) else "learned"
    mixers = [word or unsaid for word in model.mixers]
    seed, dataset = f"s{model.spec.seed}", Path(str(data.dataset)).name
    return "-".join([model.spec.model, *mixers, seed, dataset, Path(plan.attack.word).stem])


def _weights_name(weights: Path | None, folder: Path) -> str:
    """Return the name of these weights in a baseline in `folder`."""
    if weights is None:
        return ""
    inside = weights.resolve()
    if not inside.is_relative_to(folder.resolve()):
        return ELSEWHERE
    return inside.relative_to(folder.resolve()).as_posix()


def _checkpoint_name(weights: Path) -> str:
    """Return the name of the file with these weights, which all baselines of a network share."""
    header = checkpoint.read_header(weights)
    spec = header.spec
    assert spec is not None  # `checkpoint.is_rbmix_checkpoint` has looked
    words = [spec.model, spec.spatial, spec.channel, f"s{spec.seed}", str(header.dataset)]
    return safe_name("-".join([*words, header.weights_hash])) + ".safetensors"
