"""What the paper's ImageNet grid would cost on this machine, from steps that are timed here.

ResNets of 8n + 2 layers, n = 1 to 4, three variants each (arXiv 2503.16760). The paper does not
give its recipe: 90 epochs here, as torchvision trains a ResNet-18. Attacks on 5,000 images, as
RobustBench does. Prints a table of what an image and a network cost, and what 1, 8 and 1,000
processors or GPUs would take: at least their share of all the work, and at least the longest
training and what waits for it, because an attack can be split and a training cannot.

    python tests/benchmarks/imagenet.py [--device cuda] [--batch 64] [--seeds 5]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import torch
from torchvision.models.resnet import BasicBlock, ResNet

from robustbench_mix.benchmarks.steps import random_images
from robustbench_mix.config import protocols
from robustbench_mix.models.separable import separate
from robustbench_mix.runtime.devices import describe
from robustbench_mix.runtime.timing import training_step
from robustbench_mix.sweeps.cost_model import fastest_seconds, passes_per_image, seconds_per_pass
from robustbench_mix.sweeps.plan import MAX_ATTACK_SECONDS

IMAGES, EPOCHS, ATTACKED, VARIANTS = 1_281_167, 90, 5_000, 3
ATTACKS = ("fgsm", "pgd", "autoattack")


@dataclass(frozen=True)
class Cost:
    """Seconds of one image: a training step, a forward pass, and its gradient beyond that."""

    training: float
    forward: float
    gradient: float

    @property
    def trained(self) -> float:
        """Seconds of one training."""
        return self.training * IMAGES * EPOCHS

    @property
    def attacked(self) -> float:
        """Seconds of all attacks on one network."""
        passes = [passes_per_image(protocols.load(attack, "")) for attack in ATTACKS]
        return ATTACKED * sum(f * self.forward + g * self.gradient for f, g in passes)


def network(blocks: int) -> torch.nn.Module:
    """A separable ResNet of 8 * blocks + 2 layers."""
    return separate(ResNet(BasicBlock, [blocks] * 4)).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def cost(blocks: int, size: int, batch: int, device: torch.device) -> Cost:
    """What an image costs on this device."""
    x, y = random_images(batch, size, device)
    x = x.contiguous(memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        training = fastest_seconds(training_step(network(blocks).to(device), x, y), device)
    return Cost(training / batch, *seconds_per_pass(network(blocks).to(device), x))


def main() -> None:
    """Print the table and the calculation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="10 layers, 32 pixels: no evidence")
    given = parser.parse_args()
    depths, size = ((1,), 32) if given.quick else ((1, 2, 3, 4), 224)
    device = torch.device(given.device)
    where = f"{torch.get_num_threads()} threads, " if device.type == "cpu" else ""
    print(f"torch {torch.__version__}, {where}{describe(device)}, batches of {given.batch}\n")
    print(
        "| layers | training, ms an image | forward, ms | gradient, ms | training, h | attacks, h |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    costs = []
    for blocks in depths:
        one = cost(blocks, size, given.batch, device)
        costs.append(one)
        steps = " | ".join(f"{1000 * s:.3g}" for s in (one.training, one.forward, one.gradient))
        hours = f"{one.trained / 3600:.3g} | {one.attacked / 3600:.3g}"
        print(f"| {8 * blocks + 2} | {steps} | {hours} |", flush=True)
    work = VARIANTS * given.seeds * sum(one.trained + one.attacked for one in costs)
    chain = max(one.trained + min(one.attacked, MAX_ATTACK_SECONDS) for one in costs)
    networks = len(costs) * VARIANTS * given.seeds
    print(f"\nHours of work for {networks} networks: {work / 3600:.4g}")
    print(f"hours of the longest training and what waits for it: {chain / 3600:.4g}")
    for at_once in (1, 8, 1000):
        print(f"{at_once} at once: at least {max(work / at_once, chain) / 3600:.4g} hours")


if __name__ == "__main__":
    main()
