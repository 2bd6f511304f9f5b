"""Say which output of a network each class of a data set is: the order of `--class-index`.

The file is JSON or text. In JSON a list names the outputs in their order, and an object gives each
class its output, or each output its class. A text has one class a line, in the order of the
outputs or with the number of its output before or behind it.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from robustbench_mix.config.catalog import NUMBERS
from robustbench_mix.data.dataset import Dataset, Split
from robustbench_mix.errors import RbmixError
from robustbench_mix.storage import reading

logger = logging.getLogger(__name__)

MAX_OUTPUTS = 10**6
MAX_SHOWN = 20  # largest number of classes that are shown
# Keys under which hubs and training scripts keep such an object.
NESTED = ("class_to_idx", "label2id", "id2label", "classes")


@dataclass(frozen=True)
class ClassIndex:
    """One reading of a file: pairs of an output and a name for it.

    Args:
        pairs: The pairs; an output may have several names.
        is_order: Whether the file lists all outputs, so that a network must have as many.
    """

    pairs: tuple[tuple[int, str], ...]
    is_order: bool

    @property
    def count(self) -> int:
        """The least number of outputs."""
        return 1 + max(output for output, _ in self.pairs)

    def outputs(self, classes: Iterable[str]) -> tuple[int, ...] | None:
        """Return the output of each class, None if a class is not there, or there twice."""
        found: dict[str, set[int]] = {}
        for output, name in self.pairs:
            found.setdefault(name, set()).add(output)
        sets = [found.get(name, set()) for name in classes]
        return tuple(min(one) for one in sets) if all(len(one) == 1 for one in sets) else None


def apply(dataset: Dataset, word: str) -> Dataset:
    """Return the data set with the outputs of its classes as labels.

    Args:
        dataset: The data set.
        word: The path of a class index, or `numbers` for classes that are named by their outputs.

    Raises:
        RbmixError: The file cannot be read, lacks a class, or can be read in two ways.
    """
    what = f"class index {word}"
    readings = _numbers(dataset.classes) if word == NUMBERS else _read(Path(word).expanduser())
    fitting = {
        (outputs, one.count, one.is_order): one
        for one in readings
        if (outputs := one.outputs(dataset.classes)) is not None
    }
    if not fitting:
        raise _missing(what, dataset.classes, readings)
    if len({outputs for outputs, _, _ in fitting}) > 1:
        raise RbmixError(f"{what} can be read in two ways: use a JSON object of class and output")
    (outputs, _, _), chosen = next(iter(fitting.items()))
    shown = [f"{n} = {o}" for n, o in zip(dataset.classes, outputs, strict=True)]
    more = ", ..." if len(shown) > MAX_SHOWN else ""
    logger.info(f"{what}: outputs {', '.join(shown[:MAX_SHOWN])}{more}")
    names = [""] * chosen.count
    for output, name in reversed(chosen.pairs):
        names[output] = name
    return replace(
        dataset,
        classes=tuple(names),
        train=_relabelled(dataset.train, outputs),
        test=_relabelled(dataset.test, outputs),
        labels_are_outputs=not chosen.is_order,
    )


def _relabelled(split: Split, outputs: tuple[int, ...]) -> Split:
    return replace(split, labels=torch.tensor(outputs)[split.labels])


def _missing(what: str, classes: tuple[str, ...], readings: list[ClassIndex]) -> RbmixError:
    """Make the error for classes that no reading has exactly once."""
    best = max(
        ([n for n in classes if one.outputs([n]) is not None] for one in readings),
        key=len,
        default=[],
    )
    lacking = [name for name in classes if name not in best]
    names = ", ".join(repr(name) for name in lacking[:5]) + (", ..." if lacking[5:] else "")
    return RbmixError(f"{what} does not give exactly one output to class {names}")


def _numbers(classes: tuple[str, ...]) -> list[ClassIndex]:
    if not all(name.isdecimal() and int(name) < MAX_OUTPUTS for name in classes):
        return []
    return [ClassIndex(tuple((int(name), name) for name in classes), is_order=False)]


def _read(path: Path) -> list[ClassIndex]:
    """Return every way to read a file."""
    raw = reading.read_bytes(path, "class index", reading.MAX_COMPANION_BYTES)
    refusal = f"class index {path} cannot be read"
    with reading.refuse_on_error(refusal):
        text = unicodedata.normalize("NFC", raw.decode("utf-8-sig"))
        if text.lstrip().startswith(("{", "[")):
            found = [_of_json(reading.parse_json(text.encode(), refusal))]
        else:
            lines = [line.strip() for line in text.splitlines()]
            found = _of_lines([line for line in lines if line and not line.startswith("#")])
        for one in found:
            if not all(0 <= output < MAX_OUTPUTS for output, _ in one.pairs):
                raise ValueError(f"outputs are numbers from 0 to {MAX_OUTPUTS:,}")
        return [one for one in found if one.pairs]


def _of_json(value: Any) -> ClassIndex:
    """Return the meaning of a list or an object; raise ValueError if it has none."""
    while isinstance(value, dict) and (key := next((k for k in NESTED if k in value), None)):
        value = value[key]
    if isinstance(value, list):
        pairs = [(i, name) for i, names in enumerate(value) for name in _names(names)]
        return ClassIndex(tuple(pairs), is_order=True)
    if isinstance(value, dict) and all(type(output) is int for output in value.values()):
        return ClassIndex(tuple((output, name) for name, output in value.items()), is_order=False)
    if isinstance(value, dict) and all(key.isdecimal() for key in value):
        pairs = [(int(key), name) for key, names in value.items() for name in _names(names)]
        return ClassIndex(tuple(pairs), is_order=False)
    raise ValueError("it is neither a list of classes nor an object of classes and outputs")


def _names(value: Any) -> list[str]:
    names = value if isinstance(value, list) else [value]
    if not all(isinstance(name, str) for name in names):
        raise ValueError("a class is not named by a text")
    return names


def _of_lines(lines: list[str]) -> list[ClassIndex]:
    """Return the ways to read a text of one class a line."""
    found = [ClassIndex(tuple(enumerate(lines)), is_order=True)]
    if pairs := [(int(one[1]), one[2]) for one in _rows(r"(\d+)[\s,;:]+(.+)", lines)]:
        short = [(output, _first_word(name)) for output, name in pairs]
        found += [ClassIndex(tuple(one), is_order=False) for one in (pairs, short)]
    if pairs := [(int(one[2]), one[1]) for one in _rows(r"(.+?)[\s,;:]+(\d+)", lines)]:
        found.append(ClassIndex(tuple(pairs), is_order=False))
    if len(found) == 1:  # no numbers: a class and its other names
        firsts = tuple((i, _first_word(line)) for i, line in enumerate(lines))
        found.append(ClassIndex(firsts, is_order=True))
    return found


def _rows(pattern: str, lines: list[str]) -> list[re.Match[str]]:
    """Return the parts of the lines below a heading, if there is one; none if one line differs."""
    found = [re.fullmatch(pattern, line) for line in lines]
    rows = [one for one in found if one]
    return rows if rows and all(found[1:]) else []


def _first_word(text: str) -> str:
    return re.split(r"[\s,;]+", text)[0]
