"""Draw the explanations: distances, spectra and Fourier heat maps of all variants."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from robustbench_mix.claims.explanations.local import pairs_of, spectrum
from robustbench_mix.claims.explanations.table import Drawing
from robustbench_mix.results import svg
from robustbench_mix.results.probes import Probe
from robustbench_mix.storage.files import safe_name

# The probes of each kind of spatial mixers, one for each seed; the learned first.
Kinds = dict[str, list[Probe]]
STEPS = 200  # most steps of a curve
ACROSS = 4  # number of heat maps in a row


def all_drawings(probes: list[Probe]) -> list[Drawing]:
    """Return three drawings for each network that was probed beside its learned twin."""
    found = []
    for (dataset, model), kinds in _by_network(probes).items():
        for name, what, draw in (
            ("distances", "smallest perturbations found", _distances),
            ("frequency", "spectra", _spectra),
            ("waves", "accuracy under waves of one frequency", _heat_maps),
        ):
            stem = safe_name("-".join((name, dataset, model)))
            alt = f"{model} on {dataset}, {', '.join(kinds)}: {what}"
            title = f"{model} on {dataset}\n{what}"  # names may be long
            found.append(Drawing(name, f"{stem}.svg", alt, partial(draw, kinds, title)))
    return found


def _by_network(probes: list[Probe]) -> dict[tuple[str, str], Kinds]:
    """Group probes by data and model; the learned probes are those with most twins."""
    found: dict[tuple[str, str], Kinds] = {}
    for (dataset, model, spatial), pairs in pairs_of(probes).items():
        kinds = found.setdefault((dataset, model), {"learned": []})
        learned, others = zip(*pairs, strict=True)
        kinds["learned"] = max(kinds["learned"], list(learned), key=len)
        kinds[spatial] = list(others)
    return found


def _distances(kinds: Kinds, title: str, figure: Any) -> None:
    """Draw the share of images that need a larger perturbation, against its size.

    All images count: a misclassified one needs none. A perfect minimum-norm attack would give this
    robustness curve.
    """
    axes = figure.add_subplot()
    style = svg.styles(list(kinds))
    limit = 0.0
    for name, column in kinds.items():
        found = np.sort(
            np.concatenate([probe.table["distance"].to_numpy(float) for probe in column])
        )
        finite = 255 * found[np.isfinite(found)]
        if finite.size:
            limit = max(limit, float(np.quantile(finite, 0.99, method="higher")))
        # A curve of hundreds of steps looks the same with as many as a line has room for.
        at = np.unique(np.linspace(0, len(finite), STEPS).round().astype(int))
        left = 100 * (1 - at / len(found))
        line = {**style[name].line(), "linewidth": 1.2, "label": name}
        axes.step(np.array([0, *finite])[at], left, where="post", **line)
    axes.set_title(title, fontsize="medium")
    axes.set_xlabel("smallest l-infinity perturbation found, / 255")
    axes.set_ylabel("images that need more, %")
    axes.set_xlim(0, limit or None)
    axes.set_ylim(0, 100)
    axes.grid(alpha=0.3)
    axes.legend(title="spatial mixers", fontsize="small")


def _spectra(kinds: Kinds, title: str, figure: Any) -> None:
    """Draw the share of power in each band of spatial frequency."""
    shown = [
        what
        for what in ("filters", "composed", "perturbation")
        if any(spectrum(probe, what) for column in kinds.values() for probe in column)
    ]
    panels = figure.subplots(1, max(len(shown), 1), sharey=True, squeeze=False)[0]
    style = svg.styles(list(kinds))
    for axes, what in zip(panels, shown, strict=False):
        for offset, (name, column) in zip(svg.beside(len(kinds)), kinds.items(), strict=True):
            spectra = [found for probe in column if (found := spectrum(probe, what))]
            if spectra:
                mean = 100 * np.mean(spectra, axis=0)
                bands = (np.arange(len(mean)) + 0.5 + offset) / len(mean)
                there = mean > 0  # a small image has no frequency in some bands
                line = {**style[name].marked_line(), "markersize": 3.5, "label": name}
                axes.plot(bands[there], mean[there], **line)
        axes.set_title({"composed": "composed kernels"}.get(what, what), fontsize="small")
        axes.set_xlim(0, 1)
        axes.set_xlabel("frequency, 1: highest", fontsize="small")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("power, %")
    panels[0].set_ylim(bottom=0)
    svg.legend_below(figure, panels[-1])
    figure.suptitle(title, fontsize="medium")


def _heat_maps(kinds: Kinds, title: str, figure: Any) -> None:
    """Draw the accuracy under each wave, with frequency 0 in the middle of the left edge."""
    down = math.ceil(len(kinds) / ACROSS)
    panels = figure.subplots(down, min(len(kinds), ACROSS), sharex=True, sharey=True, squeeze=False)
    maps = {
        name: 100 * np.mean([np.array(probe.header.heat_map) for probe in column], axis=0)
        for name, column in kinds.items()
    }
    low, high = min(m.min() for m in maps.values()), max(m.max() for m in maps.values())
    for axes, (name, shares) in zip(panels.flat, maps.items(), strict=False):
        height, width = shares.shape
        shown = axes.imshow(
            np.fft.fftshift(shares, axes=0), vmin=low, vmax=high, cmap="viridis",
            extent=(-0.5, width - 0.5, height - height // 2 - 0.5, -(height // 2) - 0.5),
        )  # fmt: skip
        axes.set_title(name, fontsize="x-small")
    for axes in panels.flat[len(maps) :]:
        axes.set_visible(False)
    figure.supxlabel("cycles across", fontsize="medium")
    figure.supylabel("cycles down", fontsize="medium")
    figure.colorbar(shown, ax=panels, label="accuracy, %")
    figure.suptitle(title, fontsize="medium")
