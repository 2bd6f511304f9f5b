"""The attacks of claim 3, weakest first, and how people write their names."""

from __future__ import annotations

NAMES = {"fgsm": "FGSM", "pgd": "PGD", "autoattack": "AutoAttack"}  # by protocol
NUMBERS = dict(zip(NAMES, ("3a", "3b", "3c"), strict=True))  # of the claims
