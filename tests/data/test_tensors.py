"""What callers pass as data: accepted in its usual forms, else refused with the way out."""

from __future__ import annotations

import eagerpy as ep
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

from robustbench_mix.data.dataset import Dataset, Split
from robustbench_mix.data.tensors import dataset_of, split_of
from robustbench_mix.errors import RbmixError

X = torch.rand(6, 3, 4, 4, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, 0, 1, 2])


class Pairs:
    """A data set of one's own: items by number, of the given form."""

    def __init__(self, form) -> None:
        self.form = form

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, at: int):
        return self.form(X[at], int(Y[at]))


@pytest.mark.parametrize(
    "given",
    [
        (X, Y),
        [X, Y],
        (X.numpy(), Y.numpy()),
        (X.double(), Y.int()),
        (X.numpy()[::-1][::-1], Y.tolist()),
        (X.clone().requires_grad_(), Y),
        (X.to(memory_format=torch.channels_last), Y.to(torch.uint8)),
        (X, Y.numpy().astype("uint16")),
        (X, Y.numpy().astype("uint64")),
        (X.numpy().astype(">f4"), Y.numpy().astype(">i4")),
        DataLoader(TensorDataset(X, Y), batch_size=4),
        TensorDataset(X, Y),
        ep.astensors(X, Y),
        Pairs(lambda x, y: (x, y)),
        Pairs(lambda x, y: {"image": x, "label": y}),
        Pairs(lambda x, y: {"pixel_values": x.numpy(), "labels": y}),
        [(X[:4], Y[:4]), (X[4:], Y[4:])].__iter__(),
    ],
)
def test_the_usual_forms_are_one(given) -> None:
    """The same split, to the byte."""
    split = dataset_of(given).test
    assert torch.equal(split.images, X)
    assert split.images.is_contiguous()
    assert not split.images.requires_grad
    assert torch.equal(split.labels, Y)
    assert split.labels.dtype == torch.int64
    assert dataset_of((X, Y)).classes == ("0", "1", "2")


def test_a_loader_that_shuffles_draws_nothing_of_the_callers() -> None:
    """Its order is the caller's seed's, whose stream stays where it is."""
    torch.manual_seed(3)
    state = torch.get_rng_state()
    split = dataset_of(DataLoader(TensorDataset(X, Y), shuffle=True)).test
    assert torch.equal(torch.get_rng_state(), state)
    assert sorted(split.labels.tolist()) == sorted(Y.tolist())


def test_a_tensor_of_inference_mode_is_copied() -> None:
    """Gradients cannot pass through it."""
    with torch.inference_mode():
        x = X + 0
    assert not split_of(x, Y).images.is_inference()


@pytest.mark.parametrize("beyond", [1e-7, 1.2e-7, 5e-6, 9e-5])
def test_rounding_is_clipped_and_said(beyond: float, capsys) -> None:
    """On both sides of the box."""
    x = X.clone()
    x[0, 0, 0, 0], x[1, 0, 0, 0] = 1 + beyond, -beyond
    split = split_of(x, Y)
    assert split.images.max() == 1
    assert split.images.min() == 0
    assert "they are clipped to [0, 1]" in capsys.readouterr().err


def test_nothing_is_said_of_pixels_in_the_box(capsys) -> None:
    """Borders included."""
    x = X.clone()
    x[0, 0, 0, 0], x[1, 0, 0, 0] = 1, 0
    split_of(x, Y)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (X[0], "needs images"),
        (X[:0], "needs images"),
        (X.permute(0, 2, 3, 1), r"channels last .*x.permute\(0, 3, 1, 2\)"),
        ((X * 255).to(torch.uint8), "pixels of type uint8 .* divide by 255"),
        (X * 255, "spans .* .* .needs pixels in .*divide by 255"),
        ((X - 0.5) / 0.25, "spans .*normalisation belongs into the network"),
        (X + 0.01, "needs pixels in"),
        (X.where(X > 0.1, torch.nan), "spans nan to nan"),
        (X.where(X > 0.1, torch.inf), "to inf"),
        (X.to(torch.complex64), "pixels of type complex64"),
        ("images", "x is a str"),
        (np.array([None]), "x is a ndarray of object"),
        (X.to_sparse(), "x is a tensor that is sparse"),
        (X.to("meta"), "x is a tensor that is .* has no values"),
        (X[:, 0], r"shape \(6, 4, 4\) .*x\[:, None\] adds one channel"),
        ((X * 255).byte().numpy().transpose(0, 2, 3, 1), r"channels last .*np.moveaxis\(x, 3, 1\)"),
        ([Image.new("RGB", (4, 4))] * 6, "images of Pillow .*ToTensor"),
    ],
)
def test_what_are_no_images_is_named(x, message: str) -> None:
    """In one line, with the way out."""
    with pytest.raises(RbmixError, match=message) as error:
        split_of(x, Y)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (torch.where(Y == 1, -1, Y), "labels from -1 to 2 .*leave out images without a label"),
        (torch.nn.functional.one_hot(Y), r"shape \(6, 3\).*y.argmax\(1\)"),
        (Y[:, None], r"shape \(6, 1\) .needs one label per image"),
        (Y[:4], "needs one label per image"),
        (Y.float(), r"labels of type float32 .*y.long\(\)"),
        (Y.double().numpy() + 0.5, "labels of type float64"),
        (None, "y is a NoneType|labels of type"),
        (["cat"] * 6, "y is a list of <U3 .needs a tensor or an array of numbers"),
        (torch.full((6,), 10**12), "y has labels up to 1,000,000,000,000 .allowed: 0 to 999,999"),
        (np.full(6, 2**64 - 1, "uint64"), "y has labels up to 18,446,744,073,709,551,615"),
        (Y[:, None], r"use y\[:, 0\]"),
    ],
)
def test_what_are_no_labels_is_named(y, message: str) -> None:
    """In one line, with the way out."""
    with pytest.raises(RbmixError, match=message) as error:
        split_of(X, y)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (X, "data is a Tensor"),
        ((X,), "data is a tuple of 1"),
        ((X, Y, Y), "data is a tuple of 3"),
        ((), "data is a tuple of nothing"),
        ([(X, Y)], "data is a list of 1"),
        ({"x": X, "y": Y}, "data is a dict of x, y"),
        ({}, "data is a dict of"),
        (Pairs(lambda x, y: (Image.new("L", (4, 4)), y)), "images of Pillow .*ToTensor"),
        (Pairs(lambda x, y: (x[0], y)), r"x has shape \(6, 4, 4\) .*adds one channel"),
        (Pairs(lambda x, y: (x, "cat")), "y is a str"),
        (3, "data is a int"),
        (None, "data is a NoneType"),
        (DataLoader(X), "data gives items of type Tensor"),
        (iter([]), "without images"),
        (iter([(X, Y), (torch.rand(2, 3, 5, 5), Y[:2])]), "images of different shapes"),
        (Pairs(lambda x, y: {"picture": x, "label": y}), "mappings with picture, label"),
        (
            {"train": (X, Y), "test": (X[:, :1], Y)},
            r"images \(3, 4, 4\) to train on and \(1, 4, 4\) to test",
        ),
    ],
)
def test_what_is_no_data_is_named(given, message: str) -> None:
    """In one line."""
    with pytest.raises(RbmixError, match=message) as error:
        dataset_of(given)
    assert "\n" not in str(error.value)


def test_a_data_set_is_checked_too() -> None:
    """And returned as it is."""
    good = Split(X, Y, torch.arange(6), 1)
    dataset = Dataset("own", ("a", "b", "c"), good, good)
    assert dataset_of(dataset) is dataset
    for wrong in (Split(X, Y - 1, torch.arange(6), 1), Split(X * 9, Y, torch.arange(6), 1)):
        with pytest.raises(RbmixError, match="needs"):
            dataset_of(Dataset("own", ("a", "b", "c"), wrong, wrong))
