"""Devices, threads and batch sizes by name and by number."""

from __future__ import annotations

import pytest
import torch

from robustbench_mix.errors import RbmixError
from robustbench_mix.runtime import devices, provenance

CPU = torch.device("cpu")


def test_a_device_that_is_absent_is_named() -> None:
    """With the devices that there are."""
    assert devices.pick_device("cpu") == CPU
    with pytest.raises(RbmixError, match=r"unknown device 'tpu'.*allowed: auto, .*cpu"):
        devices.pick_device("tpu")
    with pytest.raises(RbmixError, match="unknown device 'cpu:x'"):
        devices.pick_device("cpu:x")


@pytest.mark.parametrize(
    ("name", "words"), [("cuda", "NVIDIA GPU with CUDA"), ("cuda:1", "CUDA"), ("mps", "Metal")]
)
def test_a_missing_gpu_is_called_missing(name: str, words: str, monkeypatch) -> None:
    """It is not taken for a slip of the pen."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    message = rf"^device '{name}': PyTorch finds no .*{words}.* \(available: auto, cpu\)$"
    with pytest.raises(RbmixError, match=message):
        devices.pick_device(name)


def test_auto_precision_is_fp32_on_a_cpu() -> None:
    """A precision that is named stays."""
    assert devices.pick_precision("auto", CPU) == "fp32"
    assert devices.pick_precision("bf16", CPU) == "bf16"


def test_training_threads_are_restored() -> None:
    """Also after an error in the block."""
    torch.set_num_threads(2)
    with pytest.raises(ValueError, match="inside"), devices.training_threads(CPU):
        assert torch.get_num_threads() == devices.TRAINING_THREADS
        raise ValueError("inside")
    assert torch.get_num_threads() == 2


def test_larger_images_come_in_smaller_batches() -> None:
    """By their pixels, from 16 images to four times the batch at 32 pixels."""
    assert devices.default_batch_size(32, CPU) == devices.CPU_BATCH
    assert devices.default_batch_size(64, CPU) == devices.CPU_BATCH // 4
    assert devices.default_batch_size(8, CPU) == 4 * devices.CPU_BATCH
    assert devices.default_batch_size(10_000, CPU) == 16


def test_the_environment_is_plain() -> None:
    """Device with its threads, versions and commit."""
    torch.set_num_threads(1)
    found = devices.compute_environment(CPU)
    assert found["device"] == "cpu (threads: 1)"
    assert found["versions"] == provenance.versions()
    assert found.keys() == {"device", "versions", "commit"}
