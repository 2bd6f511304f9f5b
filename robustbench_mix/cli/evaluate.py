"""The commands that train and attack."""

from __future__ import annotations

from typing import Annotated, Optional

from robustbench_mix.cli.answers import choose_folder, load_torch, paths_json, print_answer
from robustbench_mix.cli.app import NETWORKS, attack_option, command, data_option, output_option
from robustbench_mix.cli.options import (
    AdversarialAttack,
    AdversarialEps,
    AsJson,
    AttackName,
    Averaging,
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
    IsExhaustive,
    IsRandomised,
    LabelSmoothing,
    LearningRate,
    Mean,
    Model,
    ModelWish,
    NormName,
    Out,
    Precision,
    Pretrained,
    Quiet,
    Seed,
    SeedWish,
    SpatialWish,
    SpatialWord,
    Std,
    TrainExamples,
    eps_grid,
    interface,
    whole,
)
from robustbench_mix.cli.weights_options import (
    ClassIndex,
    IgnoreWeights,
    Weights,
    WeightsKey,
    weights_file,
)
from robustbench_mix.config.model import ModelSpec
from robustbench_mix.config.training import Training
from robustbench_mix.evaluation.attack_plan import attack_plan
from robustbench_mix.evaluation.data_plan import DataPlan
from robustbench_mix.evaluation.model_plan import model_plan, trained_model
from robustbench_mix.evaluation.plan import EvaluationPlan, TrainingPlan, explanation_plan
from robustbench_mix.runtime import progress
from robustbench_mix.storage import remote


@command(
    NETWORKS,
    "rbmix evaluate --model resnet18 --spatial frozen --attack autoattack",
    "rbmix evaluate --model my.nets:make --weights net.pt --eps 4/255,8/255",
)
def evaluate(
    model: ModelWish = None,
    spatial: SpatialWish = None,
    channel: ChannelWish = None,
    dataset: DatasetName = "digits",
    class_index: ClassIndex = None,
    examples: Annotated[
        Optional[int],
        data_option(
            parser=whole, help="Number of test images, a fixed subset balanced over the classes."
        ),
    ] = None,
    attack: AttackName = "autoattack",
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
    out: Out = None,
    fresh: Annotated[
        bool, output_option("--fresh", help="Attack again even if this run is on disk.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Attack a model over a grid of epsilons; train it if needed.

    A network that is cached is not trained again.

    A model that comes with weights is never trained: with --weights or --pretrained, and from hf:
    or package.module:callable unless --spatial or --channel asks for a variant. With --weights,
    --spatial and --channel say how the file was made: the model is made separable before the file
    is loaded, and learned and frozen are compared as twins. --weights zoo:NAME needs no other words
    for the model.
    """
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
    results = choose_folder(out, as_json or quiet)
    load_torch(as_json or quiet)

    from robustbench_mix.cli import render_evaluation
    from robustbench_mix.evaluation import evaluate
    from robustbench_mix.results import difference, leaderboard, plots
    from robustbench_mix.storage import files

    with files.record_written_files() as changed:
        done = evaluate.evaluate(planned, results, fresh=fresh)
    with progress.report_if_slow("updating leaderboard and curves"):
        written = [*changed & {done.path}, *plots.refresh(results)]
    answer = render_evaluation.Answer(
        run=done.run,
        path=done.path,
        rows=leaderboard.rows([done.run]),
        differences=difference.to_twins(done.run, results),
        available=done.available,
        is_loaded=planned.model.weights is not None,
        written=written,
    )
    print_answer(
        as_json, quiet, render_evaluation.as_json(answer),
        lambda: render_evaluation.evaluation(answer),
    )  # fmt: skip


@command(
    NETWORKS,
    "rbmix train --model resnet14 --spatial frozen --seed 1",
    "rbmix train --model convmixer4 --dataset cifar10 --epochs 20 --adversarial",
)
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
    adversarial_attack: AdversarialAttack = None,
    averaging: Averaging = None,
    label_smoothing: LabelSmoothing = None,
    mean: Mean = None,
    std: Std = None,
    input_size: InputSize = None,
    classes: Classes = None,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train a model and keep its checkpoint, unless it is cached.

    Any architecture works: its dense convolutions are made separable, and it is always trained
    from fresh weights.
    """
    training = Training(
        epochs, train_examples, lr, precision, adversarial, adversarial_eps,
        adversarial_attack, averaging, label_smoothing,
    )  # fmt: skip
    spec = ModelSpec(model, spatial, channel, seed, interface(input_size, mean, std, classes))
    planned = TrainingPlan(
        data=DataPlan(dataset), device=device, model=trained_model(spec, training)
    )
    load_torch(as_json or quiet)

    from robustbench_mix.cli import render
    from robustbench_mix.evaluation import load_model
    from robustbench_mix.models.checkpoint import as_plain

    trained = load_model.train(planned)
    found = {**as_plain(trained.header), "checkpoint": str(trained.path)}
    print_answer(as_json, quiet, found, lambda: render.training(trained.header, trained.path))


@command(
    NETWORKS,
    "rbmix explain --model resnet14 --spatial frozen",
    "rbmix explain --model resnet14 --dataset cifar10 --eps 1/255,2/255",
)
def explain(
    model: Model = "resnet18",
    spatial: SpatialWord = "frozen",
    channel: ChannelWord = "learned",
    dataset: DatasetName = "digits",
    examples: Annotated[
        Optional[int], data_option(parser=whole, help="Number of test images to measure.")
    ] = None,
    eps: Annotated[
        Optional[str], attack_option(help="Epsilons instead of the FGSM protocol's.")
    ] = None,
    seed: Seed = 0,
    epochs: Epochs = None,
    train_examples: TrainExamples = None,
    lr: LearningRate = None,
    precision: Precision = "auto",
    adversarial: IsAdversarial = False,
    adversarial_eps: AdversarialEps = None,
    adversarial_attack: AdversarialAttack = None,
    averaging: Averaging = None,
    label_smoothing: LabelSmoothing = None,
    mean: Mean = None,
    std: Std = None,
    input_size: InputSize = None,
    classes: Classes = None,
    device: Device = "auto",
    out: Out = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure what may explain a gap: margins, gradients, transfer.

    The network is measured beside its learned twin, also for linearity along the attack and for
    frequencies. `rbmix claims` writes the same tables for all seeds.
    """
    training = Training(
        epochs, train_examples, lr, precision, adversarial, adversarial_eps,
        adversarial_attack, averaging, label_smoothing,
    )  # fmt: skip
    spec = ModelSpec(model, spatial, channel, seed, interface(input_size, mean, std, classes))
    planned = explanation_plan(
        trained_model(spec, training), DataPlan(dataset, examples), eps_grid(eps), device
    )
    results = choose_folder(out, as_json or quiet)
    load_torch(as_json or quiet)

    from robustbench_mix.claims.explanations import overview
    from robustbench_mix.cli import render
    from robustbench_mix.evaluation import explain
    from robustbench_mix.storage import files

    with files.record_written_files() as changed:
        paths = explain.explain(planned, results)
    written, read = ([path for path in paths if (path in changed) == new] for new in (True, False))
    tables = [one for one in overview.of_files(paths) if one.rows]
    found = {
        **paths_json(written),
        "records": [remote.display_name(path) for path in paths],
        "tables": {
            one.name: [dict(zip(one.columns, row, strict=True)) for row in one.rows]
            for one in tables
        },
    }
    print_answer(as_json, quiet, found, lambda: render.explanations(tables, written, read))
