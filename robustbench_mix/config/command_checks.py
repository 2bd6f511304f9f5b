"""The words of each command, checked before anything is imported that takes its time.

One function for each command, with its arguments. What a word means only on this machine, as a
device or the networks of a library, is asked of it later.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

from robustbench_mix.config import catalog, protocols
from robustbench_mix.config.catalog import RUNNERS
from robustbench_mix.config.limits import (
    MAX_BATCH_SIZE,
    MAX_EXAMPLES,
    MAX_TASKS,
    check_count,
    check_seed,
)
from robustbench_mix.config.model import Interface, ModelSpec, Unshuffler
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.config.training import Training, check_precision
from robustbench_mix.errors import RbmixError, unknown


def evaluation(
    *,
    model: str,
    spatial: str | None,
    channel: str | None,
    seed: int,
    dataset: str | None,
    attack: str | Protocol,
    eps: list[str] | None,
    norm: str | None,
    examples: int | None,
    batch_size: int | None,
    weights: Path | None,
    training: Training,
    device: str,
    pretrained: bool = False,
    interface: Interface | None = None,
    backend: str | None = None,
    exhaustive: bool = False,
    randomised: bool = False,
    is_module: bool = False,
) -> None:
    """Raise RbmixError for what is wrong with these words of an evaluation.

    `dataset` None is a data set that is there already; `is_module` is said of a network that is,
    of which `model` is only the name.
    """
    ModelSpec(model, spatial or "learned", channel or "learned", check_seed(seed), interface)
    is_ready = is_module
    if not is_module:
        weights_of(model, spatial=spatial, channel=channel, file=weights, pretrained=pretrained)
        is_variant = spatial is not None or channel is not None
        is_ready = pretrained or (catalog.comes_with_weights(model) and not is_variant)
    if is_ready or weights is not None:
        training.check_idle(model)
    check_count("number of examples", examples, MAX_EXAMPLES)
    check_count("batch size", batch_size, MAX_BATCH_SIZE)
    protocol = protocol_of(attack, dataset or "", eps, norm)
    training.check()
    catalog.check_device(device)
    if dataset is not None:
        catalog.check_dataset(dataset)
    catalog.backend_of(protocol.algorithm, backend, exhaustive=exhaustive, randomised=randomised)
    if weights is not None and not weights.exists():
        raise RbmixError(f"checkpoint {weights} does not exist")


def rerun(
    words: dict[str, Any],
    path: Path,
    *,
    examples: int | None,
    batch_size: int | None,
    weights: Path | None,
    device: str,
) -> None:
    """Raise RbmixError for what is wrong with these words of `rbmix check`.

    `words` are those of the baseline at `path`.
    """
    most = words["examples"]
    if examples is not None and not 1 <= examples <= most:
        raise RbmixError(f"number of examples {examples} must be 1 to {most}, as in {path}")
    words = {**words, "examples": examples or most}
    evaluation(**words, batch_size=batch_size, weights=weights, training=Training(), device=device)


def weights_of(
    word: str, *, spatial: str | None, channel: str | None, file: Path | None, pretrained: bool
) -> None:
    """Raise RbmixError for a model that does not exist, and wishes that contradict each other."""
    catalog.check_model(word)
    if catalog.is_builtin(word) and pretrained:
        raise RbmixError(
            f"--pretrained goes with your own model, {catalog.FORMS}; rbmix trains {word!r} itself"
        )
    if file is not None and pretrained:
        raise RbmixError(f"--weights {file} and --pretrained cannot both be the weights")
    if pretrained and (spatial is not None or channel is not None):
        raise RbmixError(
            "--pretrained takes the network as it was published; --spatial and --channel go with "
            "training, or with --weights of a network that has such mixers"
        )


def protocol_of(
    attack: str | Protocol, dataset: str, eps: list[str] | None, norm: str | None
) -> Protocol:
    """The named protocol, or the given one with another grid; raises RbmixError as `protocols`."""
    if isinstance(attack, str):
        return protocols.load(attack, dataset, eps=eps, norm=norm)
    return protocols.changed(attack, eps=eps, norm=norm)


def training(
    *,
    model: str,
    spatial: str,
    channel: str,
    seed: int,
    dataset: str | None,
    training: Training,
    device: str,
    interface: Interface | None = None,
) -> None:
    """Raise RbmixError for what is wrong with these words of a training."""
    ModelSpec(model, spatial, channel, seed, interface)
    training.check()
    catalog.check_model(model)
    catalog.check_device(device)
    if dataset is not None:
        catalog.check_dataset(dataset)


def explanation(
    *,
    model: str,
    spatial: str,
    channel: str,
    seed: int,
    dataset: str,
    examples: int | None,
    eps: list[str] | None,
    training: Training,
    device: str,
    interface: Interface | None = None,
) -> None:
    """Raise RbmixError for what is wrong with these words of `rbmix explain`."""
    check_count("number of examples", examples, MAX_EXAMPLES)
    ModelSpec(model, spatial, channel, seed, interface)
    catalog.check_model(model)
    protocols.load("fgsm", "", eps=eps)
    training.check()
    catalog.check_device(device)
    catalog.check_dataset(dataset)


def unshufflers(
    *,
    widths: list[int],
    depths: list[int],
    kernels: list[int],
    patch: int,
    spatial: list[str],
    seed: int,
    dataset: str,
    examples: int,
    training: Training,
    device: str,
) -> list[Unshuffler]:
    """The networks that are to un-shuffle; raises RbmixError for what is wrong with the words."""
    check_seed(seed)
    training.check()
    count = len(widths) * len(depths) * len(kernels) * len(spatial)
    if count > MAX_TASKS:
        raise RbmixError(f"{count:,} networks (allowed: up to {MAX_TASKS:,})")
    unshufflers = [
        Unshuffler(width, depth, kernel, patch, mode, seed=seed)
        for width, depth, kernel, mode in product(widths, depths, kernels, spatial)
    ]
    check_count("number of examples", examples, MAX_EXAMPLES)
    catalog.check_device(device)
    catalog.check_dataset(dataset)
    return unshufflers


def check_runner(name: str, workers: int | None, address: str | None) -> None:
    """Raise RbmixError for a runner that does not exist, or options that it does not take."""
    if name not in RUNNERS:
        raise unknown("runner", name, RUNNERS)
    if workers is not None and workers < 1:
        raise RbmixError(f"number of workers {workers} must be at least 1")
    if address is not None and name != "ray":
        raise RbmixError(f"--address {address} goes with --runner ray")


def description(
    *,
    model: str,
    spatial: str,
    channel: str,
    dataset: str | None,
    input_size: int | None,
    classes: int | None,
) -> ModelSpec:
    """What is to be described; raises RbmixError for what is wrong with the words."""
    spec = ModelSpec(model, spatial, channel, interface=Interface(input_size, classes=classes))
    catalog.check_model(model)
    if dataset is not None:
        catalog.check_dataset(dataset)
    return spec


BENCHMARKS = (
    "two-step", "autoattack", "adversarial", "audited", "command", "pgd", "steps", "memory",
)  # fmt: skip


def benchmark(
    *, dataset: str, examples: int, parts: list[str] | None, precision: str, device: str
) -> None:
    """Raise RbmixError for what is wrong with these words of `rbmix bench`."""
    if examples < 1:
        raise RbmixError(f"number of examples {examples} must be at least 1")
    for part in parts or []:
        if part not in BENCHMARKS:
            raise RbmixError(f"part {part!r} is not one of {', '.join(BENCHMARKS)}")
    if precision != "auto":
        check_precision(precision)
    catalog.check_device(device)
    catalog.check_dataset(dataset)
