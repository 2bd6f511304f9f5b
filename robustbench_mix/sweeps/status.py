"""How far sweeps have come: a file for each beside the results, for whoever asks on any machine."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from robustbench_mix.errors import unknown
from robustbench_mix.storage import reading, validation
from robustbench_mix.storage.files import safe_name, write_text
from robustbench_mix.storage.locks import alone
from robustbench_mix.storage.validation import Header, NonNegative, Text
from robustbench_mix.sweeps.scheduler import AT_WORK, DONE, FAILED, STATES, WAITING

FOLDER = "progress"


class _Piece(Header, frozen=True, kw_only=True):
    """What the file says of a piece."""

    words: Text
    network: Text
    state: Text
    seconds: NonNegative
    since: Text
    error: Text

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise unknown("state", self.state, STATES)


class _Sweep(Header, frozen=True, kw_only=True):
    """What a file holds."""

    sweep: Text
    runner: Text
    machine: Text
    began: Text
    changed: Text
    pieces: list[_Piece]


class Planned(Protocol):
    """A piece of a plan, as `plan.Piece`."""

    @property
    def words(self) -> str: ...
    @property
    def network(self) -> str: ...
    @property
    def done(self) -> bool: ...
    @property
    def seconds(self) -> float: ...


@dataclass
class Entry:
    """A piece, its state, since when it is in it, and about how many seconds of work it is."""

    words: str
    network: str
    state: str
    seconds: float
    since: str = ""
    error: str = ""


@dataclass
class Ongoing:
    """The state of a sweep: `note` changes it, and keeps it at `path`."""

    path: Path
    about: dict[str, str]
    pieces: dict[str, Entry]

    def note(self, piece: Planned, state: str, error: str) -> None:
        """A piece is in another state now."""
        entry = self.pieces[piece.words]
        entry.state, entry.since, entry.error = state, _now(), error
        self.save()

    def save(self) -> None:
        """Keep it now."""
        content = {
            **self.about, "changed": _now(), "pieces": [asdict(one) for one in self.pieces.values()]
        }  # fmt: skip
        write_text(self.path, json.dumps(content, indent=1) + "\n")


def begin(results: Path, sweep: str, runner: str, pieces: Iterable[Planned]) -> Ongoing:
    """The state of a sweep that begins now, kept in place of what there was of this name."""
    entries = {
        piece.words: Entry(
            piece.words, piece.network, DONE if piece.done else WAITING, piece.seconds
        )
        for piece in pieces
    }
    about = {"sweep": sweep, "runner": runner, "machine": socket.gethostname(), "began": _now()}
    path = results / FOLDER / f"{safe_name(sweep)}.json"
    ongoing = Ongoing(path, about, entries)
    with alone(path):  # which clears away what a killed process left of it
        ongoing.save()
    return ongoing


def read_all(results: Path) -> list[dict[str, Any]]:
    """Every sweep that was run into these results, as `save` wrote it.

    Raises RbmixError for a file that is damaged.
    """
    found = []
    for path in sorted((results / FOLDER).glob("*.json")):
        refusal = f"progress {path} is damaged"
        raw = reading.content(path, "progress", reading.RECORDS)
        plain = reading.from_json(raw, refusal)
        validation.decode(plain, _Sweep, refusal)
        found.append(plain)
    return found


def networks(sweep: dict[str, Any]) -> list[dict[str, Any]]:
    """One row for each network: pieces in each state, and seconds of work that are left."""
    rows: dict[str, dict[str, Any]] = {}
    for piece in sweep["pieces"]:
        name = piece["network"]
        row = rows.setdefault(name, {"network": name, **dict.fromkeys(STATES, 0), "seconds": 0.0})
        row[piece["state"]] += 1
        row["seconds"] += piece["seconds"] if piece["state"] in (WAITING, AT_WORK) else 0.0
    return list(rows.values())


def notable(sweep: dict[str, Any]) -> list[str]:
    """A line for each piece that is at work or failed."""
    return [
        f"{piece['state']} since {piece['since']}: {piece['words']}"
        + (f" ({piece['error']})" if piece["error"] else "")
        for piece in sweep["pieces"]
        if piece["state"] in (AT_WORK, FAILED)
    ]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
