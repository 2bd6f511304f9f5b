"""The pictures of a page: adversarial examples and un-shuffled images, as PNG in the page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from robustbench_mix.results import gallery, probes
from robustbench_mix.results.probes import Transfer
from robustbench_mix.results.twins import training_words
from robustbench_mix.results.unshuffling import Decoding
from robustbench_mix.storage.files import safe_name

AMPLITUDE = 127  # grey levels around the middle to which a perturbation is scaled


@dataclass(frozen=True)
class View:
    """An image as the smallest perturbation of one network left it.

    Attributes:
        made: The mixers of the network that it was made on.
        perturbed, difference: Pictures as data URIs; the difference is amplified around grey.
        norm: The size of the perturbation.
        factor: By how much the difference is amplified.
        says: What the learned and the other network take it for.
    """

    made: str
    perturbed: str
    difference: str
    norm: str
    factor: str
    says: list[str]


@dataclass(frozen=True)
class Example:
    """An image of a data set, clean and under the smallest perturbation of each network.

    Attributes:
        image: Its number in the test split.
        label: Its class.
        clean: Its picture as a data URI.
        says: What the learned and the other network take it for without a perturbation.
        views: It, perturbed for each network.
    """

    image: int
    label: str
    clean: str
    says: list[str]
    views: list[View]


@dataclass(frozen=True)
class Group:
    """The examples of a pair of twins: the first of each class, and the others."""

    anchor: str
    title: str
    transfer: Transfer
    first: list[Example]
    more: list[Example]


@dataclass(frozen=True)
class Sheet:
    """The un-shuffled images of a pair of twins in one picture."""

    title: str
    rows: str
    picture: str


def groups(transferred: list[Transfer]) -> list[Group]:
    """Return the examples of one pair for each network and data set.

    It is the pair whose pictures are of most classes; of several such the frozen twin, and the
    first seed.
    """

    def order(one: Transfer) -> tuple[int, bool, int]:
        return -one.table["label"].nunique(), one.header.spatial != "frozen", one.header.seed

    chosen: dict[tuple[str, str], Transfer] = {}
    for one in sorted(transferred, key=order):
        chosen.setdefault((one.header.dataset, one.header.model), one)
    return [_group(chosen[name]) for name in sorted(chosen)]


def sheets(found: list[Decoding]) -> list[Sheet]:
    """Return a sheet for each pair of un-shufflings."""
    pages = []
    for group in gallery.twin_groups(found):
        h = group[0].header
        names = ["original", "shuffled", *(one.header.spatial for one in group)]
        shown = [f"{one.header.spatial} {one.psnr.mean():.2f} dB" for one in group]
        title = f"{h.model} on {h.dataset}, seed {h.seed}: {', '.join(shown)}"
        pages.append(Sheet(title, ", ".join(names), _png(gallery.sheet(group))))
    return pages


def _group(transfer: Transfer) -> Group:
    h = transfer.header
    table = transfer.table[transfer.table["clean"].notna()].reset_index(drop=True)
    examples = [_example(transfer, table.iloc[at], at) for at in range(len(table))]
    firsts = set(table.drop_duplicates("label").index)
    first = [one for at, one in enumerate(examples) if at in firsts]
    return Group(
        safe_name(f"examples-{h.dataset}-{h.model}"),
        ", ".join(
            words
            for words in (f"{h.model} on {h.dataset}", training_words(h), f"seed {h.seed}")
            if words
        ),
        transfer,
        sorted(first, key=lambda one: h.classes.index(one.label)),
        [one for at, one in enumerate(examples) if at not in firsts],
    )


def _example(transfer: Transfer, row: Any, at: int) -> Example:
    """Return the example in a row of the table; its pictures are the ones numbered `at`."""
    h = transfer.header
    clean = transfer.pixels("clean")[at]
    label = h.classes[int(row["label"])]
    views = []
    for made, name in zip(probes.SIDES, ("learned", h.spatial), strict=True):
        perturbed = transfer.pixels(f"adversarial_{made}")[at]
        moved = perturbed - clean
        size = float(np.abs(moved).max())
        scale = AMPLITUDE / 255 / max(size, 1e-12)
        says = [h.classes[int(row[f"says_{made}_{judge}"])] for judge in probes.SIDES]
        views.append(
            View(
                name, _picture(perturbed), _picture(0.5 + scale * moved), f"{255 * size:.2f}/255",
                f"{scale:.0f}", says,
            )
        )  # fmt: skip
    clean_says = [label if row[side] else f"not {label}" for side in probes.SIDES]
    return Example(int(row["image"]), label, _picture(clean), clean_says, views)


def _picture(pixels: np.ndarray) -> str:
    return _png(gallery.enlarge((255 * pixels.clip(0, 1)).round().astype(np.uint8), 1))


def _png(pixels: np.ndarray) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
