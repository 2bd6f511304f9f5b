"""`evaluate`: the command `rbmix evaluate` as a Python function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from robustbench_mix.api.calls import carry_out, device_of
from robustbench_mix.api.result import Result
from robustbench_mix.config.epsilon import Radius, texts_of
from robustbench_mix.config.model import Interface
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.config.training import Training
from robustbench_mix.config.weights import WeightsFile
from robustbench_mix.data.dataset import Dataset
from robustbench_mix.data.tensors import dataset_of
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.plan import (
    DataPlan,
    EvaluationPlan,
    ModelPlan,
    attack_plan,
    model_plan,
    module_plan,
)
from robustbench_mix.runtime.torch_modes import default_modes

# A name, a folder, a `Dataset`, a pair of tensors or arrays, or a `DataLoader`.
Data = str | Path | Dataset | Iterable[Any]


@default_modes()
def evaluate(
    model: nn.Module | Callable[[Tensor], Any] | str,
    data: Data = "digits",
    protocol: Protocol | str = "autoattack",
    *,
    spatial: str | None = None,
    channel: str | None = None,
    seed: int = 0,
    class_index: str | Path | None = None,
    examples: int | None = None,
    eps: Radius | Iterable[Radius] | None = None,
    norm: str | None = None,
    backend: str | None = None,
    exhaustive: bool = False,
    randomised: bool = False,
    batch_size: int | None = None,
    weights: str | Path | None = None,
    weights_key: str | None = None,
    ignore_weights: Sequence[str] = (),
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
    adversarial_attack: str | None = None,
    averaging: float | None = None,
    label_smoothing: float | None = None,
    device: str | None = None,
    results: str | Path | None = None,
    fresh: bool = False,
    quiet: bool = True,
) -> Result:
    """Attack a model over a grid of epsilons, as `rbmix evaluate` does.

    The harness, the diagnostics and the numbers are those of the command. A network that you
    pass is left as it was found: mode, gradient flags, device. So is the global random state.
    Checkpoints of trained models are kept in the user's cache; records are kept only if
    `results` names a folder.

    Args:
        model: A network that maps images (n, C, H, W) in [0, 1] to logits (n, classes): a module,
            a function, or an object that can be called (`docs/models.md`); or the name of a
            model, as for `--model`, which is trained first if there is no checkpoint.
        data: The name of a data set, a folder of images, a `Dataset`, a pair of tensors or
            arrays: images (n, C, H, W), floating point, in [0, 1], and labels (n,), integers from
            0; or a `DataLoader` or data set of PyTorch that gives such pairs.
        protocol: The attack: a name, a path to a TOML file, or a `Protocol`.
        spatial: The spatial mixers of a named model: `"learned"`, `"frozen"`, `"same"`,
            `"single"`, `"repeated"`, `"box"`, `"identity"`, `"impulse"`, `"gaussian"`,
            `"smoothed:S"` or `"smoothed:S:rescaled"`.
        channel: The channel mixers of a named model: `"learned"` or `"frozen"`.
        seed: Seed of the weights, the training and the attack.
        class_index: A JSON or text file that says which output of the network each class of the
            data is, or `"numbers"` if the classes are named by their outputs. By default outputs
            are in the order of the classes.
        examples: Number of test images, a fixed subset that is balanced over the classes. By
            default all images of a pair of tensors, 40 of digits, and 1,000 otherwise.
        eps: One radius or several in pixel units instead of the protocol's: text (`"8/255"`) or
            numbers (`8 / 255`).
        norm: `"linf"`, `"l2"` or `"l1"` instead of the protocol's norm; needs `eps`.
        backend: `"fast"` (the default: our attacks, the whole curve in one job) or `"reference"`
            (foolbox and pyautoattack, one epsilon at a time).
        exhaustive: Run every attack at every epsilon to its end; only with the fast backend.
        randomised: Attack a network that draws random numbers. Gradients are means over several
            passes, and each verdict is a majority vote.
        batch_size: Images attacked at once. By default it fits the images and the device.
        weights: A checkpoint to load instead of training, or `"zoo:NAME"` for a network of the
            zoo, which gives the mixers and the seed.
        weights_key: Which weights to take of a file that holds several, for example
            `"model_ema"`; by default the plain ones.
        ignore_weights: Names of weights or modules in the file that inference does not need.
        pretrained: Use the weights that torchvision or timm publish for the model.
        mean: Per-channel mean that a named model subtracts: one value, or one per channel.
        std: Per-channel standard deviation that it divides by: one value, or one per channel.
        input_size: Side, in pixels, to which the network resizes images. Attacks change the
            pixels of the data.
        classes: Number of outputs of the network; by default the classes of the data.
        epochs: Training epochs instead of the recipe's.
        train_examples: Number of training images, a subset balanced over the classes.
        lr: Peak learning rate instead of the recipe's.
        precision: Training precision: `"fp32"`, `"bf16"`, or `"auto"` (bf16 on GPUs).
        adversarial: Train on adversarial examples instead of clean images.
        adversarial_eps: Their l-infinity radius as text; 8/255 by default, 2/16 on digits.
        adversarial_attack: How they are made: `"pgd"` (7 steps, the default) or `"n-fgsm"`.
        averaging: Decay of the average of weights in adversarial training; 0.9995 by default, 0
            keeps the last weights.
        label_smoothing: Label smoothing in adversarial training; 0 by default.
        device: `"auto"`, `"cpu"`, `"cuda"`, `"cuda:1"` or `"mps"`. By default the device of the
            network that is passed, else `"auto"`.
        results: A folder for the records. A run that is there already is read, not repeated.
        fresh: Attack again even if the run is in `results`.
        quiet: Show no progress.

    Returns:
        The finished run as a `Result`: its curve, its records (one per image) and its flags.

    Raises:
        RbmixError: In all cases in which the command would end with exit code 2. The message names
            the wrong value and the allowed ones.

    Examples:
        This network decides whether an image is brighter than 0.5, so the distance of an image
        to 0.5 is the smallest epsilon that breaks it:

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
        0  0.0  4        4      1.00
        1  0.1  4        3      0.75
        2  0.2  4        2      0.50
        >>> result.records["broken_at"].tolist()
        [nan, 0.1, 0.2, nan]

        A wrong name raises an error that suggests the right one:

        >>> rbmix.evaluate(Brighter(), (x, y), "pdg")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        robustbench_mix.errors.RbmixError: unknown attack 'pdg'; did you mean 'pgd'? ...
    """
    training = Training(
        epochs, train_examples, lr, precision, adversarial, adversarial_eps,
        adversarial_attack, averaging, label_smoothing,
    )  # fmt: skip
    given = Interface(input_size, mean, std, classes)
    if not isinstance(model, str):
        device = device_of(model, device)
        _check_module(
            spatial=spatial, channel=channel, weights=weights, weights_key=weights_key,
            ignore_weights=ignore_weights or None, pretrained=pretrained or None,
            mean=mean, std=std, input_size=input_size, classes=classes,
        )  # fmt: skip
        network = module_plan(model, seed, training)
    else:
        network = model_plan(
            model, spatial, channel, seed or None,
            interface=None if given == Interface() else given,
            weights=_weights_file(weights, weights_key, ignore_weights), pretrained=pretrained,
            training=training,
        )  # fmt: skip
    index = None if class_index is None else str(class_index)
    images = _data_plan(data, examples, network, index)
    planned = EvaluationPlan(
        data=images,
        device=device or "auto",
        model=network,
        attack=attack_plan(
            protocol, images.name, eps=None if eps is None else texts_of(eps),
            norm=norm, backend=backend,
            exhaustive=exhaustive, randomised=randomised, batch_size=batch_size,
        ),
    )  # fmt: skip
    done = carry_out(planned, results, fresh=fresh, quiet=quiet)
    return Result(done.run, None if results is None else done.path)


def _check_module(**given: object) -> None:
    """Raise RbmixError for an argument that only a named model accepts."""
    for name, value in given.items():
        if value is not None:
            raise RbmixError(f"{name}={value!r} goes with a model that is named, not with a module")


def _weights_file(
    weights: str | Path | None, key: str | None, ignore: Sequence[str]
) -> WeightsFile | None:
    """Return the weights of these arguments; raise RbmixError for a key without a file."""
    names = (ignore,) if isinstance(ignore, str) else tuple(ignore)
    if weights is not None:
        return WeightsFile(Path(weights), key, names)
    if key is not None or names:
        raise RbmixError(f"weights_key {key!r} and ignore_weights {names} go with weights")
    return None


def _data_plan(
    data: Data, examples: int | None, model: ModelPlan, class_index: str | None
) -> DataPlan:
    """Return the data to attack; raise RbmixError for tensors if the network must be trained."""
    if isinstance(data, str | Path):
        return DataPlan(str(data), examples, class_index=class_index)
    dataset = dataset_of(data)
    if isinstance(data, Dataset):
        return DataPlan(dataset, examples, class_index=class_index)
    if class_index is not None:
        raise RbmixError(f"class_index {class_index!r} goes with a data set, not with tensors")
    if model.is_trained:
        raise RbmixError(
            f"model {model.spec.model!r} would have to be trained: name a data set or a folder "
            "instead of tensors"
        )
    return DataPlan(dataset, len(dataset.test) if examples is None else examples)
