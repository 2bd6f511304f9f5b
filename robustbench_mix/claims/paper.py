"""The paper's own figures, to compare with ours: shares and dB, None if it has no such figure.

`paper.json` holds the figures and their source. A class folder named after CIFAR-10 or
CIFAR-100 is compared with the paper's figures for those.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

DATASETS = {"cifar10": r"cifar-?10(?!0)", "cifar100": r"cifar-?100", "imagenet": r"imagenet"}
STATIC = {"learned": "learned", "frozen": "different"}


@cache
def figures() -> dict[str, Any]:
    """Read the whole file of figures."""
    path = Path(__file__).with_name("paper.json")
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def source() -> str:
    """Return where the figures are from, and how exact they are."""
    return str(figures()["source"])


def clean(model: str, dataset: str, spatial: str, channel: str = "learned") -> float | None:
    """Return the clean accuracy of the paper's model of that name, as a share.

    Args:
        model: A model name.
        dataset: A data set, or a class folder named after one of the paper's.
        spatial: The spatial mixers.
        channel: The channel mixers.

    Returns:
        The accuracy; None if the paper has no such figure.
    """
    variant = _variant(spatial, channel)
    if match := re.fullmatch(r"resnet(14|20|26|32|38)", model):
        table, key, at = figures()["resnet_clean"], "depth_n", (int(match[1]) - 2) // 6
    elif match := re.fullmatch(r"convmixer(4|6|8)", model):
        table, key, at = figures()["convmixer_clean"], "depth", int(match[1])
    else:
        return None
    rows = table.get(_dataset(dataset) or "")
    if rows is None or variant is None or at not in rows[key]:
        return None
    return float(rows[variant][rows[key].index(at)]) / 100


def fgsm(
    model: str, dataset: str, eps: str, spatial: str, channel: str = "learned"
) -> float | None:
    """Return the accuracy under single-step FGSM, the paper's only attack; as `clean`.

    Args:
        model: A model name.
        dataset: A data set.
        eps: The epsilon as text.
        spatial: The spatial mixers.
        channel: The channel mixers.
    """
    match = re.fullmatch(r"resnet(14|20|26|32|38)", model)
    rows = figures()["resnet_cifar10_fgsm"]
    variant = _variant(spatial, channel)
    if not match or _dataset(dataset) != "cifar10" or variant is None or "/" not in eps:
        return None
    if eps not in rows:
        return None
    return float(rows[eps][variant][rows["depth_n"].index((int(match[1]) - 2) // 6)]) / 100


def static(dataset: str, spatial: str) -> float | None:
    """Return the clean accuracy with static filters: the separable ResNet n = 2; as `clean`."""
    rows = figures()["static"].get(_dataset(dataset) or "", {})
    value = rows.get(STATIC.get(spatial, spatial))
    return None if value is None else float(value) / 100


def smoothing(keep: int, eps: str) -> float | None:
    """Return the relative change of accuracy when 8 x 8 random filters are low-passed.

    Args:
        keep: Number of coefficients that are kept along each side.
        eps: The epsilon as text, `0` for clean accuracy.
    """
    rows = figures()["smoothing"]
    column = {"0": "clean"}.get(eps, f"eps_{eps.replace('/', '_')}")
    zeroed = 64 - keep**2
    if column not in rows or zeroed not in rows["smoothing_index"]:
        return None
    return float(rows[column][rows["smoothing_index"].index(zeroed)])


def psnr(dataset: str, depth: int, width: int, kernel: int, spatial: str) -> float | None:
    """Return the PSNR of un-shuffled CIFAR-10 test images in dB; None if the paper has none.

    Args:
        dataset: A data set.
        depth: The depth of the decoder.
        width: Its width.
        kernel: Its kernel size in pixels.
        spatial: Its spatial mixers.
    """
    rows = figures()["unshuffle_cifar10_psnr"]
    variant = _variant(spatial, "learned")
    row = rows.get(f"k{kernel}", {}).get(f"d{depth}_{variant}")
    if row is None or _dataset(dataset) != "cifar10" or width not in rows["width"]:
        return None
    return float(row[rows["width"].index(width)])


def _dataset(name: str) -> str | None:
    for ours, pattern in DATASETS.items():
        if re.search(pattern, name.lower()):
            return ours
    return None


def _variant(spatial: str, channel: str) -> str | None:
    variants = {
        ("learned", "learned"): "full", ("frozen", "learned"): "chans",
        ("learned", "frozen"): "space",
    }  # fmt: skip
    return variants.get((spatial, channel))
