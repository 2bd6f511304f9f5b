"""What the headers of records must hold, said once and checked when they are read."""

from __future__ import annotations

import math
from typing import Any

from robustbench_mix.config.catalog import BACKENDS
from robustbench_mix.config.epsilon import parse_grid
from robustbench_mix.config.limits import MAX_EPS, MAX_SEED
from robustbench_mix.config.model import CHANNEL, parse_spatial
from robustbench_mix.config.norms import NORMS
from robustbench_mix.errors import RbmixError
from robustbench_mix.storage.validation import (
    Check,
    among,
    count,
    holding,
    is_name,
    listed,
    mapped,
    maybe,
    measured,
    number,
    text,
)

PIXELS = 2**24  # of one picture
BANDS = 8  # of a spectrum
EXTERNAL = "external"


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
