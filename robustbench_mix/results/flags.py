"""Flags, reasons not to trust a run yet: thresholds for its diagnostics.

All functions depend on the records alone. docs/flags.md, and
`rbmix flags NAME`, explain each flag and what to do about it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from robustbench_mix.errors import RbmixError
from robustbench_mix.results import twins
from robustbench_mix.results.headers import Diagnostics
from robustbench_mix.results.intervals import at_least, wilson
from robustbench_mix.results.probes import Transfer
from robustbench_mix.results.records import Run

UNCHECKED = "unchecked"  # records from before there were diagnostics
TRANSFER = "transfer-beats-direct"
ROUNDING = 1e-3  # allowed difference of kernels, as a share of the spread of the logits
SLOPE = 0.25  # minimum share of the predicted fall of the margin, one tiny step away
GAIN = 0.002  # allowed loss of robust accuracy under more effort on the same losses
LOOSE = 0.05  # allowed loss of robust accuracy of a single attack under another loss
RARE = 0.01  # allowed share of images that only an unexpected attack breaks
OFF_SCALE = 0.05  # allowed gain of clean accuracy on rescaled pixels, with 95 % confidence
SURE = 0.001  # p-value of the clean accuracy, given the checkpoint's
DRAWS = "unrepeatable"
# Flags that are expected of a network that draws random numbers.
EXPECTED = {DRAWS, "batch-dependent", "wrong-gradients", "not-as-trained"}
KNOWN_WEAK = ("fgsm", "noise")  # attacks that are not expected to converge


def of_run(run: Run, transfers: Sequence[Transfer] = ()) -> dict[str, str]:
    """Return the flags of a run, by name, each with the figure that raised it.

    Args:
        run: The run.
        transfers: Records of `rbmix explain` on the transfer between twins, of any models.
    """
    found = run.header.diagnostics
    if not found:
        return {UNCHECKED: "no diagnostics in its records"}
    raised = {name: judge(run, found) for name, judge in FROM_RECORDS.items()}
    raised[TRANSFER] = _transfer_beats_direct(run, _transfers_of(run, transfers))
    raised = {name: judge(found) for name, judge in BEFORE_ATTACK.items()} | raised
    return _without_expected(raised, found, bool(run.header.randomised))


def line(name: str, words: str) -> str:
    """Return a raised flag on one line, with the command that explains it."""
    return f"flag {name}: {words} (`rbmix flags {name}` explains it)"


def of_network(found: Diagnostics, *, randomised: bool = False) -> dict[str, str]:
    """Return the flags that can be raised before the attack.

    Args:
        found: The diagnostics of the model.
        randomised: Whether the model is declared to draw random numbers. If it does, the flags
            that follow from that are left out.
    """
    return _without_expected(
        {name: judge(found) for name, judge in BEFORE_ATTACK.items()}, found, randomised
    )


def draws_random_numbers(found: Diagnostics) -> bool:
    """Return whether two passes of the same images differ by more than rounding."""
    return bool(found.unrepeatable > ROUNDING)


def depends_on_batch(found: Diagnostics) -> bool:
    """Return whether the logits of an image change with the other images of the batch."""
    return bool(found.batch > ROUNDING)


def undeclared_randomness(unrepeatable: float) -> RbmixError:
    """Return the error for a model that draws random numbers without `randomised`."""
    return RbmixError(
        f"two passes of the same images differ, by {unrepeatable:.3g} of the spread of the logits: "
        "the network draws random numbers (dropout, noise) or changes itself; switch that off, or "
        "evaluate it as one that does (rbmix evaluate --randomised, AutoAttack with version='rand')"
    )


def _without_expected(
    raised: dict[str, str], found: Diagnostics, randomised: bool
) -> dict[str, str]:
    silent = EXPECTED if randomised and draws_random_numbers(found) else set()
    return {name: words for name, words in raised.items() if words and name not in silent}


def _transfers_of(run: Run, transfers: Sequence[Transfer]) -> list[Transfer]:
    """Return the transfers that this run's network took part in."""
    h = run.header
    return [
        one
        for one in transfers
        if twins.are_same(one.header, h, "spatial", *twins.EVALUATION)
        and h.spatial in (twins.LEARNED, one.header.spatial)
    ]


def _value_above(
    value: Callable[[Diagnostics], float], limit: float, words: str
) -> Callable[[Diagnostics], str]:
    """Make a flag for a measured value above a limit."""
    return lambda found: f"{words} {value(found):.3g}" if value(found) > limit else ""


def _if_frequent(count: int, of: int, limit: float, words: str) -> str:
    """Return the words of a flag if the share is above a limit with 95 % confidence, else ''."""
    return f"{count} of {of} {words}" if of and at_least(count, of) > limit else ""


def _wrong_gradients(found: Diagnostics) -> str:
    slope = found.slope
    if slope is None or slope >= SLOPE:
        return ""
    return f"a tiny step along the gradient does {slope:.2g} of what the gradient promises"


def _wrong_scale(found: Diagnostics) -> str:
    gained = round((found.rescaled - found.accuracy) * found.images)
    if gained < 1 or at_least(gained, found.images) <= OFF_SCALE:
        return ""
    return f"{found.rescaled:.0%} correct on rescaled pixels, else {found.accuracy:.0%}"


def _count_above_rare(
    count: Callable[[Diagnostics], int | None], words: str
) -> Callable[[Diagnostics], str]:
    """Make a flag for a count of attacked images that is more than a rare exception."""
    return lambda found: _if_frequent(count(found) or 0, found.attacked or 0, RARE, words)


def _withstands_anything(found: Diagnostics) -> str:
    words = "images withstand PGD within l-infinity 0.5"
    return _if_frequent(found.half or 0, found.attacked or 0, 1 / found.classes, words)


BEFORE_ATTACK: dict[str, Callable[[Diagnostics], str]] = {
    "zero-gradients": _value_above(
        lambda d: d.zero_gradient, 0.05, "share of images without gradient:"
    ),
    "wrong-gradients": _wrong_gradients,
    "probabilities": _value_above(
        lambda d: d.probabilities, 0.5, "rows of outputs from 0 up that sum to"
    ),
    "unrepeatable": _value_above(
        lambda d: d.unrepeatable, ROUNDING, "two passes differ, in logit spreads, by"
    ),
    "batch-dependent": _value_above(
        lambda d: d.batch, ROUNDING, "batches change logits, in spreads, by"
    ),
    "changes-itself": _value_above(
        lambda d: d.changed, 0.5, "weights or buffers after one pass, changed:"
    ),
    "train-mode": _value_above(lambda d: d.training, 0.5, "parts in train mode:"),
    "not-finite": _value_above(
        lambda d: d.not_finite, 0.0, "share of NaN or infinite logits at corners:"
    ),
    "wrong-scale": _wrong_scale,
    "fgsm-beats-pgd": _count_above_rare(
        lambda d: d.fgsm_only, "images fall to FGSM and not to PGD"
    ),
    "blind-beats-gradients": _count_above_rare(
        lambda d: d.blind, "images fall to blind search, not to gradients"
    ),
    "withstands-anything": _withstands_anything,
}


def _count_clean(run: Run) -> tuple[int, int]:
    return int(run.table["correct"].sum()), len(run.table)


def _at_chance(run: Run, found: Diagnostics) -> str:
    correct, n = _count_clean(run)
    chance = 1 / found.classes
    if wilson(correct, n)[0] > chance:
        return ""
    return f"{correct} of {n} correct, chance is {chance:.0%}"


def _not_as_trained(run: Run, found: Diagnostics) -> str:
    from scipy.stats import binomtest

    promised = found.trained_accuracy
    if promised is None:
        return ""
    correct, n = _count_clean(run)
    # A perfect accuracy of the checkpoint is treated as a nearly perfect one.
    if binomtest(correct, n, min(max(promised, 0.01), 0.99)).pvalue >= SURE:
        return ""
    return f"{correct / n:.1%} correct, its checkpoint says {promised:.1%}"


def _more_effort_gains(run: Run, found: Diagnostics) -> str:
    algorithm = run.header.protocol_spec.algorithm
    if algorithm in KNOWN_WEAK:
        return ""
    # Older records lack this. A single image may fall to a lucky start.
    own = found.own_gained or 0
    if own > 1 and (
        words := _if_frequent(own, found.images, GAIN, "images stood and fall to more steps")
    ):
        return words
    limit = GAIN if algorithm.startswith("autoattack") else LOOSE
    words = "images stood and fall to another APGD"
    return _if_frequent(found.gained or 0, found.images, limit, words)


def _broken_alone(part: str) -> Callable[[Run, Diagnostics], str]:
    """Make a flag for an attack that broke many images that APGD had not broken."""

    def judge(run: Run, _: Diagnostics) -> str:
        if not any(name.startswith("apgd") for name in run.header.passes):
            return ""
        first = [next((n for n in names if n), "") for names in run.table["component"]]
        count = sum(name.startswith(part) for name in first)
        return _if_frequent(count, len(first), RARE, "images fall to it and not to APGD")

    return judge


def _few_classes(run: Run, found: Diagnostics) -> str:
    classes = found.classes
    ensemble = run.header.protocol_spec.algorithm.startswith("autoattack")
    return f"{classes} classes, DLR-T needs 4" if classes < 4 and ensemble else ""


FROM_RECORDS: dict[str, Callable[[Run, Diagnostics], str]] = {
    "at-chance": _at_chance,
    "not-as-trained": _not_as_trained,
    "more-effort-gains": _more_effort_gains,
    "fab-alone": _broken_alone("fab"),
    "square-alone": _broken_alone("square"),
    "few-classes": _few_classes,
}
NAMES = (*BEFORE_ATTACK, *FROM_RECORDS, TRANSFER)


def _transfer_beats_direct(run: Run, transfers: list[Transfer]) -> str:
    from scipy.stats import binomtest

    side, other = ("first", "second") if run.header.spatial == "learned" else ("second", "first")
    for probe in transfers:
        both = (probe.table["first"] & probe.table["second"]).to_numpy(bool)
        own, theirs = (
            probe.matrix(f"pgd_{made}_{side}")[both].astype(bool) for made in (side, other)
        )
        for at, eps in enumerate(probe.header.eps):
            more, less = ((theirs & ~own)[:, at].sum(), (own & ~theirs)[:, at].sum())
            if more > less and binomtest(int(more), int(more + less)).pvalue < RARE:
                return f"within {eps} its twin's examples fool {more} images that its own do not"
    return ""
