"""Frozen plans of the work to do, made of words that are checked once.

The command line, Python, sweeps and the regression gate all build these plans, and the code behind
them takes its instructions from plans alone. Nothing here imports PyTorch, which is slow, so that a
wrong word is refused at once. Words that depend on the machine, for example a device or the
networks of a library, are checked when the plan is carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from robustbench_mix.config import catalog, protocols, zoo
from robustbench_mix.config.limits import (
    MAX_BATCH_SIZE,
    MAX_EXAMPLES,
    MAX_TASKS,
    check_count,
    check_seed,
)
from robustbench_mix.config.model import Interface, ModelSpec, Unshuffler
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.config.training import UNCHANGED, Training
from robustbench_mix.config.weights import WeightsFile
from robustbench_mix.config.words import Norm
from robustbench_mix.errors import RbmixError

if TYPE_CHECKING:
    from robustbench_mix.data.dataset import Dataset
    from robustbench_mix.results.regression.baselines import Baseline

DEFAULT_EXAMPLES = {"digits": 40}
UNSHUFFLING_EXAMPLES = 1000  # default number of test images to decode
OTHER_EXAMPLES = 1000
DEFAULT_MODEL = "resnet18"


@dataclass(frozen=True)
class ModelPlan:
    """A network, and the source of its weights.

    It is trained, or read from the cache, unless it has `weights`, is `published` or is a `module`.

    Attributes:
        spec: The network; mixers without a word are `learned`.
        training: The changes to the recipe.
        mixers: The words for the spatial and the channel mixers, None for one that was not given.
            With neither, a network that comes with its weights stays as it is.
        weights: The file of the weights: a checkpoint of rbmix, or weights of a foreign network.
        published: Whether to take the weights that the network was published with.
        module: The network itself, an `nn.Module`; `spec` only names it.

    Raises:
        RbmixError: For a model word that names nothing, a missing file, and changes to a recipe
            that is not used.
    """

    spec: ModelSpec
    training: Training = UNCHANGED
    mixers: tuple[str | None, str | None] = (None, None)
    weights: WeightsFile | None = None
    published: bool = False
    module: object = None

    def __post_init__(self) -> None:
        if self.module is None:
            catalog.check_model(self.spec.model)
        if not self.is_trained:
            self.training.check_unchanged(self.spec.model)
        if self.file is not None and not self.file.exists():
            raise RbmixError(f"checkpoint {self.file} does not exist")

    @property
    def is_trained(self) -> bool:
        """Whether rbmix trains the network, or has trained it before."""
        return self.weights is None and not self.published and self.module is None

    @property
    def file(self) -> Path | None:
        """The path of the file of the weights, None if there is none."""
        return None if self.weights is None else self.weights.path

    @property
    def is_variant(self) -> bool:
        """Whether words for its mixers were given."""
        return self.mixers != (None, None)

    def with_weights(self, file: Path) -> ModelPlan:
        """Return the same network with the weights of a file instead of its training."""
        return replace(self, weights=WeightsFile(file), training=UNCHANGED)


def trained_model(spec: ModelSpec, training: Training = UNCHANGED) -> ModelPlan:
    """Return the plan of a network that rbmix trains, even if published weights exist."""
    return ModelPlan(spec, training, (spec.spatial, spec.channel))


def model_plan(
    model: str | None,
    spatial: str | None = None,
    channel: str | None = None,
    seed: int | None = None,
    *,
    interface: Interface | None = None,
    weights: WeightsFile | Path | None = None,
    pretrained: bool = False,
    training: Training = UNCHANGED,
) -> ModelPlan:
    """Return the network that the words of `rbmix evaluate` name.

    Args:
        model: A model word; `DEFAULT_MODEL` by default.
        spatial: The spatial mixers. Without it and `channel`, a network with its own weights stays
            as it is, and one that is trained is `learned`.
        channel: The channel mixers.
        seed: Seed of weights, training and attack; 0 by default.
        interface: The interface between the data set and the network.
        weights: A file to load instead of training, or `zoo:NAME`, which gives the words that
            are None.
        pretrained: Whether to take the weights that the network was published with.
        training: The changes to the recipe.

    Raises:
        RbmixError: A word is wrong, or arguments contradict each other.
    """
    weights = WeightsFile(weights) if isinstance(weights, Path) else weights
    if weights is not None and zoo.is_in_zoo(weights) and not pretrained:
        entry = zoo.find(str(weights.path))
        model, spatial, channel, seed = entry.words(model, spatial, channel, seed)
        weights = replace(weights, path=zoo.fetch(entry))
    model, seed = model or DEFAULT_MODEL, seed or 0
    spec = ModelSpec(model, spatial or "learned", channel or "learned", seed, interface)
    catalog.check_model(model)
    if pretrained:
        _check_published(spec, (spatial, channel), weights)
    is_variant = spatial is not None or channel is not None
    is_ready = pretrained or (catalog.comes_with_weights(model) and not is_variant)
    return ModelPlan(spec, training, (spatial, channel), weights, weights is None and is_ready)


def module_plan(module: object, seed: int = 0, training: Training = UNCHANGED) -> ModelPlan:
    """Return the plan of a given network, an `nn.Module`, under the name of its class.

    Args:
        module: The network.
        seed: Seed of the attack.
        training: The changes to the recipe, which must be none.
    """
    return ModelPlan(ModelSpec(type(module).__name__, seed=seed), training, module=module)


def _check_published(
    spec: ModelSpec, mixers: tuple[str | None, str | None], weights: WeightsFile | None
) -> None:
    """Raise RbmixError for arguments that contradict the use of published weights."""
    if catalog.is_builtin(spec.model):
        raise RbmixError(
            f"--pretrained goes with your own model, {catalog.FORMS}; rbmix trains {spec.model!r} "
            "itself"
        )
    if weights is not None:
        raise RbmixError(f"--weights {weights.path} and --pretrained cannot both be the weights")
    if mixers != (None, None):
        raise RbmixError(
            "--pretrained takes the network as it was published; --spatial and --channel go with "
            "training, or with --weights of a network that has such mixers"
        )


@dataclass(frozen=True)
class DataPlan:
    """A data set, by its word or as an object, and how many of its test images to take.

    Attributes:
        dataset: The word, or the data set itself.
        examples: The number that the user asks for; None takes the default.
        default: The default number; None is that of attacks on this data set.
        class_index: The file that says which output each class is, or `numbers`; None takes the
            order of the classes.

    Raises:
        RbmixError: For a data set or a file that does not exist, and a number out of range.
    """

    dataset: str | Dataset
    examples: int | None = None
    default: int | None = None
    class_index: str | None = None

    def __post_init__(self) -> None:
        check_count("number of examples", self.examples, MAX_EXAMPLES)
        if isinstance(self.dataset, str):
            catalog.check_dataset(self.dataset)
        if self.class_index is not None:
            catalog.check_class_index(self.class_index)

    @property
    def name(self) -> str:
        """The name of the data set in records."""
        word = self.dataset
        return catalog.dataset_name(word) if isinstance(word, str) else word.name

    @property
    def count(self) -> int:
        """The number of test images: the given number, or the default."""
        for number in (self.examples, self.default):
            if number is not None:
                return number
        return DEFAULT_EXAMPLES.get(self.name, OTHER_EXAMPLES)


@dataclass(frozen=True)
class AttackPlan:
    """A protocol, and the way to run it.

    Attributes:
        word: The name or path that the user wrote.
        protocol: The protocol, with its grid chosen.
        backend: `fast` or `reference`.
        exhaustive: Whether the fast backend skips nothing.
        randomised: Whether the network draws random numbers: attacks then use means over several
            passes, and a majority vote decides.
        batch_size: Number of images to attack at once; None depends on the device.
    """

    word: str
    protocol: Protocol
    backend: str
    exhaustive: bool = False
    randomised: bool = False
    batch_size: int | None = None

    def __post_init__(self) -> None:
        check_count("batch size", self.batch_size, MAX_BATCH_SIZE)

    @property
    def recorded_backend(self) -> str:
        """The name of the backend in records."""
        if self.exhaustive:
            return f"{self.backend}, exhaustive"
        return f"{self.backend}, randomised" if self.randomised else self.backend

    def on_grid(self, eps: list[str]) -> AttackPlan:
        """Return the same attack over other epsilons of its norm."""
        return replace(self, protocol=protocols.changed(self.protocol, eps=eps))


def attack_plan(
    attack: str | Protocol,
    dataset: str = "",
    *,
    eps: list[str] | None = None,
    norm: Norm | None = None,
    backend: str | None = None,
    exhaustive: bool = False,
    randomised: bool = False,
    batch_size: int | None = None,
) -> AttackPlan:
    """Return the attack that the words of `rbmix evaluate` name.

    Args:
        attack: A protocol, or its name or path.
        dataset: The name of the data set, which may have its own grid in the protocol.
        eps: The grid, by default the protocol's.
        norm: The norm, by default the protocol's.
        backend: `fast` or `reference`; by default `fast` if the algorithm has it.
        exhaustive: Whether the fast backend skips nothing.
        randomised: Whether the network draws random numbers.
        batch_size: Number of images to attack at once; None depends on the device.

    Raises:
        RbmixError: A word is wrong, or arguments contradict each other.
    """
    if isinstance(attack, str):
        word, protocol = attack, protocols.load(attack, dataset, eps=eps, norm=norm)
    else:
        word, protocol = attack.name, protocols.changed(attack, eps=eps, norm=norm)
    backend = catalog.backend_of(
        protocol.algorithm, backend, norm=protocol.norm, exhaustive=exhaustive,
        randomised=randomised,
    )  # fmt: skip
    protocol = protocols.in_norm(protocol)
    if randomised:
        protocol = protocols.randomised(protocol)
    return AttackPlan(word, protocol, backend, exhaustive, randomised, batch_size)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The parts that all plans share: the data, and the name of the device.

    Raises:
        RbmixError: For a word that is not a device on any machine.
    """

    data: DataPlan
    device: str = "auto"

    def __post_init__(self) -> None:
        catalog.check_device(self.device)


@dataclass(frozen=True, kw_only=True)
class TrainingPlan(Plan):
    """A network to train; all test images are used, whatever number `data` has."""

    model: ModelPlan


@dataclass(frozen=True, kw_only=True)
class EvaluationPlan(Plan):
    """A network to attack."""

    model: ModelPlan
    attack: AttackPlan


def baseline_plan(
    baseline: Baseline,
    path: Path,
    *,
    examples: int | None = None,
    weights: Path | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    changes: Mapping[str, Any] = MappingProxyType({}),
) -> EvaluationPlan:
    """Return the plan of the evaluation behind a baseline.

    Args:
        baseline: The baseline.
        path: Its path, for messages.
        examples: Number of its first images to take; None takes all.
        weights: The weights that it names, or others to compare with it; None if there are none.
        batch_size: Number of images to attack at once; None depends on the device.
        device: Name of the device.
        changes: Words of `Baseline.words` to replace; None leaves a word as it is.

    Raises:
        RbmixError: A word is wrong, or there are more examples than the baseline has.
    """
    words = baseline.words
    given = {name: word for name, word in changes.items() if word is not None}
    if words["interface"] is not None and "interface" in given:
        given["interface"] = words["interface"].changed(given["interface"])
    words |= given
    most = words["examples"]
    if examples is not None and not 1 <= examples <= most:
        raise RbmixError(f"number of examples {examples} must be 1 to {most}, as in {path}")
    names = ("model", "spatial", "channel", "seed")
    data = DataPlan(words["dataset"], examples or most, class_index=words["class_index"])
    attack = attack_plan(
        words["attack"], data.name, eps=words["eps"], norm=words["norm"],
        backend="reference" if words["randomised"] else words["backend"],
        exhaustive=words["exhaustive"], randomised=words["randomised"], batch_size=batch_size,
    )  # fmt: skip
    file = None
    if weights is not None:
        file = WeightsFile(weights, words["weights_key"], words["ignore_weights"])
    model = model_plan(
        *(words[name] for name in names), interface=words["interface"], weights=file,
        pretrained=words["pretrained"] and file is None,
    )  # fmt: skip
    return EvaluationPlan(data=data, device=device, model=model, attack=attack)


@dataclass(frozen=True, kw_only=True)
class ExplanationPlan(Plan):
    """A network to measure beside its learned twin, at these epsilons."""

    model: ModelPlan
    eps: tuple[str, ...]


def explanation_plan(
    model: ModelPlan, data: DataPlan, eps: list[str] | None = None, device: str = "auto"
) -> ExplanationPlan:
    """Return the plan to measure a network beside its learned twin.

    Args:
        model: The network.
        data: The images.
        eps: The epsilons; by default those of the FGSM protocol.
        device: Name of the device.
    """
    grid = protocols.load("fgsm", data.name, eps=eps).eps
    return ExplanationPlan(
        data=data, device=device, model=model, eps=tuple(one.text for one in grid)
    )


@dataclass(frozen=True, kw_only=True)
class UnshufflingPlan(Plan):
    """Networks that are trained to undo a permutation of the pixels, one after the other."""

    unshufflers: tuple[Unshuffler, ...]
    training: Training = UNCHANGED


def unshufflers_of(
    widths: list[int], depths: list[int], kernels: list[int], patch: int, spatial: list[str],
    seed: int,
) -> tuple[Unshuffler, ...]:  # fmt: skip
    """Return every combination of these settings.

    Args:
        widths: Numbers of channels.
        depths: Numbers of blocks.
        kernels: Kernel sizes in pixels.
        patch: Patch size in pixels.
        spatial: Spatial mixers.
        seed: Seed of permutation, weights and training.

    Raises:
        RbmixError: A value is wrong, or there are too many combinations.
    """
    check_seed(seed)
    count = len(widths) * len(depths) * len(kernels) * len(spatial)
    if count > MAX_TASKS:
        raise RbmixError(f"{count:,} networks (allowed: up to {MAX_TASKS:,})")
    return tuple(
        Unshuffler(width, depth, kernel, patch, mode, seed=seed)
        for width, depth, kernel, mode in product(widths, depths, kernels, spatial)
    )
