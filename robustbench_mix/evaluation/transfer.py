"""Test the adversarial examples of a network and of its learned twin on both."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.passes import Count
from robustbench_mix.attacks.progress import show_passes
from robustbench_mix.attacks.streams import stream
from robustbench_mix.config.epsilon import Eps
from robustbench_mix.data.dataset import Split, balanced_subset
from robustbench_mix.evaluation import measures
from robustbench_mix.evaluation.borrow import borrow
from robustbench_mix.evaluation.identity import Label
from robustbench_mix.evaluation.inputs import Inputs
from robustbench_mix.evaluation.probe_identity import (
    BATCH,
    header_of,
    measured_once,
    path_of,
    write,
)
from robustbench_mix.models.checkpoint import weights_hash
from robustbench_mix.results import probes
from robustbench_mix.results.headers import ProbeIdentity, TransferHeader
from robustbench_mix.runtime.threads import tune_threads
from robustbench_mix.storage.validation import extend
from robustbench_mix.training.load_or_train import TrainedModel


def transfer(
    label: Label,
    trained: TrainedModel,
    twin: TrainedModel,
    inputs: Inputs,
    eps: Sequence[str],
    results: Path,
) -> Path:
    """Test the adversarial examples of a network and of its learned twin on both.

    Args:
        label: The words that the network goes by in records.
        trained: The network, and the header of its checkpoint.
        twin: Its learned twin.
        inputs: The images, and the device.
        eps: The epsilons, as exact texts.
        results: The results folder.

    Returns:
        The path of the records, which are kept if they exist.
    """
    dataset, split, device = inputs.dataset, inputs.split, inputs.device
    header = header_of("transfer", label, trained.header, inputs, eps)
    path = path_of(header, results, *(weights_hash(one.model) for one in (twin, trained)))
    nets = (twin.model, trained.model)
    complete = extend(
        header,
        TransferHeader,
        classes=list(dataset.classes),
        shape=list(split.images.shape[1:]),
    )
    return measured_once(path, lambda: _transfer(label, nets, complete, split, path, device))


def _transfer(
    label: Label,
    nets: tuple[nn.Module, nn.Module],
    header: ProbeIdentity,
    split: Split,
    path: Path,
    device: torch.device,
) -> None:
    """Test the examples of both networks on both and write the records."""
    started = time.perf_counter()
    with borrow(nets[0], device), borrow(nets[1], device):
        models = dict(zip(probes.SIDES, map(CountedModel, nets), strict=True))
        parts = []
        words = f"transfer between {label.model}s, spatial learned and {label.spatial}"
        passes, both = transfer_passes(len(split), len(header.eps)), models.values()
        with tune_threads(*both), show_passes(words, passes, *both):
            for start in range(0, len(split), BATCH):
                x = split.pixels(start, start + BATCH).to(device)
                y = split.labels[start : start + BATCH].to(device)
                names = split.index[start : start + BATCH].tolist()
                seeds = torch.tensor([stream(label.seed, "transfer", name) for name in names])
                parts.append(_crossed(models, x, y, header.eps, seeds.to(device)))
            table = pd.concat(parts, ignore_index=True)
            table.insert(0, "image", split.index.numpy())
            table = table.join(_pictures(models, split, table, device))
    write(path, header, table, started)


def transfer_passes(images: int, levels: int) -> Count:
    """Estimate the passes of testing the adversarial examples of two networks on both."""
    walk = 2 * levels * (measures.PGD_STEPS + 1)
    pictures = min(probes.MAX_PICTURES, images) * 2 * measures.FMN_STEPS
    return Count(images * (2 + walk + 8 * levels) + pictures, images * walk + pictures)


def _crossed(
    models: dict[str, CountedModel], x: Tensor, y: Tensor, eps: list[str], seeds: Tensor
) -> pd.DataFrame:
    """Record which network misclassifies which network's examples."""
    with torch.no_grad():
        columns: dict[str, Any] = {
            side: (model(x).argmax(1) == y).tolist() for side, model in models.items()
        }
        broken: dict[str, list[Tensor]] = {}
        for text in eps:
            for made, source in models.items():
                examples = measures.craft_transfer_examples(source, x, y, Eps(text).value, seeds)
                for attack, x_adv in examples.items():
                    for judged, judge in models.items():
                        wrong = judge(x_adv).argmax(1) != y
                        broken.setdefault(f"{attack}_{made}_{judged}", []).append(wrong)
    columns |= {name: torch.stack(found, dim=1).tolist() for name, found in broken.items()}
    return pd.DataFrame(columns)


def _pictures(
    models: dict[str, CountedModel], split: Split, table: pd.DataFrame, device: torch.device
) -> pd.DataFrame:
    """Return the smallest perturbations of a few images, and each network's prediction there.

    The images are some that both networks classify correctly. Pixels are float32 bytes of
    (C, H, W); None for all other images.
    """
    both = torch.tensor((table["first"] & table["second"]).to_numpy())
    columns: dict[str, list[Any]] = {name: [None] * len(split) for name in probes.PICTURES}
    if not both.any():
        return pd.DataFrame(columns)
    chosen = balanced_subset(split.take(torch.nonzero(both).flatten()), probes.MAX_PICTURES)
    rows = split.positions_of(chosen)
    x, y = chosen.pixels().to(device), chosen.labels.to(device)
    shown = {"label": y, "clean": x}
    for made, source in models.items():
        _, x_adv = measures.minimal_distance(source, x, y)
        shown[f"adversarial_{made}"] = x_adv
        with torch.no_grad():
            for judged, judge in models.items():
                shown[f"says_{made}_{judged}"] = judge(x_adv).argmax(1)
    for name, values in shown.items():
        for row, value in zip(rows, values.cpu(), strict=True):
            flat = value.numpy()
            columns[name][row] = int(flat) if flat.ndim == 0 else flat.tobytes()
    return pd.DataFrame(columns)
