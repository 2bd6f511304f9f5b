"""Small batches on a card: launched kernel by kernel, against replayed as a CUDA graph.

Side by side in one run, alternating; prints the ratio of wall times (median and range) of a
forward pass and of an attack step. Asserts nothing about seconds.

    python tests/benchmarks/bench_graphs.py
"""

from __future__ import annotations

import statistics
import sys

import torch

from robustbench_mix.benchmarks.curves import as_dense
from robustbench_mix.benchmarks.steps import bare_step, build_untrained
from robustbench_mix.models.cuda_graphs import GraphedModel, with_cuda_graphs
from robustbench_mix.models.fusion import convert_to_bfloat16, simplify
from robustbench_mix.runtime.devices import describe
from robustbench_mix.runtime.timing import time_ratios


def main() -> None:
    """Print one Markdown table."""
    if not torch.cuda.is_available():
        sys.exit("no CUDA device: there is nothing to compare")
    device = torch.device("cuda")
    print(f"Launched over replayed, torch {torch.__version__}, {describe(device)}\n")
    print("| model | precision | batch | step | ratio (median) | range |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in ("resnet14", "resnet38"):
        model = (
            as_dense(build_untrained(name, 32)).to(device, memory_format=torch.channels_last).eval()
        )
        for batch in (1, 4, 16, 64, 256):
            x = torch.rand(batch, 3, 32, 32, device=device)
            x = x.contiguous(memory_format=torch.channels_last)
            y = torch.arange(batch, device=device) % 10
            plain = simplify(model, x)
            for words, net in (("float32", plain), ("bfloat16", convert_to_bfloat16(plain, x))):
                if net is None:
                    continue
                replayed = with_cuda_graphs(net, x)
                if not isinstance(replayed, GraphedModel):
                    print(f"| {name} | {words} | {batch} | not captured | | |")
                    continue
                jobs = {
                    "forward": (_forward(net, x), _forward(replayed, x)),
                    "attack": (_many(bare_step(net, x, y)), _many(bare_step(replayed, x, y))),
                }
                for step, (slow, fast) in jobs.items():
                    slow(), fast()
                    found, _, _ = time_ratios(slow, fast, 7, device)
                    print(
                        f"| {name} | {words} | {batch} | {step} "
                        f"| {statistics.median(found):.2f} "
                        f"| {min(found):.2f} to {max(found):.2f} |",
                        flush=True,
                    )


def _forward(net, x):
    @torch.no_grad()
    def passes() -> None:
        for _ in range(50):
            net(x)

    return passes


def _many(step):
    def steps() -> None:
        for _ in range(50):
            step()

    return steps


if __name__ == "__main__":
    main()
