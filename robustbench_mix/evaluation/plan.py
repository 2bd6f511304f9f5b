"""What is to be done, as one frozen plan: words of any origin, checked once.

The command line, Python, sweeps and the regression gate all build these plans, and what carries
them out takes nothing else that says what to do. Nothing here imports PyTorch: a wrong word is
answered before that takes its time. What a word means only on this machine, as a device or the
networks of a library, is asked of it when the plan is carried out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from robustbench_mix.config import catalog, protocols
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
from robustbench_mix.errors import RbmixError

if TYPE_CHECKING:
    from robustbench_mix.data.dataset import Dataset
    from robustbench_mix.results.regression.baselines import Baseline

DEFAULT_EXAMPLES = {"digits": 40}
OTHER_EXAMPLES = 1000


@dataclass(frozen=True)
class ModelPlan:
    """Which network, and where its weights come from.

    It is trained, or read from the cache, unless it has a `file`, is `published` or is a `module`.

    Attributes:
        spec: The network; mixers that nobody asked for are `learned`.
        training: What to change in the recipe.
        mixers: The words for the spatial and the channel mixers, None where none was given. With
            neither, a network that comes with its weights is taken as it is.
        file: Weights: a checkpoint of rbmix, or those of a foreign network.
        published: Take the weights that the network was published with.
        module: The network itself, an `nn.Module`; `spec` only names it.

    Raises:
        RbmixError: For a model word that names nothing, a file that is not there, and changes of
            a recipe that is not used.
    """

    spec: ModelSpec
    training: Training = UNCHANGED
    mixers: tuple[str | None, str | None] = (None, None)
    file: Path | None = None
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
        """Whether rbmix trains it, or has done so before."""
        return self.file is None and not self.published and self.module is None

    @property
    def is_variant(self) -> bool:
        """Whether words for its mixers were given."""
        return self.mixers != (None, None)

    def with_weights(self, file: Path) -> ModelPlan:
        """The same network with the weights of a file instead of its training."""
        return replace(self, file=file, training=UNCHANGED)


def trained_model(spec: ModelSpec, training: Training = UNCHANGED) -> ModelPlan:
    """The network of `spec`, trained whatever weights others have for it."""
    return ModelPlan(spec, training, (spec.spatial, spec.channel))


def model_plan(
    model: str,
    spatial: str | None = None,
    channel: str | None = None,
    seed: int = 0,
    *,
    interface: Interface | None = None,
    weights: Path | None = None,
    pretrained: bool = False,
    training: Training = UNCHANGED,
) -> ModelPlan:
    """The network that the words of `rbmix evaluate` name.

    Args:
        model: A model word.
        spatial: The spatial mixers. Without it and `channel`, a network with weights of its own
            is taken as it is, and one that is trained is `learned`.
        channel: The channel mixers.
        seed: Of weights, training and attack.
        interface: What stands between the data set and the network.
        weights: A file to load instead of training.
        pretrained: Take the weights that the network was published with.
        training: What to change in the recipe.

    Raises:
        RbmixError: For a wrong word, and for wishes that contradict each other.
    """
    spec = ModelSpec(model, spatial or "learned", channel or "learned", seed, interface)
    catalog.check_model(model)
    if pretrained:
        _check_published(spec, (spatial, channel), weights)
    is_variant = spatial is not None or channel is not None
    is_ready = pretrained or (catalog.comes_with_weights(model) and not is_variant)
    return ModelPlan(spec, training, (spatial, channel), weights, weights is None and is_ready)


def module_plan(module: object, seed: int = 0, training: Training = UNCHANGED) -> ModelPlan:
    """A network that is there already, an `nn.Module`, under the name of its class."""
    return ModelPlan(ModelSpec(type(module).__name__, seed=seed), training, module=module)


def _check_published(
    spec: ModelSpec, mixers: tuple[str | None, str | None], weights: Path | None
) -> None:
    """Raise RbmixError for what does not go with the weights that a network was published with."""
    if catalog.is_builtin(spec.model):
        raise RbmixError(
            f"--pretrained goes with your own model, {catalog.FORMS}; rbmix trains {spec.model!r} "
            "itself"
        )
    if weights is not None:
        raise RbmixError(f"--weights {weights} and --pretrained cannot both be the weights")
    if mixers != (None, None):
        raise RbmixError(
            "--pretrained takes the network as it was published; --spatial and --channel go with "
            "training, or with --weights of a network that has such mixers"
        )


@dataclass(frozen=True)
class DataPlan:
    """A data set, by its word or as it is, and how many of its test images to take.

    None takes the usual number.

    Raises:
        RbmixError: For a data set that does not exist, and a number out of range.
    """

    dataset: str | Dataset
    examples: int | None = None

    def __post_init__(self) -> None:
        check_count("number of examples", self.examples, MAX_EXAMPLES)
        if isinstance(self.dataset, str):
            catalog.check_dataset(self.dataset)

    @property
    def name(self) -> str:
        """The name of the data set in records."""
        word = self.dataset
        return catalog.dataset_name(word) if isinstance(word, str) else word.name

    @property
    def count(self) -> int:
        """How many test images are taken: as many as was asked for, or the usual number."""
        if self.examples is not None:
            return self.examples
        return DEFAULT_EXAMPLES.get(self.name, OTHER_EXAMPLES)


@dataclass(frozen=True)
class AttackPlan:
    """A protocol, and how it is run.

    Attributes:
        word: The name or path that was asked for.
        protocol: What it says, with its grid chosen.
        backend: `fast` or `reference`.
        exhaustive: Run the attacks of the fast backend with nothing saved.
        randomised: The network draws random numbers: attacks see means, verdicts are a vote.
        batch_size: Images attacked at once; None leaves it to the device.
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
        """The backend as records name it."""
        if self.exhaustive:
            return f"{self.backend}, exhaustive"
        return f"{self.backend}, randomised" if self.randomised else self.backend

    def on_grid(self, eps: list[str]) -> AttackPlan:
        """The same attack over other epsilons of its norm."""
        return replace(self, protocol=protocols.changed(self.protocol, eps=eps))


def attack_plan(
    attack: str | Protocol,
    dataset: str = "",
    *,
    eps: list[str] | None = None,
    norm: str | None = None,
    backend: str | None = None,
    exhaustive: bool = False,
    randomised: bool = False,
    batch_size: int | None = None,
) -> AttackPlan:
    """The attack that the words of `rbmix evaluate` name.

    Args:
        attack: A protocol, or its name or path.
        dataset: The name of the data set, which may have a grid of its own in the protocol.
        eps: The grid, by default the protocol's.
        norm: The norm, by default the protocol's.
        backend: `fast` or `reference`, by default the fast one where the algorithm has it.
        exhaustive: As in `AttackPlan`, like the rest.

    Raises:
        RbmixError: For a wrong word, and for wishes that do not go together.
    """
    if isinstance(attack, str):
        word, protocol = attack, protocols.load(attack, dataset, eps=eps, norm=norm)
    else:
        word, protocol = attack.name, protocols.changed(attack, eps=eps, norm=norm)
    backend = catalog.backend_of(
        protocol.algorithm, backend, exhaustive=exhaustive, randomised=randomised
    )
    if randomised:
        protocol = protocols.randomised(protocol)
    return AttackPlan(word, protocol, backend, exhaustive, randomised, batch_size)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What every plan says: the data, and the word of the device.

    Raises:
        RbmixError: For a word that is no device anywhere.
    """

    data: DataPlan
    device: str = "auto"

    def __post_init__(self) -> None:
        catalog.check_device(self.device)


@dataclass(frozen=True, kw_only=True)
class TrainingPlan(Plan):
    """A network to train; the test images are all used, whatever `data` says."""

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
) -> EvaluationPlan:
    """The evaluation that gave the baseline at `path`, on its images or the first `examples`.

    `weights` are those that it names, or others to hold against it.

    Raises:
        RbmixError: For a wrong word, and for more images than the baseline has.
    """
    words = baseline.words
    most = words["examples"]
    if examples is not None and not 1 <= examples <= most:
        raise RbmixError(f"number of examples {examples} must be 1 to {most}, as in {path}")
    names = ("model", "spatial", "channel", "seed")
    data = DataPlan(words["dataset"], examples or most)
    attack = attack_plan(
        words["attack"], data.name, eps=words["eps"], norm=words["norm"],
        backend=words["backend"], batch_size=batch_size,
    )  # fmt: skip
    model = model_plan(*(words[name] for name in names), weights=weights)
    return EvaluationPlan(data=data, device=device, model=model, attack=attack)


@dataclass(frozen=True, kw_only=True)
class ExplanationPlan(Plan):
    """A network to measure beside its learned twin, at these epsilons."""

    model: ModelPlan
    eps: tuple[str, ...]


def explanation_plan(
    model: ModelPlan, data: DataPlan, eps: list[str] | None = None, device: str = "auto"
) -> ExplanationPlan:
    """Measure a network, by default at the epsilons of the FGSM protocol."""
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
    """Every combination of these words; raises RbmixError for a wrong one, and for too many."""
    check_seed(seed)
    count = len(widths) * len(depths) * len(kernels) * len(spatial)
    if count > MAX_TASKS:
        raise RbmixError(f"{count:,} networks (allowed: up to {MAX_TASKS:,})")
    return tuple(
        Unshuffler(width, depth, kernel, patch, mode, seed=seed)
        for width, depth, kernel, mode in product(widths, depths, kernels, spatial)
    )
