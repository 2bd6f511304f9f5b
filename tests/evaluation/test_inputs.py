"""The images of a plan, and the device."""

from __future__ import annotations

import pytest
import torch

from robustbench_mix.data.dataset import Dataset, Split
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.data_plan import DataPlan
from robustbench_mix.evaluation.inputs import load_inputs
from robustbench_mix.evaluation.plan import Plan


@pytest.fixture
def dataset() -> Dataset:
    """Twelve images of three classes."""
    images = torch.zeros(12, 1, 2, 2, dtype=torch.uint8)
    split = Split(images, torch.arange(12) // 4, torch.arange(12), 255)
    return Dataset("tiny", ("a", "b", "c"), split, split)


def test_a_data_set_that_is_there_is_taken_as_it_is(dataset: Dataset) -> None:
    """Of its test images as many as were asked for, balanced over the classes, once."""
    inputs = load_inputs(Plan(data=DataPlan(dataset, 6), device="cpu"))
    assert inputs.dataset is dataset
    assert inputs.device == torch.device("cpu")
    assert torch.bincount(inputs.split.labels).tolist() == [2, 2, 2]
    assert inputs.split is inputs.split


def test_more_than_there_are_is_all(dataset: Dataset, capsys) -> None:
    """Also where nobody said how many; who asks for more is told."""
    for count, said in ((99, "tiny has 12 test images, 99 were asked for: all are taken\n"),
                        (12, ""), (None, "")):  # fmt: skip
        assert len(load_inputs(Plan(data=DataPlan(dataset, count), device="cpu")).split) == 12
        assert capsys.readouterr().err == said


def test_a_word_is_loaded() -> None:
    """The usual number of digits is 40."""
    inputs = load_inputs(Plan(data=DataPlan("digits"), device="cpu"))
    assert inputs.dataset.name == "digits"
    assert torch.bincount(inputs.split.labels).tolist() == [4] * 10


def test_a_device_that_is_not_there(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is named before any data is read."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RbmixError, match="device 'cuda': PyTorch finds no NVIDIA GPU"):
        load_inputs(Plan(data=DataPlan("cifar100"), device="cuda"))
