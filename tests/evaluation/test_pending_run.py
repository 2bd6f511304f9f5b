"""A run that is still to be made: made once, in one go, in shards, or where it was stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from msgspec import structs

from robustbench_mix.data.dataset import Dataset
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation import pending_run as module
from robustbench_mix.evaluation import resume
from robustbench_mix.evaluation.attack_plan import attack_plan
from robustbench_mix.evaluation.identity import Label
from robustbench_mix.evaluation.inputs import Inputs
from robustbench_mix.evaluation.pending_run import (
    PendingRun,
    make_run,
    make_shard,
    pending_run,
    read_finished_run,
)
from robustbench_mix.evaluation.resume import Saver, Shard
from robustbench_mix.models.checkpoint import CheckpointHeader
from robustbench_mix.results import records
from robustbench_mix.training.load_or_train import TrainedModel

CPU = torch.device("cpu")
LABEL = Label("linear", "external", "external", 0)

pytestmark = pytest.mark.usefixtures("home", "unexamined")


@pytest.fixture
def pending(linear_case: Callable, tmp_path: Path) -> Callable[[], PendingRun]:
    """A function: FGSM on a linear network and sixteen images."""
    model, split = linear_case(4)
    dataset = Dataset("tiny", tuple("abcd"), split, split)

    def make() -> PendingRun:
        attack = attack_plan("fgsm", eps=["1/255", "4/255"])
        trained = TrainedModel(model, Path(), CheckpointHeader(test_accuracy=0.5), 0.0)
        return pending_run(
            LABEL, trained, Inputs(dataset, 16, CPU), attack, tmp_path / "results", batch_size=16
        )

    return make


def test_a_run_is_made_once(pending: Callable, capsys) -> None:
    """The second time it is read, unless it is asked to be fresh; the bytes are the same."""
    one = pending()
    assert read_finished_run(one.header, one.results) is None
    run, was_there = make_run(one)
    assert not was_there
    made = one.path.read_bytes()
    again, was_there = make_run(one)
    assert was_there
    assert again.header == run.header
    assert "already evaluated" in capsys.readouterr().err
    assert not make_run(one, fresh=True)[1]
    assert one.path.read_bytes() == made
    assert read_finished_run(one.header, one.results).header == run.header
    assert not resume.has_resume_state(one.path)


def test_weights_under_another_name_are_the_same_weights(pending: Callable, capsys) -> None:
    """Their hash tells; what really differs is named, and the earlier records are kept."""
    one = pending()
    make_run(one)
    assert make_run(replace(one, header=structs.replace(one.header, weights="again.pt")))[1]
    older = structs.replace(one.header, versions={"torch": "1"})
    capsys.readouterr()
    assert not make_run(replace(one, header=older))[1]
    said = capsys.readouterr().err
    assert f"{one.path} is of another run (other versions): attacking again" in said
    assert "the earlier records are kept as" in said


def test_what_is_found_is_in_the_header(pending: Callable) -> None:
    """Passes, conclusions, and what the network is like; nothing that is not."""
    run, _ = make_run(pending())
    assert set(run.header.passes) == {"fgsm"}
    assert run.header.diagnostics.trained_accuracy == 0.5
    assert (run.header.audit, run.header.smallest_batch) == (None, None)
    assert run.table["correct"].all()


def test_shards_give_the_records_of_the_whole(pending: Callable) -> None:
    """Whichever is made first; a shard that is there is not made again."""
    one = pending()
    whole, _ = make_run(one)
    one.path.unlink()
    for number in (3, 1, 2):
        make_shard(one, Shard(number, 3))
    kept = Shard(1, 3).path(one.path)
    before = kept.stat().st_mtime_ns
    make_shard(one, Shard(1, 3))
    assert kept.stat().st_mtime_ns == before
    joined, was_there = make_run(one)
    assert not was_there
    assert joined.header == whole.header
    # Margins may differ by the rounding of other batches.
    pd.testing.assert_frame_equal(joined.table, whole.table, rtol=1e-5)
    assert not resume.has_resume_state(one.path)


def test_records_without_diagnostics_get_them(pending: Callable) -> None:
    """And are not called finished before."""
    one = pending()
    run, _ = make_run(one)
    whole = one.path.read_bytes()
    older = structs.replace(run.header, diagnostics=None)
    records.write(type(run)(older, run.table, run.date, run.time_seconds), one.path)
    assert read_finished_run(one.header, one.results) is None
    assert make_run(one)[1]
    assert one.path.read_bytes() == whole


def test_an_interruption_keeps_the_state(pending: Callable, monkeypatch, capsys) -> None:
    """From which it goes on to the same records."""
    one = pending()
    make_run(one)
    whole = one.path.read_bytes()
    one.path.unlink()
    call = Saver.__call__

    def stop(saver: Saver, state) -> None:
        call(saver, state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module.Saver, "__call__", stop)
        with pytest.raises(KeyboardInterrupt):
            make_run(one)
    assert resume.has_resume_state(one.path)
    make_run(one)
    assert "continuing the unfinished run" in capsys.readouterr().err
    assert one.path.read_bytes() == whole


def test_a_network_that_draws_must_be_announced(pending: Callable, monkeypatch) -> None:
    """Nothing is attacked or written otherwise, also of a part."""
    one = pending()
    found = structs.replace(module._measure(one), unrepeatable=0.5)
    monkeypatch.setattr(module, "_measure", lambda _: found)
    for make in (make_run, lambda run: make_shard(run, Shard(1, 2))):
        with pytest.raises(RbmixError, match="--randomised"):
            make(one)
    assert not list(one.results.rglob("*.parquet"))


def test_labels_that_the_network_does_not_have(pending: Callable, linear_case, tmp_path) -> None:
    """Are refused before there is a run."""
    _, split = linear_case(4)
    model, _ = linear_case(2)
    inputs = Inputs(Dataset("tiny", tuple("abcd"), split, split), 16, CPU)
    trained = TrainedModel(model, Path(), CheckpointHeader(), 0.0)
    with pytest.raises(RbmixError, match="has 2 classes, but the data set has labels up to 3"):
        pending_run(LABEL, trained, inputs, attack_plan("fgsm"), tmp_path, batch_size=4)
