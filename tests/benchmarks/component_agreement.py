"""Each component of AutoAttack alone, over several seeds, here and by pyautoattack.

python tests/benchmarks/component_agreement.py > docs/component-agreement.md
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

import robustbench_mix as rbmix
from robustbench_mix.data import loaders
from robustbench_mix.data.dataset import balanced_subset
from robustbench_mix.runtime.devices import has_fast_bfloat16

sys.path.append(str(Path(__file__).resolve().parents[1] / "weights"))
WORDS = {
    "mlp": "scikit-learn's MLP",
    "learned": "ResNet, standard training",
    "adversarial": "ResNet, adversarial training",
}
COMPONENTS = "apgd-ce", "apgd-t", "fab-t", "square"
# Shipped networks, and an epsilon at which about half of the images stand.
NETWORKS = {"mlp": 1 / 16, "learned": 0.75 / 16, "adversarial": 1.5 / 16}
PACKAGES = ("robustbench-mix", "torch", "pyautoattack")
INTRO = """# Component by component

Each component of AutoAttack attacks alone, with the drop-in `AutoAttack(version="custom")` of rbmix
and with that of pyautoattack, over the same images and seeds. All figures are numbers of images,
means over the seeds.

- *rbmix* and *pyautoattack* count the images that stand.
- *only there* counts the images that stand with rbmix and fell with pyautoattack, seed by seed.
- *two seeds* counts the same for two seeds of pyautoattack. Attacks draw random numbers, so another
  seed breaks other images. Compare the column before it with this one.

`python tests/benchmarks/component_agreement.py > docs/component-agreement.md` makes this page.
"""
HEAD = (
    "| network | eps | component | seeds | rbmix | pyautoattack | only there | two seeds |\n|"
    + " --- |" * 8
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
    print(INTRO)
    made_with = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    bf16 = "bfloat16" if has_fast_bfloat16(x.device) else "float32"
    print(f"{made_with}; rbmix searches in {bf16} here; {len(y)} images of digits.\n\n{HEAD}")
    for name in arguments.networks:
        eps = NETWORKS[name]
        net = networks.scikit(name) if name == "mlp" else networks.load(name).model.eval()
        for component in COMPONENTS:
            cells = row(net, x, y, eps, component, arguments.seeds)
            print(f"| {WORDS[name]} | {16 * eps:g}/16 | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
