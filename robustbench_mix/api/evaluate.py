"""`rbmix evaluate` from Python, in the words of the command line."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from robustbench_mix.api.autoattack import device_of, split_of
from robustbench_mix.api.result import Result
from robustbench_mix.config.model import Interface
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.config.training import Training
from robustbench_mix.data.dataset import Dataset
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.plan import (
    DataPlan,
    EvaluationPlan,
    ModelPlan,
    attack_plan,
    model_plan,
    module_plan,
)
from robustbench_mix.runtime.progress import set_quiet, silenced

Data = str | Path | Dataset | tuple[Tensor, Tensor]


def evaluate(
    model: nn.Module | str,
    data: Data = "digits",
    protocol: Protocol | str = "autoattack",
    *,
    spatial: str | None = None,
    channel: str | None = None,
    seed: int = 0,
    examples: int | None = None,
    eps: Sequence[str | float] | None = None,
    norm: str | None = None,
    backend: str | None = None,
    exhaustive: bool = False,
    randomised: bool = False,
    batch_size: int | None = None,
    weights: str | Path | None = None,
    pretrained: bool = False,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    input_size: int | None = None,
    classes: int | None = None,
    epochs: int | None = None,
    train_examples: int | None = None,
    lr: float | None = None,
    precision: str = "auto",
    adversarial: bool = False,
    adversarial_eps: str | None = None,
    device: str | None = None,
    results: str | Path | None = None,
    fresh: bool = False,
    quiet: bool = True,
) -> Result:
    """Attack a model over a grid of epsilons: the harness, the diagnostics, the records.

    model: an `nn.Module` from pixels in [0, 1] to logits, or a word of the command line, which
    is trained first if there is no checkpoint. data: a data set by name or folder, or images
    (n, C, H, W) in [0, 1] with labels (n,), all of which are used unless `examples` says how
    many. protocol: a name, a path to a TOML file, or a `Protocol`. The other words are the
    options of `rbmix evaluate`; `device` is where the module is, unless named. Nothing but
    checkpoints is kept unless `results` names a folder. The module leaves as it came.
    Raises RbmixError where the command would end with exit code 2.

    A network that asks whether an image is brighter than 0.5. How far each image is from that
    is how far it can be moved:

    >>> import torch
    >>> import robustbench_mix as rbmix
    >>> class Brighter(torch.nn.Module):
    ...     def forward(self, x):
    ...         excess = x.mean((1, 2, 3)) - 0.5
    ...         return torch.stack([-excess, excess], dim=1)
    >>> x = torch.tensor([0.2, 0.45, 0.65, 0.9]).view(4, 1, 1, 1).expand(4, 1, 8, 8)
    >>> y = torch.tensor([0, 0, 1, 1])
    >>> result = rbmix.evaluate(Brighter(), (x, y), "pgd", eps=["0.1", "0.2"])
    >>> result.curve[["eps", "n", "correct", "accuracy"]]
       eps  n  correct  accuracy
    0    0  4        4      1.00
    1  0.1  4        3      0.75
    2  0.2  4        2      0.50
    >>> result.records["broken_at"].tolist()
    ['', '0.1', '0.2', '']

    Wrong words are said as on the command line:

    >>> rbmix.evaluate(Brighter(), (x, y), "pdg")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    robustbench_mix.errors.RbmixError: unknown attack 'pdg'; did you mean 'pgd'? ...
    """
    from robustbench_mix.evaluation import evaluate

    training = Training(epochs, train_examples, lr, precision, adversarial, adversarial_eps)
    given = Interface(input_size, mean, std, classes)
    if isinstance(model, nn.Module):
        device = device or str(device_of(model))
        _check_module(
            spatial=spatial, channel=channel, weights=weights, pretrained=pretrained or None,
            mean=mean, std=std, input_size=input_size, classes=classes,
        )  # fmt: skip
        network = module_plan(model, seed, training)
    elif isinstance(model, str):
        network = model_plan(
            model, spatial, channel, seed, interface=None if given == Interface() else given,
            weights=None if weights is None else Path(weights), pretrained=pretrained,
            training=training,
        )  # fmt: skip
    else:
        raise RbmixError(f"model is a {type(model).__name__} (needs an nn.Module or a name)")
    images = _data_plan(data, examples, network)
    planned = EvaluationPlan(
        data=images,
        device=device or "auto",
        model=network,
        attack=attack_plan(
            protocol, images.name, eps=None if eps is None else [_text(one) for one in eps],
            norm=norm, backend=backend, exhaustive=exhaustive, randomised=randomised,
            batch_size=batch_size,
        ),
    )  # fmt: skip
    with silenced(), tempfile.TemporaryDirectory() as passing:
        set_quiet(quiet)
        folder = Path(passing if results is None else results)
        done = evaluate.evaluate(planned, folder, fresh=fresh)
    return Result(done.run, None if results is None else done.path)


def _check_module(**given: object) -> None:
    """Raise RbmixError for a word that says how a named model is to be made."""
    for name, value in given.items():
        if value is not None:
            raise RbmixError(f"{name}={value!r} goes with a model that is named, not with a module")


def _data_plan(data: Data, examples: int | None, model: ModelPlan) -> DataPlan:
    """What to attack; raises RbmixError for tensors where a network is to be trained."""
    if not isinstance(data, tuple):
        return DataPlan(str(data) if isinstance(data, Path) else data, examples)
    if model.is_trained:
        raise RbmixError(
            f"model {model.spec.model!r} would have to be trained: name a data set or a folder "
            "instead of tensors"
        )
    dataset = _dataset(*data)
    return DataPlan(dataset, len(dataset.test) if examples is None else examples)


def _dataset(*data: Tensor) -> Dataset:
    if len(data) != 2 or not all(isinstance(part, Tensor) for part in data):
        raise RbmixError("data is a tuple of other than two tensors (needs images and labels)")
    split = split_of(*data)
    classes = tuple(str(label) for label in range(int(split.labels.max()) + 1))
    return Dataset("tensors", classes, split, split)


def _text(eps: str | float) -> str:
    """An epsilon as the exact text that is attacked and recorded."""
    return eps if isinstance(eps, str) else f"{eps:.12f}".rstrip("0").rstrip(".")
