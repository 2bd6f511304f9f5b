"""What the table says of an audited run beside the whole of AutoAttack."""

from __future__ import annotations

import pytest

from robustbench_mix.benchmarks.audited import audited_row

LEVELS = [2, 2, 1, 0]  # of four images: two stand at both epsilons, one at the first


def passes(forward: int, gradient: int) -> dict[str, dict[str, int]]:
    return {"apgd-ce": {"forward": forward, "gradient": gradient}}


def audit(bound: float) -> list[dict[str, object]]:
    """The audit at two epsilons, of which the second has this bound."""
    return [
        {"sampled": 3, "broken": 0, "bound": 0.0},
        {"sampled": 1, "broken": 0, "bound": bound},
    ]


def test_passes_are_compared_as_work(make_run) -> None:
    """Forward and gradient passes are added; the estimate's own are told for one image."""
    full = make_run(LEVELS, protocol="autoattack", passes=passes(1000, 500))
    estimate = make_run(
        LEVELS, protocol="autoattack-audited", passes=passes(60, 20), audit=audit(0.25)
    )
    row = audited_row("net", full, estimate)
    assert row.values == [1500 / 80]
    assert row.work == "passes of the audited curve, 2 epsilons, net"
    assert "4 images, 3/2 robust against 3/2; 3/1 of them met AutoAttack" in row.note
    assert "bound 0.0/25.0 pp" in row.note
    assert "20 passes an image" in row.note


@pytest.mark.parametrize(("bound", "word"), [(0.25, "inside"), (0.2, "OUTSIDE")])
def test_an_answer_outside_the_bound_is_named(make_run, bound: float, word: str) -> None:
    """AutoAttack breaks one image of four that the audit lets stand at the second epsilon."""
    full = make_run([2, 1, 1, 0], passes=passes(2, 1))
    estimate = make_run(LEVELS, passes=passes(1, 1), audit=audit(bound))
    assert f"the full answer is {word};" in audited_row("net", full, estimate).note
