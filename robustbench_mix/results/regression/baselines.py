"""Baselines: the outcome of a run, image by image, in a small CSV to compare later runs with.

One row per image: its label, clean prediction and margin, and one outcome per epsilon. Further
columns give the settings, data and versions of the run, the same in every row, and a checksum of
everything else. An outcome with a question mark was a close call.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from robustbench_mix.config.canonical import short_hash
from robustbench_mix.config.epsilon import Eps
from robustbench_mix.config.model import Interface
from robustbench_mix.errors import RbmixError
from robustbench_mix.results import flags
from robustbench_mix.results.headers import ProtocolSpec, check_grid
from robustbench_mix.results.records import Run
from robustbench_mix.runtime.provenance import PACKAGES
from robustbench_mix.storage import reading
from robustbench_mix.storage.files import write_text

FORMAT = "2"
READABLE = ("1", FORMAT)  # format 1 has no settings
IMAGE = ("image", "label", "prediction", "margin")
IDENTITY = (
    "format", "model", "spatial", "channel", "seed", "dataset", "attack", "norm", "backend", "n",
    "weights", "settings", "flags", "algorithm", "options", "protocol_hash", "checkpoint_hash",
    "data_hash", "train_examples", "epochs", "adversarial", *PACKAGES, "commit", "device", "date",
)  # fmt: skip
CHECKSUM = "checksum"
ELSEWHERE = "--weights"  # stands for weights outside of the baseline's folder
# An outcome is close if 95 or 105 % of the epsilon gives the other one: the radius that an attack
# finds varies by a few per cent with its random draws and with rounding.
CLOSE = Fraction(1, 20)
# A clean prediction is close if its margin is smaller than this share of the median margin.
ROUNDING = 0.01
# The meaning of each word: whether the image stands, and whether that is clear.
VERDICTS = {
    "stands": (True, True),
    "stands?": (True, False),
    "broken": (False, True),
    "broken?": (False, False),
    "wrong": (False, True),
}


class Settings(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Arguments of the evaluation that most baselines do not need.

    Attributes:
        model: The model word, if the name in records says more, for example its mean.
        interface: The interface between the data and the network.
        pretrained: Whether the weights are those that the network was published with.
        weights_key: The set of weights in their file, '' for the plain one.
        ignore_weights: Names of weights in the file that are not needed.
        class_index: The file that says which output each class is, `numbers`, or ''.
    """

    model: str = ""
    interface: Interface | None = None
    pretrained: bool = False
    weights_key: str = ""
    ignore_weights: tuple[str, ...] = ()
    class_index: str = ""

    def as_text(self) -> str:
        """Return the settings as JSON, '' if there are none."""
        return "" if self == NO_SETTINGS else msgspec.json.encode(self).decode()


NO_SETTINGS = Settings()


@dataclass(frozen=True)
class Baseline:
    """The content of a baseline file.

    `identity` maps the names of `IDENTITY` to text. `images` is indexed by the image's
    position in the test split, with label, prediction and margin (clean). `stands` and
    `clear`, bool, have the same index and a column for '0' and for each epsilon of the grid:
    whether the image was classified correctly and not broken, and whether that is no close
    call.
    """

    identity: dict[str, str]
    images: pd.DataFrame
    stands: pd.DataFrame
    clear: pd.DataFrame

    @property
    def eps(self) -> list[str]:
        """The epsilon grid as exact text, ascending, without 0."""
        return list(self.stands.columns[1:])

    @property
    def scale(self) -> float:
        """The median absolute clean margin, in logits."""
        return float(self.images["margin"].abs().median())

    @property
    def settings(self) -> Settings:
        """The arguments that the other columns do not tell."""
        text = self.identity["settings"]
        return msgspec.json.decode(text, type=Settings) if text else Settings()

    @property
    def words(self) -> dict[str, Any]:
        """The arguments of the evaluation that made it."""
        own = self.identity["spatial"] == "external"
        mixers = {name: None if own else self.identity[name] for name in ("spatial", "channel")}
        kept = {name: self.identity[name] for name in ("dataset", "attack", "norm")}
        numbers = {"seed": int(self.identity["seed"]), "examples": int(self.identity["n"])}
        backend, _, how = self.identity["backend"].partition(", ")
        settings = self.settings
        return {
            **kept, **mixers, **numbers,
            "model": settings.model or self.identity["model"],
            "interface": settings.interface,
            "pretrained": settings.pretrained,
            "weights_key": settings.weights_key or None,
            "ignore_weights": settings.ignore_weights,
            "class_index": settings.class_index or None,
            "backend": backend,
            "randomised": how == "randomised",
            "exhaustive": how == "exhaustive",
            "eps": self.eps,
        }  # fmt: skip


def nearby_grid(eps: list[str], norm: str) -> list[str]:
    """Return the grid that reveals close outcomes: both sides of each epsilon, ascending.

    Args:
        eps: An epsilon grid.
        norm: Its norm.
    """
    inside = {side for text in eps for side in _nearby_radii(text) if norm != "linf" or side <= 1}
    return [f"{value.numerator}/{value.denominator}" for value in sorted(inside)]


def of_run(
    run: Run,
    around: Run,
    *,
    dataset: str,
    attack: str,
    weights: str,
    settings: Settings = NO_SETTINGS,
) -> Baseline:
    """Return the baseline of a run.

    Args:
        run: The run.
        around: The same run on the grid of `nearby_grid`.
        dataset: The data set as the user wrote it, a name or a path.
        attack: The attack as the user wrote it, a name or a path.
        weights: A path relative to the baseline's folder, '' or `ELSEWHERE`.
        settings: The arguments that the header of the run does not tell.
    """
    h = run.header
    spec = h.protocol_spec
    given = {
        **{name: getattr(h, name, None) for name in IDENTITY},
        "format": FORMAT,
        "dataset": dataset,
        "attack": attack,
        "weights": weights,
        "settings": settings.as_text(),
        "flags": " ".join(flags.of_run(run)),
        "algorithm": spec.algorithm,
        "options": options(spec),
        **{package: h.versions.get(package, "") for package in PACKAGES},
        "date": run.date,
    }
    identity = {name: "" if given[name] is None else str(given[name]) for name in IDENTITY}
    images = run.table.set_index("image")[["label", "prediction", "margin"]]
    stands, beside = run.standing(), around.standing()
    limit = ROUNDING * float(images["margin"].abs().median())
    clear = pd.DataFrame({"0": images["margin"].abs() > limit})
    at = {Eps(text).exact: beside[text] for text in around.eps}
    for eps in run.eps:
        below, above = _nearby_radii(eps)
        withstands = at.get(above, stands[eps])  # there is nothing above the whole pixel range
        clear[eps] = np.where(stands[eps], withstands, ~at[below])
    return Baseline(identity, images, stands, clear.astype(bool))


def options(spec: ProtocolSpec) -> str:
    """Return the options of a protocol in one line, sorted: `restarts=5 steps=40`."""
    dense = (",", ":")
    pairs = sorted((spec.options or {}).items())
    return " ".join(f"{name}={json.dumps(value, separators=dense)}" for name, value in pairs)


def write(baseline: Baseline, path: Path) -> None:
    """Write the CSV, whole or not at all.

    Raises:
        RbmixError: `read` would refuse it.
    """
    _check_identity(baseline.identity, path)
    rows = [[*IMAGE, *baseline.eps, *IDENTITY]]
    for image, about in zip(baseline.images.index, baseline.images.itertuples(), strict=True):
        right = about.prediction == about.label
        verdicts = [
            _verdict_word(baseline, image, eps) if right else "wrong" for eps in baseline.eps
        ]
        first = [str(image), str(about.label), str(about.prediction), repr(float(about.margin))]
        rows.append([*first, *verdicts, *(baseline.identity[name] for name in IDENTITY)])
    buffer = io.StringIO()
    sums = [CHECKSUM, *[short_hash(rows)] * len(baseline.images)]
    complete = [[*row, checksum] for row, checksum in zip(rows, sums, strict=True)]
    csv.writer(buffer, lineterminator="\n").writerows(complete)
    write_text(path, buffer.getvalue())


def read(path: Path) -> Baseline:
    """Read a baseline that `write` wrote.

    Raises:
        RbmixError: The file is missing, cut off, edited, or of another format.
    """
    if not path.is_file():
        raise RbmixError(f"baseline {path} does not exist (rbmix baseline writes one)")
    raw = reading.read_bytes(path, "baseline", reading.MAX_BASELINE_BYTES)
    with reading.refuse_on_error(f"baseline {path} is damaged"):
        lines = list(csv.reader(io.StringIO(raw.decode("utf-8"), newline=""), strict=True))
    title, rows = (lines[0], lines[1:]) if lines else ([], [])
    if "format" not in title or title[: len(IMAGE)] != list(IMAGE):
        raise RbmixError(f"baseline {path} is damaged: it does not begin as a baseline does")
    if not rows or any(len(row) != len(title) for row in rows):
        raise RbmixError(f"baseline {path} is damaged: it is cut off")
    first = dict(zip(title, rows[0], strict=True))
    if first["format"] not in READABLE:
        raise RbmixError(
            f"baseline {path} has format {first['format']!r}, this rbmix reads "
            f"{' and '.join(map(repr, READABLE))}; "
            "write it anew (rbmix baseline)"
        )
    if first.get("n") != str(len(rows)):
        raise RbmixError(f"baseline {path} is cut off: {len(rows)} of {first.get('n')} images")
    checksum = short_hash([row[:-1] for row in [title, *rows]])
    if title[-1] != CHECKSUM or any(row[-1] != checksum for row in rows):
        raise RbmixError(f"baseline {path} was edited: its checksum does not match")
    with reading.refuse_on_error(f"baseline {path} is damaged"):
        baseline = _parse(pd.DataFrame(rows, columns=title))
    _check(baseline, path)
    return baseline


def weights_of(baseline: Baseline, path: Path) -> Path | None:
    """Return the weights that the baseline names, None if none.

    Args:
        baseline: The baseline.
        path: Its file.

    Raises:
        RbmixError: The weights are outside of its folder.
    """
    named = baseline.identity["weights"]
    if not named:
        return None
    if named == ELSEWHERE:
        raise RbmixError(f"baseline {path} was written with --weights; give the file again")
    folder = path.resolve().parent
    with reading.refuse_on_error(f"baseline {path} names weights {named!r}, which are no path"):
        found = (folder / named).resolve()  # a loop of links raises
    if not found.is_relative_to(folder):
        raise RbmixError(f"baseline {path} names weights outside of its folder: {named}")
    return path.parent / named


def _parse(table: pd.DataFrame) -> Baseline:
    """Turn a table of text with a valid checksum into a baseline; any error if that fails."""
    is_old = table["format"][0] == READABLE[0]
    names = tuple(name for name in IDENTITY if not (is_old and name == "settings"))
    if tuple(table.columns[-len(names) - 1 : -1]) != names:
        raise ValueError("its columns are others")
    identity = {"settings": "", **{name: str(table[name][0]) for name in names}}
    grid = list(table.columns[len(IMAGE) : -len(names) - 1])
    try:
        check_grid(grid, identity["norm"])
    except RbmixError as error:
        raise ValueError(f"its columns are no epsilon grid: {error}") from error
    images = table[list(IMAGE)].astype(dict.fromkeys(IMAGE[:3], int) | {"margin": float})
    images = images.set_index("image")
    right = images["label"] == images["prediction"]
    spread = images["margin"].abs()
    stands, clear = {"0": right}, {"0": spread > ROUNDING * spread.median()}
    for eps in grid:
        verdicts = [VERDICTS[word] for word in table[eps]]
        stands[eps] = pd.Series([stood for stood, _ in verdicts], index=images.index)
        clear[eps] = pd.Series([sure for _, sure in verdicts], index=images.index)
    baseline = Baseline(identity, images, pd.DataFrame(stands), pd.DataFrame(clear))
    try:
        int(baseline.words["seed"])
    except RbmixError as error:
        raise ValueError(f"its settings are none: {error}") from error
    return baseline


def _check(baseline: Baseline, path: Path) -> None:
    """Raise RbmixError if a baseline contradicts itself."""
    _check_identity(baseline.identity, path)
    images = baseline.images
    if not np.isfinite(images["margin"]).all():
        raise RbmixError(f"baseline {path} is damaged: a margin is not finite")
    if images.index.has_duplicates or (baseline.stands.astype(int).diff(axis=1) > 0).any(axis=None):
        raise RbmixError(f"baseline {path} is damaged: an image is twice in it, or not nested")


def _check_identity(identity: dict[str, str], path: Path) -> None:
    """Raise RbmixError for texts that cannot be printed: terminals and build servers show them."""
    for name, text in identity.items():
        if not text.isprintable():
            raise RbmixError(f"baseline {path}: {name} {text!r} cannot be printed")


def _verdict_word(baseline: Baseline, image: int, eps: str) -> str:
    cells = (bool(baseline.stands.at[image, eps]), bool(baseline.clear.at[image, eps]))
    return next(word for word, meaning in VERDICTS.items() if meaning == cells)


def _nearby_radii(eps: str) -> tuple[Fraction, Fraction]:
    """Return the radii on both sides of an epsilon that tell whether an outcome is close."""
    exact = Eps(eps).exact
    below, above = ((exact * (1 + side)).limit_denominator(10**9) for side in (-CLOSE, CLOSE))
    return below, above
