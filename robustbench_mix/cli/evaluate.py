"""The commands that train and attack."""

from __future__ import annotations

from typing import Annotated, Any, Optional

import typer

from robustbench_mix.cli.app import app
from robustbench_mix.cli.options import (
    AdversarialEps,
    AsJson,
    AttackName,
    Backend,
    BatchSize,
    ChannelWish,
    ChannelWord,
    Classes,
    DatasetName,
    Device,
    Epochs,
    EpsGrid,
    InputSize,
    IsAdversarial,
    LearningRate,
    Mean,
    Model,
    NormName,
    Out,
    Precision,
    Pretrained,
    Quiet,
    Seed,
    SpatialWish,
    SpatialWord,
    Std,
    TrainExamples,
    Weights,
    answer,
    chosen,
    interface,
    listed,
    load_torch,
    names,
    whole,
)
from robustbench_mix.runtime import progress
from robustbench_mix.storage import remote


@app.command()
def evaluate(
    model: Model = "resnet18",
    spatial: SpatialWish = None,
    channel: ChannelWish = None,
    attack: AttackName = "autoattack",
    dataset: DatasetName = "digits",
    examples: Annotated[
        Optional[int],
        typer.Option(
            parser=whole, help="Number of test images, a fixed subset balanced over the classes."
        ),
    ] = None,
    eps: EpsGrid = None,
    norm: NormName = None,
    backend: Backend = None,
    exhaustive: Annotated[
        bool,
        typer.Option(
            "--exhaustive", help="Run every attack at every epsilon to its end, without any saving."
        ),
    ] = False,
    randomised: Annotated[
        bool,
        typer.Option(
            "--randomised",
            help="For networks that draw random numbers: mean gradients, majority votes.",
        ),
    ] = False,
    seed: Seed = 0,
    batch_size: BatchSize = None,
    weights: Weights = None,
    pretrained: Pretrained = False,
    mean: Mean = None,
    std: Std = None,
    input_size: InputSize = None,
    classes: Classes = None,
    out: Out = None,
    epochs: Epochs = None,
    train_examples: TrainExamples = None,
    lr: LearningRate = None,
    precision: Precision = "auto",
    adversarial: IsAdversarial = False,
    adversarial_eps: AdversarialEps = None,
    device: Device = "auto",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Attack again even if this run is on disk.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Attack a model over a grid of epsilons; train it first if it is not cached.

    A model that comes with weights is never trained: with --weights or --pretrained, and from hf:
    or package.module:callable unless --spatial or --channel asks for a variant. With --weights,
    --spatial and --channel say how the file was made: the model is made separable before the file
    is loaded, and learned and frozen are compared as twins.
    """
    from robustbench_mix.config import command_checks
    from robustbench_mix.config.training import Training

    words: dict[str, Any] = {
        "model": model, "spatial": spatial, "channel": channel, "seed": seed, "dataset": dataset,
        "attack": attack, "eps": None if eps is None else listed(eps), "norm": norm,
        "examples": examples, "batch_size": batch_size, "weights": weights,
        "training": Training(epochs, train_examples, lr, precision, adversarial, adversarial_eps),
        "device": device, "pretrained": pretrained,
        "interface": interface(input_size, mean, std, classes),
        "backend": backend, "exhaustive": exhaustive, "randomised": randomised,
    }  # fmt: skip
    command_checks.evaluation(**words)
    results = chosen(out, as_json or quiet)
    load_torch(as_json or quiet)

    from robustbench_mix.cli import render
    from robustbench_mix.evaluation import plan
    from robustbench_mix.results import leaderboard, plots
    from robustbench_mix.storage import files

    with files.record_written_files() as changed:
        done = plan.evaluate(**words, results=results, fresh=fresh, quiet=as_json or quiet)
    with progress.report_if_slow("bringing leaderboard and curves up to date"):
        written = [*changed & {done.path}, *plots.refresh(results)]
    rows = leaderboard.rows([done.run])
    found = render.evaluation_json(done.run, rows, done.path, written)
    answer(as_json, quiet, found, lambda: render.evaluation(done.run, rows, done.path, written))


@app.command()
def train(
    model: Model = "resnet18",
    spatial: SpatialWord = "learned",
    channel: ChannelWord = "learned",
    dataset: DatasetName = "digits",
    seed: Seed = 0,
    epochs: Epochs = None,
    train_examples: TrainExamples = None,
    lr: LearningRate = None,
    precision: Precision = "auto",
    adversarial: IsAdversarial = False,
    adversarial_eps: AdversarialEps = None,
    mean: Mean = None,
    std: Std = None,
    input_size: InputSize = None,
    classes: Classes = None,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train a model and keep its checkpoint; do nothing if it is cached.

    Any architecture works: its dense convolutions are made separable, and it is always trained
    from fresh weights.
    """
    from robustbench_mix.config import command_checks
    from robustbench_mix.config.training import Training

    words: dict[str, Any] = {
        "model": model, "spatial": spatial, "channel": channel, "seed": seed, "dataset": dataset,
        "training": Training(epochs, train_examples, lr, precision, adversarial, adversarial_eps),
        "device": device, "interface": interface(input_size, mean, std, classes),
    }  # fmt: skip
    command_checks.training(**words)
    load_torch(as_json or quiet)

    from robustbench_mix.cli import render
    from robustbench_mix.evaluation import plan

    trained = plan.train(**words, quiet=as_json or quiet)
    found = {**trained.header, "checkpoint": str(trained.path)}
    answer(as_json, quiet, found, lambda: render.training(trained.header, trained.path))


@app.command()
def explain(
    model: Model = "resnet18",
    spatial: SpatialWord = "frozen",
    channel: ChannelWord = "learned",
    dataset: DatasetName = "digits",
    examples: Annotated[
        Optional[int], typer.Option(parser=whole, help="Number of test images to measure.")
    ] = None,
    eps: Annotated[
        Optional[str], typer.Option(help="Epsilons instead of the FGSM protocol's.")
    ] = None,
    seed: Seed = 0,
    out: Out = None,
    epochs: Epochs = None,
    train_examples: TrainExamples = None,
    lr: LearningRate = None,
    precision: Precision = "auto",
    adversarial: IsAdversarial = False,
    adversarial_eps: AdversarialEps = None,
    mean: Mean = None,
    std: Std = None,
    input_size: InputSize = None,
    classes: Classes = None,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure what explains a gap: margins, gradients, linearity, transfer, frequencies."""
    from robustbench_mix.config import command_checks
    from robustbench_mix.config.training import Training

    words: dict[str, Any] = {
        "model": model, "spatial": spatial, "channel": channel, "seed": seed, "dataset": dataset,
        "examples": examples, "eps": None if eps is None else listed(eps),
        "training": Training(epochs, train_examples, lr, precision, adversarial, adversarial_eps),
        "device": device, "interface": interface(input_size, mean, std, classes),
    }  # fmt: skip
    command_checks.explanation(**words)
    results = chosen(out, as_json or quiet)
    load_torch(as_json or quiet)

    from robustbench_mix.cli import render
    from robustbench_mix.evaluation import plan
    from robustbench_mix.storage import files

    with files.record_written_files() as changed:
        paths = plan.explain(**words, results=results, quiet=as_json or quiet)
    written, read = ([path for path in paths if (path in changed) == new] for new in (True, False))
    found = {**names(written), "records": [remote.display_name(path) for path in paths]}
    answer(as_json, quiet, found, lambda: render.saved(written, read))
