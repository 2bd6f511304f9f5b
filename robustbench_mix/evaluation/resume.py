"""Save and restore the resume states of unfinished runs, whole or in shards.

A shard is an attack on some of the images. On the fast backend images do not depend on each other,
so the states of all shards, one after the other, are the state of the whole run.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections import Counter
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import msgspec
import safetensors.torch
import torch
from torch import Tensor

from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.identity import are_of_one_run
from robustbench_mix.evaluation.state import State, state_from_json
from robustbench_mix.results.headers import RunIdentity
from robustbench_mix.storage import reading, validation
from robustbench_mix.storage.files import remove, write_bytes, write_text
from robustbench_mix.storage.validation import Header
from robustbench_mix.training.resume import ATTACK_SUFFIX

logger = logging.getLogger(__name__)

SAVE_EVERY_SECONDS = 2.0
X_ADV = "x_adv"


@dataclass(frozen=True)
class Sizes:
    """The sizes of a state: images, epsilons, steps that an image can pass, images at once."""

    images: int
    levels: int
    steps: int
    batch_size: int


@dataclass(frozen=True)
class Shard:
    """Part `number`, from 1, of the images of a run that is split into `of` parts."""

    number: int
    of: int

    def rows(self, images: int) -> range:
        """Return the positions of its images among `images` images."""
        return range((self.number - 1) * images // self.of, self.number * images // self.of)

    def path(self, records: Path) -> Path:
        """Return the path of its state once it is finished."""
        return records.with_suffix(f".shard-{self.number}-of-{self.of}.json")


class Kept(Header, frozen=True, kw_only=True):
    """The content of a resume file: a `RunIdentity` and a `State` as JSON values.

    The header is checked first; the state of a run of another version is never parsed.
    """

    header: dict[str, object]
    state: dict[str, object]


@dataclass
class Saver:
    """Write the state of an unfinished run, at most once every few seconds.

    The examples that were `found`, if they are wanted, are written before the state: an image that
    is broken there always has one.
    """

    path: Path
    header: RunIdentity
    found: Tensor | None = None
    saved_at: float = field(default_factory=time.monotonic)
    latest: dict[str, Any] | None = None

    def __call__(self, state: State) -> None:
        """Keep a copy of the state, and write it if it is time."""
        # A copy, because a state written later must not hold half of the batch then running.
        self.latest = asdict(state)
        if time.monotonic() - self.saved_at >= SAVE_EVERY_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the kept state."""
        if self.latest is not None:
            if self.found is not None:
                write_bytes(_examples_path(self.path), safetensors.torch.save({X_ADV: self.found}))
            content = {"header": msgspec.to_builtins(self.header), "state": self.latest}
            write_text(self.path, json.dumps(content))
            self.saved_at = time.monotonic()


def _examples_path(path: Path) -> Path:
    """Return where the adversarial examples of the state at `path` are."""
    return path.with_name(f"{path.name}.examples")


def resume_state_path(path: Path) -> Path:
    """Return the path of the state of the unfinished run that will write `path`."""
    return path.with_suffix(ATTACK_SUFFIX)


def check_free(path: Path) -> None:
    """Raise RbmixError if a file with the state of another run is at `path`."""
    if path.exists():
        raise RbmixError(
            f"{path} is the state of another run: another network, other images or another attack, "
            "or other versions; delete it, or name another file"
        )


def restore_examples(path: Path, state: State, found: Tensor) -> State | None:
    """Fill `found` with the examples that were saved with a state, and return the state.

    Args:
        path: The path of the state.
        state: The state.
        found: The images, (n, C, H, W); changed in place.

    Returns:
        The state; None if its examples are missing, and the run must start over.
    """
    saved = _examples_path(path)
    if not saved.exists():
        return None
    with reading.refuse_on_error(f"{saved} is damaged", "; delete it"):
        examples = safetensors.torch.load(
            reading.read_bytes(saved, "examples", found.nbytes + reading.MAX_SPEC_BYTES)
        )[X_ADV]
        if examples.shape != found.shape:
            raise ValueError(f"{tuple(examples.shape)} are not {tuple(found.shape)}")
        broken = torch.tensor([bool(name) for name in state.component])
        found[broken] = examples[broken]
    return state


def read_state(path: Path, header: RunIdentity, sizes: Sizes) -> State | None:
    """Return the state at `path` of a run with this header, None if there is none.

    Args:
        path: The path of the state.
        header: The header of the run.
        sizes: The sizes that the state must have.

    Raises:
        RbmixError: The file is damaged.
    """
    kept = _read(path)
    if kept is None:
        return None
    wanted = msgspec.to_builtins(header)
    names = dict.fromkeys([*wanted, *kept.header])
    other = [name for name in names if kept.header.get(name) != wanted.get(name)]
    if other and other != ["weights"]:  # another name of the same file
        logger.info(f"{path} is of another run (other {', '.join(other)}): starting over")
        return None
    with reading.refuse_on_error(*_refusal(path)):
        return state_from_json(kept.state, **asdict(sizes))


def has_state_of(path: Path, header: RunIdentity) -> bool:
    """Return whether `path` holds the state of such a run; raise RbmixError as `read_state`."""
    kept = _read(path)
    if kept is None:
        return False
    try:
        return are_of_one_run(msgspec.convert(kept.header, RunIdentity), header)
    except (msgspec.ValidationError, RbmixError):  # of a version with other headers
        return False


def _read(path: Path) -> Kept | None:
    if not path.exists():
        return None
    refusal, hint = _refusal(path)
    raw = reading.read_bytes(path, "unfinished run", reading.MAX_STATE_BYTES)
    return validation.decode(reading.parse_json(raw, refusal, hint), Kept, refusal, hint=hint)


def _refusal(path: Path) -> tuple[str, str]:
    # A user of the original AutoAttack may have its state there, which is of another form.
    return f"{path} is damaged, or not the state of a run of rbmix", "; delete or move it"


def find_shards(records: Path) -> list[Shard]:
    """Return all parts into which a run was split, if any is on disk; else an empty list."""
    found: Counter[int] = Counter()
    pattern = re.compile(re.escape(records.stem) + r"\.shard-([0-9]{1,4})-of-([0-9]{1,4})\.json")
    for path in records.parent.glob("*.shard-*-of-*.json"):
        if (match := pattern.fullmatch(path.name)) and 1 <= int(match[1]) <= int(match[2]):
            found[int(match[2])] += 1
    if not found:
        return []
    ((of, _),) = found.most_common(1)
    return [Shard(number, of) for number in range(1, of + 1)]


def join_shards(records: Path, header: RunIdentity, sizes: Sizes) -> State | None:
    """Return the state of a run whose shards are all on disk, None if one is missing.

    Args:
        records: The path of the run's records.
        header: The header of the run.
        sizes: The sizes that the whole state must have.
    """
    states = []
    for shard in find_shards(records):
        part = Sizes(len(shard.rows(sizes.images)), sizes.levels, sizes.steps, sizes.batch_size)
        state = read_state(shard.path(records), header, part)
        if state is None:
            return None
        states.append(state)
    return merge_states(states) if states else None


def merge_states(states: list[State]) -> State:
    """Join states of consecutive images; passes and seconds add up, the smallest batch counts."""
    plain: dict[str, Any] = {}
    for name in (one.name for one in fields(State)):
        values = [getattr(state, name) for state in states]
        if isinstance(values[0], list):
            plain[name] = [value for part in values for value in part]
    passes: dict[str, dict[str, int]] = {}
    for state in states:
        for name, spent in state.passes.items():
            total = passes.setdefault(name, dict.fromkeys(spent, 0))
            for kind, count in spent.items():
                total[kind] += count
    seconds = sum(state.attack_seconds for state in states)
    batch_size = min(state.batch_size for state in states)
    search = max(state.search for state in states)
    return State(
        **plain, passes=passes, attack_seconds=seconds, batch_size=batch_size, search=search
    )


def has_resume_state(path: Path) -> bool:
    """Return whether there is a resume state of the run that writes `path`."""
    return resume_state_path(path).exists() or bool(find_shards(path))


def delete_resume_state(path: Path) -> None:
    """Remove the resume states of a run whose records exist."""
    remove(resume_state_path(path))
    remove(_examples_path(resume_state_path(path)))
    for shard in find_shards(path):
        remove(shard.path(path))
