"""The words that users may write, as types: editors complete them, type checkers know them.

A type that ends in `Name` lists the words that stand for themselves. Where more is allowed, as
paths or numbers, the type without that ending says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, SupportsFloat

ModelName = Literal[
    "resnet14", "resnet20", "resnet26", "resnet32", "resnet38", "resnet18", "resnet34",
    "convmixer4", "convmixer6", "convmixer8", "convmixer256_8",
]  # fmt: skip
SpatialName = Literal[
    "learned", "frozen", "same", "single", "repeated", "box", "identity", "impulse", "gaussian"
]
Spatial = SpatialName | str  # also `smoothed:S` and `smoothed:S:rescaled`
Channel = Literal["learned", "frozen"]
DatasetName = Literal["digits", "cifar10", "cifar100"]
AttackName = Literal[
    "autoattack", "autoattack-audited", "autoattack-l2", "fgsm", "noise", "pgd", "pgd-l2", "smoke"
]
AlgorithmName = Literal["autoattack", "autoattack-audited", "fgsm", "noise", "pgd"]
Algorithm = AlgorithmName | str  # also `foolbox:NAME`, and what other packages register
NormName = Literal["linf", "l2", "l1", "Linf", "L2", "L1"]
Norm = NormName | str | SupportsFloat  # in any usual spelling; 1, 2, infinity
Backend = Literal["fast", "reference"]
DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "fp32", "bf16"]
AdversarialAttack = Literal["pgd", "n-fgsm"]
Version = Literal["standard", "plus", "rand", "custom"]
Component = Literal["apgd-ce", "apgd-dlr", "apgd-t", "fab", "fab-t", "square"]
File = str | Path
