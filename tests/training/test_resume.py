"""The resume state of a training: what is kept, what is restored, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from robustbench_mix.errors import RbmixError
from robustbench_mix.runtime import progress
from robustbench_mix.training import resume
from robustbench_mix.training.averaging import copy_weights
from robustbench_mix.training.resume import ResumeState

CPU = torch.device("cpu")
SCALAR = torch.zeros(())
MADE_WITH = {"commit": "abc", "versions": {"torch": "2"}}


@pytest.fixture
def state(tmp_path: Path) -> ResumeState:
    """Of a training that was last saved long ago."""
    return ResumeState(tmp_path / "net.safetensors", MADE_WITH, saved_at=-1e9)


def training(seed: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A network and its optimizer after one step."""
    torch.manual_seed(seed)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return model, optimizer


def test_what_is_saved_is_restored(state: ResumeState) -> None:
    """Weights, momentum, epochs and seconds, into a fresh training of another start."""
    model, optimizer = training(1)
    state.save(model, optimizer, 3, 12.5)
    other, fresh = training(2)
    assert not torch.equal(other.weight, model.weight)
    assert state.restore(other, fresh, CPU, epochs=5) == (3, 12.5)
    assert torch.equal(other.weight, model.weight)
    moments = [one.state_dict()["state"][0]["momentum_buffer"] for one in (optimizer, fresh)]
    assert torch.equal(*moments)


def test_an_average_is_restored_too(state: ResumeState) -> None:
    """In place; a state of other weights, or without an average, is of another training."""
    model, optimizer = training(1)
    average = {name: tensor + 1 for name, tensor in copy_weights(model).items()}
    state.save(model, optimizer, 3, 12.5, average)
    other, fresh = training(2)
    restored = copy_weights(other)
    assert state.restore(other, fresh, CPU, 5, restored) == (3, 12.5)
    assert all(torch.equal(tensor, average[name]) for name, tensor in restored.items())
    for wrong_average in (None, {"weight": restored["weight"]}, {**restored, "bias": SCALAR}):
        with pytest.raises(RbmixError, match="another average of weights"):
            state.restore(other, fresh, CPU, 5, wrong_average)
    state.saved_at = -1e9
    state.save(model, optimizer, 3, 12.5)
    with pytest.raises(RbmixError, match="another average of weights"):
        state.restore(other, fresh, CPU, 5, restored)


def test_without_a_state_it_starts_at_the_beginning(state: ResumeState) -> None:
    """And the model stays as it is."""
    model, optimizer = training(1)
    before = model.weight.clone()
    assert state.restore(model, optimizer, CPU, epochs=5) == (0, 0.0)
    assert torch.equal(model.weight, before)


def test_it_is_saved_every_few_seconds(state: ResumeState, monkeypatch) -> None:
    """Not after every short epoch."""
    now = [1000.0]
    monkeypatch.setattr(resume.time, "monotonic", lambda: now[0])
    model, optimizer = training(1)
    state.save(model, optimizer, 1, 1.0)
    now[0] += resume.SAVE_EVERY_SECONDS - 1
    state.save(model, optimizer, 2, 2.0)
    assert state.restore(model, optimizer, CPU, epochs=5) == (1, 1.0)
    now[0] += 1
    state.save(model, optimizer, 3, 3.0)
    assert state.restore(model, optimizer, CPU, epochs=5) == (3, 3.0)


def test_a_state_of_other_versions_starts_over(state: ResumeState, capsys) -> None:
    """And says so."""
    progress.set_quiet(False)
    model, optimizer = training(1)
    state.save(model, optimizer, 3, 12.5)
    other = ResumeState(state.result, {**MADE_WITH, "commit": "def"})
    assert other.restore(model, optimizer, CPU, epochs=5) == (0, 0.0)
    assert "made with other versions or on another device" in capsys.readouterr().err


def wrong(path: Path, **changes: object) -> None:
    """Change what is in a state."""
    torch.save({**torch.load(path, weights_only=True), **changes}, path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": 5}, "5 of 5 epochs"),
        ({"epoch": 0}, "0 of 5 epochs"),
        ({"epoch": True}, "True of 5 epochs"),
        ({"seconds": float("nan")}, "in nan seconds"),
        ({"seconds": -1.0}, "in -1.0 seconds"),
        ({"optimizer": {}}, "param_groups"),
        ({"model": {}}, "Error.* in loading state_dict"),
        ({"model": None}, "state_dict"),
    ],
)
def test_a_state_that_no_training_left(state: ResumeState, changes: dict, message: str) -> None:
    """Is damaged, with what is odd and what to do."""
    model, optimizer = training(1)
    state.save(model, optimizer, 3, 12.5)
    wrong(state.path, **changes)
    with pytest.raises(RbmixError, match=rf"unfinished.pt is damaged; delete it \(.*{message}"):
        state.restore(model, optimizer, CPU, epochs=5)


def test_an_optimizer_of_another_training(state: ResumeState) -> None:
    """Other settings, a learning rate that is none, and moments that fit no parameter."""
    model, optimizer = training(1)
    state.save(model, optimizer, 3, 12.5)
    good = optimizer.state_dict()
    (group,) = good["param_groups"]
    moments = {0: {"momentum_buffer": torch.zeros(7)}}
    for change, message in (
        ({"param_groups": [{**group, "momentum": 0.5}]}, "another optimizer"),
        ({"param_groups": [{**group, "lr": -1.0}]}, "no learning rate"),
        ({"param_groups": []}, r"zip\(\)"),
        ({"state": moments}, "momentum_buffer of another shape"),
    ):
        wrong(state.path, optimizer={**good, **change})
        with pytest.raises(RbmixError, match=message):
            state.restore(model, optimizer, CPU, epochs=5)


def test_no_state_runs_code(state: ResumeState) -> None:
    """A pickle of anything but tensors and plain values is refused."""
    torch.save({"made_with": Path("x")}, state.path)
    model, optimizer = training(1)
    with pytest.raises(RbmixError, match="is damaged"):
        state.restore(model, optimizer, CPU, epochs=5)


def test_states_are_found_and_deleted(state: ResumeState) -> None:
    """Of trainings and of attacks; deleting what is not there is no error."""
    assert not resume.has_resume_state(state.result)
    model, optimizer = training(1)
    state.save(model, optimizer, 1, 1.0)
    assert resume.has_resume_state(state.result)
    for _ in range(2):
        resume.delete_resume_state(state.result)
        assert not resume.has_resume_state(state.result)
    state.result.with_suffix(resume.ATTACK_SUFFIX).write_text("{}")
    assert resume.has_resume_state(state.result)
