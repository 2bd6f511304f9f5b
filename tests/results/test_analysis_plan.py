"""Analysis plans: written once, before the records or not, and every look counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from robustbench_mix.errors import RbmixError
from robustbench_mix.results import analysis_plan
from robustbench_mix.results.analysis_plan import PlannedSet, look, make, planned_seeds, read_all

pytestmark = pytest.mark.quick


def planned(seeds: int = 3, **changes: object) -> PlannedSet:
    """The runs that `make_run` makes, over some seeds."""
    given: dict[str, object] = {
        "dataset": "digits", "model": "resnet14", "attack": "pgd", "train_examples": 100,
        "epochs": 3, "examples": None, "mixers": ["learned/learned", "frozen/learned"],
        "seeds": list(range(seeds)), "protocol_hash": "p",
    }  # fmt: skip
    return PlannedSet(**{**given, **changes})


@pytest.fixture
def runs(make_run):
    """Twins of two seeds, and one network of another training."""
    made = [
        make_run([2, 0], spatial=spatial, seed=seed)
        for seed in range(2)
        for spatial in ("learned", "frozen")
    ]
    return [*made, make_run([2, 0], epochs=9)]


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Once; one that is changed lies beside it."""
    first = make("mine", [planned()], {"3a": 0.01})
    (path,) = analysis_plan.write(tmp_path, first)
    assert path == tmp_path / "plans" / f"mine-{first.hash}.json"
    assert analysis_plan.write(tmp_path, first) == []
    second = make("mine", [planned(seeds=9)], {"3a": 0.01})
    assert second.hash != first.hash != make("mine", [planned()], {"3a": 0.02}).hash
    analysis_plan.write(tmp_path, second)
    assert sorted(read_all(tmp_path), key=lambda one: one.size) == [first, second]
    assert (first.size, second.size) == (6, 18)


def test_a_look_is_counted_where_there_is_something_new_to_see(tmp_path: Path, runs) -> None:
    """Not the same records twice, and none where there are no records."""
    analysis_plan.write(tmp_path, make("mine", [planned()], {}))
    assert look(tmp_path, []) == []
    assert len(look(tmp_path, runs[:2])) == 1
    assert look(tmp_path, runs[:2]) == []
    assert len(look(tmp_path, runs)) == 1
    (found,) = read_all(tmp_path)
    assert found.looks == [2, 4]


@pytest.mark.parametrize(
    ("date", "words"),
    [
        ("2026-01-01", "before its first record (2026-01-02)"),
        ("2026-01-02", "before its first record (2026-01-02)"),
        ("2026-01-03", "after its first record (2026-01-02)"),
    ],
)
def test_the_state_says_which_was_first(monkeypatch, runs, date: str, words: str) -> None:
    """The plan or the records, to the day."""
    monkeypatch.setattr(analysis_plan.provenance, "today", lambda: date)
    plan = make("mine", [planned()], {})
    dated = [type(run)(run.header, run.table, "2026-01-02") for run in runs]
    expected = f"mine ({plan.hash}): written {date}, {words}; 4 of 6 runs; 0 looks"
    assert analysis_plan.state(plan, dated) == expected
    assert "before any of its records; 0 of 6 runs" in analysis_plan.state(plan, [])


def test_planned_seeds_are_those_of_the_same_training() -> None:
    """The largest number counts; a recipe's own training is any."""
    plans = [make("mine", [planned(), planned(seeds=5, epochs=9)], {})]
    plans.append(make("other", [planned(seeds=4, attack="fgsm")], {}))
    assert planned_seeds(plans, "digits", "resnet14", "100 x 3") == 4
    assert planned_seeds(plans, "digits", "resnet14", "100 x 3", "pgd") == 3
    assert planned_seeds(plans, "digits", "resnet14", "100 x 9", "pgd") == 5
    assert planned_seeds(plans, "cifar10", "resnet14", "100 x 3") is None
    free = [make("free", [planned(seeds=7, train_examples=None)], {})]
    assert planned_seeds(free, "digits", "resnet14", "1 x 1") == 7


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sets": 3}, "sets = 3: expected array, got int"),
        ({"looks": ["x"]}, r"looks\[0\] = .x.: expected int, got str"),
    ],
)
def test_a_damaged_plan_is_one_line(tmp_path: Path, change: dict, words: str) -> None:
    """It names the file and the field."""
    (path,) = analysis_plan.write(tmp_path, make("mine", [planned()], {}))
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(RbmixError, match=words) as caught:
        read_all(tmp_path)
    assert str(path) in str(caught.value)
    path.write_text("{")
    with pytest.raises(RbmixError, match="analysis plan"):
        read_all(tmp_path)
