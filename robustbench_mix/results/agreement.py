"""Compare two runs of the same network, protocol and images, image by image.

The runs may differ in batches, threads, device or precision. Then rounding may change the outcome
of an image that lies on an epsilon of the grid. This is tested, not assumed: both runs are repeated
with two epsilons, just below and just above. If rounding is the cause, the image stands within the
smaller one and falls within the larger one under both conditions. A defect that changes radii by
more does not pass this test. A defect that changes them by less does. If precision is not what is
compared, the same comparison in double precision, in which nothing may differ, rules it out
(tests/same/same.py).

For other images the attack's random draws decide: some random starts lead to an example, some do
not, and rounding may change the path from one of them. The condition that left such an image
standing breaks it with other seeds. This shows that luck decides, but not that both conditions
have equal luck: `is_one_sided` tests that over many images.
"""

from __future__ import annotations

from dataclasses import dataclass

from robustbench_mix.config.epsilon import Eps
from robustbench_mix.errors import RbmixError
from robustbench_mix.results.records import Run

# Largest distance from an epsilon at which rounding may decide, as a share of it. The search
# attacks points within 2 % of the boundary again (native/tracker.py).
ROUNDING = 0.02
SEEDS = 20  # number of seeds that test whether the draws decide about an image
OFTEN = 5  # minimum of them that must break the image; a defect would hardly reach it
UNEVEN = 0.01  # p-value below which luck is called one-sided
MARGIN = 0.01  # logits by which clean margins of opposite sign may differ


@dataclass(frozen=True)
class Dispute:
    """An image on which two runs disagree.

    `eps` are the epsilons at which one of them broke it and the other did not, '0' for a clean
    prediction. `margins` are the clean margins, `norms` those of the smallest adversarial
    examples that the runs found, NaN for none. `broken_by_first` says which run broke it.
    """

    image: int
    eps: tuple[str, ...]
    margins: tuple[float, float]
    norms: tuple[float, float]
    broken_by_first: bool

    @property
    def needs_bracket(self) -> str:
        """The epsilon around which both runs must be repeated to settle it; '' if none would.

        If the runs differ at several epsilons, rounding cannot explain it.
        """
        return self.eps[0] if len(self.eps) == 1 and self.eps != ("0",) else ""


def disputes(first: Run, second: Run) -> list[Dispute]:
    """Return the images on which two runs differ, in the order of the first.

    Args:
        first: A run.
        second: A run of the same protocol, with the same seed, on the same images.

    Raises:
        RbmixError: The runs are not comparable.
    """
    for name in ("protocol_hash", "seed", "dataset", "data_hash"):
        values = [getattr(run.header, name) for run in (first, second)]
        if values[0] != values[1]:
            raise RbmixError(f"runs of different {name} cannot be compared: {values}")
    found = []
    one, other = first.standing(), second.standing()
    for row, image in enumerate(one.index):
        differing = tuple(eps for eps in one if one[eps].iloc[row] != other[eps].iloc[row])
        if differing:
            tables = (first.table.iloc[row], second.table.iloc[row])
            margins, norms = zip(
                *((float(table["margin"]), _smallest(table["norm"])) for table in tables),
                strict=True,
            )
            # A clean mistake is broken at every epsilon: it is one dispute.
            eps = differing[:1] if differing[0] == "0" else differing
            broken_by_first = not one[eps[0]].iloc[row]
            found.append(Dispute(int(image), eps, margins, norms, broken_by_first))
    return found


def bracket(eps: str) -> list[str]:
    """Return the epsilons just below and just above one, `ROUNDING` away."""
    value = Eps(eps).value
    return [f"{value * (1 - ROUNDING):.12f}", f"{value * (1 + ROUNDING):.12f}"]


def is_rounding(dispute: Dispute, bracketed: tuple[Run, Run] | None = None) -> bool:
    """Return whether rounding explains a dispute.

    Args:
        dispute: The image on which two runs differ.
        bracketed: Both runs repeated on the grid of `bracket`, if that is needed.
    """
    if dispute.eps == ("0",):
        return abs(dispute.margins[0] - dispute.margins[1]) <= MARGIN
    if not dispute.needs_bracket or bracketed is None:
        return False
    for run in bracketed:
        survived = run.standing().loc[dispute.image]
        if survived[run.eps[0]] != 1 or survived[run.eps[1]] != 0:
            return False
    return True


def is_undecided(runs: list[Run]) -> bool:
    """Return whether the draws decide about an image, under the condition that left it standing.

    Args:
        runs: Runs of that image alone at the epsilon in question, with `SEEDS` seeds.
    """
    falls = [not bool(run.standing().iloc[0, 1]) for run in runs]
    return OFTEN <= sum(falls) < len(falls)


def is_one_sided(first: int, second: int) -> bool:
    """Return whether too many of the images that the draws decide fell to one condition alone.

    An exact two-sided binomial test; eight to none are too many, seven are not.

    Args:
        first: Number of images that fell to the first condition alone.
        second: Number of images that fell to the second alone.
    """
    from scipy.stats import binomtest

    return bool(first + second and binomtest(first, first + second).pvalue < UNEVEN)


def _smallest(norms: list[float]) -> float:
    """Return the norm of the example at the smallest epsilon that broke an image, else NaN."""
    return next((float(norm) for norm in norms if norm == norm), float("nan"))
