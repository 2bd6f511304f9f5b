"""Measure what may explain a network's robustness, and write the records."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor, nn

from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.passes import Count
from robustbench_mix.attacks.progress import show_passes
from robustbench_mix.attacks.streams import stream
from robustbench_mix.config.canonical import short_hash
from robustbench_mix.config.epsilon import Eps
from robustbench_mix.data.dataset import Split, balanced_subset
from robustbench_mix.evaluation import measures
from robustbench_mix.evaluation.borrow import borrow
from robustbench_mix.evaluation.identity import Label, network_fields
from robustbench_mix.evaluation.inputs import Inputs, load_inputs
from robustbench_mix.evaluation.load_model import check_exists, label_of, train_model
from robustbench_mix.evaluation.model_plan import ModelPlan
from robustbench_mix.evaluation.plan import ExplanationPlan
from robustbench_mix.models.checkpoint import CheckpointHeader, weights_hash
from robustbench_mix.models.mixers import spatial_mixers
from robustbench_mix.models.separable import SeparableConv2d
from robustbench_mix.results import probes
from robustbench_mix.results.headers import ProbeHeader, ProbeIdentity, TransferHeader
from robustbench_mix.runtime import provenance
from robustbench_mix.runtime.threads import tune_threads
from robustbench_mix.storage import parquet_table
from robustbench_mix.storage.files import check_writable
from robustbench_mix.storage.locks import exclusive_lock
from robustbench_mix.storage.parquet_table import TableHeader
from robustbench_mix.storage.validation import extend
from robustbench_mix.training.load_or_train import TrainedModel

logger = logging.getLogger(__name__)

BATCH = 250
WAVE_NORM = 0.125  # l2 norm of a wave, as a share of the square root of the pixel count
HEAT_MAP_IMAGES = 100
PADDED = 16  # filters are padded to this size before their spectrum is taken


def explain(plan: ExplanationPlan, results: Path) -> list[Path]:
    """Measure a network, its learned twin, and how their examples transfer.

    Both are trained if needed. Existing records of the same networks and images are kept.

    Args:
        plan: The network, the images and the epsilons.
        results: The results folder.

    Returns:
        The paths of the records.

    Raises:
        RbmixError: For what a user can fix.
    """
    check_exists(plan.model)
    check_writable(results)
    inputs = load_inputs(plan)
    paths = []
    twins = []
    for model in models_of(plan):
        trained = train_model(model, inputs.dataset, inputs.device)
        label = label_of(model)
        paths.append(probe(label, trained, inputs, plan.eps, results))
        twins.append((label, trained))
    if len(twins) == 2:
        (_, learned), (label, other) = twins
        paths.append(transfer(label, other, learned, inputs, plan.eps, results))
    return paths


def models_of(plan: ExplanationPlan) -> list[ModelPlan]:
    """Return the learned twin and the network, or one plan if they are the same."""
    spec = plan.model.spec
    modes = dict.fromkeys(("learned", spec.spatial))
    return [replace(plan.model, spec=replace(spec, spatial=mode)) for mode in modes]


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
    with exclusive_lock(path):
        if path.exists():
            logger.info(f"already measured, see {path}")
        else:
            _probe(label, model, header, split, path, device)
    return path


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
    _write(path, complete, table, started)


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


def transfer_passes(images: int, levels: int) -> Count:
    """Estimate the passes of testing the adversarial examples of two networks on both."""
    walk = 2 * levels * (measures.PGD_STEPS + 1)
    pictures = min(probes.MAX_PICTURES, images) * 2 * measures.FMN_STEPS
    return Count(images * (2 + walk + 8 * levels) + pictures, images * walk + pictures)


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
    with exclusive_lock(path):
        if path.exists():
            logger.info(f"already measured, see {path}")
        else:
            nets = (twin.model, trained.model)
            complete = extend(
                header,
                TransferHeader,
                classes=list(dataset.classes),
                shape=list(split.images.shape[1:]),
            )
            _transfer(label, nets, complete, split, path, device)
    return path


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
    _write(path, header, table, started)


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


def header_of(
    kind: Literal["probe", "transfer"],
    label: Label,
    checkpoint: CheckpointHeader,
    inputs: Inputs,
    eps: Sequence[str],
) -> ProbeIdentity:
    """Return the header of the records: all that decides the outcome, and its provenance.

    Args:
        kind: Which records.
        label: The words that the network goes by in records.
        checkpoint: The header of the network's checkpoint.
        inputs: The images, and the device.
        eps: The epsilons, as exact texts.
    """
    return ProbeIdentity(
        **network_fields(label, checkpoint, inputs.device),
        kind=kind,
        dataset=inputs.dataset.name,
        eps=list(eps),
        n=len(inputs.split),
        data_hash=inputs.split.hash,
    )


def path_of(header: ProbeIdentity, results: Path, *weights: str) -> Path:
    """Return the path of the records of networks with these hashes of weights."""
    key = short_hash([header.data_hash, header.eps, *weights])
    return probes.path_for(results, header, key)


def _write(path: Path, header: TableHeader, table: pd.DataFrame, started: float) -> None:
    beside = {"date": provenance.today(), "time_seconds": time.perf_counter() - started}
    parquet_table.write(path, header, table, beside)
