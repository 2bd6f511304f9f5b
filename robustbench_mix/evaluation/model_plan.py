"""The plan of a network: what it is, and where its weights come from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from robustbench_mix.config import catalog, zoo
from robustbench_mix.config.model import Interface, ModelSpec
from robustbench_mix.config.training import UNCHANGED, Training
from robustbench_mix.config.weights import WeightsFile
from robustbench_mix.errors import RbmixError

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
