"""Find what got worse since a baseline: pure functions of a baseline and the records of a run.

With the same weights nothing is random: a clear outcome that changed, in either direction, shows a
change of the code. If the attack no longer breaks an image, the attack became weaker, although the
accuracy rose. With other weights two networks are compared: at each epsilon, an exact one-sided
McNemar test over the images, corrected for the number of epsilons (Holm), tests whether fewer
images stand.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from robustbench_mix.results import flags
from robustbench_mix.results.random_effects import SIGNIFICANCE
from robustbench_mix.results.records import Run
from robustbench_mix.results.regression.baselines import ROUNDING, Baseline, options
from robustbench_mix.results.statistics import format_p, holm
from robustbench_mix.runtime.provenance import PACKAGES

TOLERANCE = 1  # number of images that may change at each epsilon
DRAWS, OTHER_WEIGHTS = "the network draws random numbers", "the weights differ"
NAMED = 8  # maximum number of images that a message lists


@dataclass(frozen=True)
class Check:
    """One comparison: the value before and now, and what got worse, '' if nothing.

    `lost` and `gained` are images that no longer stand, or stand again, as positions in the test
    split. `close` is the number of changed close calls, which do not count with the same weights.
    All three are None if the comparison is not about images. `p` is the corrected p-value if a
    test decided, else None. `skipped` says why there is nothing to compare. `is_threshold` is True
    if a limit decided, whatever the value was before.
    """

    name: str
    before: str = ""
    now: str = ""
    lost: list[int] = field(default_factory=list)
    gained: list[int] = field(default_factory=list)
    close: int | None = None
    p: float | None = None
    worse: str = ""
    skipped: str = ""
    is_threshold: bool = False

    @property
    def verdict(self) -> str:
        """The verdict in a few words; `as before` only if nothing at all has changed."""
        if self.worse:
            return "WORSE"
        if self.skipped:
            return self.skipped
        if self.is_threshold:
            return "reached"
        if self.close is not None:
            has_moved = self.lost or self.gained or self.close
            return "not worse" if has_moved else "as before"
        return "other than before" if self.before and self.before != self.now else "as before"


@dataclass(frozen=True)
class Verdict:
    """The outcome of comparing a run with one baseline.

    `notes` list other differences, which may explain a change but are not worse.
    """

    path: Path
    checks: list[Check]
    notes: list[str]

    def with_checks(self, more: list[Check]) -> Verdict:
        """Return the verdict with further checks."""
        return replace(self, checks=[*self.checks, *more])

    @property
    def worse(self) -> list[Check]:
        """The checks that found something."""
        return [check for check in self.checks if check.worse]


def compare(
    path: Path, baseline: Baseline, run: Run, *, tolerance: int = TOLERANCE, replaced: bool = False
) -> Verdict:
    """Compare a run with a baseline.

    Args:
        path: The file of the baseline.
        baseline: Its content.
        run: A run over the baseline's images or some of them, on its epsilon grid.
        tolerance: Number of images that may change at each epsilon.
        replaced: Whether the run used other weights than the checkpoint of the baseline.
    """
    draws = run.header.randomised is not None
    same = run.header.checkpoint_hash == baseline.identity["checkpoint_hash"] and not draws
    checks = [
        _protocol_check(baseline, run),
        _weights_check(baseline, run, replaced),
        _logits_check(baseline, run, "" if same else DRAWS if draws else OTHER_WEIGHTS),
        *_epsilon_checks(baseline, run, tolerance, same),
        _flags_check(baseline, run),
    ]
    return Verdict(path, checks, _notes(baseline, run))


def to_json(verdicts: list[Verdict], written: list[Path]) -> dict[str, Any]:
    """Return the verdicts as plain JSON values.

    Args:
        verdicts: One for each baseline.
        written: The files that were written.
    """
    return {
        "worse": any(verdict.worse for verdict in verdicts),
        "baselines": [
            {"path": str(v.path), "checks": [asdict(c) for c in v.checks], "notes": v.notes}
            for v in verdicts
        ],
        "paths": [str(path) for path in written],
    }


def _protocol_check(baseline: Baseline, run: Run) -> Check:
    h, kept = run.header, baseline.identity
    before, now = kept["protocol_hash"], h.protocol_hash
    worse = ""
    if before != now:
        was = f"{kept['algorithm']} {kept['options']}".strip()
        spec = h.protocol_spec
        now_is = f"{spec.algorithm} {options(spec)}".strip()
        worse = f"the protocol changed from '{was}' to '{now_is}'; its numbers mean something else"
    return Check("protocol", before, now, worse=worse)


def _weights_check(baseline: Baseline, run: Run, replaced: bool) -> Check:
    """Compare the weights: those of your own model may change, a kept checkpoint may not."""
    before, now = baseline.identity["checkpoint_hash"], run.header.checkpoint_hash
    kept = baseline.identity["spatial"] != "external" and not replaced
    worse = ""
    if before != now and kept:
        worse = "the checkpoint beside the baseline does not give the weights that it was made with"
    return Check("weights", before, now, worse=worse)


def _logits_check(baseline: Baseline, run: Run, skipped: str) -> Check:
    """Check that the same weights still give the same clean margins, up to rounding."""
    if skipped:
        return Check("clean logits", skipped=skipped)
    now = run.table.set_index("image")["margin"]
    before = baseline.images["margin"].loc[now.index]
    moved = (now - before).abs() / max(baseline.scale, 1e-12)
    images = [int(image) for image in now.index[moved > ROUNDING]]
    worse = ""
    if images:
        worse = (
            f"the weights are the same, but the margins of {len(images)} of {len(now)} clean "
            f"images moved, by up to {moved.max():.0%} of the median: the network computes "
            "something else"
        )
    return Check("clean logits", now=f"moved by up to {moved.max():.1g}", worse=worse)


def _epsilon_checks(baseline: Baseline, run: Run, tolerance: int, same: bool) -> list[Check]:
    found = [_epsilon_check(baseline, run, eps, same) for eps in ["0", *run.eps]]
    if same:
        return [replace(check, worse=_worse_same_weights(check, tolerance)) for check in found]
    corrected = holm([mcnemar(len(check.lost), len(check.gained)) for check in found])
    return [
        replace(check, p=p, worse=_worse_other_weights(check, p, tolerance))
        for check, p in zip(found, corrected, strict=True)
    ]


def _epsilon_check(baseline: Baseline, run: Run, eps: str, same: bool) -> Check:
    """Compare which images stand at this epsilon.

    With the same weights close calls are counted separately, because rounding decides them.
    """
    now = run.standing()[eps]
    before = baseline.stands[eps].loc[now.index]
    counted = baseline.clear[eps].loc[now.index] | (not same)
    n = len(now)
    return Check(
        "clean" if eps == "0" else f"eps {eps}",
        f"{before.sum()}/{n}",
        f"{now.sum()}/{n}",
        lost=_images(before & ~now & counted),
        gained=_images(~before & now & counted),
        close=int(((before != now) & ~counted).sum()),
    )


def _images(which: pd.Series) -> list[int]:
    return [int(image) for image in which.index[which]]


def _worse_same_weights(check: Check, tolerance: int) -> str:
    """Describe changes with the same weights: any change, in either direction, is worse."""
    if check.name == "clean":
        sides = [
            (check.lost, "are misclassified that were not"),
            (check.gained, "are no longer misclassified"),
        ]
    else:
        sides = [
            (check.lost, "fall that stood: another network, or a stronger attack"),
            (check.gained, "stand that fell: the attack became weaker"),
        ]
    said = [f"{_list_images(images)} {words}" for images, words in sides if len(images) > tolerance]
    return f"the weights are the same, but {'; '.join(said)}" if said else ""


def _worse_other_weights(check: Check, p: float, tolerance: int) -> str:
    """Describe a loss with other weights that chance and the tolerance do not explain."""
    lost, gained = len(check.lost), len(check.gained)
    if lost - gained <= tolerance or p >= SIGNIFICANCE:
        return ""
    words = "classified correctly" if check.name == "clean" else "standing"
    return (
        f"the network is worse: {_list_images(check.lost)} are no longer {words}, {gained} are "
        f"that were not (p: {format_p(p)}, exact McNemar test, Holm)"
    )


def _list_images(images: list[int]) -> str:
    named = ", ".join(str(image) for image in images[:NAMED])
    return f"{len(images)} images ({named}{', ...' if len(images) > NAMED else ''})"


def _flags_check(baseline: Baseline, run: Run) -> Check:
    """Compare the flags: a new flag is worse, whatever the accuracy."""
    before, now = baseline.identity["flags"].split(), flags.of_run(run)
    fresh = [flags.line(name, words) for name, words in now.items() if name not in before]
    worse = f"not raised before: {'; '.join(fresh)}"
    return Check(
        "flags", " ".join(before) or "none", " ".join(now) or "none", worse=worse if fresh else ""
    )


def _notes(baseline: Baseline, run: Run) -> list[str]:
    """Return the differences between the conditions of the two runs."""
    kept = baseline.identity
    now = {**run.header.versions, "device": run.header.device}
    return [
        f"{name}: {kept[name]} then, {now[name]} now"
        for name in (*PACKAGES, "device")
        if kept[name] != now[name]
    ]


def mcnemar(lost: int, gained: int) -> float:
    """Return the one-sided exact p-value of the test that more images were lost than gained.

    Args:
        lost: Number of images that no longer stand.
        gained: Number of images that stand and did not before.

    Source: McNemar, Psychometrika 1947.
    """
    from scipy.stats import binomtest

    pairs = lost + gained
    return float(binomtest(lost, pairs, alternative="greater").pvalue) if pairs else 1.0


def power_same_weights(images: int, share: float, tolerance: int = TOLERANCE) -> float:
    """Return the probability that a check fails at an epsilon, with the same weights.

    Args:
        images: Number of clear outcomes.
        share: The probability that one of them changes.
        tolerance: Number of images that may change.
    """
    from scipy.stats import binom

    return float(binom.sf(tolerance, images, share))


def power_other_weights(
    images: int, lost: float, gained: float, levels: int, tolerance: int = TOLERANCE
) -> float:
    """Return a lower bound on the probability that a check fails at an epsilon, with other weights.

    Holm's correction is taken at its strictest, as if nothing changed at the other epsilons.

    Args:
        images: Number of images.
        lost: The true share of images that fall.
        gained: The true share of images that stand again.
        levels: Number of epsilons that are tested.
        tolerance: Number of images that may change.
    """
    from scipy.stats import binom

    total, changed = 0.0, lost + gained
    for pairs in range(1, images + 1):
        enough = [
            down for down in range(pairs + 1)
            if 2 * down - pairs > tolerance and levels * mcnemar(down, pairs - down) < SIGNIFICANCE
        ]  # fmt: skip
        if enough:
            within = binom.sf(min(enough) - 1, pairs, lost / changed)
            total += float(binom.pmf(pairs, images, changed) * within)
    return total
