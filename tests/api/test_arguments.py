"""Arguments of `evaluate` become parts of a plan, or one line says what contradicts what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robustbench_mix.api.arguments import (
    check_module,
    choose_attack,
    one_radius,
    values,
    weights_file,
)
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.errors import RbmixError

OWN = Protocol("own", "", "pgd", "linf", ())


@pytest.mark.parametrize("given", ["pgd", "mine.toml", OWN])
def test_attack_and_protocol_are_one_argument(given) -> None:
    """Under either name; AutoAttack without."""
    assert choose_attack(given, None) is given
    assert choose_attack(None, given) is given
    assert choose_attack(None, None) == "autoattack"
    assert choose_attack(Path("a") / "b.toml", None) == str(Path("a") / "b.toml")


def test_both_names_are_refused() -> None:
    """Also if they say the same."""
    for protocol in ("pgd", "fgsm", OWN):
        with pytest.raises(RbmixError, match="^attack and protocol are two names of one argument"):
            choose_attack("pgd", protocol)


def test_what_is_no_attack_is_named() -> None:
    """An attack of foolbox with its name."""
    foolbox = pytest.importorskip("foolbox")
    for wrong in (3, print, ["pgd"]):
        with pytest.raises(RbmixError, match="^attack is a .*needs a name, a path"):
            choose_attack(wrong, None)
    with pytest.raises(RbmixError, match=r"'foolbox:LinfDeepFoolAttack'$"):
        choose_attack(foolbox.attacks.LinfDeepFoolAttack(), None)


def test_numbers_are_numbers() -> None:
    """One value, or one per channel, in any usual form."""
    assert values(None) is None
    assert values(0.5) == (0.5,)
    assert values([0.5, 0.25]) == values(np.array([0.5, 0.25])) == (0.5, 0.25)
    assert one_radius(None) is None
    assert one_radius(8 / 255) == one_radius("8/255") == "8/255"
    with pytest.raises(RbmixError, match="is several"):
        one_radius("1/255,2/255")


def test_what_goes_with_names_is_refused_with_modules() -> None:
    """A normalisation with the way out."""
    check_module(mean=None, weights=None)
    with pytest.raises(RbmixError, match="^weights='w.pt' goes with a model that is named"):
        check_module(weights="w.pt")
    with pytest.raises(RbmixError, match=r"nn.Sequential\(torchvision.transforms.Normalize"):
        check_module(mean=(0.5,), std=(0.5,))


def test_a_key_needs_a_file() -> None:
    """And one name to ignore is as good as a list of one."""
    found = weights_file("w.pt", "ema", "head")
    assert found is not None
    assert (found.path, found.key, found.ignore) == (Path("w.pt"), "ema", ("head",))
    assert weights_file(None, None, ()) is None
    with pytest.raises(RbmixError, match="go with weights"):
        weights_file(None, "ema", ())
