"""The names of models, data sets, attacks and devices that users may write.

They are checked without importing what they name, so that a wrong word is refused at once. Names
that only a library knows, for example the networks of timm, are checked when it is imported.
"""

from __future__ import annotations

import importlib.util
import re
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path
from typing import NamedTuple

from robustbench_mix.errors import RbmixError, unknown
from robustbench_mix.runtime import plugins
from robustbench_mix.storage.paths import is_file, is_folder, parse_path

MODELS = {
    "resnet14": "the paper's CIFAR ResNet, n = 2",
    "resnet20": "the paper's CIFAR ResNet, n = 3",
    "resnet26": "the paper's CIFAR ResNet, n = 4",
    "resnet32": "the paper's CIFAR ResNet, n = 5",
    "resnet38": "the paper's CIFAR ResNet, n = 6",
    "resnet18": "torchvision's ResNet-18, every spatial convolution made separable",
    "resnet34": "torchvision's ResNet-34, every spatial convolution made separable",
    "convmixer4": "the paper's ConvMixer: width 128, kernel 8, patch 1, depth 4",
    "convmixer6": "the paper's ConvMixer: width 128, kernel 8, patch 1, depth 6",
    "convmixer8": "the paper's ConvMixer: width 128, kernel 8, patch 1, depth 8",
    "convmixer256_8": "ConvMixer 256/8 of its authors: kernel 5, patch 2",
}
DATASETS = {
    "digits": "1,797 handwritten digits, 8x8 grey, 10 classes; shipped with scikit-learn",
    "cifar10": "60,000 photographs, 32x32 colour, 10 classes; downloaded by torchvision",
    "cifar100": "60,000 photographs, 32x32 colour, 100 classes; downloaded by torchvision",
}
OWN_DATA = {  # forms of words for a user's own data
    "a folder": "train/ and test/ inside, each with a folder of images for every class",
    "package.module:callable": "a function that returns images and labels, or these for train "
    "and test",
}
FORMS = "torchvision:NAME, timm:NAME, hf:owner/name, package.module:callable"
SOURCES = ("torchvision", "timm", "hf", "python")  # before the colon of a model word
GRAMMAR = (
    "resnetN and convmixerWIDTH_DEPTH take suffixes: _w width, _d depth multiplier, "
    "_k kernel, _p patch, as in resnet14_d4 or convmixer64_6_k7_p1"
)
FOOLBOX = "foolbox:"
NUMBERS = "numbers"  # for --class-index: the names of the classes are the numbers of outputs
DEVICES = ("auto", "cpu", "cuda", "mps")
RUNNERS = ("local", "ray")
BACKENDS = ("reference", "fast")


class Algorithm(NamedTuple):
    """The functions that make the stages of an attack: `module:function` for each engine.

    Args:
        fast: The function for the fast engine, '' if the attack does not run there.
        reference: The function for the reference engine, '' if it does not run there.
    """

    fast: str = ""
    reference: str = ""


def on_both(function: str) -> Algorithm:
    """Return an algorithm whose stages one function makes for both engines."""
    return Algorithm(function, function)


_NATIVE, _REFERENCE = (f"robustbench_mix.attacks.{name}" for name in ("native", "reference"))
# The attacks that a protocol can name, beside `foolbox:NAME` and those that packages register. A
# function takes the number of classes and the protocol's options and returns stages
# (`attacks/registry.py` calls it).
ALGORITHMS = {
    "autoattack": Algorithm(
        f"{_NATIVE}.ensembles:autoattack_stages", f"{_REFERENCE}.autoattack:autoattack_stages"
    ),
    "autoattack-audited": Algorithm(fast=f"{_NATIVE}.ensembles:audited_stages"),
    "fgsm": Algorithm(f"{_NATIVE}.fgsm:fgsm_stages", f"{_REFERENCE}.fgsm:fgsm_stages"),
    "noise": Algorithm(reference=f"{_REFERENCE}.noise:noise_stages"),
    "pgd": Algorithm(f"{_NATIVE}.pgd:pgd_stages", f"{_REFERENCE}.pgd:pgd_stages"),
}


class Architecture(NamedTuple):
    """The parts of the name of one of rbmix's own networks, as `resnet14_w4`, `convmixer64_6_k7`.

    `second` is the number behind the first underscore, `options` its suffixes by their letter.
    """

    kind: str
    first: int
    second: int | None
    options: dict[str, int]


def architecture(name: str) -> Architecture:
    """Split a name into its parts; raise RbmixError, with the nearest known name, if it is none."""
    match = re.fullmatch(r"(resnet|convmixer)(\d{1,4})(?:_(\d{1,3}))?((?:_[wdkp]\d{1,3})*)", name)
    if not match:
        raise unknown(
            "model", name, [*MODELS, *plugins.registering_packages("model")], also=f"or {FORMS}"
        )
    kind, first, second = match[1], int(match[2]), match[3]
    options = [(part[0], int(part[1:])) for part in match[4].split("_") if part]
    given = dict(options)
    if len(given) < len(options) or 0 in given.values() or first == 0 or second == "0":
        raise RbmixError(f"model {name!r}: a suffix is repeated or zero ({GRAMMAR})")
    if kind == "convmixer":
        allowed = "dkp"
    elif f"resnet{first}" in MODELS and second is None:
        allowed = "d" if first in (18, 34) else "wd"
    else:
        raise unknown("model", name, MODELS, also=GRAMMAR)
    if given.keys() - set(allowed):
        raise unknown("model", name, MODELS, also=GRAMMAR)
    return Architecture(kind, first, None if second is None else int(second), given)


def is_architecture(name: str) -> bool:
    """Return whether a name is one that `architecture` accepts."""
    try:
        architecture(name)
    except RbmixError:
        return False
    return True


def is_code(word: str) -> bool:
    """Return whether a model word names code to import."""
    prefix, colon, _ = word.partition(":")
    return bool(colon) and (prefix == "python" or prefix not in SOURCES)


def is_builtin(word: str) -> bool:
    """Return whether a model word is a name from `rbmix models` that no other package registers."""
    return ":" not in word and (
        is_architecture(word) or word not in plugins.registering_packages("model")
    )


def comes_with_weights(word: str) -> bool:
    """Return whether a network of this word has weights and needs training only as a variant."""
    prefix, colon, _ = word.partition(":")
    if not colon:
        return not is_builtin(word)
    return prefix == "hf" or is_code(word)


def check_model(word: str) -> None:
    """Raise RbmixError for a model word that names nothing, as far as is known without import."""
    prefix, colon, rest = word.partition(":")
    if is_builtin(word):
        architecture(word)
        plugins.check_not_taken("model", word, [word])
    elif prefix == "hf":
        check_repository(rest)
    elif is_code(word):
        check_code(rest if prefix == "python" and colon else word)


def check_repository(name: str) -> None:
    """Raise RbmixError unless a name is of the form `owner/name` or `owner/name@revision`."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+(@[\w./-]+)?", name):
        raise RbmixError(f"model 'hf:{name}' is not of the form hf:owner/name")


def check_code(path: str, kind: str = "model") -> None:
    """Raise RbmixError unless `path` is `package.module:callable` of an installed package.

    Args:
        path: The path.
        kind: What it is a word for, for messages.
    """
    module, _, attribute = path.partition(":")
    if not (module and attribute):
        raise RbmixError(f"{kind} {path!r} is not of the form package.module:callable")
    package = module.partition(".")[0]
    found = True
    with suppress(ValueError, ImportError):  # the spec cannot be read: the import will tell
        found = bool(PathFinder.find_spec(package, [str(Path.cwd())])) or bool(
            importlib.util.find_spec(package)
        )
    if not found:
        raise RbmixError(
            f"cannot import {kind} {path!r}: ModuleNotFoundError: No module named {package!r}"
        )


def is_data_code(word: str) -> bool:
    """Return whether a word for a data set has the form `package.module:callable`."""
    return bool(re.fullmatch(r"[\w.]+:[\w.]*", word))


def check_dataset(name: str) -> None:
    """Raise RbmixError unless a name is one of `DATASETS`, a folder, or code to import."""
    if name in DATASETS or is_folder(parse_path(name)):
        return
    if is_data_code(name):
        check_code(name, "data set")
        return
    if "/" in name or "\\" in name or name.startswith((".", "~")):
        raise RbmixError(f"data set folder {name!r} does not exist")
    raise unknown(
        "data set",
        name,
        DATASETS,
        also="or a folder with train/ and test/ inside, or package.module:callable",
    )


def check_class_index(word: str) -> None:
    """Raise RbmixError unless a word for `--class-index` is `numbers` or a file."""
    if word != NUMBERS and not is_file(parse_path(word)):
        raise RbmixError(f"class index {word} is no file (allowed: a JSON or text file, {NUMBERS})")


def dataset_name(word: str) -> str:
    """Return the name of a data set in records: its own, its word, or that of its folder.

    A folder named like one of `DATASETS` gets the suffix `-folder`, so that its results are never
    confused with theirs.
    """
    if word in DATASETS or (is_data_code(word) and not is_folder(parse_path(word))):
        return word
    name = parse_path(word).resolve().name
    return f"{name}-folder" if name in DATASETS else name


def check_algorithm(name: str) -> None:
    """Raise RbmixError unless exactly one algorithm has this name; foolbox checks its own names."""
    if name.startswith(FOOLBOX):
        return
    plugins.check_not_taken("algorithm", name, ALGORITHMS)
    known = [*sorted(ALGORITHMS), *plugins.registering_packages("algorithm")]
    if name not in known:
        raise unknown("algorithm", name, known, also=f"or {FOOLBOX}NAME")


def has_fast(algorithm: str) -> bool:
    """Return whether the fast engine runs this algorithm."""
    return bool(ALGORITHMS.get(algorithm, Algorithm()).fast)


def has_reference(algorithm: str) -> bool:
    """Return whether the reference engine runs this algorithm; it runs all of other packages."""
    return algorithm not in ALGORITHMS or bool(ALGORITHMS[algorithm].reference)


def check_fast(algorithm: str) -> None:
    """Raise RbmixError for an algorithm without a fast form."""
    if not has_fast(algorithm):
        fast = [name for name in ALGORITHMS if has_fast(name)]
        raise RbmixError(
            f"algorithm {algorithm!r} has no fast backend (allowed: {', '.join(fast)}); "
            "use --backend reference"
        )


def check_reference(algorithm: str) -> None:
    """Raise RbmixError for one of rbmix's own algorithms that has no reference form."""
    if not has_reference(algorithm):
        raise RbmixError(f"algorithm {algorithm!r} has no reference backend; use --backend fast")


def check_norm(algorithm: str, norm: str) -> None:
    """Raise RbmixError for l1 and an algorithm of ours other than AutoAttack; libraries may do."""
    if norm == "l1" and algorithm in ALGORITHMS and algorithm != "autoattack":
        raise RbmixError(
            f"algorithm {algorithm!r} has no form in l1 (allowed: autoattack, {FOOLBOX}NAME)"
        )


def backend_of(
    algorithm: str,
    backend: str | None,
    *,
    norm: str = "",
    exhaustive: bool = False,
    randomised: bool = False,
) -> str:
    """Return the backend that runs an algorithm.

    Args:
        algorithm: The name of the algorithm.
        backend: `fast` or `reference`; None takes `fast` if the algorithm has it in that norm.
        norm: The norm; l1 needs the reference backend.
        exhaustive: Whether the run skips nothing, which needs the fast backend.
        randomised: Whether the network draws random numbers, which needs the reference backend.

    Raises:
        RbmixError: The algorithm is unknown, or the arguments contradict each other.
    """
    check_algorithm(algorithm)
    check_norm(algorithm, norm)
    if backend is not None and backend not in BACKENDS:
        raise unknown("backend", backend, BACKENDS)
    if randomised:
        if backend == "fast" or exhaustive:
            words = "--exhaustive" if exhaustive else "--backend fast"
            raise RbmixError(f"--randomised goes with the reference backend, not with {words}")
        if not has_reference(algorithm):
            allowed = [name for name in ALGORITHMS if has_reference(name)]
            raise RbmixError(
                f"algorithm {algorithm!r} has no form for randomised networks "
                f"(allowed: {', '.join(allowed)}, foolbox:NAME)"
            )
        return "reference"
    if norm == "l1" and (backend == "fast" or exhaustive):
        raise RbmixError("the norm l1 goes with the reference backend, not with 'fast'")
    backend = backend or ("fast" if has_fast(algorithm) and norm != "l1" else "reference")
    if exhaustive and backend != "fast":
        raise RbmixError(f"--exhaustive goes with the fast backend, not with {backend!r}")
    (check_fast if backend == "fast" else check_reference)(algorithm)
    return backend


def check_device(name: str) -> None:
    """Raise RbmixError for a word that is not a device on any machine, for example `tpu`."""
    kind, _, number = name.partition(":")
    if kind not in DEVICES or (number and not number.isdecimal()):
        raise unknown("device", name, DEVICES)
