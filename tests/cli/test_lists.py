"""The commands that list names."""

from __future__ import annotations

import json

import pytest

from robustbench_mix.config import catalog
from robustbench_mix.results import flag_guide
from robustbench_mix.sweeps import definition


@pytest.mark.parametrize(
    ("command", "key", "names"),
    [
        ("datasets", "dataset", [*catalog.DATASETS]),
        ("sweeps", "sweep", definition.shipped_sweeps()),
        ("flags", "flag", [*flag_guide.sections()]),
    ],
)
def test_every_name_is_listed(rbmix, command: str, key: str, names: list[str]) -> None:
    """For people and for programs, each with a few words."""
    code, out, _ = rbmix(command)
    assert code == 0
    assert all(name in out for name in names)
    listed = json.loads(rbmix(command, "--json")[1])
    assert [one[key] for one in listed] == names
    assert all(one["what"] for one in listed)
    assert rbmix(command, "--quiet") == (0, "", "")


def test_networks_of_a_sweep_are_counted(rbmix) -> None:
    """Two models by two seeds, and two un-shufflers."""
    listed = {one["sweep"]: one for one in json.loads(rbmix("sweeps", "--json")[1])}
    assert listed["quick"]["networks"] == 6


def test_a_flag_is_explained_in_full(rbmix) -> None:
    """The whole section of the guide; a wrong name is one line."""
    code, out, _ = rbmix("flags", "at-chance")
    assert code == 0
    assert "Its robustness means nothing." in " ".join(out.split())
    found = json.loads(rbmix("flags", "at-chance", "--json")[1])
    assert found == {"flag": "at-chance", "what": flag_guide.section("at-chance")}
    code, out, err = rbmix("flags", "chance")
    assert (code, out) == (2, "")
    assert err.startswith("rbmix: unknown flag 'chance'")
