"""Which engine runs which stages."""

from __future__ import annotations

from functools import partial

import pytest

from robustbench_mix.attacks.voting import DRAWS
from robustbench_mix.config.epsilon import parse_grid
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.attack_plan import attack_plan
from robustbench_mix.evaluation.fast import search_all
from robustbench_mix.evaluation.reference import attack_all
from robustbench_mix.evaluation.schedules import schedule_of

EPS = ["1/255", "2/255", "3/255"]


def test_the_fast_engine_counts_stages() -> None:
    """And knows how many images there are in all."""
    schedule = schedule_of(attack_plan("pgd", eps=EPS), 10, images=70)
    assert isinstance(schedule.engine, partial)
    assert schedule.engine.func is search_all
    assert schedule.engine.keywords["options"].images == 70
    assert schedule.steps == len(schedule.stages) == 5


@pytest.mark.parametrize(
    ("words", "keywords"),
    [
        ({"backend": "reference"}, {"draws": 1}),
        ({"randomised": True}, {"draws": DRAWS}),
        ({"exhaustive": True}, {"exhaustive": True}),
    ],
)
def test_the_reference_engine_counts_stages_at_each_epsilon(words: dict, keywords: dict) -> None:
    """For models that draw it takes a vote; exhaustive, it runs the fast engine's attacks."""
    schedule = schedule_of(attack_plan("pgd", eps=EPS, **words), 10)
    assert schedule.engine.func is attack_all
    assert schedule.engine.keywords == keywords
    assert schedule.steps == 3 * len(schedule.stages) == 15


def test_an_exhaustive_run_has_fgsm_as_a_stage() -> None:
    """The fast engine places images by it, and needs none."""
    assert schedule_of(attack_plan("fgsm", eps=EPS), 10).stages == []
    (stage,) = schedule_of(attack_plan("fgsm", eps=EPS, exhaustive=True), 10).stages
    assert stage.name == "fgsm"


def test_options_and_classes_must_fit() -> None:
    """DLR-T needs four classes, and is left out below them; a wrong option is named."""
    names = [
        [stage.name for stage in schedule_of(attack_plan("autoattack", eps=EPS), n).stages]
        for n in (2, 10)
    ]
    assert set(names[0]) < set(names[1])
    with pytest.raises(RbmixError, match="at least 2 classes, not 1"):
        schedule_of(attack_plan("autoattack", eps=EPS), 1)


def test_a_stage_of_another_norm_is_refused() -> None:
    """Of a library whose attacks search in one norm."""
    grid = parse_grid(EPS, "linf")
    protocol = Protocol("cw", "", "foolbox:L2CarliniWagnerAttack", "linf", grid, {})
    with pytest.raises(RbmixError, match="searches in l2, the protocol in linf"):
        schedule_of(attack_plan(protocol), 10)
