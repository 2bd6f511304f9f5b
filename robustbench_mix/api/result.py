"""`Result`, the return value of `evaluate`. All of it is computed from the records of the run."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from robustbench_mix.config.epsilon import Eps
from robustbench_mix.errors import RbmixError
from robustbench_mix.results import curves, flags, overlay, plots, records, svg
from robustbench_mix.results.difference import common_outcomes
from robustbench_mix.results.intervals import paired_difference
from robustbench_mix.results.records import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch import Tensor


@dataclass(frozen=True, repr=False)
class Result:
    """A finished run, with the curve, the flags and the plot of its records.

    Attributes:
        run: The records, one per image, with their header: hashes, versions, seed, device.
        path: The file of the records, or None if they were not kept.
        name: What plots and its text call it; by default the model and its mixers.
        x_adv: The adversarial examples if `evaluate` was asked for them, else None: a float32
            tensor (n, C, H, W) on the CPU, in the order of the records. For each image it has the
            example of the smallest epsilon that broke it, or the clean image. They are not saved.
    """

    run: Run
    path: Path | None = None
    name: str = ""
    x_adv: Tensor | None = field(default=None, compare=False)

    @property
    def curve(self) -> pd.DataFrame:
        """The robustness curve: one row per epsilon in ascending order, 0 (clean) first.

        Returns:
            A table with the columns `eps` (a number, in pixel units), `eps_text` (the exact text),
            `n` (images), `correct` (images that are classified correctly and not broken within
            `eps`), `accuracy` (a share from 0 to 1), and the bounds `low` and `high` of its 95 %
            Wilson interval.
        """
        survived = self.run.standing()
        table = records.curve({eps: int(survived[eps].sum()) for eps in survived}, len(survived))
        return _with_numbers(table)

    @property
    def records(self) -> pd.DataFrame:
        """The records: one row per image.

        Returns:
            The columns of the run's Parquet file (see `results/README.md`), and `broken_at`: the
            smallest epsilon within which an adversarial example was verified, a number. It is 0
            where the clean image is misclassified, and NaN where nothing broke it.
        """
        survived = self.run.standing()
        radii = [Eps(eps).value for eps in survived]
        fallen = [
            next((eps for eps, stands in zip(radii, row, strict=True) if not stands), math.nan)
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

    def difference(self, other: Result) -> pd.DataFrame:
        """Compare with another result on the same images, image by image.

        This speaks of these two networks. A claim about a way of training needs several seeds
        (`rbmix claims`).

        Args:
            other: A result over the same images, in the same norm; epsilons that only one of the
                two has are left out.

        Returns:
            One row per epsilon, with the columns `eps`, `eps_text`, `n`, `accuracy` and
            `other_accuracy` (shares), their `difference` (this one minus the other), and the bounds
            `low` and `high` of its 95 % interval (Agresti & Min, Statistics in Medicine 2005).

        Raises:
            RbmixError: For other images or another norm.
        """
        ours, theirs = self.run.header, other.run.header
        for name in ("data_hash", "norm"):
            if getattr(ours, name) != getattr(theirs, name):
                raise RbmixError(
                    f"the results differ in {name} ({getattr(ours, name)} and "
                    f"{getattr(theirs, name)}): only results on the same images can be compared"
                )
        rows = [
            (eps, len(kept), kept.mean(), held.mean(), *paired_difference(held, kept))
            for eps, held, kept in common_outcomes(other.run, self.run)
        ]
        columns = ["eps", "n", "accuracy", "other_accuracy", "difference", "low", "high"]
        return _with_numbers(pd.DataFrame(rows, columns=columns))

    def save(self, path: str | Path) -> Path:
        """Write the records to a Parquet file, with their date and times in a JSON file beside it.

        Args:
            path: The file, ending in `.parquet`.

        Returns:
            The file.

        Raises:
            RbmixError: For another ending.
        """
        path = _parquet(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        records.write(self.run, path)
        return path

    @classmethod
    def load(cls, path: str | Path, *, name: str = "") -> Result:
        """Read what `save`, `evaluate` or the command line wrote.

        Args:
            path: The file, ending in `.parquet`.
            name: What plots call it.

        Raises:
            RbmixError: The file is missing, or it is not one of ours.
        """
        path = _parquet(path)
        return cls(records.read(path), path, name)

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the curve; the legend has the name of the result.

        Args:
            axes: Matplotlib axes to draw into; by default those of a new figure. Results that were
                drawn into them before get their place beside this one.

        Returns:
            The axes.
        """
        if axes is None:
            from matplotlib import pyplot

            _, axes = pyplot.subplots(figsize=svg.SIZE, layout="constrained")
        overlay.draw(self.run, self.name, axes)
        return axes

    def __repr__(self) -> str:
        raised = "".join(f"\nflag {name}: {words}" for name, words in self.flags.items())
        table = self.curve.to_string(index=False, float_format="{:.3f}".format)
        title = curves.title([self.run])
        return f"{f'{self.name}: ' * bool(self.name)}{title}\n{table}{raised}"

    def _repr_html_(self) -> str:
        """Table, drawing and flags, for notebooks."""
        from html import escape

        raised = (f"<li>{escape(f'{name}: {words}')}</li>" for name, words in self.flags.items())
        table = self.curve.to_html(index=False, float_format="{:.3f}".format)
        drawn = svg.render(partial(plots.figure, [self.run]))
        return f"{table}{drawn[drawn.index('<svg') :]}<ul>{''.join(raised)}</ul>"


def _with_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose epsilons, as text, are numbers with the text beside them."""
    table = table.rename(columns={"eps": "eps_text"})
    table.insert(0, "eps", [Eps(text).value for text in table["eps_text"]])
    return table


def _parquet(path: str | Path) -> Path:
    path = Path(path)
    if path.suffix != ".parquet":
        raise RbmixError(f"{str(path)!r} does not end in .parquet; '{path}.parquet' does")
    return path
