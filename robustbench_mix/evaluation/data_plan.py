"""The plan of the data: a data set, and how many of its test images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from robustbench_mix.config import catalog
from robustbench_mix.config.limits import MAX_EXAMPLES, check_count

if TYPE_CHECKING:
    from robustbench_mix.data.dataset import Dataset

DEFAULT_EXAMPLES = {"digits": 40}
UNSHUFFLING_EXAMPLES = 1000  # default number of test images to decode
OTHER_EXAMPLES = 1000


@dataclass(frozen=True)
class DataPlan:
    """A data set, by its word or as an object, and how many of its test images to take.

    Attributes:
        dataset: The word, or the data set itself.
        examples: The number that the user asks for; None takes the default.
        default: The default number; None is that of attacks on this data set.
        class_index: The file that says which output each class is, or `numbers`; None takes the
            order of the classes.

    Raises:
        RbmixError: For a data set or a file that does not exist, and a number out of range.
    """

    dataset: str | Dataset
    examples: int | None = None
    default: int | None = None
    class_index: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "examples", check_count("number of examples", self.examples, MAX_EXAMPLES)
        )
        if isinstance(self.dataset, str):
            catalog.check_dataset(self.dataset)
        if self.class_index is not None:
            catalog.check_class_index(self.class_index)

    @property
    def name(self) -> str:
        """The name of the data set in records."""
        word = self.dataset
        return catalog.dataset_name(word) if isinstance(word, str) else word.name

    @property
    def count(self) -> int:
        """The number of test images: the given number, or the default."""
        for number in (self.examples, self.default):
            if number is not None:
                return number
        return DEFAULT_EXAMPLES.get(self.name, OTHER_EXAMPLES)
