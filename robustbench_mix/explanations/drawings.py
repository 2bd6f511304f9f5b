"""What the explanations say, drawn: distances, spectra and Fourier heat maps of twins."""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from robustbench_mix import drawing
from robustbench_mix.explanations.local import Twins, twins
from robustbench_mix.explanations.table import Drawing
from robustbench_mix.files import safe_name
from robustbench_mix.probes import Probe


def every(probes: list[Probe]) -> list[Drawing]:
    """All of them, for each pair of kinds that was probed."""
    found = []
    for key, pairs in twins(probes).items():
        for name, what, draw in (
            ("distances", "smallest perturbations found", _distances),
            ("frequency", "spectra", _spectra),
            ("waves", "accuracy under waves of one frequency", _heat_maps),
        ):
            dataset, model, spatial = key
            stem = safe_name("-".join((name, dataset, model, spatial)))
            alt = f"{model} on {dataset}, learned and {spatial}: {what}"
            title = f"{model} on {dataset}\n{what}"  # names may be long
            found.append(Drawing(name, f"{stem}.svg", alt, partial(draw, spatial, pairs, title)))
    return found


def _distances(spatial: str, pairs: Twins, title: str, figure: Any) -> None:
    """The share of images whose smallest perturbation is larger, against its size.

    All images: one that is misclassified needs none. This is what a perfect minimum-norm
    attack would make of the robustness curve.
    """
    axes = figure.add_subplot()
    colour = drawing.colours(["learned", spatial])
    limit = 0.0
    for name, column in zip(("learned", spatial), zip(*pairs, strict=True), strict=True):
        found = np.sort(
            np.concatenate([probe.table["distance"].to_numpy(float) for probe in column])
        )
        finite = 255 * found[np.isfinite(found)]
        limit = (
            max(limit, float(np.quantile(finite, 0.99, method="higher"))) if finite.size else limit
        )
        left = 100 * (1 - np.arange(len(finite) + 1) / len(found))
        axes.step([0, *finite], left, where="post", color=colour[name], label=name)
    axes.set_title(title, fontsize="medium")
    axes.set_xlabel("smallest l-infinity perturbation found, / 255")
    axes.set_ylabel("images that need more, %")
    axes.set_xlim(0, limit or None)
    axes.set_ylim(0, 100)
    axes.grid(alpha=0.3)
    axes.legend(title="spatial mixers")


def _spectra(spatial: str, pairs: Twins, title: str, figure: Any) -> None:
    """The share of power in each band of spatial frequency."""
    panels = figure.subplots(1, 3, sharey=True)
    colour = drawing.colours(["learned", spatial])
    for axes, what in zip(panels, ("filters", "composed", "perturbation"), strict=True):
        for name, column in zip(("learned", spatial), zip(*pairs, strict=True), strict=True):
            spectra = [probe.header[what] for probe in column if probe.header[what]]
            if spectra:
                mean = 100 * np.mean(spectra, axis=0)
                bands = (np.arange(len(mean)) + 0.5) / len(mean)
                there = mean > 0  # a small image has no frequency in some bands
                axes.plot(
                    bands[there],
                    mean[there],
                    marker="o",
                    markersize=3,
                    color=colour[name],
                    label=name,
                )
        axes.set_title({"composed": "composed kernels"}.get(what, what), fontsize="small")
        axes.set_xlim(0, 1)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("power, %")
    panels[0].set_ylim(bottom=0)
    panels[1].set_xlabel("spatial frequency, 1: the highest")
    panels[0].legend(fontsize="small")
    figure.suptitle(title, fontsize="medium")


def _heat_maps(spatial: str, pairs: Twins, title: str, figure: Any) -> None:
    """Accuracy under each wave; the zero frequency in the middle of the left edge."""
    panels = figure.subplots(1, 2, sharey=True)
    maps = [
        100 * np.mean([np.array(probe.header["heat_map"]) for probe in column], axis=0)
        for column in zip(*pairs, strict=True)
    ]
    low, high = min(chain(*(m.flat for m in maps))), max(chain(*(m.flat for m in maps)))
    for axes, name, shares in zip(panels, ("learned", spatial), maps, strict=True):
        height, width = shares.shape
        shown = axes.imshow(
            np.fft.fftshift(shares, axes=0), vmin=low, vmax=high, cmap="viridis",
            extent=(-0.5, width - 0.5, height - height // 2 - 0.5, -(height // 2) - 0.5),
        )  # fmt: skip
        axes.set_title(name, fontsize="small")
        axes.set_xlabel("cycles across")
    panels[0].set_ylabel("cycles down")
    figure.colorbar(shown, ax=panels, label="accuracy, %")
    figure.suptitle(title, fontsize="medium")
