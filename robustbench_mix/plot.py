"""Robustness-accuracy curves as SVG, one file per data set, model and protocol."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from robustbench_mix import records
from robustbench_mix.files import replacing
from robustbench_mix.intervals import wilson
from robustbench_mix.records import Run
from robustbench_mix.specs import Eps

# Okabe & Ito's palette, readable with any colour vision.
COLOURS = {"learned": "#0072B2", "frozen": "#D55E00", "external": "#000000"}
OTHERS = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def write(results: Path) -> list[Path]:
    """Redraw every curve from the records under `results`, into `results/curves`."""
    paths = []
    for stem, runs in groups(records.read_all(results)).items():
        paths.append(results / "curves" / f"{stem}.svg")
        draw(runs, paths[-1])
    return paths


def groups(runs: list[Run]) -> dict[str, list[Run]]:
    """The runs of one data set, model, protocol and backend, by the stem of their drawing."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        h = run.header
        backend = () if run.backend == "fast" else (run.backend,)
        words = "-".join((h["dataset"], h["model"], h["protocol"], *backend))
        found.setdefault(re.sub(r"[^A-Za-z0-9_.+-]", "_", words), []).append(run)
    return found


def draw(runs: list[Run], path: Path) -> None:
    """Draw the curves of these runs: accuracy in % against eps, with Wilson bands."""
    import matplotlib
    from matplotlib.figure import Figure

    # A fixed salt and no date: the same records give the same bytes.
    with matplotlib.rc_context({"svg.hashsalt": "rbmix", "svg.fonttype": "none"}):
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.add_subplot()
        ticks = {"0": 0.0}
        others = iter(OTHERS * len(runs))
        colours = dict(COLOURS)
        labelled: set[str] = set()
        for run in sorted(runs, key=lambda run: (run.header["spatial"], run.header["seed"])):
            spatial = run.header["spatial"]
            colours.setdefault(spatial, next(others))
            ticks |= {eps: Eps(eps).value for eps in run.eps}
            _curve(axes, run, colours[spatial], _name(run) not in labelled)
            labelled.add(_name(run))
        header = runs[0].header
        sizes = sorted({str(run.header["n"]) for run in runs})
        axes.set_title(f"{header['model']} on {header['dataset']}, {header['protocol']}")
        axes.set_xlabel(f"{header['norm']} epsilon ({', '.join(sizes)} images)")
        axes.set_ylabel("accuracy, %")
        axes.set_ylim(0, 100)
        axes.set_xticks(list(ticks.values()), list(ticks), rotation=45, ha="right")
        axes.grid(alpha=0.3)
        axes.legend(title="spatial mixers")
        with replacing(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None})


def _curve(axes: Any, run: Run, colour: str, first: bool) -> None:
    survived = run.survived()
    x = [Eps(eps).value for eps in survived]
    counts = [int(survived[eps].sum()) for eps in survived]
    n = len(survived)
    bands = [wilson(count, n) for count in counts]
    axes.fill_between(
        x, [100 * low for low, _ in bands], [100 * high for _, high in bands],
        color=colour, alpha=0.15, linewidth=0,
    )  # fmt: skip
    axes.plot(
        x, [100 * count / n for count in counts],
        marker="o", color=colour, clip_on=False, label=_name(run) if first else None,
    )  # fmt: skip


def _name(run: Run) -> str:
    spatial, channel = run.header["spatial"], run.header["channel"]
    return str(spatial) if channel in ("learned", "external") else f"{spatial}, channel {channel}"
