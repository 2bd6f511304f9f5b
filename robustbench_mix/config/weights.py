"""The file of a network's weights, and which of the weights in it are meant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from robustbench_mix.errors import RbmixError


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights, as `--weights`, `--weights-key` and `--ignore-weights` name it.

    Args:
        path: The file.
        key: The set of weights to take where the file holds several; None takes the plain one.
        ignore: Names of weights, or of modules, that inference does not need.

    Raises:
        RbmixError: The key or a name is empty.
    """

    path: Path
    key: str | None = None
    ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.key is not None and not self.key.strip("."):
            raise RbmixError(f"weights key {self.key!r} names nothing")
        if not all(name.strip(".") for name in self.ignore):
            raise RbmixError(f"ignored weights {','.join(self.ignore)!r} hold an empty name")

    @property
    def name(self) -> str:
        """The name of these weights in records: the file, and the key if one was given."""
        return self.path.name if self.key is None else f"{self.path.name} [{self.key}]"
