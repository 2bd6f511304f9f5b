"""Measure what may explain the robustness of one network."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.passes import Count
from robustbench_mix.attacks.progress import show_passes
from robustbench_mix.config.epsilon import Eps
from robustbench_mix.data.dataset import Split
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
from robustbench_mix.models.mixers import spatial_mixers
from robustbench_mix.models.separable import SeparableConv2d
from robustbench_mix.results.headers import ProbeHeader, ProbeIdentity
from robustbench_mix.runtime.threads import tune_threads
from robustbench_mix.storage.validation import extend
from robustbench_mix.training.load_or_train import TrainedModel

WAVE_NORM = 0.125  # l2 norm of a wave, as a share of the square root of the pixel count
HEAT_MAP_IMAGES = 100
PADDED = 16  # filters are padded to this size before their spectrum is taken


def probe(
    label: Label, trained: TrainedModel, inputs: Inputs, eps: Sequence[str], results: Path
) -> Path:
    """Measure one network, unless that was done, and return the path of the records.

    Args:
        label: The words that the network goes by in records.
        trained: The network, and the header of its checkpoint.
        inputs: The images, and the device.
        eps: The epsilons, as exact texts.
        results: The results folder.
    """
    model, split, device = trained.model, inputs.split, inputs.device
    header = header_of("probe", label, trained.header, inputs, eps)
    path = path_of(header, results, weights_hash(model))
    return measured_once(path, lambda: _probe(label, model, header, split, path, device))


def _probe(
    label: Label,
    model: nn.Module,
    header: ProbeIdentity,
    split: Split,
    path: Path,
    device: torch.device,
) -> None:
    """Measure the network and write its records."""
    started = time.perf_counter()
    parts: list[pd.DataFrame] = []
    perturbations: list[Tensor] = []
    sizes = [Eps(text).value for text in header.eps]
    with borrow(model, device):
        counted = CountedModel(model)
        words = f"measuring {label.model}, spatial {label.spatial}, seed {label.seed}"
        height, width = split.images.shape[2:]
        passes = probe_passes(len(split), len(sizes), height, width)
        with tune_threads(counted), show_passes(words, passes, counted):
            for start in range(0, len(split), BATCH):
                x = split.pixels(start, start + BATCH).to(device)
                y = split.labels[start : start + BATCH].to(device)
                part, moved = _measured(counted, x, y, sizes)
                parts.append(part)
                perturbations.append(moved.cpu())
            generator = torch.Generator().manual_seed(label.seed)
            few = min(HEAT_MAP_IMAGES, len(split))
            pixels = split.images[0].numel()
            norm = WAVE_NORM * pixels**0.5
            x, y = split.pixels(0, few).to(device), split.labels[:few].to(device)
            heat_map = measures.fourier_heat_map(counted, x, y, norm, generator)
    complete = extend(
        header,
        ProbeHeader,
        filters=_filter_spectrum(model, composed=False),
        composed=_filter_spectrum(model, composed=True),
        perturbation=measures.radial_spectrum(torch.cat(perturbations)),
        heat_map=heat_map.tolist(),
        heat_map_n=few,
        wave_norm=norm,
    )
    table = pd.concat(parts, ignore_index=True)
    table.insert(0, "image", split.index.numpy())
    write(path, complete, table, started)


def probe_passes(images: int, levels: int, height: int, width: int) -> Count:
    """Estimate the passes of measuring one network.

    Args:
        images: Number of images.
        levels: Number of epsilons.
        height: Height of the images in pixels.
        width: Width of the images in pixels.
    """
    waves = min(HEAT_MAP_IMAGES, images) * height * (width // 2 + 1)
    walk = measures.FMN_STEPS + 4
    return Count(images * (walk + len(measures.STEP_FACTORS) + levels) + waves, images * walk)


def _measured(
    model: CountedModel, x: Tensor, y: Tensor, sizes: list[float]
) -> tuple[pd.DataFrame, Tensor]:
    """Return the columns of a probe, and the perturbations that FMN found."""
    value, gradient = measures.margins_and_gradients(model, x, y)
    real, predicted = measures.margins_along_fgsm(model, x, y, sizes)
    distance, x_adv = measures.minimal_distance(model, x, y)
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


@torch.no_grad()
def _filter_spectrum(model: nn.Module, *, composed: bool) -> list[float]:
    """Return the shares of power per band of the spatial filters, or of the composed kernels."""
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
