"""Random streams: of the words and the image, and of nothing else."""

from __future__ import annotations

import torch

from robustbench_mix.attacks.streams import generators, stream


def test_the_streams_of_committed_records_stay() -> None:
    """Other numbers would make other records."""
    assert stream(0, "check", 5) == 5_781_419_230_866_307_056
    assert stream("diagnostics", 17) == 4_548_286_939_466_200_001
    assert stream() == 8_203_414_616_412_130_826


def test_every_word_counts_and_so_does_their_order() -> None:
    """Words do not run together; a number is its digits."""
    words = [(1, "a"), ("a", 1), ("1a",), (1, "a", ""), ("", 1, "a"), (1, "b"), (2, "a"), (11, "a")]
    assert len({stream(*one) for one in words}) == len(words)
    assert stream(1, "a") == stream("1", "a")


def test_seeds_fit_into_an_int64() -> None:
    """Of which about half have their largest bit set."""
    seeds = [stream("x", number) for number in range(400)]
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert 140 < sum(seed >= 2**62 for seed in seeds) < 260
    assert torch.tensor(seeds).dtype == torch.int64


def test_a_generator_belongs_to_its_image() -> None:
    """In any batch, and whatever the others draw."""
    first = [torch.rand(3, generator=one) for one in generators([4, 9], 0, "pgd-1")]
    (alone,) = generators([9], 0, "pgd-1")
    assert torch.equal(torch.rand(3, generator=alone), first[1])
    assert not torch.equal(*first)
    (other,) = generators([9], 1, "pgd-1")
    assert not torch.equal(torch.rand(3, generator=other), first[1])
    assert generators([], 0) == []
