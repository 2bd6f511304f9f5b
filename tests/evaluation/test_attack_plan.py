"""The plan of an attack: its grid, and the words of its backend."""

from __future__ import annotations

from dataclasses import replace

import pytest

from robustbench_mix.config import protocols
from robustbench_mix.evaluation.attack_plan import attack_plan
from robustbench_mix.evaluation.data_plan import DataPlan

pytestmark = pytest.mark.quick


def test_the_grid_is_that_of_the_data_set() -> None:
    """By the name that its records will have, a folder's among them; unless one is given."""
    own = attack_plan("pgd", DataPlan("digits").name).protocol
    assert own == protocols.load("pgd", "digits")
    assert own.eps != attack_plan("pgd").protocol.eps
    plan = attack_plan("pgd", "digits", eps=["1/16"], norm="l2")
    assert plan.on_grid(["2/16"]).protocol == replace(
        plan.protocol, eps=protocols.parse_grid(["2/16"], "l2")
    )


def test_the_words_of_a_backend() -> None:
    """The fast one where there is one; records also say how it was used."""
    assert attack_plan("pgd").recorded_backend == "fast"
    assert attack_plan("noise").recorded_backend == "reference"
    assert attack_plan("pgd", exhaustive=True).recorded_backend == "fast, exhaustive"
    plan = attack_plan("pgd", randomised=True)
    assert plan.recorded_backend == "reference, randomised"
    assert plan.protocol.options["eot"] == protocols.EOT
