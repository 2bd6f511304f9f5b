"""What an evaluation returns to Python: views of a run, all pure functions of its records."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from robustbench_mix.results import flags, plots, records, svg
from robustbench_mix.results.records import Run


@dataclass(frozen=True, repr=False)
class Result:
    """A finished run; `path` is where its records are, None if they were not kept."""

    run: Run
    path: Path | None = None

    @property
    def curve(self) -> pd.DataFrame:
        """One row per epsilon, 0 (clean) first.

        `eps` as exact text, `n` images, `correct` of them classified correctly and not broken
        within eps, `accuracy`, and its 95 % Wilson interval `low`, `high`.
        """
        survived = self.run.standing()
        return records.curve({eps: int(survived[eps].sum()) for eps in survived}, len(survived))

    @property
    def records(self) -> pd.DataFrame:
        """One row per image: the columns of `Run.table`, and `broken_at`.

        That is the smallest epsilon within which an adversarial example was verified, as text:
        `0` where the image is misclassified as it is, empty where it stands.
        """
        survived = self.run.standing()
        fallen = [
            next((eps for eps, stands in zip(survived, row, strict=True) if not stands), "")
            for row in survived.to_numpy()
        ]
        return self.run.table.assign(broken_at=fallen)

    @property
    def flags(self) -> dict[str, str]:
        """Reasons not to believe the curve yet, by name (docs/flags.md), with their figures."""
        return flags.of_run(self.run)

    def plot(self, axes: Any = None) -> Any:
        """Draw the curve into `axes` of matplotlib, by default new ones; returns them."""
        if axes is None:
            from matplotlib import pyplot

            _, axes = pyplot.subplots(figsize=svg.SIZE, layout="constrained")
        plots.draw([self.run], axes)
        return axes

    def __repr__(self) -> str:
        raised = "".join(f"\nflag {name}: {words}" for name, words in self.flags.items())
        table = self.curve.to_string(index=False, float_format="{:.3f}".format)
        return f"{plots.title([self.run])}\n{table}{raised}"

    def _repr_html_(self) -> str:
        """Table, drawing and flags, for notebooks."""
        from html import escape

        raised = (f"<li>{escape(f'{name}: {words}')}</li>" for name, words in self.flags.items())
        table = self.curve.to_html(index=False, float_format="{:.3f}".format)
        drawn = svg.render(partial(plots.figure, [self.run]))
        return f"{table}{drawn[drawn.index('<svg') :]}<ul>{''.join(raised)}</ul>"
