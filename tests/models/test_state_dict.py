"""Weights from any file: what fits is loaded, what does not is listed, code is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from robustbench_mix.config.weights import WeightsFile
from robustbench_mix.errors import RbmixError
from robustbench_mix.models import state_dict
from robustbench_mix.models.checkpoint import weights_hash


def net(width: int = 3) -> nn.Module:
    """A small module with parameters and buffers."""
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))


def misfits(model: nn.Module, path: Path) -> tuple[str, tuple[str, ...]]:
    """The summary and the list of what does not fit."""
    with pytest.raises(RbmixError, match="do not fit the model") as error:
        state_dict.load(model, path)
    return str(error.value), error.value.details


def test_misfits_are_listed_one_a_line(tmp_path: Path) -> None:
    """Missing, unexpected and misshapen weights are all said, with their shapes."""
    path = tmp_path / "a.safetensors"
    save_file({"0.weight": torch.zeros(3, 2), "0.bias": torch.zeros(4), "x": torch.zeros(1)}, path)
    model = net()
    before = weights_hash(model)
    summary, details = misfits(model, path)
    assert "6 differ in name or shape" in summary
    assert details == (
        "missing: 1.weight, (3,)",
        "missing: 1.bias, (3,)",
        "missing: 1.running_mean, (3,)",
        "missing: 1.running_var, (3,)",
        "unexpected: x, (1,)",
        "shape: 0.bias is (4,), the model needs (3,)",
    )
    assert weights_hash(model) == before


def test_a_long_list_is_cut(tmp_path: Path) -> None:
    """Of many misfits the first are named and the others counted."""
    path = tmp_path / "a.safetensors"
    save_file({f"w{i}": torch.zeros(1) for i in range(100)}, path)
    _, details = misfits(nn.Linear(1, 1), path)
    assert len(details) == state_dict.MAX_LISTED + 1
    assert details[-1] == f"and {102 - state_dict.MAX_LISTED} more"


def test_another_head_is_answered_with_the_option(tmp_path: Path) -> None:
    """A file that differs in the number of outputs alone says what builds so many."""
    path = tmp_path / "a.safetensors"
    save_file(nn.Linear(2, 7).state_dict(), path)
    summary, details = misfits(nn.Linear(2, 3), path)
    assert "--classes 7 builds it" in summary
    assert "--class-index FILE then says which of them each class is" in summary
    assert len(details) == 2
    assert "--classes" not in misfits(nn.Linear(4, 3), path)[0]
    assert "--classes" not in misfits(nn.Linear(2, 9), path)[0]  # fewer can never be right


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "epoch": 3},
        lambda s: {"model": s, "optimizer": {"lr": 0.1}},
        lambda s: {"model": {"state_dict": s}},
        lambda s: {f"module.{name}": tensor for name, tensor in s.items()},
        lambda s: {f"_orig_mod.module.{name}": tensor for name, tensor in s.items()},
        lambda s: {"state_dict": {f"model._orig_mod.{name}": t for name, t in s.items()}},
        lambda s: {"n_averaged": torch.tensor(9), **{f"module.{n}": t for n, t in s.items()}},
        lambda s: {name: t for name, t in s.items() if "num_batches" not in name},
        lambda s: {"model_state": s, "optim": {"lr": 0.1}},
        lambda s: {"epoch": 3, **s},
        lambda s: {"ema": s},
        lambda s: {"module": s, "optimizer": None, "ds_version": "1"},
        lambda s: {f"_fsdp_wrapped_module.{name}": t for name, t in s.items()},
        lambda s: {"generator": {"g.weight": torch.zeros(2)}, "discriminator": s},
        lambda s: {"a": {"b": {f"encoder.net.{name}": t for name, t in s.items()}}},
        lambda s: {name.replace(".", ".module.", 1): t for name, t in s.items()},
        lambda s: {n: t.to(torch.float64) if "num_batches" in n else t for n, t in s.items()},
        lambda s: {**s, "aux1.fc.weight": torch.zeros(2), "AuxLogits.fc.bias": torch.zeros(2)},
        lambda s: {"model": s, "optimizer": {"state": {0: {"exp_avg": s["0.weight"]}}}},
    ],
)  # fmt: skip
def test_wrappings_of_training_scripts_come_off(tmp_path: Path, wrap) -> None:
    """Nested dicts, prefixes of names and counters without effect do not stand in the way."""
    model, path = net(), tmp_path / "a.pt"
    torch.save(wrap(model.state_dict()), path)
    other = net()
    state_dict.load(other, path)
    assert weights_hash(other) == weights_hash(model)


def test_names_that_are_the_models_own_are_no_prefixes(tmp_path: Path) -> None:
    """A network whose parts are called like a prefix keeps its names."""
    model, path = nn.ModuleDict({"model": net(), "module": net()}), tmp_path / "a.safetensors"
    save_file(model.state_dict(), path)
    other = nn.ModuleDict({"model": net(), "module": net()})
    state_dict.load(other, path)
    assert weights_hash(other) == weights_hash(model)


def pair(tmp_path: Path, *keys: str, equal: bool = False) -> tuple[Path, list[nn.Module]]:
    """A file with several networks in one dict, by the prefix or the key of each."""
    torch.manual_seed(1)
    models = [net() for _ in keys]
    if equal:
        models[1].load_state_dict(models[0].state_dict())
    path = tmp_path / "several.pt"
    torch.save(
        {
            "epoch": 3,
            **{key: model.state_dict() for key, model in zip(keys, models, strict=True)},
        },
        path,
    )
    return path, models


@pytest.mark.parametrize("average", ["model_ema", "swa", "teacher", "current_model_state"])
def test_the_plain_one_of_several_is_taken_and_said(tmp_path: Path, capsys, average: str) -> None:
    """An average lies beside the weights: one line says so, and how to take it."""
    path, (plain, other) = pair(tmp_path, "model", average)
    model = net()
    state_dict.load(model, path)
    assert weights_hash(model) == weights_hash(plain)
    assert capsys.readouterr().err == (
        f"several.pt: took model; left out {average} (other values; --weights-key {average} "
        "takes it)\n"
    )
    state_dict.load(model, WeightsFile(path, average))
    assert weights_hash(model) == weights_hash(other)


def test_a_choice_that_nobody_can_guess(tmp_path: Path) -> None:
    """Student and teacher, or two plain names: refused until one is named."""
    path, (student, _) = pair(tmp_path, "student", "teacher")
    with pytest.raises(RbmixError, match=r"2 different sets of weights: student, teacher \(--we"):
        state_dict.load(net(), path)
    model = net()
    state_dict.load(model, WeightsFile(path, "student"))
    assert weights_hash(model) == weights_hash(student)
    with pytest.raises(RbmixError, match=r"no weights 'pupil' \(allowed: student, teacher\)"):
        state_dict.load(model, WeightsFile(path, "pupil"))
    with pytest.raises(RbmixError, match="2 different sets of weights: model, net"):
        state_dict.load(net(), pair(tmp_path, "model", "net")[0])


def test_equal_sets_need_no_choice(tmp_path: Path, capsys) -> None:
    """A copy of the same values is only mentioned."""
    path, (one, _) = pair(tmp_path, "student", "teacher", equal=True)
    model = net()
    state_dict.load(model, path)
    assert weights_hash(model) == weights_hash(one)
    assert "left out teacher (the same values)" in capsys.readouterr().err


def test_a_copy_inside_an_attacker_and_two_normalisers(tmp_path: Path, capsys) -> None:
    """As robust training saves it: the network is found, its normalisation returned."""
    model, attacked, path = net(), net(), tmp_path / "madry.pt"
    with torch.no_grad():
        attacked[0].weight.zero_()
    inner = {f"module.model.{name}": t for name, t in model.state_dict().items()}
    inner |= {f"module.attacker.model.{name}": t for name, t in attacked.state_dict().items()}
    for place in ("normalizer", "attacker.normalize"):
        inner[f"module.{place}.new_mean"] = torch.full((3, 1, 1), 0.25)
        inner[f"module.{place}.new_std"] = torch.full((3, 1, 1), 0.5)
    torch.save({"model": inner, "epoch": 104, "optimizer": {}}, path)
    other = net()
    found = state_dict.load(other, path)
    assert weights_hash(other) == weights_hash(model)
    assert [(one.mean, one.std) for one in found] == 2 * [(3 * (0.25,), 3 * (0.5,))]
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "took model.model; left out model.attacker.model (other values; --weights-key" in said
    state_dict.load(other, WeightsFile(path, "attacker"))
    assert weights_hash(other) == weights_hash(attacked)


def test_leftovers_are_left_out_by_name(tmp_path: Path, capsys) -> None:
    """A criterion does not matter for inference, but only its owner knows."""
    model, path = net(), tmp_path / "lightning.ckpt"
    state = {f"model.{name}": t for name, t in model.state_dict().items()}
    state["criterion.weight"] = torch.ones(10)
    torch.save({"state_dict": state, "optimizer_states": [{}], "loops": {"a": None}}, path)
    summary, details = misfits(net(), path)
    assert "(--ignore-weights criterion leaves out what inference does not need)" in summary
    assert details == ("unexpected: criterion.weight, (10,)",)
    other = net()
    state_dict.load(other, WeightsFile(path, ignore=("criterion",)))
    assert weights_hash(other) == weights_hash(model)
    assert "took state_dict.model; left out criterion" in capsys.readouterr().err
    with pytest.raises(RbmixError, match="has no weights 'criteria' to ignore"):
        state_dict.load(other, WeightsFile(path, ignore=("criteria",)))


def test_no_hint_to_leave_out_parts_of_the_network(tmp_path: Path) -> None:
    """A tensor inside a module of the network may matter; so may one where others are missing."""
    path = tmp_path / "a.safetensors"
    save_file({**net().state_dict(), "0.scale": torch.ones(1)}, path)
    assert "--ignore-weights" not in misfits(net(), path)[0]
    save_file({"0.weight": torch.zeros(3, 2), "criterion.weight": torch.ones(1)}, path)
    assert "--ignore-weights" not in misfits(net(), path)[0]


def test_buffers_that_a_file_lacks(tmp_path: Path) -> None:
    """A network keeps its own values only of buffers that are named; never of parameters."""
    model, path = net(), tmp_path / "a.safetensors"
    model.register_buffer("mu", torch.full((1,), 0.3))
    save_file(net().state_dict(), path)
    assert misfits(model, path)[1] == ("missing: mu, (1,)",)
    state_dict.load(model, WeightsFile(path, ignore=("mu",)))
    assert float(model.mu) == pytest.approx(0.3)
    save_file({n: t for n, t in model.state_dict().items() if n != "0.bias"}, path)
    with pytest.raises(RbmixError, match="do not fit"):
        state_dict.load(model, WeightsFile(path, ignore=("0.bias",)))


def test_nan_is_refused(tmp_path: Path) -> None:
    """A training that diverged leaves no network."""
    path = tmp_path / "a.safetensors"
    save_file({**net().state_dict(), "0.bias": torch.full((3,), float("nan"))}, path)
    with pytest.raises(RbmixError, match=r"hold NaN in 0\.bias"):
        state_dict.load(net(), path)


class Malicious:
    """Runs code when unpickled."""

    def __reduce__(self):
        return print, ("code ran",)


def test_code_in_a_pt_file_is_refused(tmp_path: Path, capsys) -> None:
    """A pickle that would run code is refused and runs nothing."""
    path = tmp_path / "a.pt"
    torch.save({"x": Malicious()}, path)
    with pytest.raises(RbmixError, match="refused: it holds more than tensors"):
        state_dict.load(net(), path)
    path.write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(RbmixError, match=r"refused|damaged"):
        state_dict.load(net(), path)
    assert "code ran" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [{"epoch": 3}, [1, 2], {"state_dict": {"a": 1}}])
def test_pt_without_a_state_dict(tmp_path: Path, content) -> None:
    """Anything but a dict of tensors is refused."""
    path = tmp_path / "a.pth"
    torch.save(content, path)
    with pytest.raises(RbmixError, match="not a state dict"):
        state_dict.load(net(), path)


@pytest.mark.parametrize("name", ["a.ckpt", "a.bin", "weights"])
@pytest.mark.parametrize("save", [torch.save, save_file])
def test_any_name_will_do(tmp_path: Path, name: str, save) -> None:
    """The content tells what a file is; a checkpoint of Lightning ends in `.ckpt`."""
    model, other = net(), net()
    save(model.state_dict(), tmp_path / name)
    state_dict.load(other, tmp_path / name)
    assert weights_hash(other) == weights_hash(model)


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    """A file that is not there, is damaged or is no weights is named."""
    with pytest.raises(RbmixError, match="does not exist"):
        state_dict.load(net(), tmp_path / "no.pt")
    odd = tmp_path / "a.bin"
    odd.write_bytes(b"x")
    with pytest.raises(RbmixError, match=r"a\.bin is neither a safetensors file nor one that"):
        state_dict.load(net(), odd)
    half = tmp_path / "half.safetensors"
    half.write_bytes(b"x")
    with pytest.raises(RbmixError, match="half.safetensors is damaged"):
        state_dict.load(net(), half)
