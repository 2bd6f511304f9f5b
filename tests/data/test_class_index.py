"""Which output each class is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from robustbench_mix.data import class_index
from robustbench_mix.data.dataset import Dataset, Split
from robustbench_mix.errors import RbmixError

NUMBERED = tuple(sorted(str(i) for i in range(12)))  # the order of text: 0, 1, 10, 11, 2, ...


def dataset(*classes: str) -> Dataset:
    """A data set with one black image of each class."""
    n = len(classes)
    images = torch.zeros(n, 1, 2, 2, dtype=torch.uint8)
    split = Split(images, torch.arange(n), torch.arange(n), grey_levels=255)
    return Dataset("some", classes, split, split)


def labels(data: Dataset, path: Path, content: object) -> list[int]:
    """The labels of the data set after a file with this content."""
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    found = class_index.apply(data, str(path))
    assert torch.equal(found.train.labels, found.test.labels)
    return found.test.labels.tolist()


@pytest.mark.parametrize(
    "content",
    [
        [str(i) for i in range(12)],
        "# in their order\n" + "".join(f"{i}\n" for i in range(12)),
        {str(i): i for i in range(12)},
        {str(i): str(i) for i in range(12)},
        {"id2label": {str(i): str(i) for i in range(12)}, "hidden": 3},
        "".join(f"{i}\n" for i in range(12)),
        "".join(f"{i} {i}\n" for i in range(12)),
        "\ufeff" + "".join(f"{i}\r\n" for i in range(12)),
    ],
)
def test_numeric_names_in_the_order_of_numbers(tmp_path: Path, content: object) -> None:
    """JSON and text, as lists and as pairs."""
    found = labels(dataset(*NUMBERED), tmp_path / "index", content)
    assert found == [int(name) for name in NUMBERED]


@pytest.mark.parametrize(
    "content",
    [
        {"cat": 281, "dog": 207, "owl": 24},
        {"207": ["n02099601", "dog"], "281": ["n02123045", "cat"], "24": ["n01622779", "owl"]},
        {"24": "owl", "281": "cat", "207": "dog"},
        "cat 281\ndog 207\nowl 24\n",
        "281\tcat\n207\tdog\n24\towl\n",
        "281: cat, tabby\n207: dog, retriever\n24: owl\n",
        "cat,281\ndog,207\nowl,24\n",
        "class,index\ncat,281\ndog,207\nowl,24\n",
        "# of ImageNet\nlabel name\n281 cat\n\n# a dog\n207 dog\n24 owl\n",
        "".join({24: "owl\n", 207: "dog\n", 281: "cat\n"}.get(i, f"x{i}\n") for i in range(1000)),
        "".join(
            {24: "owl big\n", 207: "dog, hound\n", 281: "cat\n"}.get(i, f"x{i}\n")
            for i in range(1000)
        ),
    ],
)
def test_a_few_of_a_thousand_outputs(tmp_path: Path, content: object) -> None:
    """Objects, pairs, and lists of all outputs with names or first words."""
    assert labels(dataset("cat", "dog", "owl"), tmp_path / "index", content) == [281, 207, 24]


def test_numbers_with_gaps() -> None:
    """Classes that are named by their outputs."""
    found = class_index.apply(dataset("0", "2", "5"), "numbers")
    assert found.test.labels.tolist() == [0, 2, 5]
    assert found.classes == ("0", "", "2", "", "", "5")
    assert found.labels_are_outputs
    with pytest.raises(RbmixError, match="exactly one output to class 'cat'"):
        class_index.apply(dataset("cat", "1"), "numbers")


def test_a_list_says_how_many_outputs_there_are(tmp_path: Path, capsys) -> None:
    """An object does not: the network may have more. The outputs are said in one line."""
    path = tmp_path / "index.json"
    path.write_text('["owl", "cat", "dog"]')
    found = class_index.apply(dataset("cat", "dog", "owl"), str(path))
    assert (found.classes, found.labels_are_outputs) == (("owl", "cat", "dog"), False)
    said = capsys.readouterr().err
    assert said == f"class index {path}: outputs cat = 1, dog = 2, owl = 0\n"
    path.write_text('{"cat": 1, "dog": 1, "owl": 0}')  # two folders of one class
    found = class_index.apply(dataset("cat", "dog", "owl"), str(path))
    assert found.labels_are_outputs
    assert found.test.labels.tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('["cat", "dog"]', "exactly one output to class 'owl'"),
        ('["cat", "dog", "owl", "cat"]', "exactly one output to class 'cat'"),
        ('{"cat": -1, "dog": 1, "owl": 2}', "numbers from 0 to 1,000,000"),
        ('{"cat": 0.5}', "neither a list of classes nor"),
        ("[[1, 2]]", "not named by a text"),
        ("[" * 10_000, "cannot be read"),
        ('{"cat": 1, "cat": 2}', "occurs twice"),
        ("", "exactly one output to class 'cat', 'dog', 'owl'"),
        ("3\n", "exactly one output to class 'cat', 'dog', 'owl'"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, content: str, said: str) -> None:
    """In one line that names the class or the value."""
    with pytest.raises(RbmixError, match=said):
        labels(dataset("cat", "dog", "owl"), tmp_path / "index", content)


def test_two_ways_to_read_a_text(tmp_path: Path) -> None:
    """Numbers of classes and of outputs cannot be told apart where all are numbers."""
    with pytest.raises(RbmixError, match="two ways"):
        labels(dataset("0", "1"), tmp_path / "index", "1 0\n2 1\n0 2\n")


def test_the_data_set_is_another_one_afterwards(tmp_path: Path) -> None:
    """Its hash says so, because it covers the labels."""
    data = dataset("cat", "dog")
    (tmp_path / "index").write_text("dog\ncat\n")
    found = class_index.apply(data, str(tmp_path / "index"))
    assert found.test.hash != data.test.hash
    assert replace(found.test, labels=data.test.labels).hash == data.test.hash
