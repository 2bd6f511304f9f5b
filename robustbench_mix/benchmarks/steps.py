"""Benchmark single steps: the attack engine, training, forward passes, and timm's ConvMixer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustbench_mix.attacks.base import Batch
from robustbench_mix.attacks.native.pgd import pgd
from robustbench_mix.benchmarks import peers
from robustbench_mix.benchmarks.table import Row
from robustbench_mix.config.model import ModelSpec
from robustbench_mix.evaluation.compiled_model import (
    CHUNK,
    compile_ahead,
    compile_model,
    tolerance_of,
)
from robustbench_mix.evaluation.search_model import search_model
from robustbench_mix.models import factory
from robustbench_mix.models.prepacked import unpacked
from robustbench_mix.models.separable import SeparableConv2d, compose
from robustbench_mix.runtime.timing import Step, gradient_step, time_ratios, training_step


def build_untrained(name: str, size: int, spatial: str = "learned") -> factory.Normalized:
    """Build an untrained network."""
    spec, shape = ModelSpec(name, spatial), factory.Shape(3, size, 10)
    model = factory.build(spec, shape, torch.full((3,), 0.5), torch.full((3,), 0.25))
    return model.to(memory_format=torch.channels_last)


def random_images(batch: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return random images (B, 3, H, W) and labels (B,)."""
    x = torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(0))
    return x.to(device), torch.arange(batch, device=device) % 10


def bare_step(model: nn.Module, x: Tensor, y: Tensor) -> Step:
    """Return a step of forward pass and input gradient, nothing else."""
    return gradient_step(model.eval().requires_grad_(False), x, y)


def engine_steps(model: nn.Module, x: Tensor, count: int, *, exact: bool) -> Step:
    """Return PGD steps of the engine on images that never leave the batch, as they stay correct."""
    model.eval().requires_grad_(False)
    counted = search_model(model, x[:8], exact=exact)
    with torch.no_grad():
        y = model(x).argmax(1)
    eps = torch.full((len(x),), 1e-9, device=x.device)
    batch = Batch(x, y, eps, torch.arange(len(x), device=x.device), "linf")

    def steps() -> None:
        counted.reset_passes(len(x))
        pgd(counted, batch, steps=count, step_size=0.1, random_start=False)

    return steps


def dense_twin(name: str, size: int) -> nn.Module:
    """Build the same network with dense convolutions, all of them trained."""
    model = compose(build_untrained(name, size))
    assert not any(isinstance(module, SeparableConv2d) for module in model.modules())
    return model.requires_grad_(True).to(memory_format=torch.channels_last)


def _repeat(step: Step, count: int) -> Step:
    def steps() -> None:
        for _ in range(count):
            step()

    return steps


def engine_rows(name: str, size: int, batch: int, device: torch.device, repeats: int) -> list[Row]:
    """Compare an attack step of the whole engine with a bare step of the dense network.

    Args:
        name: Name of the model.
        size: Side of the images in pixels.
        batch: Number of images.
        device: The device to run on.
        repeats: Number of repetitions.
    """
    x, _ = random_images(batch, size, device)
    x = x.contiguous(memory_format=torch.channels_last)
    y = torch.zeros(batch, dtype=torch.int64, device=device)
    rows = []
    for exact, words in ((True, "float32 search"), (False, "bfloat16 search where that is faster")):
        floor = _repeat(bare_step(dense_twin(name, size).to(device), x, y), 10)
        engine = engine_steps(build_untrained(name, size).to(device), x, 10, exact=exact)
        floor(), engine()
        found, _, _ = time_ratios(engine, floor, repeats, device)
        work = f"attack step, {name}, {words}, batch {batch}"
        rows.append(Row(work, "bare dense step, float32", "≤ 1.1x", found))
    return rows


def training_rows(
    name: str, size: int, batch: int, device: torch.device, repeats: int
) -> list[Row]:
    """Compare a training step, learned and frozen, with one of the dense twin.

    Arguments are as for `engine_rows`.
    """
    x, y = random_images(batch, size, device)
    x = x.contiguous(memory_format=torch.channels_last)
    rows = []
    for spatial in ("learned", "frozen"):
        ours = _repeat(training_step(build_untrained(name, size, spatial).to(device), x, y), 3)
        dense = _repeat(training_step(dense_twin(name, size).to(device), x, y), 3)
        ours(), dense()
        found, _, _ = time_ratios(ours, dense, repeats, device)
        work = f"training step, {name}, {spatial}, batch {batch}"
        rows.append(Row(work, "dense twin", "≤ 1.15x", found))
    return rows


def forward_rows(name: str, size: int, device: torch.device, repeats: int) -> list[Row]:
    """Compare eager forward passes of the searched network with packed and compiled ones."""
    x, _ = random_images(2 * CHUNK, size, device)
    x = x.contiguous(memory_format=torch.channels_last)
    rows = []
    for exact, words in ((True, "float32 search"), (False, "bfloat16 search where that is faster")):
        model = build_untrained(name, size).to(device).eval().requires_grad_(False)
        counted = search_model(model, x[:8], exact=exact)
        eager = unpacked(counted.net)
        made = compile_model(counted.net, x, tolerance_of(counted), compile_ahead)
        for how, net in (("packed", counted.net), ("compiled", made)):
            if net is None or net is eager:
                continue
            ours, theirs = (_repeat(_forward_step(one, x), 3) for one in (net, eager))
            ours(), theirs()
            found, _, _ = time_ratios(theirs, ours, repeats, device)
            work = f"forward pass, {name}, {words}, batch {len(x)}: eager over {how}"
            rows.append(Row(work, f"the same network, not {how}", "≥ 1.3x", found))
    return rows


def _forward_step(net: nn.Module, x: Tensor) -> Step:
    def step() -> None:
        with torch.no_grad():
            net(x)

    return step


def convmixer_rows(
    width: int, depth: int, kernel: int, size: int, batch: int, device: torch.device, repeats: int
) -> list[Row]:
    """Compare attack and training steps with those of timm's network of the same shape."""
    x, y = random_images(batch, size, device)
    ours = f"convmixer{width}_{depth}_k{kernel}_p1"
    theirs = peers.timm_convmixer(width, depth, kernel, 1, 10).to(device)
    engine = engine_steps(build_untrained(ours, size).to(device), x, 3, exact=False)
    bare = _repeat(bare_step(theirs, x, y), 3)
    trained = training_step(build_untrained(ours, size).to(device), x, y)
    shipped = training_step(peers.timm_convmixer(width, depth, kernel, 1, 10).to(device), x, y)
    rows = []
    for words, first, second in (("attack", engine, bare), ("training", trained, shipped)):
        first(), second()
        found, _, _ = time_ratios(first, second, repeats, device)
        work = f"{words} step, {ours}, batch {batch}"
        rows.append(
            Row(work, f"timm {peers.installed_version('timm')}, as shipped", "≤ 0.8x", found)
        )
    return rows
