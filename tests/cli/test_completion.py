"""What the shell offers as values of options."""

from __future__ import annotations

import pytest

from robustbench_mix.cli import completion
from robustbench_mix.cli.completion import Complete
from robustbench_mix.config import catalog, protocols
from robustbench_mix.config.model import parse_spatial
from robustbench_mix.sweeps import definition


def test_words_that_begin_so() -> None:
    """In the order in which they are known, which is asked anew each time."""
    words = ["beta", "alpha", "bet"]
    complete = completion.one_of(lambda: words)
    assert complete("bet") == ["beta", "bet"]
    assert complete("") == words
    assert complete("x") == []
    words.append("better")
    assert complete("bet") == ["beta", "bet", "better"]


@pytest.mark.parametrize(
    ("incomplete", "offered"),
    [
        ("", ["learned", "lone"]),
        ("lo", ["lone"]),
        ("a,", ["a,learned", "a,lone"]),
        ("a,b,le", ["a,b,learned"]),
        ("a,x", []),
    ],
)
def test_the_last_of_several(incomplete: str, offered: list[str]) -> None:
    """What stands before the comma is kept."""
    assert completion.several(completion.one_of(lambda: ["learned", "lone"]))(incomplete) == offered


@pytest.mark.parametrize(
    ("complete", "words"),
    [
        (completion.datasets, catalog.DATASETS),
        (completion.attacks, protocols.names()),
        (completion.runners, catalog.RUNNERS),
        (completion.sweeps, definition.shipped_sweeps()),
        (completion.channel, ["learned", "frozen"]),
    ],
)
def test_all_names_are_offered(complete: Complete, words: list[str]) -> None:
    """Each is one that the option takes."""
    assert complete("") == list(words)


def test_offered_models_and_mixers_can_be_taken() -> None:
    """A word that needs a number is offered up to it."""
    assert set(catalog.MODELS) <= set(completion.models(""))
    assert completion.models("resnet3") == ["resnet32", "resnet38", "resnet34"]
    offered = completion.spatial("")
    assert "smoothed:" in offered
    for word in offered:
        parse_spatial(f"{word}2" if word.endswith(":") else word)
