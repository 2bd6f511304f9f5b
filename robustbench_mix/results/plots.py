"""Robustness-accuracy curves as SVG, one file per data set, model, protocol and backend."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from robustbench_mix.config.epsilon import Eps
from robustbench_mix.results import leaderboard, records, svg, twins
from robustbench_mix.results.intervals import wilson
from robustbench_mix.results.leaderboard import ORDER
from robustbench_mix.results.random_effects import estimate
from robustbench_mix.results.records import Run
from robustbench_mix.storage.files import safe_name, write_if_changed
from robustbench_mix.storage.locks import exclusive_lock


@dataclass(frozen=True)
class Curve:
    """The curve of a kind of network over its seeds: the mean share standing at each epsilon.

    Each share has a 95 % interval: Wilson's for one seed; for more, seeds and images both vary.
    """

    name: str
    seeds: int
    images: int
    shares: dict[str, tuple[float, float, float]]

    @property
    def label(self) -> str:
        """The name in the legend."""
        return self.name if self.seeds == 1 else f"{self.name}, {self.seeds} seeds"


def refresh(results: Path) -> list[Path]:
    """Update curves and leaderboard from the records; return the files that changed.

    The leaderboard is written after the curves. If it matches the records, the curves do too, and
    only missing curves are drawn.
    """
    drawn = write(results, only_missing=not leaderboard.stale(results))
    return [*leaderboard.write(results), *drawn]


def write(results: Path, *, only_missing: bool = False) -> list[Path]:
    """Redraw every curve from the records, into `results/curves`.

    Args:
        results: The results folder.
        only_missing: Draw only curves that are missing.

    Returns:
        The files that changed.
    """
    folder = results / "curves"
    with exclusive_lock(folder):
        wanted = {
            folder / f"{stem}.svg": runs for stem, runs in groups(records.read_all(results)).items()
        }
        drawings = {
            path: svg.render(partial(figure, runs))
            for path, runs in wanted.items()
            if not (only_missing and path.is_file())
        }
        return write_if_changed(drawings)


def groups(runs: list[Run]) -> dict[str, list[Run]]:
    """Return the runs of each drawing (one data set, model, protocol and backend) by its stem."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        h = run.header
        backend = () if run.backend == "fast" else (run.backend,)
        words = "-".join((h.dataset, h.model, h.protocol, *backend))
        found.setdefault(safe_name(words), []).append(run)
    return found


def curves(runs: list[Run]) -> list[Curve]:
    """Return one curve for each kind of model.

    Of several trainings the longest, then the choice of images with the most records.
    """
    sets = [list(twins.by_seed(group).values()) for group in twins.groups(runs, "seed").values()]
    kinds = twins.largest(sets, lambda seeds: _kind_name(seeds[0]), _size)
    found = [_curve(name, seeds) for name, seeds in kinds.items()]
    return sorted(found, key=lambda curve: (ORDER.get(curve.name, len(ORDER)), curve.name))


def _size(seeds: list[Run]) -> tuple[int, int]:
    return twins.training_images(seeds[0].header), twins.images(seeds)


def title(runs: list[Run]) -> str:
    """Return the title of a group's drawing."""
    header, backend = runs[0].header, runs[0].backend
    words = f"{header.model} on {header.dataset}, {header.protocol}"
    return words if backend == "fast" else f"{words} ({backend})"


def figure(runs: list[Run], empty: Any) -> None:
    """Draw the curves of these runs into an empty figure of matplotlib."""
    draw(runs, empty.add_subplot())


def draw(runs: list[Run], axes: Any) -> None:
    """Draw the curves of these runs: accuracy in % against eps, with 95 % intervals."""
    shown = curves(runs)
    colour = svg.colours([curve.name for curve in shown])
    ticks: dict[str, float] = {}
    for curve in shown:
        x = [Eps(eps).value for eps in curve.shares]
        ticks |= dict(zip(curve.shares, x, strict=True))
        mean, low, high = (
            100 * np.array(side) for side in zip(*curve.shares.values(), strict=True)
        )
        axes.fill_between(x, low, high, color=colour[curve.name], alpha=0.15, linewidth=0)
        axes.plot(x, mean, marker="o", color=colour[curve.name], clip_on=False, label=curve.label)
    sizes = sorted({curve.images for curve in shown})
    axes.set_title(title(runs))
    axes.set_xlabel(f"{runs[0].header.norm} epsilon ({', '.join(map(str, sizes))} images)")
    axes.set_ylabel("accuracy, %")
    axes.set_ylim(0, 100)
    axes.set_xticks(list(ticks.values()), list(ticks), rotation=45, ha="right")
    axes.grid(alpha=0.3)
    axes.legend(title="spatial mixers")


def _curve(name: str, runs: list[Run]) -> Curve:
    survived = [run.standing() for run in runs]
    shares = {}
    for eps in survived[0]:
        kept = np.stack([table[eps].to_numpy() for table in survived])
        if len(kept) == 1:
            low, high = wilson(int(kept.sum()), kept.size)
        else:
            low, high = (float(np.clip(end, 0, 1)) for end in estimate(kept * 1.0).interval())
        shares[eps] = (float(kept.mean()), low, high)
    return Curve(name, len(runs), len(survived[0]), shares)


def _kind_name(run: Run) -> str:
    spatial, channel = run.header.spatial, run.header.channel
    name = str(spatial) if channel in ("learned", "external") else f"{spatial}, channel {channel}"
    return f"{name}, adversarial {run.header.adversarial}" if run.header.adversarial else name
