"""The resume state of a training: saved between epochs, so that a killed training continues."""

from __future__ import annotations

import io
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from robustbench_mix.storage import reading
from robustbench_mix.storage.files import write_bytes
from robustbench_mix.storage.remote import LOCAL_SUFFIX
from robustbench_mix.storage.validation import is_number
from robustbench_mix.training.averaging import Weights

logger = logging.getLogger(__name__)

SUFFIX = ".unfinished.pt"
ATTACK_SUFFIX = LOCAL_SUFFIX  # suffix of the resume state of an attack
SAVE_EVERY_SECONDS = 5.0


@dataclass
class ResumeState:
    """The resume state of a training, in a file beside its result.

    Args:
        result: The path of the result, for example a checkpoint.
        made_with: Versions, commit and device, as plain values; a training with other ones starts
            from the beginning.
        saved_at: When the state was last saved, in seconds of `time.monotonic`.
    """

    result: Path
    made_with: dict[str, Any]
    saved_at: float = field(default_factory=time.monotonic)

    @property
    def path(self) -> Path:
        """The file of the state."""
        return self.result.with_suffix(SUFFIX)

    def save(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        epoch: int,
        seconds: float,
        average: Weights | None = None,
    ) -> None:
        """Save the state, at most every `SAVE_EVERY_SECONDS`.

        Args:
            model: The network.
            optimizer: Its optimizer.
            epoch: Number of epochs done.
            seconds: Seconds that they took.
            average: The average of the weights, if the training keeps one.
        """
        if time.monotonic() - self.saved_at < SAVE_EVERY_SECONDS:
            return
        state = {
            "made_with": self.made_with, "epoch": epoch, "seconds": seconds,
            "model": model.state_dict(), "optimizer": optimizer.state_dict(),
        }  # fmt: skip
        if average is not None:
            state["average"] = average
        buffer = io.BytesIO()  # so that a full disk raises one kind of error
        torch.save(state, buffer)
        write_bytes(self.path, buffer.getvalue())
        self.saved_at = time.monotonic()

    def restore(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        device: torch.device,
        epochs: int,
        average: Weights | None = None,
    ) -> tuple[int, float]:
        """Restore the saved state, in place, if there is one.

        Args:
            model: The network.
            optimizer: Its optimizer.
            device: The device of the network.
            epochs: Number of epochs of the whole training.
            average: The average of the weights, if the training keeps one.

        Returns:
            The epochs done and the seconds that they took; (0, 0.0) if there is no state.

        Raises:
            RbmixError: The file is damaged, or is of a training of another number of epochs.
        """
        if not self.path.exists():
            return 0, 0.0
        refusal = f"unfinished training {self.path} is damaged; delete it"
        reading.check_file(self.path, "unfinished training", reading.MAX_WEIGHTS_BYTES)
        with reading.refuse_on_error(refusal):
            state = torch.load(self.path, map_location=device, weights_only=True)
            if state["made_with"] != self.made_with:
                logger.info(
                    f"{self.path} was made with other versions or on another device: starting over"
                )
                return 0, 0.0
            epoch, seconds = state["epoch"], state["seconds"]
            is_epoch = type(epoch) is int and 1 <= epoch < epochs
            if not (is_epoch and is_number(seconds, 0, 1e12)):
                raise ValueError(f"{epoch} of {epochs} epochs in {seconds} seconds")
            _check_optimizer(state["optimizer"], optimizer)
            _check_average(state.get("average"), average)
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            for name, tensor in (average or {}).items():
                tensor.copy_(state["average"][name])
        logger.info(f"continuing the unfinished training {self.path}, {epoch} epochs done")
        return epoch, float(seconds)


def _check_optimizer(state: dict[str, Any], fresh: torch.optim.Optimizer) -> None:
    """Raise ValueError unless the state is one that this optimizer could have reached.

    PyTorch accepts any numbers and tensors here, and fails at the next step.
    """
    wanted = fresh.state_dict()["param_groups"]
    moving = ("lr", "initial_lr")  # values that the schedule sets
    for group, own in zip(state["param_groups"], wanted, strict=True):
        if {**group, **dict.fromkeys(moving)} != {**own, **dict.fromkeys(moving)}:
            raise ValueError("another optimizer")
        if not all(is_number(group[name], 0, 1e6) for name in moving):
            raise ValueError("no learning rate")
    parameters = [p for group in fresh.param_groups for p in group["params"]]
    for position, moments in state["state"].items():
        shape = parameters[position].shape
        for name, value in moments.items():
            if value is not None and value.shape != (() if name == "step" else shape):
                raise ValueError(f"{name} of another shape")


def _check_average(state: Weights | None, fresh: Weights | None) -> None:
    """Raise ValueError unless the state has an average of these weights, or none where none is."""
    shapes = [
        None if weights is None else {name: tensor.shape for name, tensor in weights.items()}
        for weights in (state, fresh)
    ]
    if shapes[0] != shapes[1]:
        raise ValueError("another average of weights")


def has_resume_state(result: Path) -> bool:
    """Return whether there is a resume state of the training or attack that makes `result`.

    A process that is killed just after it finished leaves one; the next process removes it.
    """
    return any(result.with_suffix(suffix).exists() for suffix in (SUFFIX, ATTACK_SUFFIX))


def delete_resume_state(result: Path) -> None:
    """Remove the resume state of a training whose result exists."""
    result.with_suffix(SUFFIX).unlink(missing_ok=True)
