"""Figures of the verdicts: what they show, and that they depend on the records alone."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from robustbench_mix.claims import verdicts
from robustbench_mix.claims.figures import (
    DOSE,
    FOREST,
    draw_dose,
    draw_forest,
    figures,
    forest_rows,
    row_labels,
)


def twins(planted, seeds: int = 3, **header):
    """Runs of a frozen network four points above its twin at the first epsilon."""
    shares = {"learned": (0.9, 0.5, 0.2), "frozen": (0.88, 0.54, 0.22)}
    return planted(shares, seeds=seeds, **header)


@pytest.mark.quick
def test_the_forest_has_a_row_for_each_attack(planted) -> None:
    """With the difference in points where half of the images stand, and the paper's value."""
    runs = twins(planted, dataset="cifar10") + twins(
        planted, dataset="cifar10", protocol="fgsm", protocol_hash="f"
    )
    claims = verdicts.all_claims(runs, [])
    figure = Figure()
    draw_forest(claims, figure)
    (axes,) = figure.axes
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels == [
        "PGD 1/255, resnet14, 3 seeds", "FGSM 1/255, resnet14, 3 seeds", "clean, resnet14, 3 seeds"
    ]  # fmt: skip
    found = {claim.number: claim.findings[0] for claim in claims if claim.number in ("1", "3b")}
    hollow = [line for line in axes.lines if line.get_fillstyle() == "none"]
    full = [line for line in axes.lines if line.get_marker() != "None" and line not in hollow]
    assert full[0].get_xdata()[0] == pytest.approx(100 * found["3b"].difference.point)
    # Each row says its figures beside it.
    shown = [f"{100 * found[number].difference.point:+.1f}" for number in ("3b", "1")]
    assert [text.get_text().split()[0] for text in axes.texts][::2] == shown
    assert [line.get_xdata()[0] for line in hollow][-1] == pytest.approx(100 * found["1"].paper)


@pytest.mark.quick
def test_rows_of_several_trainings_name_them(planted) -> None:
    """AutoAttack met networks that trained longer than those under PGD."""
    runs = twins(planted) + twins(planted, protocol="autoattack", protocol_hash="a", epochs=20)
    rows = row_labels(forest_rows(verdicts.all_claims(runs, [])))
    assert {name for name, *_ in rows} == {"resnet14 (100 x 3)", "resnet14 (100 x 20)"}
    assert ("resnet14 (100 x 20)", "AutoAttack 1/255", 3) in rows


@pytest.mark.quick
def test_the_dose_is_drawn_on_a_log_axis(planted) -> None:
    """A line for each attack, with a point for each multiplier."""
    runs = [run for d in (1, 2, 18) for run in twins(planted, model=f"resnet14_d{d}")]
    figure = Figure()
    draw_dose(runs, figure)
    (axes,) = figure.axes
    line = axes.containers[0].lines[0]
    assert list(line.get_xdata()) == [1, 2, 18]
    assert all(2 < gap < 6 for gap in line.get_ydata())
    assert axes.get_xscale() == "log"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "pgd 1/255, digits, 100 x 3, 3 seeds"
    ]


@pytest.mark.default
def test_figures_are_there_where_there_is_something_to_show(planted) -> None:
    """Nothing for one seed; the same bytes for the same records."""
    alone = twins(planted, seeds=1)
    assert figures(verdicts.all_claims(alone, []), alone) == {}
    runs = [run for d in (1, 2, 18) for run in twins(planted, model=f"resnet14_d{d}")]
    runs += twins(planted)
    found = figures(verdicts.all_claims(runs, []), runs)
    assert set(found) == {FOREST, DOSE}
    assert figures(verdicts.all_claims(runs, []), runs) == found
