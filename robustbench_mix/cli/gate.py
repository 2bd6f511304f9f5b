"""The commands of the regression gate."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from robustbench_mix.cli import completion
from robustbench_mix.cli.answers import choose_folder, load_torch, paths_json, print_answer
from robustbench_mix.cli.app import GATE, command, data_option, gate_option, output_option
from robustbench_mix.cli.options import (
    AdversarialAttack,
    AdversarialEps,
    AsJson,
    AttackName,
    Averaging,
    Backend,
    BatchSize,
    ChannelWish,
    Classes,
    DatasetName,
    Device,
    Epochs,
    EpsGrid,
    InputSize,
    IsAdversarial,
    IsExhaustive,
    IsRandomised,
    LabelSmoothing,
    LearningRate,
    Mean,
    ModelWish,
    NormName,
    Precision,
    Pretrained,
    Quiet,
    SeedWish,
    SpatialWish,
    Std,
    TrainExamples,
    eps_grid,
    interface,
    split_list,
    whole,
)
from robustbench_mix.cli.weights_options import (
    ClassIndex,
    IgnoreWeights,
    Weights,
    WeightsKey,
    weights_file,
)
from robustbench_mix.config.training import Training
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.attack_plan import attack_plan
from robustbench_mix.evaluation.baseline_plan import baseline_plan
from robustbench_mix.evaluation.data_plan import DataPlan
from robustbench_mix.evaluation.model_plan import model_plan
from robustbench_mix.evaluation.plan import EvaluationPlan


@command(
    GATE,
    "rbmix baseline --model resnet14 --attack pgd --out baselines",
    "rbmix baseline --model my.nets:make --weights net.pt --mean 0.5 --std 0.25",
)
def baseline(
    model: ModelWish = None,
    spatial: SpatialWish = None,
    channel: ChannelWish = None,
    attack: AttackName = "pgd",
    dataset: DatasetName = "digits",
    class_index: ClassIndex = None,
    examples: Annotated[
        int, data_option(parser=whole, help="Number of test images, balanced over the classes.")
    ] = 64,
    eps: EpsGrid = None,
    norm: NormName = None,
    backend: Backend = None,
    exhaustive: IsExhaustive = False,
    randomised: IsRandomised = False,
    seed: SeedWish = None,
    batch_size: BatchSize = None,
    weights: Weights = None,
    weights_key: WeightsKey = None,
    ignore_weights: IgnoreWeights = None,
    pretrained: Pretrained = False,
    mean: Mean = None,
    std: Std = None,
    input_size: InputSize = None,
    classes: Classes = None,
    out: Annotated[
        Optional[Path],
        output_option(show_default="results/baselines", help="Folder for the baseline."),
    ] = None,
    replace: Annotated[
        bool, output_option("--replace", help="Overwrite an existing baseline.")
    ] = False,
    epochs: Epochs = None,
    train_examples: TrainExamples = None,
    lr: LearningRate = None,
    precision: Precision = "auto",
    adversarial: IsAdversarial = False,
    adversarial_eps: AdversarialEps = None,
    adversarial_attack: AdversarialAttack = None,
    averaging: Averaging = None,
    label_smoothing: LabelSmoothing = None,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Attack a model and keep each image's outcome for `rbmix check`."""
    data = DataPlan(dataset, examples, class_index=class_index)
    planned = EvaluationPlan(
        data=data,
        device=device,
        model=model_plan(
            model, spatial, channel, seed, pretrained=pretrained,
            weights=weights_file(weights, weights_key, ignore_weights),
            interface=interface(input_size, mean, std, classes),
            training=Training(
                epochs, train_examples, lr, precision, adversarial, adversarial_eps,
                adversarial_attack, averaging, label_smoothing,
            ),
        ),
        attack=attack_plan(
            attack, data.name, eps=eps_grid(eps), norm=norm, backend=backend, exhaustive=exhaustive,
            randomised=randomised, batch_size=batch_size,
        ),
    )  # fmt: skip
    folder = choose_folder(out, as_json or quiet, "baselines")
    load_torch(as_json or quiet)

    from robustbench_mix.cli import render
    from robustbench_mix.evaluation import regression_gate

    written = regression_gate.write(planned, folder, overwrite=replace)
    print_answer(as_json, quiet, paths_json(written), lambda: render.saved(written))


@command(
    GATE,
    "rbmix check --baseline baselines/resnet14-learned-learned-s0-digits-pgd.csv",
    "rbmix check --baseline net.csv --weights new.pt --fail-under 0.40@4/255",
)
def check(
    baseline: Annotated[
        list[Path], data_option(help="A CSV from `rbmix baseline`; may be given several times.")
    ],
    examples: Annotated[
        Optional[int],
        data_option(parser=whole, help="Check only this many of the baseline's first images."),
    ] = None,
    tolerance: Annotated[
        int, gate_option(parser=whole, help="Number of images that may change at each epsilon.")
    ] = 1,
    fail_under: Annotated[
        Optional[list[str]],
        gate_option(
            help="Least accuracy within an epsilon, whatever it was before, as in 0.40@4/255 "
            "(0.95@0: clean); may be given several times."
        ),
    ] = None,
    weights: Weights = None,
    weights_key: WeightsKey = None,
    ignore_weights: IgnoreWeights = None,
    pretrained: Pretrained = False,
    mean: Mean = None,
    std: Std = None,
    input_size: InputSize = None,
    classes: Classes = None,
    dataset: Annotated[
        Optional[str],
        data_option(
            autocompletion=completion.datasets,
            help="Where the same data is now, instead of what the baseline names.",
        ),
    ] = None,
    class_index: ClassIndex = None,
    randomised: IsRandomised = False,
    junit: Annotated[Optional[Path], output_option(help="File for a report as JUnit XML.")] = None,
    update: Annotated[
        bool, output_option("--update", help="Accept the changes: overwrite the baseline.")
    ] = False,
    batch_size: BatchSize = None,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Repeat a baseline's attack; exit with 1 if anything got worse.

    The baseline names the model, the data and the attack. Options for them replace what it names.
    """
    from robustbench_mix.results.regression import baselines, thresholds

    if tolerance < 0:
        raise RbmixError(f"tolerance {tolerance} must be at least 0")
    if update and examples is not None:
        raise RbmixError(f"--update writes all images, leave out --examples {examples}")
    weights_file(weights, weights_key, ignore_weights)  # checks that they go together
    least = [thresholds.parse(text) for text in fail_under or []]
    kept = {path: baselines.read(path) for path in baseline}
    is_replaced = pretrained or weights is not None
    changes = {
        "dataset": dataset,
        "class_index": class_index,
        "weights_key": weights_key,
        "ignore_weights": None if ignore_weights is None else tuple(split_list(ignore_weights)),
        "interface": interface(input_size, mean, std, classes),
        "pretrained": pretrained or None,
        "randomised": randomised or None,
    }
    plans = {}
    for path, one in kept.items():
        thresholds.check_grid(least, one, path)
        plans[path] = baseline_plan(
            one, path, examples=examples, batch_size=batch_size, device=device, changes=changes,
            weights=weights if is_replaced else baselines.weights_of(one, path),
        )  # fmt: skip
    load_torch(as_json or quiet)

    from robustbench_mix.cli import render
    from robustbench_mix.evaluation import regression_gate
    from robustbench_mix.results.regression import ci_report, comparison
    from robustbench_mix.storage.files import check_writable, write_bytes

    if junit is not None:
        check_writable(junit.parent)
    runs = {path: regression_gate.rerun(plans[path], one, path) for path, one in kept.items()}
    verdicts = []
    for path, run in runs.items():
        verdict = comparison.compare(
            path, kept[path], run, tolerance=tolerance, replaced=is_replaced
        )
        verdicts.append(verdict.with_checks(thresholds.checks(least, run, path)))
    written = []
    if junit is not None:
        write_bytes(junit, ci_report.junit(verdicts))
        written.append(junit)
    if update:
        for path, run in runs.items():
            written += regression_gate.update(plans[path], run, path)
    failed = not update and any(verdict.worse for verdict in verdicts)
    found = comparison.to_json(verdicts, written)
    print_answer(as_json, quiet and not failed, found, lambda: render.verdicts(verdicts, written))
    _tell_github(ci_report.workflow_commands(verdicts), ci_report.summary(verdicts), aside=as_json)
    if failed:
        raise typer.Exit(1)


def _tell_github(commands: list[str], summary: str, *, aside: bool) -> None:
    """Report to GitHub if its runner asks for it; `aside` keeps standard output for the JSON."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in commands:
            print(line, file=sys.stderr if aside else sys.stdout)
    if page := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(page).open("a", encoding="utf-8") as file:
                file.write(summary)
        except OSError as error:
            raise RbmixError(f"cannot write {page}: {error.strerror or error}") from error
