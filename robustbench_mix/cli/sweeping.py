"""The commands that run many trainings: grids of networks, and pixel un-shuffling."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from robustbench_mix.cli import completing
from robustbench_mix.cli.app import app
from robustbench_mix.cli.options import (
    AsJson,
    DatasetName,
    Device,
    Epochs,
    LearningRate,
    Out,
    Precision,
    Quiet,
    TrainExamples,
    answer,
    listed,
    names,
    whole,
)
from robustbench_mix.errors import RbmixError


@app.command()
def unshuffle(
    width: Annotated[str, typer.Option(help="Channels; several as in 128,256.")] = "128",
    depth: Annotated[str, typer.Option(help="Blocks; several as in 4,8.")] = "4",
    kernel: Annotated[str, typer.Option(help="Kernel size; several as in 3,5.")] = "5",
    patch: Annotated[int, typer.Option(parser=whole, help="Patch size; the paper has 1.")] = 1,
    spatial: Annotated[
        str,
        typer.Option(
            autocompletion=completing.several(completing.spatial),
            help="Which spatial mixers, as --spatial of `rbmix train`.",
        ),
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
    quiet: Quiet = False,
) -> None:
    """Teach ConvMixers to undo a fixed permutation of the pixels: learned against frozen."""
    from robustbench_mix import gallery, jobs, show

    paths = jobs.unshuffle(
        widths=listed(width, int), depths=listed(depth, int), kernels=listed(kernel, int),
        patch=patch, spatial=listed(spatial), seed=seed, dataset=dataset, examples=examples,
        results=out, training=jobs.Training(epochs, train_examples, lr, precision),
        device=device, quiet=as_json or quiet,
    )  # fmt: skip
    rows = gallery.rows(paths)
    written = [*paths, *gallery.write(out)]
    answer(as_json, quiet, {"rows": rows, **names(written)}, lambda: show.decodings(rows, written))


@app.command()
def sweep(
    spec: Annotated[
        str,
        typer.Argument(
            autocompletion=completing.sweeps, help="A shipped sweep, or a path to a .toml file."
        ),
    ],
    dataset: Annotated[
        Optional[str],
        typer.Option(
            autocompletion=completing.datasets, help="This data set instead of the sweep's."
        ),
    ] = None,
    models: Annotated[
        Optional[str],
        typer.Option(
            autocompletion=completing.several(completing.models),
            help="These models, as in resnet14,resnet20.",
        ),
    ] = None,
    seeds: Annotated[Optional[str], typer.Option(help="These seeds, as in 0,1,2.")] = None,
    attacks: Annotated[
        Optional[str],
        typer.Option(
            autocompletion=completing.several(completing.attacks),
            help="These protocols, as in fgsm,pgd.",
        ),
    ] = None,
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
    quiet: Quiet = False,
) -> None:
    """Train and attack a whole grid; a second call does only what is missing."""
    from robustbench_mix import gallery, grids, plot, progress, runners, show, sweeping
    from robustbench_mix import leaderboard as board

    progress.set_quiet(as_json or quiet)
    changes = {
        "datasets": None if dataset is None else [dataset],
        "models": None if models is None else listed(models),
        "seeds": None if seeds is None else listed(seeds, int),
        "attacks": None if attacks is None else listed(attacks),
        "examples": examples, "epochs": epochs, "train_examples": train_examples,
    }  # fmt: skip
    runner = runners.runner(workers)
    chosen = grids.load(spec, {name: v for name, v in changes.items() if v is not None})
    setting = sweeping.setting(out, device, precision, quiet=as_json or quiet)
    pieces = sweeping.plan(chosen, setting)
    if not (as_json or quiet):
        show.plan(chosen.name, chosen.summary, sweeping.summary(pieces))
    failures, written = [], []
    if not plan:
        failures = sweeping.run(pieces, setting, runner)
        written = board.write(out) + plot.write(out) if any(p.attack for p in pieces) else []
        written += gallery.write(out) if chosen.puzzles else []
    found = sweeping.to_json(pieces, failures, written)
    answer(as_json, quiet, found, lambda: show.sweep(failures, written))
    if failures:
        raise RbmixError(f"{len(failures)} pieces failed; the first: {failures[0]}")
