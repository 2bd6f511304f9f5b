"""A run as an entry of RobustBench, and the entries of others, in RobustBench's own shape.

One JSON object for each model, at `model_info/<dataset>/<Linf|L2>/<Model ID>.json`: the fields
of model_info/cifar10/Linf/Bartoldson2024Adversarial_WRN-94-16.json and the structure that the
docstring of robustbench/leaderboard/template.py gives, both in
https://github.com/RobustBench/robustbench (Croce et al., arXiv 2010.09670). Accuracies there are
texts in per cent. What RobustBench does not ask for, the exact counts, hashes and versions, is
under a key of our own, `rbmix`.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from robustbench_mix.config.epsilon import Eps, parse_eps
from robustbench_mix.config.norms import FROM_ROBUSTBENCH, NORMS, ROBUSTBENCH
from robustbench_mix.errors import RbmixError
from robustbench_mix.results import schemas
from robustbench_mix.results.records import Run
from robustbench_mix.storage import reading, validation
from robustbench_mix.storage.files import safe_name, write_text
from robustbench_mix.storage.validation import Check, is_name

# What its leaderboards are of: the radius of each, and how many test images they take.
RADIUS = {
    ("cifar10", "linf"): "8/255", ("cifar10", "l2"): "0.5",
    ("cifar100", "linf"): "8/255", ("imagenet", "linf"): "4/255",
}  # fmt: skip
IMAGES = {"cifar10": 10_000, "cifar100": 10_000, "imagenet": 5_000}
TO_FILL = "TO FILL"
OWN = (
    "model", "spatial", "channel", "seed", "protocol", "norm", "protocol_hash",
    "checkpoint_hash", "data_hash", "versions", "commit", "device",
)  # fmt: skip
LONGEST = 10_000  # characters of a text: lists of authors and footnotes are long


def refusal(run: Run) -> str:
    """Why a run gives no `autoattack_acc`, '' if it does: only AutoAttack's standard version."""
    spec = run.header["protocol_spec"]
    if spec["algorithm"] != "autoattack":
        return f"protocol {run.header['protocol']!r} runs {spec['algorithm']}, not AutoAttack"
    if run.header.get("randomised"):
        return "its network was evaluated as randomised, RobustBench takes deterministic ones"
    if options := spec.get("options"):
        words = ", ".join(f"{name} = {value}" for name, value in options.items())
        return f"it changes AutoAttack's standard version ({words})"
    if run.header.get("audit"):
        return "only a sample of its images met all of AutoAttack"
    return ""


def of(run: Run, eps: str | None, raised: dict[str, str], told: dict[str, Any]) -> dict[str, Any]:
    """The entry of a run at an epsilon of its grid, with the flags that were `raised`.

    No epsilon is that of RobustBench's leaderboard, or the only one.
    `told` are the fields that no record knows; those that are missing or None are marked to be
    filled. Raises RbmixError for a run that is no full AutoAttack, for an epsilon that it lacks,
    and for texts that cannot be printed.
    """
    if why := refusal(run):
        raise RbmixError(f"{run.header['model']}: no entry of RobustBench ({why})")
    _check(told)
    eps = _radius(run, eps)
    h, survived = run.header, run.survived()
    clean, robust = ({"correct": int(survived[e].sum()), "n": len(survived)} for e in ("0", eps))
    told = {name: value for name, value in told.items() if value is not None}
    missing = {name: f"{TO_FILL}: {name}" for name in ("link", "name", "authors", "venue")}
    fields = {**missing, "architecture": _architecture(h), "reported": "", **told}
    # A network that rbmix trained has seen the training images and nothing else.
    fields.setdefault("additional_data", False if h["train_examples"] else None)
    flagged = [f"rbmix flags {name}: {words}." for name, words in raised.items()]
    return {
        "link": fields["link"],
        "name": fields["name"],
        "authors": fields["authors"],
        "additional_data": fields["additional_data"],
        "number_forward_passes": 1,
        "dataset": h["dataset"],
        "venue": fields["venue"],
        "architecture": fields["architecture"],
        "eps": eps,
        "clean_acc": _percent(clean),
        "reported": fields["reported"],
        "autoattack_acc": _percent(robust),
        "footnote": " ".join([*filter(None, [fields.get("footnote")]), *flagged]),
        "unreliable": bool(raised),
        "rbmix": {
            "clean": clean,
            "robust": robust,
            "flags": raised,
            "date": run.date,
            "backend": run.backend,
            **{name: h[name] for name in OWN},
        },
    }


def to_fill(entry: dict[str, Any]) -> list[str]:
    """The fields that somebody still has to fill."""
    return [
        name
        for name, value in entry.items()
        if value is None or (isinstance(value, str) and value.startswith(TO_FILL))
    ]


def remarks(entry: dict[str, Any]) -> list[str]:
    """What, besides, keeps the entry from being one of RobustBench's leaderboards."""
    dataset, norm, n = entry["dataset"], entry["rbmix"]["norm"], entry["rbmix"]["clean"]["n"]
    board = RADIUS.get((dataset, norm))
    if board is None:
        return [f"RobustBench has no leaderboard of {dataset} in {ROBUSTBENCH[norm]}"]
    found = []
    if parse_eps(entry["eps"], norm).exact != parse_eps(board, norm).exact:
        found.append(f"its leaderboard of {dataset} in {ROBUSTBENCH[norm]} has eps {board}")
    if n != IMAGES[dataset]:
        found.append(f"it evaluates {IMAGES[dataset]:,} images of {dataset}, this run {n:,}")
    return found


def default_id(run: Run) -> str:
    """A Model ID from the words of the run."""
    h = run.header
    return f"{h['model']}-{h['spatial']}-{h['channel']}-s{h['seed']}"


def write(folder: Path, model_id: str, entry: dict[str, Any]) -> Path:
    """Write an entry to its place under `folder`, as RobustBench lays them out."""
    norm = ROBUSTBENCH[entry["rbmix"]["norm"]]
    path = folder / safe_name(entry["dataset"]) / norm / f"{safe_name(model_id)}.json"
    write_text(path, json.dumps(entry, indent=2, ensure_ascii=False) + "\n")
    return path


def read(path: Path) -> dict[str, Any]:
    """An entry, with its `norm`, that of its folder or what rbmix wrote, and `model_id`.

    Raises RbmixError for anything else: nothing in it is trusted.
    """
    refusal = f"{path} is no entry of RobustBench"
    raw = reading.read_bytes(path, "entry", reading.MAX_COMPANION_BYTES)
    entry = validation.verify(reading.parse_json(raw, refusal), ENTRY, refusal)
    if not is_name(path.stem):
        raise RbmixError(f"{refusal} (its file's name is no Model ID, which is printed)")
    own = entry["rbmix"]["norm"] if entry.get("rbmix") else None
    norm = FROM_ROBUSTBENCH.get(path.resolve().parent.name, own)
    if norm is None:
        raise RbmixError(f"{refusal} (the norm is the name of its folder, Linf or L2)")
    if own not in (None, norm):
        raise RbmixError(f"{refusal} (it says {ROBUSTBENCH[own]} and lies in {ROBUSTBENCH[norm]})")
    validation.verify(entry, {"eps": lambda text: schemas.grid(norm)([text])}, refusal)
    return {**entry, "norm": norm, "model_id": path.stem}


def _check(told: dict[str, Any]) -> None:
    """Raise RbmixError unless texts can be printed and `reported` is a figure in per cent."""
    for name, value in told.items():
        if isinstance(value, str) and not _text(value):
            raise RbmixError(f"{name} {value!r} must be a text that can be printed")
    if told.get("reported") and share(told["reported"]) is None:
        raise RbmixError(f"reported {told['reported']!r} is not a figure in per cent, as 56.30")


def _radius(run: Run, wanted: str | None) -> str:
    """The epsilon of an entry, as the run spells it: the wanted one, or RobustBench's own.

    Raises RbmixError if the run has no such epsilon.
    """
    h = run.header
    text = wanted or RADIUS.get((h["dataset"], h["norm"]), "")
    if not text and len(run.eps) == 1:
        text = run.eps[0]
    allowed = f"allowed: {', '.join(run.eps)}"
    if not text:
        raise RbmixError(f"an entry has one epsilon, choose it with --eps ({allowed})")
    exact = parse_eps(text, h["norm"]).exact
    for own in run.eps:
        if Eps(own).exact == exact:
            return own
    raise RbmixError(f"epsilon {text!r} is not of this run ({allowed})")


def _architecture(header: dict[str, Any]) -> str:
    model, spatial, channel = (str(header[name]) for name in ("model", "spatial", "channel"))
    if spatial == schemas.EXTERNAL:
        return model
    return f"{model} (spatial mixers {spatial}, channel mixers {channel})"


def _text(value: Any) -> bool:
    """A text that is short enough, and printable but for white space."""
    return (
        isinstance(value, str)
        and len(value) <= LONGEST
        and all(c.isprintable() or c.isspace() for c in value)
    )


def _share(value: Any) -> bool:
    """Per cent, as a text or a number."""
    return share(value) is not None


def share(value: Any) -> float | None:
    """The share behind a figure in per cent, None if it is no such figure: '86.46' is 0.8646."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or len(str(value)) > 30:
        return None
    try:
        number = Decimal(str(value).strip())
    except ArithmeticError:
        return None
    return float(number / 100) if number.is_finite() and 0 <= number <= 100 else None


def _percent(counts: dict[str, int]) -> str:
    return f"{100 * counts['correct'] / counts['n']:.2f}"


ENTRY: dict[str, Check] = {
    **dict.fromkeys(("name", "authors", "venue", "link", "architecture"), validation.maybe(_text)),
    "footnote": validation.maybe(_text),
    "additional_data": lambda value: value is None or isinstance(value, bool),
    "unreliable": lambda value: value is None or isinstance(value, bool),
    "dataset": is_name,
    "eps": is_name,
    "clean_acc": _share,
    "autoattack_acc": _share,
    "rbmix": validation.maybe(
        validation.holding(
            norm=validation.among(*NORMS),
            clean=validation.holding(correct=validation.count(), n=validation.count(1)),
        )
    ),
}
