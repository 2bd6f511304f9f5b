"""The pictures of the report."""

from __future__ import annotations

import base64
import io

import numpy as np
from measured import make_transfer, make_unshuffling
from PIL import Image

from robustbench_mix.claims.report import pictures
from robustbench_mix.results import probes


def transfer(labels: list[int], **header):
    """A transfer whose first images have pictures, of these classes."""
    rest = [None] * (4 - len(labels))
    clean = np.full(6, 0.5, np.float32)
    columns: dict[str, list] = {
        name: [(clean + 0.1 * (name != "clean")).astype(np.float32).tobytes()] * len(labels) + rest
        for name in probes.PIXELS
    }
    columns |= {
        name: [1 - at for at in labels] + rest
        for name in probes.PICTURES
        if name.startswith("says")
    }
    return make_transfer({**columns, "label": labels + rest}, **header)


def pixels(uri: str) -> np.ndarray:
    """The pixels of a picture in the page."""
    data = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)))


def test_one_image_of_each_class_comes_first() -> None:
    """By class, with its number, what it is taken for, and what was added, around grey."""
    (group,) = pictures.groups([transfer([1, 0, 1])])
    assert [(one.image, one.label) for one in group.first] == [(10, "a"), (0, "b")]
    assert [(one.image, one.label) for one in group.more] == [(20, "b")]
    example = group.first[0]
    assert example.says == ["a", "a"]
    assert [view.made for view in example.views] == ["learned", "frozen"]
    view = example.views[0]
    assert view.says == ["b", "b"]
    assert view.norm == "25.50/255"
    assert pixels(example.clean).shape == (2, 3, 3)
    assert (pixels(example.clean) == 128).all()
    assert (pixels(view.perturbed) == 153).all()
    assert (pixels(view.difference) == 254).all()


def test_the_pair_with_most_classes_is_shown() -> None:
    """Then the frozen twin, then the first seed; one for each network."""
    many = transfer([0, 1], spatial="box", seed=3)
    found = pictures.groups([transfer([0]), many, transfer([0, 1], model="resnet20")])
    assert [group.transfer.header.model for group in found] == ["resnet14", "resnet20"]
    assert found[0].transfer is many
    alike = [transfer([0], spatial="box"), transfer([0], seed=1), transfer([0], seed=0)]
    (group,) = pictures.groups(alike)
    assert group.transfer is alike[2]
    assert pictures.groups([]) == []


def test_un_shuffled_images_are_in_one_sheet() -> None:
    """Named by what its rows show."""
    pair = [make_unshuffling(), make_unshuffling(spatial="frozen")]
    (sheet,) = pictures.sheets(pair)
    assert sheet.rows == "original, shuffled, learned, frozen"
    assert " dB" in sheet.title
    assert pixels(sheet.picture).ndim == 3
