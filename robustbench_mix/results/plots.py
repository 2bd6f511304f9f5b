"""Draw robustness-accuracy curves as SVG, one file per data set, model, protocol and backend."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from robustbench_mix.results import gallery, leaderboard, records, svg
from robustbench_mix.results.curves import (
    Curve,
    curves,
    differences,
    groups,
    informative,
    ticks,
    title,
)
from robustbench_mix.results.records import Run
from robustbench_mix.storage.files import write_if_changed
from robustbench_mix.storage.locks import exclusive_lock

SIZE = (7.2, 3.4)  # inches


def refresh(results: Path) -> list[Path]:
    """Update leaderboard, curves and un-shufflings from the records; return what changed.

    The leaderboard is written after the curves. If it matches the records, the curves do too, and
    only missing curves are drawn.
    """
    drawn = write(results, only_missing=not leaderboard.stale(results))
    return [*leaderboard.write(results), *gallery.write(results), *drawn]


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


def figure(runs: list[Run], empty: Any) -> None:
    """Draw the curves of these runs, and beside them their differences to the learned twin.

    Args:
        runs: The runs of a group.
        empty: An empty figure of matplotlib.
    """
    apart = differences(runs)
    panels = empty.subplots(1, 2 if apart else 1, squeeze=False)[0]
    empty.set_size_inches(*SIZE)
    draw(runs, panels[0])
    panels[0].get_legend().remove()
    panels[0].set_title("")
    if apart:
        grid = informative(curves(runs))
        _draw_series(panels[1], apart, grid, [curve.name for curve in curves(runs)])
        panels[1].axhline(0, color="#666666", linewidth=0.8)
        panels[1].set_ylabel("minus learned, points")
        _name_epsilons(panels[1], grid, curves(runs), runs[0].header.norm)
    empty.suptitle(title(runs), fontsize="medium")
    svg.legend_below(empty, panels[0], title="spatial mixers", title_fontsize="small")


def draw(runs: list[Run], axes: Any) -> None:
    """Draw the curves of these runs: accuracy in % by epsilon, with 95 % intervals.

    The epsilons are categories, so that small ones have as much room as large ones. Those beyond
    the first at which no network is left are not drawn.
    """
    draw_curves(curves(runs), axes, runs[0].header.norm)
    axes.set_title(title(runs))
    axes.legend(title="spatial mixers")


def draw_curves(shown: list[Curve], axes: Any, norm: str) -> list[Any]:
    """Draw curves of accuracies in %, as `draw` does, and return what was drawn for each."""
    grid = informative(shown)
    drawn = _draw_series(axes, shown, grid, [curve.name for curve in shown])
    axes.set_ylabel("accuracy, %")
    axes.set_ylim(-2, 102)
    _name_epsilons(axes, grid, shown, norm)
    return drawn


def _draw_series(axes: Any, shown: list[Curve], grid: list[str], names: list[str]) -> list[Any]:
    """Draw curves in %, each with its style and beside the others at each epsilon.

    Args:
        axes: The axes to draw into.
        shown: The curves.
        grid: The epsilons to draw.
        names: All names of the figure, which give each curve its style and offset.
    """
    style = svg.styles(names)
    offsets = dict(zip(names, svg.beside(len(names)), strict=True))
    drawn = []
    for curve in shown:
        places = [at for at, eps in enumerate(grid) if eps in curve.shares]
        mean, low, high = zip(*(curve.shares[grid[at]] for at in places), strict=True)
        lines = axes.errorbar(
            [at + offsets[curve.name] for at in places],
            [100 * one for one in mean],
            [
                [100 * max(0.0, one - end) for one, end in zip(mean, low, strict=True)],
                [100 * max(0.0, end - one) for one, end in zip(mean, high, strict=True)],
            ],
            elinewidth=0.9, label=curve.label, **style[curve.name].marked_line(),
        )  # fmt: skip
        drawn.append(lines)
    axes.grid(alpha=0.3)
    return drawn


def _name_epsilons(axes: Any, grid: list[str], shown: list[Curve], norm: str) -> None:
    labels, unit = ticks(grid)
    sizes = sorted({curve.images for curve in shown})
    words = f"{norm} epsilon" + (f", {unit}" if unit else "")
    axes.set_xlabel(f"{words} ({', '.join(map(str, sizes))} images)")
    slanted: dict[str, Any] = {} if unit else {"rotation": 45, "ha": "right"}
    axes.set_xticks(range(len(grid)), labels, **slanted)
