"""What makes a run this run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from msgspec import structs

from robustbench_mix.attacks.voting import DRAWS
from robustbench_mix.config.training import Adversarial, recipe_for
from robustbench_mix.data.dataset import Dataset, Split
from robustbench_mix.evaluation.attack_plan import attack_plan
from robustbench_mix.evaluation.identity import (
    Label,
    are_of_one_run,
    differences,
    header_of,
    network_fields,
    path_of,
    read_finished,
)
from robustbench_mix.evaluation.inputs import Inputs
from robustbench_mix.models.checkpoint import CheckpointHeader
from robustbench_mix.results import records
from robustbench_mix.results.headers import RunIdentity

CPU = torch.device("cpu")
LABEL = Label("resnet14", "frozen", "learned", 3)


@pytest.fixture
def inputs() -> Inputs:
    """Four of six images."""
    images = torch.zeros(6, 1, 2, 2, dtype=torch.uint8)
    split = Split(images, torch.arange(6) % 2, torch.arange(6), 255)
    return Inputs(Dataset("tiny", ("a", "b"), split, split), 4, CPU)


def test_a_header_says_all_that_decides(inputs: Inputs) -> None:
    """The model, the images and the attack."""
    plan = attack_plan("pgd", eps=["1/255", "2/255"])
    header = header_of(LABEL, CheckpointHeader(), "w", inputs, plan, 16)
    assert (header.model, header.spatial, header.channel, header.seed) == (
        "resnet14", "frozen", "learned", 3,
    )  # fmt: skip
    assert (header.dataset, header.n, header.data_hash) == ("tiny", 4, inputs.split.hash)
    assert (header.protocol, header.norm, header.eps) == ("pgd", "linf", ["1/255", "2/255"])
    assert (header.protocol_hash, header.checkpoint_hash) == (plan.protocol.hash, "w")
    assert (header.backend, header.batch_size, header.randomised) == ("fast", 16, None)
    assert header.precision is None
    drawing = header_of(
        LABEL, CheckpointHeader(), "w", inputs, attack_plan("pgd", randomised=True), 16
    )
    assert (drawing.backend, drawing.randomised) == ("reference, randomised", DRAWS)


def test_how_it_was_trained_is_its_checkpoints() -> None:
    """Nothing where there is none."""
    bare = network_fields(LABEL, CheckpointHeader(), CPU)
    names = ("weights", "train_examples", "epochs", "adversarial")
    assert [bare[name] for name in names] == [None, None, None, ""]
    recipe = replace(recipe_for("resnet14", "digits"), adversarial=Adversarial("2/16"))
    header = CheckpointHeader(recipe=recipe, train_examples=100, weights="v1")
    trained = network_fields(LABEL, header, CPU)
    assert [trained[name] for name in names] == ["v1", 100, recipe.epochs, "2/16"]
    header = CheckpointHeader(recipe=replace(recipe, averaging=0.9995))
    assert network_fields(LABEL, header, CPU)["adversarial"] == "2/16, averaged 0.9995"


@pytest.mark.parametrize(
    "change",
    [{"checkpoint_hash": "x"}, {"data_hash": "x"}, {"batch_size": 9}, {"backend": "reference"},
     {"protocol_hash": "x"}, {"seed": 1}, {"model": "resnet20"}, {"dataset": "other"}],
)  # fmt: skip
def test_what_differs_lies_elsewhere(identity: RunIdentity, change: dict) -> None:
    """In a file of its own."""
    here = Path("results")
    assert path_of(structs.replace(identity, **change), here) != path_of(identity, here)


def test_versions_do_not_move_the_records(identity: RunIdentity) -> None:
    """What they gave is found and compared."""
    other = structs.replace(identity, commit="def", device="other", versions={"torch": "9"})
    assert path_of(other, Path("results")) == path_of(identity, Path("results"))


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"commit": "def"}, True),
        ({"weights": "the same under another name.pt"}, True),
        ({"device": "cpu (threads 4)"}, True),
        ({"device": "cuda"}, False),
        ({"versions": {"torch": "9"}}, False),
        ({"eps": ["1/255"]}, False),
        ({"n": 5}, False),
        ({"randomised": 10}, False),
    ],
)
def test_commit_and_threads_may_differ(identity: RunIdentity, change: dict, same: bool) -> None:
    """Nothing else may; what differs can be named."""
    other = structs.replace(identity, **change)
    assert are_of_one_run(other, identity) is same
    assert differences(other, identity) == ([] if same else list(change))


def test_a_finished_run_is_read(tmp_path: Path, make_run, identity: RunIdentity) -> None:
    """If it is this one; None where there is none."""
    path = tmp_path / "run.parquet"
    assert read_finished(path, identity) is None
    run = make_run([2] * 4)
    records.write(run, path)
    assert read_finished(path, identity).header == run.header
    assert read_finished(path, structs.replace(identity, device="cuda")) is None
