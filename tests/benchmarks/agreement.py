"""Networks that scikit-learn trained, evaluated here and by pyautoattack, image by image.

    python tests/benchmarks/agreement.py > docs/agreement.md

Their weights are copied exactly. Of the linear one the truth is known as well: whether any point
of the ball that is an image is misclassified.
"""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import version
from typing import Any

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from torch import Tensor, nn

import robustbench_mix as rbmix
from robustbench_mix.config import protocols
from robustbench_mix.config.epsilon import Eps
from robustbench_mix.data import loaders
from robustbench_mix.data.dataset import balanced_subset

LEVELS = 16  # scikit-learn's digits are 0 to 16
PROTOCOLS = {"autoattack": "Linf", "autoattack-l2": "L2"}
GRIDS = {
    "autoattack": ["0.5/16", "1/16", "1.5/16", "2/16"],
    "autoattack-l2": ["0.125", "0.25", "0.5", "0.75"],
}
PACKAGES = ("robustbench-mix", "torch", "pyautoattack", "scikit-learn")
CLASSIFIERS = {
    "linear": lambda: LogisticRegression(max_iter=2000),
    "mlp": lambda: MLPClassifier((64, 32), max_iter=500, random_state=0),
}
WORDS = {
    "linear": "LogisticRegression",
    "mlp": "MLPClassifier, 64 and 32 hidden units",
}
INTRO = """# Numbers that agree

Scikit-learn trained two networks on its digits. The standard AutoAttack attacks both: with rbmix
(the fast backend, one job for the whole curve) and with pyautoattack's own driver, one epsilon at a
time.

- *alike* counts the images with the same verdict, clean errors included. If the verdicts differ,
  one of the two found an example that the other did not find.
- *only here* counts examples that only rbmix found, *only there* those that only pyautoattack
  found.
- *true* is the accuracy under the strongest possible attack. It is known for the linear network:
  within epsilon of an image, and within the box of pixels, the largest fall of the margin to each
  other class has a closed form (l-infinity) or follows from one bisection (l2).

`python tests/benchmarks/agreement.py > docs/agreement.md` makes this page.
"""


class Copied(nn.Module):
    """A classifier of scikit-learn with the weights it has, in double precision.

    (B, 1, 8, 8) in [0, 1] -> logits (B, classes) float32.
    """

    def __init__(self, weights: list[Any], biases: list[Any]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for weight, bias in zip(weights, biases, strict=True):
            layer = nn.Linear(*weight.shape, dtype=torch.float64)
            layer.weight.data, layer.bias.data = torch.tensor(weight.T), torch.tensor(bias)
            layers += [layer, nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(LEVELS * x.flatten(1).double())
        return logits.float()


def trained(name: str) -> tuple[Any, Copied]:
    """The classifier, fitted by scikit-learn on the training digits, and its copy."""
    split = loaders.load("digits").train
    fitted = CLASSIFIERS[name]().fit(split.images.flatten(1).double().numpy(), split.labels.numpy())
    if name == "linear":
        return fitted, Copied([fitted.coef_.T], [fitted.intercept_])
    return fitted, Copied(fitted.coefs_, fitted.intercepts_)


def here(net: nn.Module, x: Tensor, y: Tensor, protocol: protocols.Protocol) -> Tensor:
    """Which images stand at 0 and each epsilon, (levels, n) bool, by rbmix."""
    result = rbmix.evaluate(net, (x, y), protocol)
    return torch.tensor(result.run.standing().to_numpy().T)


def there(net: nn.Module, x: Tensor, y: Tensor, protocol: protocols.Protocol) -> Tensor:
    """The same by pyautoattack's driver, with the protocol's steps and queries if it has any."""
    import pyautoattack

    standing = [net(x).argmax(1) == y]
    for eps in protocol.eps:
        attack = pyautoattack.AutoAttack(
            net, norm=PROTOCOLS[protocol.name], eps=eps.value, seed=0, device="cpu"
        )
        steps = protocol.options.get("steps", 100)
        attack.apgd.n_iter = attack.apgd_targeted.n_iter = attack.fab.n_iter = steps
        attack.square.n_queries = protocol.options.get("queries", 5000)
        trace = sys.gettrace()  # the library unsets it
        x_adv, _ = attack.run_standard_evaluation(x, y, batch_size=len(x))
        sys.settrace(trace)
        standing.append(net(x_adv).argmax(1) == y)
    return torch.stack(standing)


def truth(net: Copied, x: Tensor, y: Tensor, protocol: protocols.Protocol) -> Tensor:
    """The same for a linear network, from the largest fall of each margin."""
    layer = net.layers[0]
    weight, bias = LEVELS * layer.weight.detach(), layer.bias.detach()
    pixels = x.flatten(1).double()
    standing = []
    for eps in [Eps("0"), *protocol.eps]:
        falls = _largest_rise(
            weight[None] - weight[y][:, None], pixels[:, None], eps.value, protocol
        )
        rise = ((weight[None] - weight[y][:, None]) * pixels[:, None]).sum(2) + falls
        excess = rise + bias[None] - bias[y][:, None]
        excess.scatter_(1, y[:, None], -torch.inf)
        standing.append(excess.amax(1) < 0)
    return torch.stack(standing)


def _largest_rise(slope: Tensor, x: Tensor, eps: float, protocol: protocols.Protocol) -> Tensor:
    """The most that slope . delta can be, delta within eps and x + delta within [0, 1]."""
    if protocol.norm == "linf":
        step = (x + eps * slope.sign()).clamp(0, 1) - x
        return (slope * step).sum(2)
    # Along the slope, each pixel as far as the box allows: the length of that grows with t.
    low, high = torch.zeros(slope.shape[:2]).double(), torch.full(slope.shape[:2], 1e6).double()
    for _ in range(100):
        middle = (low + high) / 2
        step = (x + middle[..., None] * slope).clamp(0, 1) - x
        within = step.norm(dim=2) <= eps
        low, high = torch.where(within, middle, low), torch.where(within, high, middle)
    return (slope * ((x + low[..., None] * slope).clamp(0, 1) - x)).sum(2)


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--examples", type=int, default=300)
    arguments = parser.parse_args()
    split = balanced_subset(loaders.load("digits").test, arguments.examples)
    x, y = split.pixels(), split.labels
    print(INTRO)
    made_with = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    print(f"{made_with}; n = {len(y)} test images.\n")
    print("| network | norm | eps | rbmix | pyautoattack | true | alike | only here | only there |")
    print("|" + " --- |" * 9)
    for name in CLASSIFIERS:
        _, net = trained(name)
        for attack in PROTOCOLS:
            protocol = protocols.load(attack, "digits", eps=GRIDS[attack])
            ours, theirs = here(net, x, y, protocol), there(net, x, y, protocol)
            known = truth(net, x, y, protocol) if name == "linear" else None
            for level, eps in enumerate(["0", *(one.text for one in protocol.eps)]):
                true = "" if known is None else str(int(known[level].sum()))
                alike = int((ours[level] == theirs[level]).sum())
                here_only, there_only = (
                    int((mine & ~other).sum())
                    for mine, other in ((theirs[level], ours[level]), (ours[level], theirs[level]))
                )
                print(
                    f"| {WORDS[name]} | {protocol.norm} | {eps} | {int(ours[level].sum())} "
                    f"| {int(theirs[level].sum())} | {true} | {alike} of {len(y)} "
                    f"| {here_only} | {there_only} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
