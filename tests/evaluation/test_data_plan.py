"""The plan of the data: its name, and the number of images."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from robustbench_mix.data.dataset import Dataset, Split
from robustbench_mix.data.loaders import load
from robustbench_mix.evaluation.data_plan import DataPlan

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("name", ["tiny", "digits"])
def test_a_folder_is_named_as_its_data_set_is(write_folder, home: Path, name: str) -> None:
    """Before it is read; never like a data set of rbmix."""
    folder = write_folder(name)
    assert DataPlan(str(folder)).name == load(str(folder)).name
    assert DataPlan(str(folder)).name != "digits"


def test_how_many_images() -> None:
    """As many as was asked for, else the usual number."""
    split = Split(torch.zeros(3, 1, 2, 2), torch.zeros(3).long(), torch.arange(3), 1)
    own = Dataset("own", ("0",), split, split)
    counts = [
        DataPlan(*words).count for words in (("digits",), ("digits", 7), ("cifar10",), (own,))
    ]
    assert counts == [40, 7, 1000, 1000]
