"""`evaluate`: the command `rbmix evaluate` as a Python function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from robustbench_mix.api.arguments import (
    check_module,
    choose_attack,
    data_plan,
    one_radius,
    values,
    weights_file,
)
from robustbench_mix.api.calls import Device, carry_out, device_name, device_of
from robustbench_mix.api.result import Result
from robustbench_mix.config.epsilon import Radius, texts_of
from robustbench_mix.config.model import Interface
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.config.training import Training
from robustbench_mix.config.words import (
    AdversarialAttack,
    AttackName,
    Backend,
    Channel,
    DatasetName,
    ModelName,
    Norm,
    Precision,
    Spatial,
)
from robustbench_mix.data.tensors import Data
from robustbench_mix.evaluation.attack_plan import attack_plan
from robustbench_mix.evaluation.model_plan import model_plan, module_plan
from robustbench_mix.evaluation.pending_run import Extras
from robustbench_mix.evaluation.plan import EvaluationPlan
from robustbench_mix.models.given import Network
from robustbench_mix.runtime.torch_modes import default_modes

Attack = AttackName | str | Path | Protocol


@default_modes()
def evaluate(
    model: Network | ModelName | str,
    data: DatasetName | Data = "digits",
    attack: Attack | None = None,
    *,
    eps: Radius | Iterable[Radius] | None = None,
    norm: Norm | None = None,
    protocol: Attack | None = None,
    spatial: Spatial | None = None,
    channel: Channel | None = None,
    seed: int = 0,
    class_index: str | Path | None = None,
    examples: int | None = None,
    backend: Backend | None = None,
    exhaustive: bool = False,
    randomised: bool = False,
    batch_size: int | None = None,
    weights: str | Path | None = None,
    weights_key: str | None = None,
    ignore_weights: Sequence[str] = (),
    pretrained: bool = False,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    input_size: int | None = None,
    classes: int | None = None,
    epochs: int | None = None,
    train_examples: int | None = None,
    lr: float | None = None,
    precision: Precision = "auto",
    adversarial: bool = False,
    adversarial_eps: Radius | None = None,
    adversarial_attack: AdversarialAttack | None = None,
    averaging: float | None = None,
    label_smoothing: float | None = None,
    device: Device | None = None,
    results: str | Path | None = None,
    fresh: bool = False,
    x_adv: bool = False,
    name: str = "",
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
            0; a `DataLoader` or data set of PyTorch that gives such pairs; a data set of Hugging
            Face with an image and a label; or `"package.module:callable"`, a function that returns
            one of these.
        attack: A name from `rbmix attacks`, a path to a TOML file, `"foolbox:NAME"` for any attack
            of foolbox, or a `Protocol`. By default `"autoattack"`.
        eps: One radius or several in pixel units instead of the protocol's: text (`"8/255"`) or
            numbers (`8 / 255`).
        norm: `"linf"`, `"l2"` or `"l1"` instead of the protocol's norm, in any usual spelling
            (`"Linf"`, 2, `numpy.inf`); needs `eps`.
        protocol: Another name for `attack`.
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
        adversarial_eps: Their l-infinity radius, text or a number; 8/255 by default, 2/16 on
            digits.
        adversarial_attack: How they are made: `"pgd"` (7 steps, the default) or `"n-fgsm"`.
        averaging: Decay of the average of weights in adversarial training; 0.9995 by default, 0
            keeps the last weights.
        label_smoothing: Label smoothing in adversarial training; 0 by default.
        device: `"auto"`, `"cpu"`, `"cuda"`, `"cuda:1"` or `"mps"`. By default the device of the
            network that is passed, else `"auto"`.
        results: A folder for the records. A run that is there already is read, not repeated.
        fresh: Attack again even if the run is in `results`.
        x_adv: Keep the adversarial examples, as `Result.x_adv`. A run that is in `results` has
            none, so it is attacked again.
        name: What plots call the result; by default the model and its mixers.
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
        epochs, train_examples, lr, precision, adversarial, one_radius(adversarial_eps),
        adversarial_attack, averaging, label_smoothing,
    )  # fmt: skip
    given = Interface(input_size, values(mean), values(std), classes)
    home = "auto" if device is None else device_name(device)
    if not isinstance(model, str):
        home = device_of(model, device)
        check_module(
            spatial=spatial, channel=channel, weights=weights, weights_key=weights_key,
            ignore_weights=ignore_weights or None, pretrained=pretrained or None,
            mean=mean, std=std, input_size=input_size, classes=classes,
        )  # fmt: skip
        network = module_plan(model, seed, training)
    else:
        network = model_plan(
            model, spatial, channel, seed or None,
            interface=None if given == Interface() else given,
            weights=weights_file(weights, weights_key, ignore_weights), pretrained=pretrained,
            training=training,
        )  # fmt: skip
    index = None if class_index is None else str(class_index)
    images = data_plan(data, examples, network, index)
    planned = EvaluationPlan(
        data=images,
        device=home,
        model=network,
        attack=attack_plan(
            choose_attack(attack, protocol), images.name,
            eps=None if eps is None else texts_of(eps), norm=norm, backend=backend,
            exhaustive=exhaustive, randomised=randomised, batch_size=batch_size,
        ),
    )  # fmt: skip
    done = carry_out(planned, results, fresh=fresh, quiet=quiet, extras=Extras(examples=x_adv))
    return Result(done.run, None if results is None else done.path, name=name, x_adv=done.x_adv)
