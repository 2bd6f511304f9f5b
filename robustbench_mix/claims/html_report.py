"""Write one HTML file with verdicts, curves, explanations, examples and provenance.

The file loads nothing from a network and is a pure function of the records.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from robustbench_mix.claims import figures, page, paper, summary, verdicts
from robustbench_mix.claims.explanations import overview
from robustbench_mix.results import (
    analysis_plan,
    curves,
    gallery,
    plots,
    probes,
    records,
    svg,
    unshuffling,
)
from robustbench_mix.results.intervals import wilson
from robustbench_mix.results.probes import Transfer
from robustbench_mix.results.records import Run
from robustbench_mix.results.unshuffling import Decoding
from robustbench_mix.storage.files import write_if_changed
from robustbench_mix.storage.locks import exclusive_lock

NAME = "report.html"
AMPLITUDE = 127  # grey levels around the middle to which a perturbation is scaled
SIDE = 96  # minimum side of a picture in pixels


def write(results: Path) -> list[Path]:
    """Regenerate report.html from the records under `results`; empty if nothing changed."""
    path = results / NAME
    with exclusive_lock(path):
        return write_if_changed({path: to_html(results)})


def to_html(results: Path) -> str:
    """Return the whole page; every text from the records is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    runs, decoded = records.read_all(results), unshuffling.read_all(results)
    probed, transferred = probes.read_probes(results), probes.read_transfers(results)
    environment = Environment(
        loader=PackageLoader("robustbench_mix.claims", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found = verdicts.all_claims(runs, decoded, analysis_plan.read_all(results))
    return environment.get_template("report.html").render(
        claims=found,
        answers=[one.replace("**", "") for one in summary.sentences(found, runs)],
        forest=_svg(partial(figures.draw_forest, found)) if figures.has_forest(found) else "",
        method=page.METHOD.replace("*", ""),
        tables=[page.table(claim) for claim in found],
        curves=[
            {"alt": _describe_curves(group), "src": _svg(partial(plots.figure, group))}
            for group in curves.groups(runs).values()
        ],
        drawn=_svg,
        explanations=overview.all_explanations(runs, probed, transferred),
        examples=[_examples(one) for one in _first_pairs(transferred)],
        puzzles=_unshuffling_sheets(decoded),
        runs=[_provenance(run) for run in runs],
        source=paper.source(),
    )


def _svg(draw: Callable[[Any], None]) -> str:
    """Return a drawing as a data URI."""
    data = base64.b64encode(svg.render(draw).encode()).decode()
    return f"data:image/svg+xml;base64,{data}"


def _describe_curves(group: list[Run]) -> str:
    """Describe the curves of a group in words, for readers who cannot see them."""
    parts = [f"{curves.title(group)}: accuracy by epsilon."]
    for curve in curves.curves(group):
        shares = [f"{eps}: {100 * mean:.1f} %" for eps, (mean, _, _) in curve.shares.items()]
        parts.append(f"{curve.label}: {'; '.join(shares)}.")
    return " ".join(parts)


def _first_pairs(transferred: list[Transfer]) -> list[Transfer]:
    """Return one pair per network and data set: the frozen twin and the first seed if possible."""
    order = sorted(transferred, key=lambda one: (one.header.spatial != "frozen", one.header.seed))
    chosen: dict[tuple[str, str], Transfer] = {}
    for one in order:
        chosen.setdefault((one.header.dataset, one.header.model), one)
    return [chosen[name] for name in sorted(chosen)]


def _examples(probe: Transfer) -> dict[str, Any]:
    """Return clean and perturbed images, their difference, and each network's predictions."""
    h = probe.header
    classes = h.classes
    kept = probe.table["clean"].notna().to_numpy()
    table = probe.table[kept]
    clean = probe.pixels("clean")
    adversarial = {made: probe.pixels(f"adversarial_{made}") for made in probes.SIDES}
    rows = []
    for at in range(len(clean)):
        row = table.iloc[at]
        views = []
        for made in probes.SIDES:
            perturbed = adversarial[made][at]
            moved = perturbed - clean[at]
            size = float(np.abs(moved).max())
            scale = AMPLITUDE / 255 / max(size, 1e-12)
            says = [classes[int(row[f"says_{made}_{judge}"])] for judge in probes.SIDES]
            views.append(
                {
                    "made": "learned" if made == "first" else h.spatial,
                    "perturbed": _picture(perturbed),
                    "difference": _picture(0.5 + scale * moved),
                    "norm": f"{255 * size:.2f}/255",
                    "factor": f"{scale:.0f}",
                    "says": says,
                }
            )
        label = classes[int(row["label"])]
        rows.append({"label": label, "clean": _picture(clean[at]), "views": views})
    return {"title": f"{h.model} on {h.dataset}, seed {h.seed}", "rows": rows,
            "spatial": h.spatial}  # fmt: skip


def _unshuffling_sheets(found: list[Decoding]) -> list[dict[str, Any]]:
    pages = []
    for group in gallery.twin_groups(found):
        h = group[0].header
        names = ["original", "shuffled", *(one.header.spatial for one in group)]
        shown = [f"{one.header.spatial} {one.psnr.mean():.2f} dB" for one in group]
        pages.append(
            {
                "title": f"{h.model} on {h.dataset}, seed {h.seed}: {', '.join(shown)}",
                "rows": ", ".join(names),
                "src": _png(gallery.sheet(group)),
            }
        )
    return pages


def _provenance(run: Run) -> dict[str, Any]:
    h = run.header
    survived = run.standing()
    shares = []
    for eps, kept in survived.items():
        low, high = wilson(int(kept.sum()), len(kept))
        shares.append(f"{eps}: {100 * kept.mean():.1f} [{100 * low:.1f}, {100 * high:.1f}]")
    return {
        "network": f"{h.model}, {h.spatial} / {h.channel}, seed {h.seed}",
        "data": f"{h.dataset}, {h.n} images",
        "trained": f"{h.train_examples or '?'} x {h.epochs or '?'}",
        "attack": f"{h.protocol} ({run.backend})",
        "accuracy": "; ".join(shares),
        "hashes": f"{h.checkpoint_hash} {h.protocol_hash} {h.data_hash}",
        "where": f"{h.device}; torch {h.versions.get('torch', '?')}; {h.commit}",
        "date": run.date,
    }


def _picture(pixels: np.ndarray) -> str:
    levels = (255 * pixels.clip(0, 1)).round().astype(np.uint8)
    scale = max(1, round(SIDE / max(levels.shape[:2])))
    return _png(gallery.enlarge(levels, scale))


def _png(pixels: np.ndarray) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
