"""The commands that train and attack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Optional

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
    Seed,
    SpatialWish,
    SpatialWord,
    Std,
    TrainExamples,
    Weights,
    interface,
    listed,
    whole,
)
from robustbench_mix.errors import RbmixError


@app.command()
def evaluate(
    model: Model = "resnet18",
    spatial: SpatialWish = None,
    channel: ChannelWish = None,
    attack: AttackName = "autoattack",
    dataset: DatasetName = "digits",
    examples: Annotated[
        Optional[int],
        typer.Option(parser=whole, help="Test images, a fixed subset balanced over the classes."),
    ] = None,
    eps: EpsGrid = None,
    norm: NormName = None,
    backend: Backend = None,
    exhaustive: Annotated[
        bool,
        typer.Option(
            "--exhaustive", help="Every attack at every epsilon, to its end: nothing saved."
        ),
    ] = False,
    randomised: Annotated[
        bool,
        typer.Option(
            "--randomised", help="The network draws random numbers: attack means, judge by vote."
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
    out: Out = Path("results"),
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
) -> None:
    """Attack a model over an epsilon grid; train it first if it is not cached.

    A model that comes with weights is never trained: one with --weights or --pretrained, and one
    from hf: or package.module:callable unless --spatial or --channel asks for a variant of it.
    With --weights these two say how the file was made: the model's convolutions are made
    separable before it is loaded, and learned and frozen are compared as twins.
    """
    from robustbench_mix import jobs, plot, show
    from robustbench_mix import leaderboard as board

    done = jobs.evaluate(
        model=model, spatial=spatial, channel=channel, seed=seed, dataset=dataset,
        attack=attack, eps=None if eps is None else listed(eps),
        norm=norm, examples=examples, batch_size=batch_size, weights=weights, results=out,
        training=jobs.Training(
            epochs, train_examples, lr, precision, adversarial, adversarial_eps
        ),
        device=device,
        pretrained=pretrained, interface=interface(input_size, mean, std, classes),
        backend=backend, exhaustive=exhaustive, randomised=randomised, fresh=fresh,
        quiet=as_json,
    )  # fmt: skip
    written = [done.path, *board.write(out), *plot.write(out)]
    rows = board.rows([done.run])
    if as_json:
        print(json.dumps(show.evaluation_json(done.run, rows, written), indent=2))
    else:
        show.evaluation(done.run, rows, written)


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
) -> None:
    """Train a model and keep its checkpoint; nothing to do if it is cached.

    Any architecture will do: its dense convolutions are made separable, and it is trained from
    fresh weights, whatever weights others have for it.
    """
    from robustbench_mix import jobs, show

    obtained = jobs.train(
        model=model, spatial=spatial, channel=channel, seed=seed, dataset=dataset,
        training=jobs.Training(
            epochs, train_examples, lr, precision, adversarial, adversarial_eps
        ),
        device=device, interface=interface(input_size, mean, std, classes),
        quiet=as_json,
    )  # fmt: skip
    if as_json:
        print(json.dumps({**obtained.header, "checkpoint": str(obtained.path)}, indent=2))
    else:
        show.training(obtained.header, obtained.path)


@app.command()
def explain(
    model: Model = "resnet18",
    spatial: SpatialWord = "frozen",
    channel: ChannelWord = "learned",
    dataset: DatasetName = "digits",
    examples: Annotated[
        Optional[int], typer.Option(parser=whole, help="Test images to measure.")
    ] = None,
    eps: Annotated[
        Optional[str], typer.Option(help="Epsilons instead of the FGSM protocol's.")
    ] = None,
    seed: Seed = 0,
    out: Out = Path("results"),
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
) -> None:
    """Measure what explains a gap: margins, gradients, linearity, transfer, frequencies."""
    from robustbench_mix import jobs, show

    paths = jobs.explain(
        model=model, spatial=spatial, channel=channel, seed=seed, dataset=dataset,
        examples=examples, eps=None if eps is None else listed(eps), results=out,
        training=jobs.Training(
            epochs, train_examples, lr, precision, adversarial, adversarial_eps
        ),
        device=device, interface=interface(input_size, mean, std, classes), quiet=as_json,
    )  # fmt: skip
    if as_json:
        print(json.dumps({"paths": [str(path) for path in paths]}, indent=2))
    else:
        show.saved(paths)


@app.command()
def unshuffle(
    width: Annotated[str, typer.Option(help="Channels; several as in 128,256.")] = "128",
    depth: Annotated[str, typer.Option(help="Blocks; several as in 4,8.")] = "4",
    kernel: Annotated[str, typer.Option(help="Kernel size; several as in 3,5.")] = "5",
    patch: Annotated[int, typer.Option(parser=whole, help="Patch size; the paper has 1.")] = 1,
    spatial: Annotated[
        str, typer.Option(help="Which spatial mixers, as --spatial of `rbmix train`.")
    ] = "learned,frozen",
    dataset: DatasetName = "digits",
    seed: Annotated[
        int, typer.Option(parser=whole, help="Seed of permutation, weights and training.")
    ] = 0,
    examples: Annotated[int, typer.Option(parser=whole, help="Test images to decode.")] = 1000,
    out: Out = Path("results"),
    epochs: Epochs = None,
    train_examples: TrainExamples = None,
    lr: LearningRate = None,
    precision: Precision = "auto",
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Teach ConvMixers to undo a fixed permutation of the pixels: learned against frozen."""
    from robustbench_mix import gallery, jobs, show

    paths = jobs.unshuffle(
        widths=listed(width, int), depths=listed(depth, int), kernels=listed(kernel, int),
        patch=patch, spatial=listed(spatial), seed=seed, dataset=dataset, examples=examples,
        results=out, training=jobs.Training(epochs, train_examples, lr, precision),
        device=device, quiet=as_json,
    )  # fmt: skip
    rows = gallery.rows(paths)
    written = [*paths, *gallery.write(out)]
    if as_json:
        print(json.dumps({"rows": rows, "paths": [str(path) for path in written]}, indent=2))
    else:
        show.decodings(rows, written)


@app.command()
def sweep(
    spec: Annotated[str, typer.Argument(help="A shipped sweep, or a path to a .toml file.")],
    dataset: Annotated[
        Optional[str], typer.Option(help="This data set instead of the sweep's.")
    ] = None,
    models: Annotated[
        Optional[str], typer.Option(help="These models, as in resnet14,resnet20.")
    ] = None,
    seeds: Annotated[Optional[str], typer.Option(help="These seeds, as in 0,1,2.")] = None,
    attacks: Annotated[Optional[str], typer.Option(help="These protocols, as in fgsm,pgd.")] = None,
    examples: Annotated[
        Optional[int], typer.Option(parser=whole, help="This many test images.")
    ] = None,
    epochs: Epochs = None,
    train_examples: TrainExamples = None,
    workers: Annotated[
        int, typer.Option(parser=whole, help="Processes at once, each with its share of the cores.")
    ] = 1,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would be done.")] = False,
    out: Out = Path("results"),
    precision: Precision = "auto",
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Train and attack a whole grid; a second call does only what is missing."""
    from robustbench_mix import gallery, grids, plot, progress, runners, show, sweeping
    from robustbench_mix import leaderboard as board

    progress.set_quiet(as_json)
    changes = {
        "datasets": None if dataset is None else [dataset],
        "models": None if models is None else listed(models),
        "seeds": None if seeds is None else listed(seeds, int),
        "attacks": None if attacks is None else listed(attacks),
        "examples": examples, "epochs": epochs, "train_examples": train_examples,
    }  # fmt: skip
    runner = runners.runner(workers)
    chosen = grids.load(spec, {name: v for name, v in changes.items() if v is not None})
    setting = sweeping.setting(out, device, precision, quiet=as_json)
    pieces = sweeping.plan(chosen, setting)
    if not as_json:
        show.plan(chosen.name, chosen.summary, sweeping.summary(pieces))
    failures, written = [], []
    if not plan:
        failures = sweeping.run(pieces, setting, runner)
        written = board.write(out) + plot.write(out) if any(p.attack for p in pieces) else []
        written += gallery.write(out) if chosen.puzzles else []
    if as_json:
        print(json.dumps(sweeping.to_json(pieces, failures, written), indent=2))
    else:
        show.sweep(failures, written)
    if failures:
        raise RbmixError(f"{len(failures)} pieces failed; the first: {failures[0]}")
