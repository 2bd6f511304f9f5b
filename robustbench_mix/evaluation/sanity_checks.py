"""Run the diagnostics of an evaluation: choose their images and their epsilon."""

from __future__ import annotations

import torch
from torch import nn

from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.streams import stream
from robustbench_mix.data.dataset import Dataset, Split
from robustbench_mix.evaluation import diagnostics
from robustbench_mix.evaluation.borrow import borrow
from robustbench_mix.evaluation.diagnostics import SAMPLE
from robustbench_mix.evaluation.harness import sample
from robustbench_mix.models.fusion import simplify
from robustbench_mix.results.headers import Diagnostics, ProtocolSpec
from robustbench_mix.results.records import Run
from robustbench_mix.runtime.memory import retry_with_smaller_batches
from robustbench_mix.runtime.threads import tune_threads

MORE_STEPS = 100  # minimum steps of the PGD that tests whether the evaluation had enough


def of_network(
    model: nn.Module, dataset: Dataset, split: Split, device: torch.device
) -> Diagnostics:
    """Return the diagnostics before the attack, as `diagnostics.of_network`.

    Args:
        model: The network.
        dataset: The data set, for the statistics of its training pixels.
        split: The images of the evaluation.
        device: The device to compute on.
    """
    found: list[Diagnostics] = []
    mean, std = dataset.statistics()

    def work(_: int, rows: list[int]) -> None:
        x, y = _images(split, rows, device)
        found.append(diagnostics.of_network(model, x, y, mean, std))

    with borrow(model, device):
        rows = _chosen(split)
        retry_with_smaller_batches(work, rows, len(rows))
    return found[-1]


def of_attacks(
    model: nn.Module, run: Run, split: Split, device: torch.device, seed: int
) -> dict[str, int]:
    """Compare a run with other attacks, as `diagnostics.of_attacks`.

    They attack at the epsilon of its grid at which closest to half of the images stand.

    Args:
        model: The network.
        run: The run.
        split: Its images.
        device: The device to compute on.
        seed: The seed of the attacks.

    Returns:
        Counts of images; empty if none of the chosen images is classified correctly, and in l1, in
        which none of these attacks searches.
    """
    if run.header.norm == "l1":
        return {}
    survived = run.standing()
    rows = [row for row in _chosen(split) if survived["0"].iloc[row]]
    if not rows:
        return {}
    shares = [abs(survived[eps].iloc[rows].mean() - 0.5) for eps in run.eps]
    at = shares.index(min(shares))
    standing = torch.tensor(survived[run.eps[at]].to_numpy(bool))
    found = {"eps": at}
    more_steps = _more_steps(run.header.protocol_spec)

    def work(_: int, rows: list[int]) -> None:
        x, y = _images(split, rows, device)
        seeds = [stream(seed, "diagnostics", int(split.index[row])) for row in rows]
        eps = torch.full((len(rows),), run.radius(at), dtype=torch.float64)
        batch = Batch(x, y, eps, torch.tensor(seeds, device=device), run.header.norm)
        found.update(diagnostics.of_attacks(counted, batch, standing[rows], more_steps))

    with borrow(model, device):
        counted = CountedModel(simplify(model, sample(split, device)))
        with tune_threads(counted):
            retry_with_smaller_batches(work, rows, len(rows))
    return found


def _more_steps(protocol: ProtocolSpec) -> int:
    """Return a larger number of steps than the protocol's PGD has, 0 if it is not our PGD."""
    if protocol.algorithm != "pgd":
        return 0
    return max(MORE_STEPS, 2 * int((protocol.options or {}).get("steps", 40)))


def _chosen(split: Split) -> list[int]:
    """Choose a few random rows, the same for every evaluation of these images."""
    order = sorted(range(len(split)), key=lambda row: stream("diagnostics", int(split.index[row])))
    return sorted(order[:SAMPLE])


def _images(split: Split, rows: list[int], device: torch.device) -> tuple[torch.Tensor, ...]:
    chosen = split.take(torch.tensor(rows))
    return chosen.pixels().to(device), chosen.labels.to(device)
