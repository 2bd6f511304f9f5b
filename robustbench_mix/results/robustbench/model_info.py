"""Write a run as an entry of RobustBench, and read the entries of others.

One JSON object for each model, at `model_info/<dataset>/<Linf|L2>/<Model ID>.json`: the fields
of model_info/cifar10/Linf/Bartoldson2024Adversarial_WRN-94-16.json and the structure that the
docstring of robustbench/leaderboard/template.py gives, both in
https://github.com/RobustBench/robustbench (Croce et al., arXiv 2010.09670). Accuracies there are
texts in per cent. What RobustBench does not ask for, the exact counts, hashes and versions, is
under a key of our own, `rbmix`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from robustbench_mix.config.epsilon import Eps, parse_eps
from robustbench_mix.config.norms import FROM_ROBUSTBENCH, ROBUSTBENCH
from robustbench_mix.errors import RbmixError
from robustbench_mix.results.headers import EXTERNAL, RunHeader, check_grid
from robustbench_mix.results.records import Run
from robustbench_mix.storage import reading, validation
from robustbench_mix.storage.files import safe_name, write_text
from robustbench_mix.storage.validation import SHOWN, Count, Header, Name, Positive, is_name

# The leaderboards of RobustBench: the radius of each, and its number of test images.
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
LONGEST = 10_000  # maximum characters of a text: lists of authors and footnotes are long

LongText = Annotated[str, Meta(max_length=LONGEST)]
Percent = str | int | float


class Clean(Header, frozen=True, kw_only=True):
    """The number of images that are classified correctly."""

    correct: Count
    n: Positive


class Own(Header, frozen=True, kw_only=True):
    """The fields of ours, which RobustBench does not ask for, as far as they are read."""

    norm: Literal["linf", "l2"]
    clean: Clean


class Entry(Header, frozen=True, kw_only=True):
    """The fields of an entry that are read, in RobustBench's own names."""

    dataset: Name
    eps: Name
    clean_acc: Percent
    autoattack_acc: Percent
    name: LongText | None = None
    authors: LongText | None = None
    venue: LongText | None = None
    link: LongText | None = None
    architecture: LongText | None = None
    footnote: LongText | None = None
    additional_data: bool | None = None
    unreliable: bool | None = None
    external: object = None
    reported: object = None
    rbmix: Own | None = None

    def __post_init__(self) -> None:
        """Raise RbmixError for a text that cannot be printed, and for an invalid percentage."""
        for name in ("dataset", "eps"):
            if not is_name(getattr(self, name)):
                raise RbmixError(f"{name} = {getattr(self, name)!r} cannot be printed")
        for name in ("name", "authors", "venue", "link", "architecture", "footnote"):
            text = getattr(self, name)
            if text is not None and not _is_long_text(text):
                raise RbmixError(f"{name} = {text[:SHOWN]!r} cannot be printed")
        for name in ("clean_acc", "autoattack_acc"):
            figure = getattr(self, name)
            if parse_percent(figure) is None:
                shown = str(figure)[:SHOWN]
                raise RbmixError(f"{name} = {shown!r} is not a figure in per cent, as 56.30")


@dataclass(frozen=True)
class ReadEntry:
    """An entry of a file, with its norm and the Model ID that the file is named after."""

    entry: Entry
    norm: str
    model_id: str


def why_no_entry(run: Run) -> str:
    """Return why a run gives no `autoattack_acc`, '' if it does.

    Only AutoAttack's standard version gives one.
    """
    spec = run.header.protocol_spec
    if spec.algorithm != "autoattack":
        return f"protocol {run.header.protocol!r} runs {spec.algorithm}, not AutoAttack"
    if run.header.randomised:
        return "its network was evaluated as randomised, RobustBench takes deterministic ones"
    if options := spec.options:
        words = ", ".join(f"{name} = {value}" for name, value in options.items())
        return f"it changes AutoAttack's standard version ({words})"
    if run.header.audit:
        return "only a sample of its images met all of AutoAttack"
    return ""


def entry_of(
    run: Run, eps: str | None, raised: dict[str, str], given: dict[str, Any]
) -> dict[str, Any]:
    """Return the entry of a run at an epsilon of its grid.

    Args:
        run: A run under the full AutoAttack.
        eps: The epsilon; None for that of RobustBench's leaderboard, or the only one.
        raised: The flags of the run.
        given: The fields that are in no record. Missing ones, and those that are None, are marked
            as still to be filled.

    Raises:
        RbmixError: The run is no full AutoAttack, lacks the epsilon, or a text cannot be printed.
    """
    if why := why_no_entry(run):
        raise RbmixError(f"{run.header.model}: no entry of RobustBench ({why})")
    _check_given(given)
    eps = _pick_eps(run, eps)
    h, survived = run.header, run.standing()
    clean, robust = ({"correct": int(survived[e].sum()), "n": len(survived)} for e in ("0", eps))
    given = {name: value for name, value in given.items() if value is not None}
    missing = {name: f"{TO_FILL}: {name}" for name in ("link", "name", "authors", "venue")}
    fields = {**missing, "architecture": _architecture(h), "reported": "", **given}
    # A network that rbmix trained has seen the training images only.
    fields.setdefault("additional_data", False if h.train_examples else None)
    flagged = [f"rbmix flags {name}: {words}." for name, words in raised.items()]
    return {
        "link": fields["link"],
        "name": fields["name"],
        "authors": fields["authors"],
        "additional_data": fields["additional_data"],
        "number_forward_passes": 1,
        "dataset": h.dataset,
        "venue": fields["venue"],
        "architecture": fields["architecture"],
        "eps": eps,
        "clean_acc": _format_percent(clean),
        "reported": fields["reported"],
        "autoattack_acc": _format_percent(robust),
        "footnote": " ".join([*filter(None, [fields.get("footnote")]), *flagged]),
        "unreliable": bool(raised),
        "rbmix": {
            "clean": clean,
            "robust": robust,
            "flags": raised,
            "date": run.date,
            "backend": run.backend,
            **{name: getattr(h, name) for name in OWN},
        },
    }


def missing_fields(entry: dict[str, Any]) -> list[str]:
    """Return the fields that are still to be filled."""
    return [
        name
        for name, value in entry.items()
        if value is None or (isinstance(value, str) and value.startswith(TO_FILL))
    ]


def remarks(entry: dict[str, Any]) -> list[str]:
    """Return further reasons why the entry does not fit one of RobustBench's leaderboards."""
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
    """Return a Model ID from the words of the run."""
    h = run.header
    return f"{h.model}-{h.spatial}-{h.channel}-s{h.seed}"


def write(folder: Path, model_id: str, entry: dict[str, Any]) -> Path:
    """Write an entry to its path in RobustBench's layout.

    Args:
        folder: The folder `model_info`.
        model_id: The name of the file.
        entry: The entry.

    Returns:
        Its path.
    """
    norm = ROBUSTBENCH[entry["rbmix"]["norm"]]
    path = folder / safe_name(entry["dataset"]) / norm / f"{safe_name(model_id)}.json"
    write_text(path, json.dumps(entry, indent=2, ensure_ascii=False) + "\n")
    return path


def read(path: Path) -> ReadEntry:
    """Read an entry; its norm is that of its folder, or what rbmix wrote.

    Raises:
        RbmixError: The file is not a valid entry; nothing in it is trusted.
    """
    refusal = f"{path} is no entry of RobustBench"
    raw = reading.read_bytes(path, "entry", reading.MAX_COMPANION_BYTES)
    entry = validation.decode(reading.parse_json(raw, refusal), Entry, refusal, printable=False)
    if not is_name(path.stem):
        raise RbmixError(f"{refusal} (its file's name is no Model ID, which is printed)")
    own = entry.rbmix.norm if entry.rbmix else None
    norm = FROM_ROBUSTBENCH.get(path.resolve().parent.name, own)
    if norm is None:
        raise RbmixError(f"{refusal} (the norm is the name of its folder, Linf or L2)")
    if own is not None and own != norm:
        raise RbmixError(f"{refusal} (it says {ROBUSTBENCH[own]} and lies in {ROBUSTBENCH[norm]})")
    try:
        check_grid([entry.eps], norm)
    except RbmixError as error:
        raise RbmixError(f"{refusal} (eps: {error})") from error
    return ReadEntry(entry, norm, path.stem)


def _check_given(given: dict[str, Any]) -> None:
    """Raise RbmixError unless texts can be printed and `reported` is a figure in per cent."""
    for name, value in given.items():
        if isinstance(value, str) and not _is_long_text(value):
            raise RbmixError(f"{name} {value!r} must be a text that can be printed")
    if given.get("reported") and parse_percent(given["reported"]) is None:
        raise RbmixError(f"reported {given['reported']!r} is not a figure in per cent, as 56.30")


def _pick_eps(run: Run, wanted: str | None) -> str:
    """Return the epsilon of an entry, as the run spells it: the wanted one, or RobustBench's own.

    Raises RbmixError if the run has no such epsilon.
    """
    h = run.header
    text = wanted or RADIUS.get((h.dataset, h.norm), "")
    if not text and len(run.eps) == 1:
        text = run.eps[0]
    allowed = f"allowed: {', '.join(run.eps)}"
    if not text:
        raise RbmixError(f"an entry has one epsilon, choose it with --eps ({allowed})")
    exact = parse_eps(text, h.norm).exact
    for own in run.eps:
        if Eps(own).exact == exact:
            return own
    raise RbmixError(f"epsilon {text!r} is not of this run ({allowed})")


def _architecture(header: RunHeader) -> str:
    if header.spatial == EXTERNAL:
        return header.model
    return f"{header.model} (spatial mixers {header.spatial}, channel mixers {header.channel})"


def _is_long_text(value: Any) -> bool:
    """Return whether a text is short enough, and printable except for white space."""
    return (
        isinstance(value, str)
        and len(value) <= LONGEST
        and all(c.isprintable() or c.isspace() for c in value)
    )


def parse_percent(value: Any) -> float | None:
    """Return the share of a percentage, None if it is invalid: '86.46' is 0.8646."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or len(str(value)) > 30:
        return None
    try:
        number = Decimal(str(value).strip())
    except ArithmeticError:
        return None
    return float(number / 100) if number.is_finite() and 0 <= number <= 100 else None


def _format_percent(counts: dict[str, int]) -> str:
    return f"{100 * counts['correct'] / counts['n']:.2f}"
