"""Load data sets by name: digits, CIFAR through torchvision, class folders by path."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from robustbench_mix.config.catalog import check_dataset, is_data_code
from robustbench_mix.data.dataset import Dataset, Split, balanced_subset
from robustbench_mix.data.image_folder import load_folder
from robustbench_mix.data.importable import load_callable
from robustbench_mix.data.shape import Shape, shape_of
from robustbench_mix.errors import RbmixError, first_line
from robustbench_mix.runtime.progress import report_if_slow
from robustbench_mix.storage.locks import exclusive_lock
from robustbench_mix.storage.paths import cache_folder, is_folder, parse_path

# The shapes, which are known before a download.
SHAPES = {
    "digits": Shape(1, 8, 10),
    "cifar10": Shape(3, 32, 10),
    "cifar100": Shape(3, 32, 100),
}


def shape(name: str) -> Shape:
    """Return the shape of a named data set; errors as `load`."""
    return SHAPES[name] if name in SHAPES else shape_of(load(name))


def load(name: str) -> Dataset:
    """Load a data set by name (`catalog.DATASETS`) from a class folder by path, or by code.

    Raises:
        RbmixError: The name is unknown, the folder is missing or not a class folder, or CIFAR is
            not on disk and cannot be downloaded.
    """
    check_dataset(name)
    with report_if_slow(f"reading data set {name}"):
        if name == "digits":
            return _load_digits()
        if name in ("cifar10", "cifar100"):
            return _load_cifar(name)
        if is_data_code(name) and not is_folder(parse_path(name)):
            return load_callable(name)
        return load_folder(parse_path(name))


def _make_split(images: np.ndarray, labels: np.ndarray, grey_levels: int) -> Split:
    return Split(
        images=torch.from_numpy(np.ascontiguousarray(images, dtype=np.uint8)),
        labels=torch.from_numpy(np.asarray(labels, dtype=np.int64)),
        index=torch.arange(len(labels)),
        grey_levels=grey_levels,
    )


def _load_digits() -> Dataset:
    """Load scikit-learn's digits, with 30 images of each class held out for testing.

    Their source, the test part of the UCI optical digits (1,797 images; Alpaydin & Kaynak, 1998),
    defines no split, so a hash of the positions decides.
    """
    images, labels = _read_digits()
    whole = _make_split(images[:, None], labels, grey_levels=16)
    test = balanced_subset(whole, 300)
    held_out = torch.isin(whole.index, test.index)
    train = whole.take(torch.nonzero(~held_out).flatten())
    return Dataset("digits", tuple(str(digit) for digit in range(10)), train, test)


def _read_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return scikit-learn's images (1797, 8, 8) and labels.

    Its file is read directly, because importing the library takes a second.
    """
    library = find_spec("sklearn")
    path = Path(library.origin or "").parent / "datasets/data/digits.csv.gz" if library else Path()
    if not path.is_file():
        from sklearn.datasets import load_digits

        raw = load_digits()
        return raw.images, raw.target
    table = np.loadtxt(path, delimiter=",")
    return table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(np.int64)


def _load_cifar(name: str) -> Dataset:
    import torchvision

    root = cache_folder() / "data"
    source = {"cifar10": torchvision.datasets.CIFAR10, "cifar100": torchvision.datasets.CIFAR100}
    splits = []
    for train in (True, False):
        try:
            with exclusive_lock(root / f"{name}.download"):
                raw = source[name](str(root), train=train, download=True)
        except (OSError, RuntimeError) as error:
            raise RbmixError(
                f"data set {name!r} is not in {root} and could not be downloaded "
                f"({first_line(error)}); without a network use --dataset digits"
            ) from error
        images = np.asarray(raw.data).transpose(0, 3, 1, 2)
        splits.append(_make_split(images, np.asarray(raw.targets), grey_levels=255))
    return Dataset(name, tuple(raw.classes), splits[0], splits[1])
