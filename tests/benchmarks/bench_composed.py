"""Separable convolutions: depthwise then pointwise, against one composed dense kernel.

Side by side in one run, alternating; prints the ratio of wall times (median and range) for
a training step and an attack step. Asserts nothing about seconds.

    python tests/benchmarks/bench_composed.py [--quick]
"""

from __future__ import annotations

import argparse
import statistics

import torch

from robustbench_mix.benchmarks.curves import as_dense, as_two_steps
from robustbench_mix.benchmarks.steps import bare_step, build_untrained
from robustbench_mix.runtime.devices import describe, pick_device
from robustbench_mix.runtime.timing import time_ratios, training_step


def main() -> None:
    """Print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one small case, two repeats")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    cases = [("resnet14", 32, 128), ("resnet14_d2", 32, 128), ("resnet18", 32, 32)]
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
            pair = [as_two_steps(build_untrained(name, size)), build_untrained(name, size)]
            for words, make in (("training", training_step), ("attack", bare_step)):
                if make is bare_step:
                    pair[1] = as_dense(pair[1])
                slow, fast = (make(m.to(device, memory_format=layout), x, y) for m in pair)
                slow(), fast()
                found, _, _ = time_ratios(slow, fast, repeats, device)
                print(
                    f"| {name} | {size}x{size} | {batch} | {str(layout).removeprefix('torch.')} "
                    f"| {words} | {statistics.median(found):.2f} "
                    f"| {min(found):.2f} to {max(found):.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
