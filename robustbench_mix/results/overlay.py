"""Draw curves of single runs into one axes, each under its own name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from robustbench_mix.config.epsilon import Eps
from robustbench_mix.results import curves, plots
from robustbench_mix.results.curves import Curve
from robustbench_mix.results.records import Run


@dataclass(frozen=True)
class Drawn:
    """A run in axes, and the name that it was given, '' for none.

    It is kept as the attribute `MARK` of what was drawn, so that it goes when that is removed.
    """

    run: Run
    name: str


MARK = "rbmix"


def draw(run: Run, name: str, axes: Any) -> None:
    """Draw the curve of a run; those that were drawn before are drawn again beside it.

    They share the places of the epsilons, so that runs with other grids fit into the same axes.

    Args:
        run: The run.
        name: Its name in the legend; '' takes the model and its mixers.
        axes: The axes to draw into.
    """
    earlier = [lines for lines in axes.containers if hasattr(lines, MARK)]
    shown = [*(getattr(lines, MARK) for lines in earlier), Drawn(run, name)]
    for lines in earlier:
        lines.remove()
    drawn = plots.draw_curves(_named_curves(shown), axes, run.header.norm)
    for one, lines in zip(shown, drawn, strict=True):
        setattr(lines, MARK, one)
    axes.set_title(_common_title([one.run for one in shown]))
    axes.legend()


def _named_curves(shown: list[Drawn]) -> list[Curve]:
    """Return the curve of each run under a name that no other has, with one text per epsilon."""
    texts: dict[object, str] = {}
    found = []
    for one, name in zip(shown, _unique_names(shown), strict=True):
        (curve,) = curves.curves([one.run])
        shares = {texts.setdefault(Eps(eps).exact, eps): it for eps, it in curve.shares.items()}
        found.append(replace(curve, name=name, shares=shares))
    return found


def _unique_names(shown: list[Drawn]) -> list[str]:
    """Return the names, with their protocol or a number behind those that are the same."""
    names = [one.name or _own_name(one.run) for one in shown]
    more = [f"{name}, {one.run.header.protocol}" for name, one in zip(names, shown, strict=True)]
    count = Counter(names)
    names = [other if count[name] > 1 else name for name, other in zip(names, more, strict=True)]
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found


def _own_name(run: Run) -> str:
    kind, model = curves.kind_name(run), run.header.model
    return model if kind == "external" else f"{model}, {kind}"


def _common_title(runs: list[Run]) -> str:
    """Return the title of one run, or what all of them share."""
    if len(runs) == 1:
        return curves.title(runs)
    words = [{(h := run.header).model, h.dataset, h.protocol} for run in runs]
    first = runs[0].header
    shared = set.intersection(*words)
    return ", ".join(w for w in (first.model, first.dataset, first.protocol) if w in shared)
