"""Which executor runs the tasks, and on which GPUs."""

from __future__ import annotations

from pathlib import Path

import pytest

from robustbench_mix import cli
from robustbench_mix.errors import RbmixError
from robustbench_mix.sweeps.executors import choose

pytestmark = pytest.mark.default


@pytest.mark.quick
@pytest.mark.parametrize("workers", ["0", "-1", "two"])
def test_wrong_numbers_of_workers_are_named(here: Path, capsys, workers: str) -> None:
    """One line, exit code 2, nothing written."""
    assert cli.main(["sweep", "tiny.toml", "--workers", workers]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert workers in line
    assert not (here / "results").exists()
    with pytest.raises(RbmixError, match="at least 1"), choose.open_executor("local", workers=0):
        pass


@pytest.mark.quick
def test_each_gpu_of_this_machine_gets_a_worker(monkeypatch) -> None:
    """Unless one is named or there is only one; CUDA_VISIBLE_DEVICES says which there are."""
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert choose.visible_gpus("auto") == choose.visible_gpus("cuda") == ["0", "1", "2"]
    assert choose.visible_gpus("cuda:1") == choose.visible_gpus("cpu") == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,7")
    assert choose.visible_gpus("auto") == ["4", "5", "7"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose.visible_gpus("auto") == []
