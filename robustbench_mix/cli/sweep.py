"""The commands that run many trainings: grids of networks, and pixel un-shuffling."""

from __future__ import annotations

from typing import Annotated, Any, Optional

import typer

from robustbench_mix.cli import completion
from robustbench_mix.cli.answers import (
    choose_folder,
    load_torch,
    paths_json,
    print_answer,
    require_folder,
)
from robustbench_mix.cli.app import (
    NETWORKS,
    RESULTS,
    attack_option,
    command,
    data_option,
    machine_option,
    model_option,
    output_option,
)
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
    real,
    results_folder,
    split_list,
    whole,
)
from robustbench_mix.config.command_checks import check_runner
from robustbench_mix.config.training import Training
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.data_plan import UNSHUFFLING_EXAMPLES, DataPlan
from robustbench_mix.evaluation.plan import UnshufflingPlan, unshufflers_of
from robustbench_mix.runtime import progress
from robustbench_mix.storage import remote
from robustbench_mix.storage.paths import is_folder


@command(
    NETWORKS,
    "rbmix unshuffle --width 32 --epochs 5",
    "rbmix unshuffle --width 128,256 --depth 4,8 --kernel 5 --dataset cifar10",
)
def unshuffle(
    width: Annotated[str, model_option(help="Number of channels; several as in 128,256.")] = "128",
    depth: Annotated[str, model_option(help="Number of blocks; several as in 4,8.")] = "4",
    kernel: Annotated[str, model_option(help="Kernel size; several as in 3,5.")] = "5",
    patch: Annotated[int, model_option(parser=whole, help="Patch size; the paper uses 1.")] = 1,
    spatial: Annotated[
        str,
        model_option(
            autocompletion=completion.several(completion.spatial),
            help="Spatial mixers, as for `rbmix train`; several as in learned,frozen.",
        ),
    ] = "learned,frozen",
    dataset: DatasetName = "digits",
    seed: Annotated[
        int,
        model_option(parser=whole, help="Seed of the permutation, the weights and the training."),
    ] = 0,
    examples: Annotated[
        Optional[int],
        data_option(parser=whole, help="Number of test images to decode; by default 1,000."),
    ] = None,
    out: Out = None,
    epochs: Epochs = None,
    train_examples: TrainExamples = None,
    lr: LearningRate = None,
    precision: Precision = "auto",
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train ConvMixers to undo a fixed permutation of the pixels."""
    planned = UnshufflingPlan(
        data=DataPlan(dataset, examples, default=UNSHUFFLING_EXAMPLES),
        device=device,
        unshufflers=unshufflers_of(
            split_list(width, int), split_list(depth, int), split_list(kernel, int), patch,
            split_list(spatial), seed,
        ),
        training=Training(epochs, train_examples, lr, precision),
    )  # fmt: skip
    results = choose_folder(out, as_json or quiet)
    load_torch(as_json or quiet)

    from robustbench_mix.cli import render
    from robustbench_mix.evaluation import unshuffling_run
    from robustbench_mix.results import gallery
    from robustbench_mix.storage import files

    with files.record_written_files() as changed:
        paths = unshuffling_run.unshuffle(planned, results)
    rows = gallery.rows(paths)
    read = [path for path in paths if path not in changed]
    with progress.report_if_slow("drawing the decoded images"):
        written = [*(path for path in paths if path in changed), *gallery.write(results)]
    print_answer(
        as_json, quiet, {"rows": rows, **paths_json(written)},
        lambda: render.decodings(rows, written, read),
    )  # fmt: skip


@command(
    NETWORKS,
    "rbmix sweep quick --plan",
    "rbmix sweep ./mine.toml --workers 4",
)
def sweep(
    spec: Annotated[
        str,
        typer.Argument(
            autocompletion=completion.sweeps,
            help="Name of a shipped sweep, or a path to a .toml file.",
        ),
    ],
    dataset: Annotated[
        Optional[str],
        data_option(autocompletion=completion.datasets, help="Data set instead of the sweep's."),
    ] = None,
    models: Annotated[
        Optional[str],
        model_option(
            autocompletion=completion.several(completion.models),
            help="Models instead of the sweep's, as in resnet14,resnet20.",
        ),
    ] = None,
    seeds: Annotated[
        Optional[str], model_option(help="Seeds instead of the sweep's, as in 0,1,2.")
    ] = None,
    attacks: Annotated[
        Optional[str],
        attack_option(
            autocompletion=completion.several(completion.attacks),
            help="Attacks instead of the sweep's, as in fgsm,pgd.",
        ),
    ] = None,
    examples: Annotated[
        Optional[int],
        data_option(parser=whole, help="Number of test images instead of the sweep's."),
    ] = None,
    epochs: Epochs = None,
    train_examples: TrainExamples = None,
    workers: Annotated[
        Optional[int],
        machine_option(
            parser=whole,
            help="Number of tasks at once. They share the cores and the GPUs. By default one; on "
            "several GPUs one for each; on a Ray cluster as many as fit.",
        ),
    ] = None,
    runner: Annotated[
        str,
        machine_option(
            autocompletion=completion.runners,
            help="Where tasks run: local (processes on this machine) or ray (a Ray cluster).",
        ),
    ] = "local",
    address: Annotated[
        Optional[str],
        machine_option(
            help="Address of the Ray cluster, as in HOST:6379; RAY_ADDRESS or a new one by default."
        ),
    ] = None,
    plan: Annotated[
        bool,
        output_option(
            "--plan",
            help="Only show the tasks and their estimated time, and write the analysis plan.",
        ),
    ] = False,
    half_width: Annotated[
        float,
        output_option(
            parser=real, help="With --plan: half-width of the planned interval, in points."
        ),
    ] = 1.5,
    out: Out = None,
    precision: Precision = "auto",
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train and attack a grid of networks.

    A second call runs only the missing tasks.
    """
    from robustbench_mix.sweeps import definition
    from robustbench_mix.sweeps.cell_plans import plan_sweep

    is_silent = as_json or quiet
    changes = {
        "datasets": None if dataset is None else [dataset],
        "models": None if models is None else split_list(models),
        "seeds": None if seeds is None else split_list(seeds, int),
        "attacks": None if attacks is None else split_list(attacks),
        "examples": examples, "epochs": epochs, "train_examples": train_examples,
    }  # fmt: skip
    wanted = definition.load(spec, {name: v for name, v in changes.items() if v is not None})
    check_runner(runner, workers, address)
    if not half_width > 0:
        raise RbmixError(f"half-width {half_width:g} must be above 0 (points)")
    planned = plan_sweep(wanted, device, precision)
    results = choose_folder(out, is_silent)
    load_torch(is_silent)

    from robustbench_mix.claims import verdicts
    from robustbench_mix.claims.recommend import recommend
    from robustbench_mix.cli import render_sweeps
    from robustbench_mix.results import analysis_plan, gallery, plots, records
    from robustbench_mix.sweeps import run
    from robustbench_mix.sweeps.analysis import outcome, planned_sets
    from robustbench_mix.sweeps.executors import choose
    from robustbench_mix.sweeps.plan import makespan_seconds, plan_here, summarize_by_network
    from robustbench_mix.sweeps.status import start

    failures: list[str] = []
    with choose.open_executor(runner, workers=workers, address=address, device=device) as found:
        setting, tasks = found.call(plan_here, planned, remote.portable_name(results), device)
        if not is_silent:
            rows, wall = summarize_by_network(tasks), makespan_seconds(tasks, found.capacity)
            render_sweeps.plan(wanted.name, wanted.summary, rows, found.capacity, wall)
        if not plan:
            state = start(results, wanted.name, found.description, tasks)
            with state.running():
                failures = run.run_sweep(tasks, setting, found, state.set_state)
    if plan:
        if not is_silent and is_folder(results):
            known = {one.model for one in planned_sets(planned)}
            like = [run for run in records.read_all(results) if run.header.model in known]
            render_sweeps.design(recommend(like, half_width / 100), half_width / 100)
        written = analysis_plan.write(
            results, analysis_plan.make(wanted.name, planned_sets(planned), verdicts.margins())
        )
        shown: dict[str, Any] = {}
    else:
        results_folder(remote.portable_name(results))  # fetch what other machines wrote
        with progress.report_if_slow("updating leaderboard, curves and pictures"):
            written = plots.refresh(results) if any(p.attack for p in tasks) else []
            written += gallery.write(results) if wanted.unshuffling_cells else []
            shown = outcome(planned, results)
    print_answer(
        as_json, quiet, {**run.to_json(tasks, failures, written), **shown},
        lambda: render_sweeps.sweep(
            shown, failures, written, None if plan else remote.portable_name(results)
        ),
    )  # fmt: skip
    if failures:
        raise RbmixError(f"{len(failures)} tasks failed; the first: {failures[0]}")


@command(
    RESULTS,
    "rbmix status",
    "rbmix status results --json",
)
def status(
    results: Results = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show the progress of sweeps, from any machine."""
    from robustbench_mix.cli import render_sweeps
    from robustbench_mix.sweeps.status import read_all

    folder = require_folder(choose_folder(results, as_json or quiet))
    found = read_all(folder)
    if not found:
        raise RbmixError(f"no sweep has been run into {remote.portable_name(folder)}")
    print_answer(as_json, quiet, {"sweeps": found}, lambda: render_sweeps.status(found))
