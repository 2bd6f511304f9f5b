"""Each component of AutoAttack alone, over several seeds, here and by pyautoattack.

    python tests/benchmarks/component_agreement.py

The table belongs to docs/agreement.md. Attacks draw random numbers: two seeds of one library break
different images. The last column shows how many, as the measure for the column before it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

import robustbench_mix as rbmix
from robustbench_mix.data import loaders
from robustbench_mix.data.dataset import balanced_subset

sys.path.append(str(Path(__file__).resolve().parents[1] / "weights"))
COMPONENTS = "apgd-ce", "apgd-t", "fab-t", "square"
# Shipped networks, and an epsilon at which about half of the images stand.
NETWORKS = {"mlp": 1 / 16, "learned": 0.75 / 16, "adversarial": 1.5 / 16}
HEAD = (
    "| network | component | seeds | rbmix | pyautoattack | stands here, fell there | "
    "stands and fell, two seeds of pyautoattack |"
)


def standing(driver: type, net: nn.Module, x: Tensor, y: Tensor, eps: float, run: str) -> Tensor:
    """Which images stand under one component, (n,) bool.

    Args:
        driver: A class with the interface of pyautoattack's `AutoAttack`.
        net: The network, pixels in [0, 1] -> logits.
        x: Images, (n, C, H, W) float32.
        y: Labels, (n,) int64.
        eps: The l-infinity radius.
        run: The name of the component and the seed, as in `square 3`.
    """
    component, seed = run.split()
    attack = driver(
        net, norm="Linf", eps=eps, seed=int(seed), version="custom", attacks=[component],
        device="cpu",
    )  # fmt: skip
    trace = sys.gettrace()  # the library unsets it
    with contextlib.redirect_stdout(io.StringIO()):
        x_adv, _ = attack.run_standard_evaluation(x, y, batch_size=len(x))
    sys.settrace(trace)
    with torch.no_grad():
        right: Tensor = net(x_adv).argmax(1) == y
    return right


def only_first(first: list[Tensor], second: list[Tensor]) -> float:
    """The mean number of images that stand in the first and fell in the second."""
    return sum(int((a & ~b).sum()) for a, b in zip(first, second, strict=True)) / len(first)


def row(net: nn.Module, x: Tensor, y: Tensor, eps: float, component: str, seeds: int) -> list[str]:
    """The cells of one component: means over the seeds."""
    import pyautoattack

    drivers = rbmix.AutoAttack, pyautoattack.AutoAttack
    here, there = (
        [standing(driver, net, x, y, eps, f"{component} {seed}") for seed in range(seeds)]
        for driver in drivers
    )
    pairs = [*pairwise(there), (there[-1], there[0])]
    noise = only_first([one for one, _ in pairs], [other for _, other in pairs])
    means = [f"{sum(int(one.sum()) for one in side) / seeds:.1f}" for side in (here, there)]
    return [component, str(seeds), *means, f"{only_first(here, there):.1f}", f"{noise:.1f}"]


def main() -> None:
    """Print the table."""
    import networks

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--examples", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--networks", nargs="*", choices=NETWORKS, default=list(NETWORKS))
    arguments = parser.parse_args()
    split = balanced_subset(loaders.load("digits").test, arguments.examples)
    x, y = split.pixels(), split.labels
    print(f"{HEAD}\n|{' --- |' * 7}")
    for name in arguments.networks:
        eps = NETWORKS[name]
        net = networks.scikit(name) if name == "mlp" else networks.load(name).model.eval()
        for component in COMPONENTS:
            cells = row(net, x, y, eps, component, arguments.seeds)
            print(f"| {name}, {16 * eps:g}/16 | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
