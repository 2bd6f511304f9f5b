"""Runs by network and attack."""

from __future__ import annotations

from robustbench_mix.results import by_network


def test_seeds_are_one_row(make_run) -> None:
    """With the mean of their accuracies at each epsilon; another attack has a row of its own."""
    runs = [
        make_run([0, 2], seed=0), make_run([2, 2], seed=1), make_run([1, 1], spatial="frozen"),
        make_run([2, 2], protocol="autoattack", protocol_hash="q", adversarial="8/255"),
    ]  # fmt: skip
    found = by_network.rows(runs)
    assert [(row["attack"], row["network"], row["seeds"], row["n"]) for row in found] == [
        ("autoattack", "resnet14, spatial learned, channel learned, digits, adversarial", 1, 2),
        ("pgd", "resnet14, spatial frozen, channel learned, digits", 1, 2),
        ("pgd", "resnet14, spatial learned, channel learned, digits", 2, 2),
    ]
    eps = runs[0].eps
    assert found[2]["accuracy"] == {"0": 1.0, eps[0]: 0.75, eps[1]: 0.75}
    assert found[1]["accuracy"] == {"0": 1.0, eps[0]: 1.0, eps[1]: 0.0}


def test_no_runs_have_no_rows() -> None:
    """A sweep of un-shufflers has none."""
    assert by_network.rows([]) == []
