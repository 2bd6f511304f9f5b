"""Several results in one axes: the legend tells them apart, and the epsilons have one place."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from robustbench_mix.results import overlay


def legend(axes) -> list[str]:
    """The names that it shows."""
    return [text.get_text() for text in axes.get_legend().get_texts()]


def ticks(axes) -> list[str]:
    """The epsilons that it names."""
    return [text.get_text() for text in axes.get_xticklabels()]


def test_the_name_is_the_legend(make_run) -> None:
    """Each has a style of its own, and its place beside the others."""
    axes = Figure().add_subplot()
    overlay.draw(make_run([0, 1, 2, 2]), "mine", axes)
    assert legend(axes) == ["mine"]
    assert axes.get_title() == "resnet14 on digits, pgd (reference)"
    overlay.draw(make_run([0, 0, 0, 2], model="other"), "yours", axes)
    assert legend(axes) == ["mine", "yours"]
    assert axes.get_title() == "digits, pgd"
    first, second = (one.lines[0] for one in axes.containers)
    assert list(first.get_ydata()) == [100, 75, 50]
    assert list(second.get_ydata()) == [100, 25, 25]
    assert not set(first.get_xdata()) & set(second.get_xdata())
    assert first.get_color() != second.get_color()
    assert first.get_marker() != second.get_marker()


@pytest.mark.parametrize(
    ("runs", "names"),
    [
        ([{}, {"spatial": "frozen"}], ["resnet14, learned", "resnet14, frozen"]),
        ([{"spatial": "external", "model": "Net"}], ["Net"]),
        ([{}, {"protocol": "fgsm"}], ["resnet14, learned, pgd", "resnet14, learned, fgsm"]),
        ([{}, {}], ["resnet14, learned, pgd", "resnet14, learned, pgd (2)"]),
    ],
)
def test_without_a_name_the_model_is_told(make_run, runs: list[dict], names: list[str]) -> None:
    """With what sets it apart from the others."""
    axes = Figure().add_subplot()
    for changes in runs:
        overlay.draw(make_run([0, 1, 2], **changes), "", axes)
    assert legend(axes) == names


def test_other_grids_share_the_places(make_run) -> None:
    """In ascending order, equal epsilons at one place whatever their text."""
    axes = Figure().add_subplot()
    overlay.draw(make_run([2, 2], eps=["1/255", "4/255"]), "a", axes)
    overlay.draw(make_run([2, 2], eps=["2/510", "2/255"]), "b", axes)
    assert ticks(axes) == ["0", "1", "2", "4"]
    first, second = (one.lines[0] for one in axes.containers)
    assert [round(x) for x in first.get_xdata()] == [0, 1, 3]
    assert [round(x) for x in second.get_xdata()] == [0, 1, 2]


def test_a_curve_that_ends_early_does_not_cut_the_others(make_run) -> None:
    """Whichever is drawn last."""
    for order in (1, -1):
        axes = Figure().add_subplot()
        for level in [0, 2][::order]:
            overlay.draw(make_run([level, level]), str(level), axes)
        assert ticks(axes) == ["0", "1", "2"]


def test_axes_that_were_cleared_are_empty(make_run) -> None:
    """What the caller has drawn stays, what the caller has removed stays away."""
    axes = Figure().add_subplot()
    overlay.draw(make_run([0, 1]), "a", axes)
    axes.clear()
    axes.axhline(10)
    overlay.draw(make_run([0, 1]), "b", axes)
    overlay.draw(make_run([0, 2]), "c", axes)
    assert legend(axes) == ["b", "c"]
    assert len(axes.containers) == 2
    assert 10 in axes.lines[0].get_ydata()
