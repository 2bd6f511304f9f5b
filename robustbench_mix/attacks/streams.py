"""Random streams that belong to one image, whatever batch it sits in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch


def stream(*words: int | str) -> int:
    """Return a 63-bit seed that depends on every word and on nothing else."""
    text = "\0".join(str(word) for word in words)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generators(index: Sequence[int], *words: int | str) -> list[torch.Generator]:
    """Return one CPU generator per image, seeded by the words and the image's index."""
    return [torch.Generator().manual_seed(stream(*words, image)) for image in index]
