"""What an evaluation says: the difference to its twin, and how far to trust the curve."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import structs

from robustbench_mix.cli import render_evaluation
from robustbench_mix.cli.render_evaluation import Answer
from robustbench_mix.results import difference, leaderboard
from robustbench_mix.results.headers import Conclusions
from robustbench_mix.results.records import Run

PLACED = {"fgsm": {"forward": 9, "gradient": 3}, "apgd-ce": {"forward": 9, "gradient": 6}}


@pytest.fixture
def said(capsys) -> Callable[..., str]:
    """A function: what is printed of a run, on one line."""

    def say(
        run: Run, twin: Run | None = None, available: int = 3, *, is_loaded: bool = False
    ) -> str:
        found = [] if twin is None else difference.between(twin, run)
        rows = leaderboard.rows([run])
        path = Path("a.parquet")
        answer = Answer(run, path, rows, found, available, is_loaded, [path])
        render_evaluation.evaluation(answer)
        assert len(render_evaluation.as_json(answer)["differences"]) == len(found)
        return " ".join(capsys.readouterr().out.split())

    return say


def test_the_difference_to_the_twin_has_its_interval(said, make_run) -> None:
    """In points, at each epsilon; then nothing has to be said of how to get it."""
    learned, frozen = make_run([0, 1, 2]), make_run([1, 2, 2], spatial="frozen")
    text = said(frozen, learned)
    assert "frozen - learned" in text
    assert all(one.in_points() in text for one in difference.between(learned, frozen))
    assert "the same command" not in text


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"spatial": "frozen"}, "its learned twin has no run here yet: the same command with "
         "--spatial learned makes it"),
        ({}, "a frozen twin has no run here yet: the same command with --spatial frozen makes it"),
    ],
)  # fmt: skip
def test_a_missing_twin_can_be_made(said, make_run, header: dict, words: str) -> None:
    """By the same command with another word."""
    assert words in said(make_run([0, 1, 2], **header))


def test_given_weights_have_other_weights_as_twin(said, make_run) -> None:
    """A file, or the name of a network of the zoo."""
    words = "with --spatial learned, and the --weights of the twin, makes it"
    assert words in said(make_run([0, 1, 2], spatial="box"), is_loaded=True)


def test_an_external_network_has_no_twin(said, make_run) -> None:
    """So none is spoken of."""
    assert "twin" not in said(make_run([0, 1, 2], spatial="external", channel="external"))


def test_more_images_are_offered_if_there_are_more(said, make_run) -> None:
    """Not where all were taken."""
    run = make_run([0, 1, 2])
    assert "3 of 1,000 test images (--examples N takes more);" in said(run, available=1000)
    assert "all 3 test images;" in said(run)


def test_the_placing_step_is_explained(said, make_run) -> None:
    """Where FGSM stands among the parts of an attack that has no such part."""
    words = "fgsm is the placing step, before autoattack: one gradient step for each image"
    run = make_run([0, 1], protocol="autoattack", passes=PLACED, backend="fast",
                   protocol_spec={"algorithm": "autoattack"})  # fmt: skip
    assert words in said(run)
    fgsm = make_run([0, 1], protocol="fgsm", passes=PLACED, protocol_spec={"algorithm": "fgsm"})
    for other in (fgsm, make_run([0, 1])):
        assert "placing step" not in said(other)


def test_the_spot_check_is_a_sentence(said, make_run) -> None:
    """If anything was inferred at all."""
    run = make_run([1, 2, 2], backend="fast")
    checked = structs.replace(run.header, checked=Conclusions(confirmed=2, refuted=1))
    run = Run(checked, run.table)
    assert "spot check" not in said(run)
    run.table["inferred"] = [[True, False]] * 3
    words = "at the smaller ones; 3 of these conclusions tested by an attack, 1 found wrong"
    assert f"is taken to withstand it {words}" in said(run)
