"""The runs behind the regression gate: what a baseline is made of, and the run held against it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from robustbench_mix.config import command_checks
from robustbench_mix.data import loaders
from robustbench_mix.data.dataset import balanced_subset
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation import plan, pretrained
from robustbench_mix.evaluation.plan import Training
from robustbench_mix.models import checkpoint
from robustbench_mix.results.records import Run
from robustbench_mix.results.regression import baselines
from robustbench_mix.results.regression.baselines import ELSEWHERE, Baseline
from robustbench_mix.storage.files import check_writable, replacing, safe_name


def write(
    *,
    model: str,
    spatial: str | None,
    channel: str | None,
    seed: int,
    dataset: str,
    attack: str,
    eps: list[str] | None,
    norm: str | None,
    examples: int,
    backend: str | None,
    batch_size: int | None,
    weights: Path | None,
    training: Training,
    device: str,
    folder: Path,
    replace: bool = False,
    quiet: bool = False,
) -> list[Path]:
    """Evaluate a network and write its baseline into `folder`; the files that were written.

    A network of the zoo is trained if need be, and its checkpoint is put beside the
    baseline. Your own model's weights are named in it if they lie in that folder. Raises
    RbmixError for what a user can mend, a baseline that is there already among it.
    """
    own = pretrained.comes_with_weights(model, spatial=spatial, channel=channel, file=weights)
    mixers = [word or ("external" if own else "learned") for word in (spatial, channel)]
    stem = "-".join([model, *mixers, f"s{seed}", Path(dataset).name, Path(attack).stem])
    path = folder / f"{safe_name(stem)}.csv"
    if path.exists() and not replace:
        raise RbmixError(f"baseline {path} exists; --replace writes it anew")
    check_writable(folder)
    words: dict[str, Any] = {
        "model": model, "spatial": spatial, "channel": channel, "seed": seed,
        "dataset": dataset, "attack": attack, "eps": eps, "norm": norm, "examples": examples,
        "backend": backend,
    }  # fmt: skip
    how: dict[str, Any] = {"batch_size": batch_size, "device": device, "quiet": quiet}
    run = _evaluated(words, weights, training, **how)
    if weights is None and not own:
        weights = plan.train(
            model=model, spatial=spatial or "learned", channel=channel or "learned", seed=seed,
            dataset=dataset, training=training, device=device, quiet=quiet,
        ).path  # fmt: skip
    return _record(run, words, weights, path, **how)


def rerun(
    baseline: Baseline,
    path: Path,
    *,
    examples: int | None,
    weights: Path | None,
    batch_size: int | None,
    device: str,
    quiet: bool = False,
) -> Run:
    """Evaluate what the baseline at `path` was made of, on its images or the first `examples`.

    Nothing that was evaluated before is read, and nothing is kept. Raises RbmixError if the
    images are not those of the baseline.
    """
    command_checks.rerun(
        baseline.words,
        path,
        examples=examples,
        batch_size=batch_size,
        weights=weights,
        device=device,
    )
    words = baseline.words
    most = words["examples"]
    weights = weights or baselines.weights_of(baseline, path)
    split, wanted = (
        balanced_subset(loaders.load(words["dataset"]).test, most),
        baseline.identity["data_hash"],
    )
    if split.hash != wanted:
        raise RbmixError(
            f"data set {words['dataset']!r} has changed since {path} was written: its first "
            f"{most} images hash to {split.hash}, not {wanted}"
        )
    if baseline.images["label"].to_dict() != dict(
        zip(split.index.tolist(), split.labels.tolist(), strict=True)
    ):
        raise RbmixError(f"baseline {path} is damaged: its images are not those of its data_hash")
    words |= {"examples": examples or most}
    how: dict[str, Any] = {"batch_size": batch_size, "device": device, "quiet": quiet}
    return _evaluated(words, weights, Training(), **how)


def update(
    baseline: Baseline,
    path: Path,
    run: Run,
    *,
    weights: Path | None,
    batch_size: int | None,
    device: str,
    quiet: bool = False,
) -> list[Path]:
    """Write `run`, a rerun on all images, as the new baseline at `path`; as `write`."""
    weights = weights or baselines.weights_of(baseline, path)
    how: dict[str, Any] = {"batch_size": batch_size, "device": device, "quiet": quiet}
    return _record(run, baseline.words, weights, path, **how)


def _record(
    run: Run, words: dict[str, Any], weights: Path | None, path: Path, **how: Any
) -> list[Path]:
    """Evaluate once more for the close calls, and write the baseline and what it needs."""
    norm = run.header["norm"]
    nearby = {"eps": baselines.edges(run.eps, norm), "norm": norm}
    around = _evaluated(words | nearby, weights, Training(), **how)
    kept = {"dataset": words["dataset"], "attack": words["attack"]}
    if weights is None or not checkpoint.is_rbmix_checkpoint(weights):
        named = _named(weights, path.parent)
        baselines.write(baselines.of_run(run, around, **kept, weights=named), path)
        return [path]
    beside = path.parent / _checkpoint_name(weights)
    if not (beside.exists() and beside.samefile(weights)):
        with replacing(beside) as temporary:
            shutil.copyfile(weights, temporary)
    baselines.write(baselines.of_run(run, around, **kept, weights=beside.name), path)
    return [beside, path]


def _evaluated(words: dict[str, Any], weights: Path | None, training: Training, **how: Any) -> Run:
    """One evaluation that reads and leaves nothing."""
    with tempfile.TemporaryDirectory() as results:
        return plan.evaluate(
            **words, **how, weights=weights, training=training, results=Path(results), fresh=True
        ).run


def _named(weights: Path | None, folder: Path) -> str:
    """How a baseline in `folder` names these weights."""
    if weights is None:
        return ""
    inside = weights.resolve()
    if not inside.is_relative_to(folder.resolve()):
        return ELSEWHERE
    return inside.relative_to(folder.resolve()).as_posix()


def _checkpoint_name(weights: Path) -> str:
    """One file for all baselines of one network: its name changes with the weights."""
    header = checkpoint.read_header(weights)
    spec = header["spec"]
    words = [spec["model"], spec["spatial"], spec["channel"], f"s{spec['seed']}", header["dataset"]]
    return safe_name("-".join([*words, header["weights_hash"]])) + ".safetensors"
