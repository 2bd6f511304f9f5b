"""Separable convolutions: depthwise then pointwise, against one composed dense kernel.

Side by side in one run, alternating; prints the ratio of wall times (median and range) for
a training step and an attack step. Asserts nothing about seconds.

    python tests/benchmarks/bench_composed.py [--quick]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from robustbench_mix import zoo
from robustbench_mix.devices import describe, pick_device
from robustbench_mix.mixing import SeparableConv2d, compose
from robustbench_mix.specs import ModelSpec

Step = Callable[[], None]


def network(name: str, size: int, device: torch.device, two_steps: bool) -> nn.Module:
    """A fresh network, with its separable convolutions composed or as the paper writes them."""
    model = zoo.build(
        ModelSpec(name), zoo.Shape(3, size, 10), torch.full((3,), 0.5), torch.full((3,), 0.25)
    )
    for module in model.modules():
        if isinstance(module, SeparableConv2d) and two_steps:
            module.forward = module.two_step  # type: ignore[method-assign]
    return model.to(device)


def training_step(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> Step:
    """Forward, backward and update."""
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step


def attack_step(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> Step:
    """Forward and the gradient of the input alone."""
    model.eval().requires_grad_(False)

    def step() -> None:
        point = x.clone().requires_grad_()
        torch.autograd.grad(F.cross_entropy(model(point), y), point)

    return step


def ratios(slow: Step, fast: Step, repeats: int, device: torch.device) -> list[float]:
    """Wall time of `slow` over that of `fast`, in alternation after a warm-up."""

    def seconds(step: Step) -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        started = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - started

    for step in (slow, fast):
        step()
    return [seconds(slow) / seconds(fast) for _ in range(repeats)]


def main() -> None:
    """Print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one small case, two repeats")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    cases = [("resnet14", 32, 128), ("resnet18", 32, 32)]
    repeats = 7
    if arguments.quick:
        cases, repeats = [("resnet14_w4", 8, 8)], 2
    print(f"Two-step over composed, torch {torch.__version__}, {describe(device)}\n")
    print("| model | input | batch | layout | step | ratio (median) | range |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, size, batch in cases:
        for layout in (torch.contiguous_format, torch.channels_last):
            x = torch.rand(batch, 3, size, size, device=device).contiguous(memory_format=layout)
            y = torch.arange(batch, device=device) % 10
            pair = [network(name, size, device, two_steps) for two_steps in (True, False)]
            for model in pair:
                model.to(memory_format=layout)  # type: ignore[call-overload]
            for words, make in (("training", training_step), ("attack", attack_step)):
                if make is attack_step:
                    pair[1] = compose(pair[1].eval())
                found = ratios(make(pair[0], x, y), make(pair[1], x, y), repeats, device)
                print(
                    f"| {name} | {size}x{size} | {batch} | {str(layout).removeprefix('torch.')} "
                    f"| {words} | {statistics.median(found):.2f} "
                    f"| {min(found):.2f} to {max(found):.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
