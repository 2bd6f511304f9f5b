"""What the headers of records and checkpoints may hold, said once and checked when they are read.

A header comes from a file that anybody may have made. Its names are printed, drawn and made
into file names, its numbers counted with: what is absent or of another kind is refused here,
so that nobody above has to ask again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from robustbench_mix.errors import RbmixError
from robustbench_mix.specs import (
    BACKENDS,
    CHANNEL,
    MAX_EPS,
    MAX_SEED,
    NORMS,
    is_name,
    parse_grid,
    parse_spatial,
)

Check = Callable[[Any], bool]
LARGEST = 2**53  # up to which a float64 counts exactly
PIXELS = 2**24  # of one picture
BANDS = 8  # of a spectrum
EXTERNAL = "external"


def count(low: int = 0, high: int = LARGEST) -> Check:
    """A whole number within these."""
    return lambda value: type(value) is int and low <= value <= high


def number(low: float = -math.inf, high: float = math.inf) -> Check:
    """A number within these; NaN is within none."""
    return lambda value: type(value) in (int, float) and low <= value <= high


def measured(value: Any) -> bool:
    """A number, NaN and infinity included."""
    return type(value) is float or count(-LARGEST)(value)


def text(value: Any) -> bool:
    """A text that can be printed, possibly empty."""
    return value == "" or is_name(value)


def maybe(check: Check) -> Check:
    """What passes the check, or nothing."""
    return lambda value: value is None or check(value)


def among(*allowed: str) -> Check:
    """One of these texts."""
    return lambda value: isinstance(value, str) and value in allowed


def listed(check: Check, low: int = 0, high: int = LARGEST) -> Check:
    """A list of so many that pass the check."""
    return lambda value: (
        isinstance(value, list) and low <= len(value) <= high and all(map(check, value))
    )


def mapped(check: Check) -> Check:
    """An object of any names, whose values pass the check."""
    return lambda value: (
        isinstance(value, dict) and all(map(is_name, value)) and all(map(check, value.values()))
    )


def holding(**checks: Check) -> Check:
    """An object that holds at least these."""
    return lambda value: (
        isinstance(value, dict) and all(check(value.get(name)) for name, check in checks.items())
    )


def spatial(value: Any) -> bool:
    """A word for spatial mixers, or `external`."""
    try:
        return is_name(value) and (value == EXTERNAL or parse_spatial(value) is not None)
    except RbmixError:
        return False


def grid(norm: str) -> Check:
    """An epsilon grid that ascends, as texts."""

    def check(value: Any) -> bool:
        if not listed(is_name, 1, MAX_EPS)(value):
            return False
        try:
            return bool([eps.text for eps in parse_grid(value, norm)] == value)
        except RbmixError:
            return False

    return check


def shape(value: Any) -> bool:
    """Channels, height and width of a picture."""
    return listed(count(1, PIXELS), 3, 3)(value) and math.prod(value) <= 3 * PIXELS


PASSES = mapped(holding(forward=count(), gradient=count()))
DIAGNOSTICS = holding(
    images=count(1), classes=count(1), unrepeatable=measured, batch=measured, changed=measured,
    training=measured, probabilities=measured, not_finite=measured, accuracy=number(0, 1),
    rescaled=number(0, 1), zero_gradient=measured, slope=maybe(measured),
    trained_accuracy=maybe(number(0, 1)), attacked=maybe(count()), fgsm_only=maybe(count()),
    blind=maybe(count()), half=maybe(count()), gained=maybe(count()),
)  # fmt: skip

# What every header has: which network, trained on what, measured where.
_COMMON: dict[str, Check] = {
    "model": is_name,
    "spatial": spatial,
    "channel": among(*CHANNEL, EXTERNAL),
    "seed": count(0, MAX_SEED),
    "dataset": is_name,
    "data_hash": is_name,
    "n": count(1),
    "device": text,
    "commit": maybe(text),
    "versions": maybe(mapped(text)),
}
_TRAINED: dict[str, Check] = {
    "train_examples": maybe(count(1)),
    "epochs": maybe(count(1)),
    "adversarial": maybe(text),
}
RUN: dict[str, Check] = {
    **_COMMON,
    **_TRAINED,
    "versions": mapped(text),
    "commit": text,
    "protocol": is_name,
    "norm": among(*NORMS),
    "protocol_spec": holding(algorithm=is_name),
    "protocol_hash": is_name,
    "checkpoint_hash": is_name,
    "batch_size": count(1),
    "backend": maybe(among(*BACKENDS, "fast, exhaustive", "reference, randomised")),
    "randomised": maybe(count(1)),
    "weights": maybe(text),
    "passes": PASSES,
    "checked": maybe(holding(confirmed=count(), refuted=count())),
    "audit": maybe(listed(holding(sampled=count(), broken=count(), bound=number(0, 1)))),
    "diagnostics": lambda value: not value or DIAGNOSTICS(value),
    "smallest_batch": maybe(count(1)),
}
_SPECTRUM = lambda value: listed(number(0, 1))(value) and len(value) in (0, BANDS)  # noqa: E731
PROBE: dict[str, Check] = {
    **_COMMON,
    **_TRAINED,
    "eps": grid("linf"),
    "filters": _SPECTRUM,
    "composed": _SPECTRUM,
    "perturbation": _SPECTRUM,
    "heat_map": listed(listed(number(0, 1), 1), 1),
    "heat_map_n": count(1),
    "wave_norm": number(0),
}
TRANSFER: dict[str, Check] = {
    **_COMMON,
    **_TRAINED,
    "eps": grid("linf"),
    "classes": listed(is_name, 1),
    "shape": shape,
}
DECODING: dict[str, Check] = {
    **_COMMON,
    "image": shape,
    "train_examples": count(1),
    "epochs": count(1),
    **dict.fromkeys(("width", "depth", "kernel", "patch"), count(1)),
    "reach": count(),
}
CHECKPOINT: dict[str, Check] = {
    "weights_hash": is_name,
    "recipe": maybe(holding(epochs=count(1), adversarial=maybe(holding(eps=is_name)))),
    "dataset": maybe(is_name),
    "train_examples": maybe(count(1)),
    "test_accuracy": maybe(number(0, 1)),
    "time_seconds": maybe(number(0)),
}


def verify(header: Any, checks: Mapping[str, Check], refusal: str) -> dict[str, Any]:
    """The header, if it is an object in which everything passes; a missing value is None.

    Raises RbmixError with the refusal and the name that is wrong.
    """
    if not isinstance(header, dict):
        raise RbmixError(f"{refusal} (no header)")
    for name, check in checks.items():
        if not check(header.get(name)):
            raise RbmixError(f"{refusal} (header: {name} = {str(header.get(name))[:100]!r})")
    return header
