"""What makes two records comparable, and which of several sets is used."""

from __future__ import annotations

import pytest

from robustbench_mix.results import twins


def test_the_twin_differs_in_spatial_mixers_alone(make_run) -> None:
    """Anything else that decides a number makes it another model or another evaluation."""
    frozen = make_run([0], spatial="frozen", backend="fast")
    twin = make_run([0], backend="fast")
    assert twins.twin_of(frozen, [frozen, twin]) is twin
    assert twins.twin_of(twin, [frozen, twin]) is None
    for change in (
        {"seed": 1}, {"model": "resnet20"}, {"channel": "frozen"}, {"dataset": "x"},
        {"data_hash": "e"}, {"protocol_hash": "q"}, {"train_examples": 9}, {"epochs": 9},
        {"adversarial": "8/255"}, {"device": "cuda (x)"}, {"backend": "reference"},
        {"eps": ["1/255", "3/255"]},
    ):  # fmt: skip
        other = make_run([0], **{"backend": "fast", **change})
        assert twins.twin_of(frozen, [other]) is None, change
        assert twins.are_same(frozen.header, other.header, "spatial", *change)


def test_an_external_model_has_no_twin(make_run) -> None:
    """Nobody knows which mixers it has."""
    run = make_run([0], spatial="external", channel="external")
    assert twins.twin_of(run, [make_run([0], channel="external")]) is None


def test_what_is_absent_is_the_same_as_nothing(make_run) -> None:
    """Records from before a field existed have twins among those that leave it empty."""
    assert twins.are_same(make_run([0]).header, make_run([0], adversarial="").header)


def test_groups_keep_the_order_of_appearance(make_run) -> None:
    """By everything but the named fields; of one seed the last record counts."""
    runs = [make_run([0], seed=seed, epochs=epochs) for epochs in (5, 3) for seed in (1, 0, 1)]
    first, second = twins.groups(runs, "seed").values()
    assert [run.header.epochs for run in (*first, *second)] == [5] * 3 + [3] * 3
    assert list(twins.by_seed(first)) == [1, 0]
    assert twins.by_seed(first)[1] is runs[2]


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ([], {}),
        (["a1", "b22", "a333", "b4"], {"a": "a333", "b": "b22"}),
        (["b1", "a1", "a2"], {"b": "b1", "a": "a1"}),
    ],
)
def test_the_largest_of_each_group(sets: list[str], expected: dict[str, str]) -> None:
    """Of equals the first; groups in order of appearance."""
    found = twins.largest(sets, lambda one: one[0], len)
    assert list(found.items()) == list(expected.items())


def test_threads_do_not_make_another_device(make_run) -> None:
    """Only rounding depends on their number; a graphics card is another device."""
    one, eight, card = (
        make_run([0], device=device).header
        for device in ("cpu (threads: 1)", "cpu (threads: 8)", "cuda (x)")
    )
    assert twins.key(one) == twins.key(eight)
    assert twins.are_same(one, eight)
    assert not twins.are_same(one, card)
    assert twins.without_threads("cpu (threads: 8)") == "cpu"


def test_twins_may_have_had_other_threads(make_run) -> None:
    """They change rounding alone; another device is another condition."""
    frozen = make_run([0], spatial="frozen", device="cpu (threads: 1)")
    for device, wanted in (("cpu (threads: 4)", True), ("cuda (threads)", False)):
        learned = make_run([0], device=device)
        assert (twins.twin_of(frozen, [learned, frozen]) is learned) is wanted
