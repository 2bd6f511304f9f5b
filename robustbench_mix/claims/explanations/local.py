"""Explanations from the probes: linearity, margins and distances, transfer, frequencies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from robustbench_mix.claims.explanations.table import Explanation, interval, percent
from robustbench_mix.results import twins
from robustbench_mix.results.probes import ATTACKS, SIDES, Probe, Transfer

T = TypeVar("T")
Twins = list[tuple[Probe, Probe]]


def pairs_of(probes: list[Probe]) -> dict[tuple[str, str, str], Twins]:
    """Pair learned and other probes of the same seed, by (data, model, spatial).

    All pairs of a network are of one training, and on the same images and epsilons.
    """
    standard = [probe for probe in probes if not probe.header.adversarial]
    found: dict[tuple[str, str, str], Twins] = defaultdict(list)
    for group in twins.groups(standard, "spatial").values():
        kinds = {probe.header.spatial: probe for probe in group}
        for spatial, probe in kinds.items():
            if spatial != "learned" and "learned" in kinds:
                h = probe.header
                found[h.dataset, h.model, spatial].append((kinds["learned"], probe))
    return {key: _comparable(found[key], lambda pair: pair[0]) for key in sorted(found)}


def linearity(probes: list[Probe]) -> Explanation:
    """Compare the fall of the margin with what the gradient predicts."""
    rows = []
    for (dataset, model, spatial), pairs in pairs_of(probes).items():
        for at, eps in enumerate(pairs[0][0].header.eps):
            sides = [
                [_linearity(side, at) for side in column] for column in zip(*pairs, strict=True)
            ]
            cells = [f"{np.mean([np.mean(kept) for kept in side]):.2f}" for side in sides]
            gain = [
                np.mean(other) - np.mean(learned) for learned, other in zip(*sides, strict=True)
            ]
            rows.append(
                [dataset, model, spatial, eps, str(len(pairs)), *cells, _format_by_seed(gain)]
            )
    return Explanation(
        "linearity", "Linearity along the attack",
        "Shows how much of the fall of the margin that the gradient predicts, one FGSM step of "
        "eps away, really happens (1: linear; less: the step overshoots a curved landscape, and "
        "FGSM is weak), for the learned network and the other.",
        "It cannot show what a better direction would find: that is PGD's and AutoAttack's part.",
        ["data", "model", "spatial", "eps", "seeds", "learned", "other", "difference by seed"],
        rows,
    )  # fmt: skip


def distances(probes: list[Probe]) -> Explanation:
    """Compare margins, gradients, the distances they predict, and the distances that FMN found."""
    rows = []
    for (dataset, model, spatial), pairs in pairs_of(probes).items():
        for name, unit, scale in (
            ("margin", "logits", 1.0), ("grad_l1", "logits / unit", 1.0),
            ("predicted", "/255", 255.0), ("distance", "/255", 255.0),
        ):  # fmt: skip
            sides = [
                np.stack([scale * _values(probe, name) for probe in column])
                for column in zip(*pairs, strict=True)
            ]
            both = np.stack([a.table["correct"] & b.table["correct"] for a, b in pairs]).all(0)
            first, second = (side[:, both] for side in sides)
            both_finite = np.isfinite(first).all(0) & np.isfinite(second).all(0)
            first, second = first[:, both_finite], second[:, both_finite]
            if not first.size:
                continue
            words = {"predicted": "margin / gradient", "distance": "smallest found (FMN)"}
            cells = [words.get(name, name), unit, f"{first.shape[0]} x {first.shape[1]}"]
            medians = [f"{np.median(side):.3g}" for side in (first, second)]
            rows.append(
                [dataset, model, spatial, *cells, *medians, interval(second - first, "+.3g")]
            )
    return Explanation(
        "distances", "Margins, gradients and distances",
        "Shows, over the images that both twins classify correctly, medians of the logit margin, "
        "of the l1 norm of its input gradient, of their ratio, which is the l-infinity distance "
        "to the boundary to first order, and of the smallest perturbation that FMN found, with "
        "the mean paired difference.",
        "It cannot prove that no smaller perturbation exists: FMN gives upper bounds.",
        ["data", "model", "spatial", "what", "unit", "seeds x images", "learned", "other",
         "difference"],
        rows,
    )  # fmt: skip


def transfers(measured: list[Transfer]) -> Explanation:
    """Show which network's adversarial examples fool which network."""
    groups: dict[tuple[str, str, str], list[Transfer]] = defaultdict(list)
    for probe in measured:
        h = probe.header
        if not h.adversarial:
            groups[h.dataset, h.model, h.spatial].append(probe)
    rows = []
    for (dataset, model, spatial), every in sorted(groups.items()):
        found = _comparable(every, lambda one: one)
        for attack in ATTACKS:
            for at, eps in enumerate(found[0].header.eps):
                cells = [
                    percent(
                        np.concatenate([_fooled_images(p, attack, made, judge, at) for p in found])
                    )
                    for made in SIDES
                    for judge in SIDES
                ]
                rows.append([dataset, model, spatial, attack, eps, str(len(found)), *cells])
    return Explanation(
        "transfer", "Transfer between the twins",
        "Shows, in % of the images that both classify correctly, how many examples made on one "
        "network fool that network and its twin: a network that its twin's examples fool more "
        "than its own hides its gradients rather than resists.",
        "It cannot show robustness: transferred examples are weaker than any made on the network.",
        ["data", "model", "spatial", "attack", "eps", "seeds", "learned to learned",
         "learned to other", "other to learned", "other to other"],
        rows,
    )  # fmt: skip


def frequencies(probes: list[Probe]) -> Explanation:
    """Show the spatial frequencies of filters, composed kernels and perturbations."""
    rows = []
    for (dataset, model, spatial), pairs in pairs_of(probes).items():
        for side, column in zip(("learned", spatial), zip(*pairs, strict=True), strict=True):
            for name in ("filters", "composed", "perturbation"):
                spectra = [found for probe in column if (found := spectrum(probe, name))]
                if spectra:
                    mean = np.mean(spectra, axis=0)
                    cells = [f"{100 * share:.1f}" for share in mean]
                    rows.append([dataset, model, side, name, str(len(spectra)), *cells])
    bands = max((len(row) - 5 for row in rows), default=8)
    return Explanation(
        "frequency", "Frequencies",
        "Shows the share of power in %, from the lowest to the highest band of spatial frequency, "
        "of the spatial filters, of the dense kernels that they and the channel mixers make up, "
        "and of the smallest adversarial perturbations.",
        "It cannot show which frequencies the network relies on for clean images: the next table "
        "probes that.",
        ["data", "model", "spatial", "what", "seeds", *(f"{k + 1}/{bands}" for k in range(bands))],
        list(map(list, dict.fromkeys(map(tuple, rows)))),
    )  # fmt: skip


def waves(probes: list[Probe]) -> Explanation:
    """Show the accuracy under noise of one frequency at a time, by band."""
    rows = []
    for (dataset, model, spatial), pairs in pairs_of(probes).items():
        for side, column in zip(("learned", spatial), zip(*pairs, strict=True), strict=True):
            by_band = np.mean([heat_map_bands(np.array(p.header.heat_map)) for p in column], axis=0)
            h = column[0].header
            size = [str(len(column)), str(h.heat_map_n), f"{h.wave_norm:.2f}"]
            cells = [f"{100 * share:.1f}" for share in by_band]
            rows.append([dataset, model, side, *size, *cells])
    return Explanation(
        "waves", "Under noise of one frequency",
        "Shows the accuracy in % under a wave of one spatial frequency, averaged over the "
        "frequencies of each quarter of the range, lowest first (a Fourier heat map in brief).",
        "It cannot show worst cases: the waves are not chosen against the network.",
        ["data", "model", "spatial", "seeds", "images", "l2 norm", "1/4", "2/4", "3/4", "4/4"],
        list(map(list, dict.fromkeys(map(tuple, rows)))),
    )  # fmt: skip


def heat_map_bands(heat_map: np.ndarray, bands: int = 4) -> list[float]:
    """Return the mean accuracy in square rings of frequency, lowest first; NaN for an empty ring.

    Args:
        heat_map: Accuracies, (H, W // 2 + 1).
        bands: Number of rings.
    """
    height, width = heat_map.shape
    rows = np.abs(np.fft.fftfreq(height)) * 2
    columns = np.arange(width) / max(width - 1, 1)
    ring = np.maximum(rows[:, None], columns[None])
    band = np.minimum((ring * bands).astype(int), bands - 1)
    rings = [heat_map[band == k] for k in range(bands)]
    return [float(ring.mean()) if ring.size else np.nan for ring in rings]


def spectrum(probe: Probe, name: str) -> list[float]:
    """Return one of the spectra of a probe, empty if there was nothing to measure.

    Args:
        probe: The probe.
        name: `filters`, `composed` or `perturbation`.
    """
    h = probe.header
    return {"filters": h.filters, "composed": h.composed, "perturbation": h.perturbation}[name]


def _comparable(found: list[T], record_of: Callable[[T], Probe | Transfer]) -> list[T]:
    """Return the records of one training on the same images and epsilons (`twins.rank`)."""
    sets: dict[tuple[Any, ...], list[T]] = defaultdict(list)
    for one in found:
        h = record_of(one).header
        sets[h.train_examples, h.epochs, h.data_hash, *h.eps].append(one)

    def size(one: list[T]) -> tuple[bool, int, int]:
        return twins.rank(record_of(one[0]).header, len(one))

    (largest,) = twins.largest(sets.values(), lambda _: None, size).values()
    return largest


def _linearity(probe: Probe, at: int) -> np.ndarray:
    """Return the observed share of the predicted fall, over correctly classified images."""
    correct = probe.table["correct"].to_numpy(bool)
    margin = probe.table["margin"].to_numpy()[correct]
    real, predicted = (margin - probe.matrix(name)[correct, at] for name in ("real", "predicted"))
    # A ratio of means: single images may predict next to nothing.
    return np.array([real.mean() / max(predicted.mean(), 1e-12)])


def _values(probe: Probe, name: str) -> np.ndarray:
    if name == "predicted":
        margin, slope = (probe.table[c].to_numpy(float) for c in ("margin", "grad_l1"))
        return np.asarray(margin / slope.clip(1e-12))
    return np.asarray(probe.table[name], float)


def _fooled_images(probe: Transfer, attack: str, made: str, judge: str, at: int) -> np.ndarray:
    both = probe.table["first"].to_numpy(bool) & probe.table["second"].to_numpy(bool)
    return np.asarray(probe.matrix(f"{attack}_{made}_{judge}")[both, at])


def _format_by_seed(values: list[Any]) -> str:
    return ", ".join(f"{float(value):+.2f}" for value in values)
