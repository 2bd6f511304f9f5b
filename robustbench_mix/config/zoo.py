"""The zoo: trained networks that lie ready, each a checkpoint with a row in a table of hashes.

The zoo is the folder or URL in `RBMIX_ZOO`, or else `results/checkpoints` of the checkout.
`zoo:NAME` loads a network by name, and `zoo:NAME@HASH` exactly these weights.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from robustbench_mix.config.model import ModelSpec
from robustbench_mix.config.weights import WeightsFile
from robustbench_mix.errors import RbmixError, unknown
from robustbench_mix.storage import reading, remote
from robustbench_mix.storage.atomic import replacing
from robustbench_mix.storage.files import safe_name
from robustbench_mix.storage.paths import cache_folder, checkout_root, is_folder, parse_path
from robustbench_mix.storage.validation import Count, Header, Name, Positive, Share, Text, decode

PREFIX = "zoo:"
VARIABLE = "RBMIX_ZOO"
FOLDER = Path("results") / "checkpoints"  # of the checkout
TABLE = "zoo.csv"
SUFFIX = ".safetensors"
MAX_TABLE_BYTES = 2**22

Hexadecimal = Annotated[str, Meta(pattern="^[0-9a-f]{12,64}$")]


class Entry(Header, frozen=True, kw_only=True):
    """A row of the table: a network, its training, its clean accuracy and its hashes.

    `test_accuracy` is a share. `adversarial` is the radius of adversarial training, '' for none.
    `weights_hash` is that of the values, as records have it; `sha256` is that of the file.
    """

    name: Name
    model: Name
    spatial: Name
    channel: Name
    seed: Count
    dataset: Name
    train_examples: Positive
    epochs: Positive
    adversarial: Text
    test_accuracy: Share
    weights_hash: Hexadecimal
    sha256: Hexadecimal
    size_bytes: Positive

    def __post_init__(self) -> None:
        """Raise RbmixError for words that name no network, and for names that are no file's."""
        ModelSpec(self.model, self.spatial, self.channel, self.seed)
        if safe_name(self.name) != self.name:
            raise RbmixError(f"name {self.name!r} has other characters than a file's")

    @property
    def file(self) -> str:
        """The name of its file."""
        return self.name + SUFFIX

    def words(
        self, model: str | None, spatial: str | None, channel: str | None, seed: int | None
    ) -> tuple[str, str, str, int]:
        """Return the words of the network; those that are given must be the same.

        Raises:
            RbmixError: A given word is of another network.
        """
        own = {
            "model": self.model, "spatial": self.spatial, "channel": self.channel,
            "seed": self.seed,
        }  # fmt: skip
        given = {"model": model, "spatial": spatial, "channel": channel, "seed": seed}
        for name, value in given.items():
            if value not in (None, own[name]):
                raise RbmixError(f"{PREFIX}{self.name} has {name} {own[name]}, not {value}")
        return self.model, self.spatial, self.channel, self.seed


COLUMNS = Entry.__struct_fields__
_NUMBERS = {
    "seed": int,
    "train_examples": int,
    "epochs": int,
    "test_accuracy": float,
    "size_bytes": int,
}


def location() -> str:
    """Return the folder or URL of the zoo.

    Raises:
        RbmixError: There is none; the message says where one can be had.
    """
    if place := os.environ.get(VARIABLE):
        return place.rstrip("/")
    root = checkout_root()
    if root is not None:
        return str(root / FOLDER)
    raise RbmixError(
        f"no zoo here, rbmix is installed without one: set {VARIABLE} to the folder or URL of a "
        f"zoo, for example {FOLDER.as_posix()} of a checkout of rbmix"
    )


def entries() -> list[Entry]:
    """Return the networks of the zoo, in the order of its table.

    Raises:
        RbmixError: There is no zoo, or its table cannot be read.
    """
    place = location()
    if not remote.is_url(place) and not is_folder(parse_path(place)):
        raise RbmixError(f"zoo {place} is no folder ({VARIABLE} names the folder or URL of a zoo)")
    raw = _read(place, TABLE, "table of the zoo", MAX_TABLE_BYTES)
    return parse_table(raw, f"{place}/{TABLE}")


def parse_table(raw: bytes, place: str) -> list[Entry]:
    """Return the rows of a table; `place` names it in errors."""
    refusal = f"table of the zoo {place} is damaged"
    with reading.refuse_on_error(refusal):
        rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(raw.decode("utf-8"))))
        for row in rows:
            row.update({name: kind(row[name]) for name, kind in _NUMBERS.items()})
    found = [decode(row, Entry, refusal) for row in rows]
    if len({one.name for one in found}) < len(found):
        raise RbmixError(f"{refusal} (a name occurs twice)")
    return found


def table_text(rows: list[Entry]) -> str:
    """Return the table of these rows as CSV."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({"adversarial": "", **msgspec.to_builtins(row)} for row in rows)
    return buffer.getvalue()


def find(word: str) -> Entry:
    """Return the network that `zoo:NAME` or `zoo:NAME@HASH` names.

    Raises:
        RbmixError: There is no such network, or it has other weights.
    """
    name, at, wanted = word.removeprefix(PREFIX).partition("@")
    rows = {one.name: one for one in entries()}
    if name not in rows:
        raise unknown("network of the zoo", name, rows)
    if at and rows[name].weights_hash != wanted:
        raise RbmixError(f"{PREFIX}{name} has the weights {rows[name].weights_hash}, not {wanted}")
    return rows[name]


def fetch(entry: Entry) -> Path:
    """Return the file of a network; one of a URL is downloaded into the cache, once.

    Raises:
        RbmixError: It cannot be read, or its bytes are not those of the table.
    """
    place = location()
    if not remote.is_url(place):
        path = parse_path(place) / entry.file
        _check(reading.read_bytes(path, "network of the zoo", entry.size_bytes), entry, str(path))
        return path
    path = cache_folder() / "zoo" / f"{entry.name}-{entry.sha256[:12]}{SUFFIX}"
    if not path.exists() or _digest(path.read_bytes()) != entry.sha256:
        raw = _read(place, entry.file, "network of the zoo", entry.size_bytes)
        _check(raw, entry, f"{place}/{entry.file}")
        with replacing(path) as temporary:
            temporary.write_bytes(raw)
    return path


def is_in_zoo(weights: WeightsFile) -> bool:
    """Return whether weights are named as `zoo:NAME`."""
    return str(weights.path).startswith(PREFIX)


def _read(place: str, name: str, what: str, max_bytes: int) -> bytes:
    if remote.is_url(place):
        return remote.read(place, name, what, max_bytes)
    return reading.read_bytes(parse_path(place) / name, what, max_bytes)


def _check(raw: bytes, entry: Entry, place: str) -> None:
    if _digest(raw) != entry.sha256:
        raise RbmixError(f"{place} is not the file in the table of the zoo: its hash differs")


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
