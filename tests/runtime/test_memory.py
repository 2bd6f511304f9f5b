"""Running out of memory halves the batch, or is one line."""

from __future__ import annotations

import pytest

from robustbench_mix.errors import RbmixError
from robustbench_mix.runtime import memory


def test_the_batch_is_halved_until_it_fits(capsys) -> None:
    """And only as many items are done."""
    calls = []

    def work(batch_size: int, batch: list[int]) -> None:
        calls.append((batch_size, list(batch)))
        if batch_size > 2:
            raise MemoryError

    assert memory.retry_with_smaller_batches(work, [1, 2, 3, 4, 5], 5) == 2
    assert [size for size, _ in calls] == [5, 3, 2]
    assert calls[-1] == (2, [1, 2])
    assert capsys.readouterr().err.splitlines()[-1] == "out of memory: continuing with batches of 2"


def test_one_item_that_does_not_fit_is_an_error() -> None:
    """In one line, with the allocator's own words."""

    def work(batch_size: int, batch: list[int]) -> None:
        raise RuntimeError("CUDA out of memory\nand more")

    with pytest.raises(RbmixError, match=r"a batch of one image \(CUDA out of memory\)"):
        memory.retry_with_smaller_batches(work, [1], 1)


def test_other_errors_pass() -> None:
    """A bug is not a lack of memory."""

    def work(batch_size: int, batch: list[int]) -> None:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        memory.retry_with_smaller_batches(work, [1, 2], 2)
    with (
        pytest.raises(RbmixError, match="out of memory in training"),
        memory.report_out_of_memory("in training"),
    ):
        raise MemoryError
