"""The commands that run many trainings: grids of networks, and pixel un-shuffling."""

from __future__ import annotations

from typing import Annotated, Any, Optional

import typer

from robustbench_mix import mirrors, progress
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
    Results,
    TrainExamples,
    answer,
    chosen,
    existing,
    listed,
    load_torch,
    names,
    results_folder,
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
    out: Out = None,
    epochs: Epochs = None,
    train_examples: TrainExamples = None,
    lr: LearningRate = None,
    precision: Precision = "auto",
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Teach ConvMixers to undo a fixed permutation of the pixels: learned against frozen."""
    from robustbench_mix import checking
    from robustbench_mix.recipes import Training

    words: dict[str, Any] = {
        "widths": listed(width, int), "depths": listed(depth, int), "kernels": listed(kernel, int),
        "patch": patch, "spatial": listed(spatial), "seed": seed, "dataset": dataset,
        "examples": examples, "training": Training(epochs, train_examples, lr, precision),
        "device": device,
    }  # fmt: skip
    checking.unshufflers(**words)
    results = chosen(out, as_json or quiet)
    load_torch(as_json or quiet)

    from robustbench_mix import files, gallery, jobs, show

    with files.noted() as changed:
        paths = jobs.unshuffle(**words, results=results, quiet=as_json or quiet)
    rows = gallery.rows(paths)
    read = [path for path in paths if path not in changed]
    with progress.doing("drawing what was decoded"):
        written = [*(path for path in paths if path in changed), *gallery.write(results)]
    answer(
        as_json, quiet, {"rows": rows, **names(written)},
        lambda: show.decodings(rows, written, read),
    )  # fmt: skip


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
        Optional[int],
        typer.Option(
            parser=whole,
            help="Pieces at once, each with its share of the cores and a GPU of its own, or a part "
            "of one; unless given one, on several GPUs one each, with Ray as many as have room.",
        ),
    ] = None,
    runner: Annotated[
        str,
        typer.Option(
            autocompletion=completing.runners,
            help="Who does them: local, processes on this machine, or ray, a Ray cluster.",
        ),
    ] = "local",
    address: Annotated[
        Optional[str],
        typer.Option(
            help="Where the Ray cluster is, as in HOST:6379; else RAY_ADDRESS, or one is started."
        ),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would be done.")] = False,
    out: Out = None,
    precision: Precision = "auto",
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train and attack a whole grid; a second call does only what is missing."""
    from robustbench_mix import grids, sweep_checks

    is_silent = as_json or quiet
    changes = {
        "datasets": None if dataset is None else [dataset],
        "models": None if models is None else listed(models),
        "seeds": None if seeds is None else listed(seeds, int),
        "attacks": None if attacks is None else listed(attacks),
        "examples": examples, "epochs": epochs, "train_examples": train_examples,
    }  # fmt: skip
    wanted = grids.load(spec, {name: v for name, v in changes.items() if v is not None})
    sweep_checks.sweep(
        wanted, runner=runner, workers=workers, address=address, precision=precision, device=device
    )
    results = chosen(out, is_silent)
    load_torch(is_silent)

    from robustbench_mix import gallery, ongoing, planning, plot, runners, sweeping
    from robustbench_mix import show_sweeps as show

    failures: list[str] = []
    with runners.running(runner, workers=workers, address=address, device=device) as found:
        setting, pieces = found.ask(
            planning.planned, wanted, mirrors.spelled(results), device, precision, is_silent
        )
        if not is_silent:
            wall = planning.makespan(pieces, found.room)
            show.plan(wanted.name, wanted.summary, planning.summary(pieces), found.room, wall)
        if not plan:
            state = ongoing.begin(results, wanted.name, found.words, pieces)
            failures = sweeping.run(pieces, setting, found, state.note)
    written = []
    if not plan:
        results_folder(mirrors.spelled(results))  # what other machines wrote
        with progress.doing("bringing leaderboard, curves and pictures up to date"):
            written = plot.refresh(results) if any(p.attack for p in pieces) else []
            written += gallery.write(results) if wanted.puzzles else []
    answer(
        as_json, quiet, sweeping.to_json(pieces, failures, written),
        lambda: show.sweep(failures, written),
    )  # fmt: skip
    if failures:
        raise RbmixError(f"{len(failures)} pieces failed; the first: {failures[0]}")


@app.command()
def status(
    results: Results = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show how far sweeps into a results folder are, from any machine that sees it."""
    from robustbench_mix import ongoing
    from robustbench_mix import show_sweeps as show

    folder = existing(chosen(results, as_json or quiet))
    found = ongoing.read_all(folder)
    if not found:
        raise RbmixError(f"no sweep has been run into {mirrors.spelled(folder)}")
    answer(as_json, quiet, {"sweeps": found}, lambda: show.status(found))
