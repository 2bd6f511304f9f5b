"""Turn arguments of `evaluate` into the words and parts of a plan, and refuse contradictions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from robustbench_mix.config.epsilon import Radius, texts_of
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.config.weights import WeightsFile
from robustbench_mix.data.dataset import Dataset
from robustbench_mix.data.tensors import Data, dataset_of
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.data_plan import DataPlan
from robustbench_mix.evaluation.model_plan import ModelPlan


def choose_attack(attack: object, protocol: object) -> str | Protocol:
    """Return the one that is given; raise RbmixError if both are, or it is no attack."""
    if attack is not None and protocol is not None:
        raise RbmixError("attack and protocol are two names of one argument: only one can be given")
    chosen = next((one for one in (attack, protocol) if one is not None), "autoattack")
    if isinstance(chosen, str | Path | Protocol):
        return str(chosen) if isinstance(chosen, Path) else chosen
    kind = type(chosen).__name__
    hint = ""
    if type(chosen).__module__.startswith("foolbox."):
        hint = f"; foolbox's attacks go by name: 'foolbox:{kind}'"
    raise RbmixError(
        f"attack is a {kind} (needs a name, a path to a TOML file, or a Protocol){hint}"
    )


def values(given: float | Sequence[float] | None) -> tuple[float, ...] | None:
    """Return one value, or one per channel, as numbers."""
    if given is None:
        return None
    return tuple(float(one) for one in (given if isinstance(given, Iterable) else [given]))


def one_radius(radius: Radius | None) -> str | None:
    """Return one radius as text; raise RbmixError for several."""
    if radius is None:
        return None
    texts = texts_of(radius)
    if len(texts) > 1:
        raise RbmixError(f"adversarial_eps = {radius!r} is several (needs one)")
    return texts[0]


def check_module(**given: object) -> None:
    """Raise RbmixError for an argument that only a named model accepts."""
    for name, value in given.items():
        if value is not None:
            hint = ""
            if name in ("mean", "std"):
                hint = (
                    "; put it into the network: "
                    "nn.Sequential(torchvision.transforms.Normalize(mean, std), model)"
                )
            raise RbmixError(
                f"{name}={value!r} goes with a model that is named, not with a module{hint}"
            )


def weights_file(
    weights: str | Path | None, key: str | None, ignore: Sequence[str]
) -> WeightsFile | None:
    """Return the weights of these arguments; raise RbmixError for a key without a file."""
    names = (ignore,) if isinstance(ignore, str) else tuple(ignore)
    if weights is not None:
        return WeightsFile(Path(weights), key, names)
    if key is not None or names:
        raise RbmixError(f"weights_key {key!r} and ignore_weights {names} go with weights")
    return None


def data_plan(
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
    if model.is_trained and dataset.train is dataset.test:
        raise RbmixError(
            f"model {model.spec.model!r} would have to be trained: name a data set or a folder "
            "instead of tensors, or give a part to train on: {'train': ..., 'test': ...}"
        )
    return DataPlan(dataset, len(dataset.test) if examples is None else examples)
