"""Data sets of Hugging Face: a double of the same shape, and the library where it is installed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from robustbench_mix.data.hugging_face import is_hugging_face
from robustbench_mix.data.tensors import dataset_of
from robustbench_mix.errors import RbmixError


class Image:
    """The feature of a column with images."""


class Value:
    """The feature of a column with numbers or texts."""


@dataclass
class ClassLabel:
    """The feature of a column with classes."""

    names: list[str]


@dataclass
class Table:
    """A data set with the surface of the library's that is used: features, columns, iteration."""

    features: dict
    rows: list[dict]
    column_names: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: int) -> dict:
        return self.rows[at]


GREYS = np.arange(6 * 16, dtype=np.uint8).reshape(6, 4, 4) * 2
LABELS = [0, 1, 2, 0, 1, 2]
CLASSES = ["cat", "dog", "owl"]


def table(pictures, image: str = "image", label: str = "label", **more) -> Table:
    """A data set of these images and `LABELS`."""
    rows = [{image: one, label: y, **more} for one, y in zip(pictures, LABELS, strict=True)]
    return Table({image: Image(), label: ClassLabel(CLASSES)}, rows)


def greys() -> list[Pillow.Image]:
    """Six grey images."""
    return [Pillow.fromarray(one) for one in GREYS]


@pytest.mark.parametrize(
    ("image", "label"), [("image", "label"), ("img", "fine_label"), ("picture", "animal")]
)
def test_columns_are_found(image: str, label: str) -> None:
    """By their name, or by what they hold; the names of the classes are known."""
    found = dataset_of(table(greys(), image, label, coarse_label=7))
    assert found.classes == tuple(CLASSES)
    assert torch.equal(found.test.images, torch.from_numpy(GREYS)[:, None].float() / 255)
    assert found.test.labels.tolist() == LABELS
    assert found.labels_are_outputs


def test_colour_stays_and_greys_join_it() -> None:
    """Grey images alone have one channel, among others three; alpha is left out, and said."""
    colours = [Pillow.fromarray(np.stack([one, one, one * 0], axis=2)) for one in GREYS]
    found = dataset_of(table(colours)).test.images
    assert found.shape == (6, 3, 4, 4)
    assert torch.equal(found[:, 1] * 255, torch.from_numpy(GREYS).float())
    mixed = [*greys()[:3], *(one.convert("RGBA") for one in colours[3:])]
    images = dataset_of(table(mixed)).test.images
    assert torch.equal(images[0], images[0, :1].expand(3, -1, -1))
    assert torch.equal(images[4], found[4])


def test_a_transform_of_the_users_is_kept() -> None:
    """Its tensors are checked as all others are."""
    x = torch.rand(6, 3, 4, 4)
    rows = [{"pixel_values": one, "label": y} for one, y in zip(x, LABELS, strict=True)]
    made = Table({"image": Image(), "label": ClassLabel(CLASSES)}, rows)
    assert torch.equal(dataset_of(made).test.images, x)
    for wrong, message in ((x - 0.5, "normalisation belongs"), ((x * 255).byte(), "divide by 255")):
        with pytest.raises(RbmixError, match=message):
            dataset_of(table(wrong))


def test_parts_are_kept_apart() -> None:
    """With both, the first is there to train on; with others, one has to be chosen."""
    one = table(greys())
    both = dataset_of({"train": one, "test": table(greys()[::-1]), "extra": None})
    assert torch.equal(both.train.images, both.test.images.flip(0))
    assert both.classes == tuple(CLASSES)
    with pytest.raises(RbmixError, match=r"of validation .*data\['validation'\]"):
        dataset_of({"validation": one})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Table({}, [{"a": 1, "label": 2}]), r"columns a, label .*rename_column\('a', 'image'\)"),
        (
            Table({"u": ClassLabel(["a"]), "v": ClassLabel(["a"])}, [{"image": 1, "u": 0, "v": 0}]),
            r"columns image, u, v .*rename_column\('u', 'label'\)",
        ),
        (Table({}, []), "without images"),
        (Table({}, [{"image": greys()[0], "label": "cat"}]), "y is a str"),
        (Table({}, [{"image": greys()[0], "label": -1}]), "labels from -1"),
        (table([*greys()[:5], Pillow.new("L", (5, 5))]), "different shapes.*resize"),
        (table([Pillow.new("F", (4, 4))] * 6), "cannot decode an image of data"),
        (
            Table({"label": ClassLabel(["a"])}, [{"image": greys()[0], "label": 2}]),
            "labels up to 2, but data has 1 names",
        ),
    ],
)
def test_what_cannot_be_read_is_one_line(given: Table, message: str) -> None:
    """With the way out."""
    with pytest.raises(RbmixError, match=message) as error:
        dataset_of(given)
    assert "\n" not in str(error.value)


def test_other_data_are_not_of_this_kind() -> None:
    """Tensors, and data sets of PyTorch."""
    assert is_hugging_face(table(greys()))
    assert not is_hugging_face(torch.zeros(1))
    assert not is_hugging_face(torch.utils.data.TensorDataset(torch.zeros(1)))


@pytest.mark.default
def test_the_library_gives_the_same() -> None:
    """Its data set, its dictionary of parts, a stream, and a transform."""
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"img": datasets.Image(), "animal": datasets.ClassLabel(names=CLASSES)}
    )
    made = datasets.Dataset.from_dict({"img": greys(), "animal": LABELS}, features=features)
    want = dataset_of(table(greys()))
    for given in (made, made.to_iterable_dataset()):
        found = dataset_of(given)
        assert torch.equal(found.test.images, want.test.images)
        assert found.test.labels.tolist() == LABELS
        assert found.classes == want.classes
    parts = datasets.DatasetDict({"train": made.select(range(4)), "test": made})
    assert len(dataset_of(parts).train) == 4
    shown = made.with_transform(
        lambda rows: {"pixel_values": [torch.zeros(1, 4, 4) for _ in rows["img"]],
                      "label": rows["animal"]}
    )  # fmt: skip
    assert not dataset_of(shown).test.images.any()
