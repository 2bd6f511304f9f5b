"""Measuring what explains a network's robustness, and writing it down."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from robustbench_mix.attacks.base import Target, shown
from robustbench_mix.attacks.passes import Count
from robustbench_mix.attacks.streams import stream
from robustbench_mix.config.canonical import short_hash
from robustbench_mix.config.epsilon import Eps
from robustbench_mix.data.dataset import Dataset, Split, balanced_subset
from robustbench_mix.evaluation import measures
from robustbench_mix.evaluation.identity import Label, made_of
from robustbench_mix.evaluation.reference import borrowed
from robustbench_mix.models.checkpoint import weights_hash
from robustbench_mix.models.mixers import spatial_mixers
from robustbench_mix.models.separable import SeparableConv2d
from robustbench_mix.results import probes
from robustbench_mix.runtime import provenance
from robustbench_mix.runtime.threads import tune_threads
from robustbench_mix.storage import parquet_table
from robustbench_mix.storage.locks import exclusive_lock
from robustbench_mix.training.load_or_train import TrainedModel

logger = logging.getLogger(__name__)

BATCH = 250
WAVE_NORM = 0.125  # l2 norm of a wave, as a share of the square root of the pixel count
HEAT_MAP_IMAGES = 100
PADDED = 16  # filters are padded to this size before their spectrum is taken


def probe(
    label: Label,
    trained: TrainedModel,
    dataset: Dataset,
    split: Split,
    eps: list[str],
    results: Path,
    device: torch.device,
) -> Path:
    """Measure one network on the images of `split`; the path of the records.

    What is on disk for the same network and images is left as it is.
    """
    model = trained.model
    header = header_of("probe", label, trained.header, dataset, split, eps, device)
    path = path_of(header, results, weights_hash(model))
    with exclusive_lock(path):
        if path.exists():
            logger.info(f"already measured, see {path}")
        else:
            _probe(label, model, header, split, path, device)
    return path


def _probe(
    label: Label,
    model: nn.Module,
    header: dict[str, Any],
    split: Split,
    path: Path,
    device: torch.device,
) -> None:
    """Measure the network and write its records."""
    started = time.perf_counter()
    parts: list[pd.DataFrame] = []
    perturbations: list[Tensor] = []
    sizes = [Eps(text).value for text in header["eps"]]
    with borrowed(model, device):
        target = Target(model)
        words = f"measuring {label.model}, spatial {label.spatial}, seed {label.seed}"
        height, width = split.images.shape[2:]
        passes = probe_passes(len(split), len(sizes), height, width)
        with tune_threads(target), shown(words, passes, target):
            for start in range(0, len(split), BATCH):
                x = split.pixels(start, start + BATCH).to(device)
                y = split.labels[start : start + BATCH].to(device)
                part, moved = _measured(target, x, y, sizes)
                parts.append(part)
                perturbations.append(moved.cpu())
            generator = torch.Generator().manual_seed(label.seed)
            few = min(HEAT_MAP_IMAGES, len(split))
            pixels = split.images[0].numel()
            norm = WAVE_NORM * pixels**0.5
            x, y = split.pixels(0, few).to(device), split.labels[:few].to(device)
            heat_map = measures.fourier_heat_map(target, x, y, norm, generator)
    found = {
        "filters": _filter_spectrum(model, composed=False),
        "composed": _filter_spectrum(model, composed=True),
        "perturbation": measures.radial_spectrum(torch.cat(perturbations)),
        "heat_map": heat_map.tolist(), "heat_map_n": few, "wave_norm": norm,
    }  # fmt: skip
    table = pd.concat(parts, ignore_index=True)
    table.insert(0, "image", split.index.numpy())
    _write(path, {**header, **found}, table, started)


def probe_passes(images: int, levels: int, height: int, width: int) -> Count:
    """About the passes of measuring one network."""
    waves = min(HEAT_MAP_IMAGES, images) * height * (width // 2 + 1)
    walk = measures.FMN_STEPS + 4
    return Count(images * (walk + len(measures.STEP_FACTORS) + levels) + waves, images * walk)


def transfer_passes(images: int, levels: int) -> Count:
    """About the passes of trying the examples of two networks on both."""
    walk = 2 * levels * (measures.PGD_STEPS + 1)
    pictures = min(probes.SHOWN, images) * 2 * measures.FMN_STEPS
    return Count(images * (2 + walk + 8 * levels) + pictures, images * walk + pictures)


def transfer(
    label: Label,
    trained: TrainedModel,
    twin: TrainedModel,
    dataset: Dataset,
    split: Split,
    eps: list[str],
    results: Path,
    device: torch.device,
) -> Path:
    """Try the adversarial examples of a network and of its learned twin on both."""
    header = header_of("transfer", label, trained.header, dataset, split, eps, device)
    path = path_of(header, results, *(weights_hash(one.model) for one in (twin, trained)))
    with exclusive_lock(path):
        if path.exists():
            logger.info(f"already measured, see {path}")
        else:
            nets = (twin.model, trained.model)
            seen = {"classes": list(dataset.classes), "shape": list(split.images.shape[1:])}
            _transfer(label, nets, {**header, **seen}, split, path, device)
    return path


def _transfer(
    label: Label,
    nets: tuple[nn.Module, nn.Module],
    header: dict[str, Any],
    split: Split,
    path: Path,
    device: torch.device,
) -> None:
    """Try the examples of both networks on both and write the records."""
    started = time.perf_counter()
    with borrowed(nets[0], device), borrowed(nets[1], device):
        targets = dict(zip(probes.SIDES, map(Target, nets), strict=True))
        parts = []
        words = f"transfer between {label.model}s, spatial learned and {label.spatial}"
        passes, both = transfer_passes(len(split), len(header["eps"])), targets.values()
        with tune_threads(*both), shown(words, passes, *both):
            for start in range(0, len(split), BATCH):
                x = split.pixels(start, start + BATCH).to(device)
                y = split.labels[start : start + BATCH].to(device)
                names = split.index[start : start + BATCH].tolist()
                seeds = torch.tensor([stream(label.seed, "transfer", name) for name in names])
                parts.append(_crossed(targets, x, y, header["eps"], seeds.to(device)))
            table = pd.concat(parts, ignore_index=True)
            table.insert(0, "image", split.index.numpy())
            table = table.join(_pictures(targets, split, table, device))
    _write(path, header, table, started)


def _measured(
    target: Target, x: Tensor, y: Tensor, sizes: list[float]
) -> tuple[pd.DataFrame, Tensor]:
    """The columns of a probe, and the perturbations that FMN found."""
    value, gradient = measures.margins_and_gradients(target, x, y)
    real, predicted = measures.margins_along_fgsm(target, x, y, sizes)
    distance, x_adv = measures.minimal_distance(target, x, y)
    table = pd.DataFrame(
        {
            "correct": (value > 0).tolist(),
            "margin": value.tolist(),
            "grad_l1": gradient.norm(p=1, dim=1).tolist(),
            "grad_l2": gradient.norm(dim=1).tolist(),
            "distance": distance.tolist(),
            "real": real.tolist(),
            "predicted": predicted.tolist(),
        }
    )
    moved = distance.isfinite() & (distance > 0)
    return table, (x_adv - x)[moved]


def _crossed(
    targets: dict[str, Target], x: Tensor, y: Tensor, eps: list[str], seeds: Tensor
) -> pd.DataFrame:
    """Who misclassifies whose examples."""
    with torch.no_grad():
        columns: dict[str, Any] = {
            side: (target(x).argmax(1) == y).tolist() for side, target in targets.items()
        }
        broken: dict[str, list[Tensor]] = {}
        for text in eps:
            for made, source in targets.items():
                examples = measures.craft_transfer_examples(source, x, y, Eps(text).value, seeds)
                for attack, x_adv in examples.items():
                    for judged, judge in targets.items():
                        wrong = judge(x_adv).argmax(1) != y
                        broken.setdefault(f"{attack}_{made}_{judged}", []).append(wrong)
    columns |= {name: torch.stack(found, dim=1).tolist() for name, found in broken.items()}
    return pd.DataFrame(columns)


def _pictures(
    targets: dict[str, Target], split: Split, table: pd.DataFrame, device: torch.device
) -> pd.DataFrame:
    """The smallest perturbations of a few images that both classify correctly, and who says what.

    Pixels as float32 bytes, (C, H, W); None for all other images.
    """
    both = torch.tensor((table["first"] & table["second"]).to_numpy())
    columns: dict[str, list[Any]] = {name: [None] * len(split) for name in probes.PICTURES}
    if not both.any():
        return pd.DataFrame(columns)
    chosen = balanced_subset(split.take(torch.nonzero(both).flatten()), probes.SHOWN)
    rows = split.positions_of(chosen)
    x, y = chosen.pixels().to(device), chosen.labels.to(device)
    shown = {"label": y, "clean": x}
    for made, source in targets.items():
        _, x_adv = measures.minimal_distance(source, x, y)
        shown[f"adversarial_{made}"] = x_adv
        with torch.no_grad():
            for judged, judge in targets.items():
                shown[f"says_{made}_{judged}"] = judge(x_adv).argmax(1)
    for name, values in shown.items():
        for row, value in zip(rows, values.cpu(), strict=True):
            flat = value.numpy()
            columns[name][row] = int(flat) if flat.ndim == 0 else flat.tobytes()
    return pd.DataFrame(columns)


@torch.no_grad()
def _filter_spectrum(model: nn.Module, *, composed: bool) -> list[float]:
    """Shares of power per band of the spatial filters, or of the dense kernels they make up."""
    if composed:
        kernels = [m.composed_weight() for m in model.modules() if isinstance(m, SeparableConv2d)]
    else:
        kernels = [mixer.weight for mixer in spatial_mixers(model)]
    if not kernels:
        return []
    padded = []
    for kernel in kernels:
        flat = kernel.detach().cpu().flatten(0, 1)
        height, width = flat.shape[-2:]
        padded.append(
            nn.functional.pad(flat, (0, max(PADDED - width, 0), 0, max(PADDED - height, 0)))
        )
    return measures.radial_spectrum(torch.cat(padded))


def header_of(
    kind: str,
    label: Label,
    checkpoint: dict[str, Any],
    dataset: Dataset,
    split: Split,
    eps: list[str],
    device: torch.device,
) -> dict[str, Any]:
    """What decides the outcome, and how it was made; `checkpoint` is the network's header."""
    return {
        **made_of(label, checkpoint, device),
        "kind": kind, "dataset": dataset.name, "eps": eps, "n": len(split),
        "data_hash": split.hash,
    }  # fmt: skip


def path_of(header: dict[str, Any], results: Path, *weights: str) -> Path:
    """Where the records of networks with these weights belong."""
    key = short_hash([header["data_hash"], header["eps"], *weights])
    return probes.path_for(results, header, key)


def _write(path: Path, header: dict[str, Any], table: pd.DataFrame, started: float) -> None:
    beside = {"date": provenance.today(), "time_seconds": time.perf_counter() - started}
    parquet_table.write(path, header, table, beside)
