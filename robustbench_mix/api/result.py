"""`Result`, the return value of `evaluate`. All of it is computed from the records of the run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from robustbench_mix.results import curves, flags, plots, records, svg
from robustbench_mix.results.records import Run


@dataclass(frozen=True, repr=False)
class Result:
    """A finished run, with the curve, the flags and the plot of its records.

    Attributes:
        run: The records, one per image, with their header: hashes, versions, seed, device.
        path: The file of the records, or None if they were not kept.
    """

    run: Run
    path: Path | None = None

    @property
    def curve(self) -> pd.DataFrame:
        """The robustness curve: one row per epsilon in ascending order, 0 (clean) first.

        Returns:
            A table with the columns `eps` (exact text, in pixel units), `n` (images), `correct`
            (images that are classified correctly and not broken within `eps`), `accuracy` (a
            share from 0 to 1), and the bounds `low` and `high` of its 95 % Wilson interval.
        """
        survived = self.run.standing()
        return records.curve({eps: int(survived[eps].sum()) for eps in survived}, len(survived))

    @property
    def records(self) -> pd.DataFrame:
        """The records: one row per image.

        Returns:
            The columns of the run's Parquet file (see `results/README.md`), and `broken_at`: the
            smallest epsilon within which an adversarial example was verified, as text. It is
            `"0"` where the clean image is misclassified, and empty where nothing broke it.
        """
        survived = self.run.standing()
        fallen = [
            next((eps for eps, stands in zip(survived, row, strict=True) if not stands), "")
            for row in survived.to_numpy()
        ]
        return self.run.table.assign(broken_at=fallen)

    @property
    def flags(self) -> dict[str, str]:
        """Reasons not to trust the curve yet; `docs/flags.md` explains each of them.

        Returns:
            For the name of each raised flag, the figures that raised it, in words.
        """
        return flags.of_run(self.run)

    def plot(self, axes: Any = None) -> Any:
        """Draw the curve.

        Args:
            axes: Matplotlib axes to draw into; by default those of a new figure.

        Returns:
            The axes.
        """
        if axes is None:
            from matplotlib import pyplot

            _, axes = pyplot.subplots(figsize=svg.SIZE, layout="constrained")
        plots.draw([self.run], axes)
        return axes

    def __repr__(self) -> str:
        raised = "".join(f"\nflag {name}: {words}" for name, words in self.flags.items())
        table = self.curve.to_string(index=False, float_format="{:.3f}".format)
        return f"{curves.title([self.run])}\n{table}{raised}"

    def _repr_html_(self) -> str:
        """Table, drawing and flags, for notebooks."""
        from html import escape

        raised = (f"<li>{escape(f'{name}: {words}')}</li>" for name, words in self.flags.items())
        table = self.curve.to_html(index=False, float_format="{:.3f}".format)
        drawn = svg.render(partial(plots.figure, [self.run]))
        return f"{table}{drawn[drawn.index('<svg') :]}<ul>{''.join(raised)}</ul>"
