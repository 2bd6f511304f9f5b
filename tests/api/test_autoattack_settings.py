"""The settings of the drop-in: those of the original, or one line."""

from __future__ import annotations

import pyautoattack
import pytest
import torch

from robustbench_mix.api.autoattack_settings import VERSIONS, Attacks
from robustbench_mix.attacks.autoattack import STAGES
from robustbench_mix.config.norms import ROBUSTBENCH
from robustbench_mix.errors import RbmixError

FREE = {
    "apgd": ("n_iter", "n_restarts", "eot_iter"),
    "apgd_targeted": ("n_iter", "n_restarts", "n_target_classes", "eot_iter"),
    "fab": ("n_iter", "n_restarts", "n_target_classes"),
    "square": ("n_queries", "n_restarts"),
}


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("version", VERSIONS)
def test_values_are_those_of_the_original(norm: str, version: str) -> None:
    """For every version and norm: each setting that has an effect there."""
    theirs = pyautoattack.AutoAttack(
        torch.nn.Identity(), norm=ROBUSTBENCH[norm], eps=0.1, version=version
    )
    ours = Attacks(version, norm)
    chosen = theirs.attacks_to_run or []
    assert list(chosen) == VERSIONS[version]
    for name, attributes in FREE.items():
        used = {"apgd_targeted": "apgd-t", "fab": "fab", "square": "square"}.get(name, "apgd-ce")
        if version != "custom" and not any(one.startswith(used) for one in chosen):
            continue
        for attribute in attributes:
            expected = getattr(getattr(theirs, name), attribute)
            assert getattr(getattr(ours, name), attribute) == expected, (name, attribute)


def test_the_standard_version_is_the_protocol_as_it_is() -> None:
    """Without a single option, as `--attack autoattack`."""
    assert Attacks("standard", "linf").options(VERSIONS["standard"]) == {}


@pytest.mark.parametrize(
    ("attack", "attribute", "stage", "option"),
    [
        ("apgd", "n_iter", "apgd-ce", "steps"),
        ("apgd", "n_restarts", "apgd-dlr", "restarts"),
        ("apgd", "eot_iter", "apgd-ce", "eot"),
        ("apgd_targeted", "n_target_classes", "apgd-t", "targets"),
        ("apgd_targeted", "n_restarts", "apgd-t", "restarts"),
        ("fab", "n_iter", "fab-t", "steps"),
        ("fab", "n_restarts", "fab", "restarts"),
        ("fab", "n_target_classes", "fab-t", "targets"),
        ("square", "n_queries", "square", "queries"),
        ("square", "n_restarts", "square", "restarts"),
    ],
)
def test_every_setting_reaches_its_stage(attack, attribute, stage, option) -> None:
    """As an option of the protocol."""
    found = Attacks("custom", "linf")
    setattr(getattr(found, attack), attribute, 7)
    assert getattr(getattr(found, attack), attribute) == 7
    assert found.options(list(STAGES))["settings"][stage][option] == 7


def test_fab_t_has_no_restarts() -> None:
    """As in the original, which sets them to one whatever one says."""
    found = Attacks("custom", "linf")
    found.fab.n_restarts = 9
    assert "settings" not in found.options(["fab-t"])


def test_cheap_is_what_the_original_says() -> None:
    """No restarts, 1,000 queries."""
    found = Attacks("custom", "linf")
    found.cheapen()
    settings = {"square": {"queries": 1000}}
    assert found.options(list(STAGES)) == {"components": STAGES, "settings": settings}


@pytest.mark.parametrize(
    ("attack", "attribute", "value", "message"),
    [
        ("apgd", "rho", 0.5, "apgd.rho = 0.5 cannot be had, it is 0.75"),
        ("fab", "alpha_max", 0.2, "fab.alpha_max = 0.2 cannot be had, it is 0.1"),
        ("square", "p_init", 0.3, "square.p_init = 0.3 cannot be had, it is 0.8"),
        ("square", "resc_schedule", True, "square.resc_schedule = True cannot be had"),
        ("apgd", "n_restart", 3, "unknown setting of apgd 'n_restart'; did you mean 'n_restarts'"),
        ("apgd", "loss", "dlr", "unknown setting of apgd 'loss'"),
        ("apgd", "n_restarts", 0, "apgd.n_restarts 0 must be at least 1"),
        ("apgd", "n_iter", 2.5, "apgd.n_iter 2.5 is not a whole number"),
        ("square", "n_queries", True, "square.n_queries True is not a whole number"),
        ("fab", "n_target_classes", "9", "fab.n_target_classes '9' is not a whole number"),
    ],
)
def test_what_cannot_be_had_is_named(attack: str, attribute: str, value, message: str) -> None:
    """In one line, instead of being ignored."""
    found = Attacks("standard", "linf")
    with pytest.raises(RbmixError, match=message):
        setattr(getattr(found, attack), attribute, value)


def test_what_is_fixed_can_be_read_and_set_to_itself() -> None:
    """As scripts do that say the defaults."""
    found = Attacks("standard", "linf")
    found.apgd.rho = 0.75
    assert found.fab.eta == 1.05
    assert not hasattr(found.apgd, "n_queries")


def test_an_average_announces_a_network_that_draws() -> None:
    """In the attacks that run, and no other."""
    assert Attacks("rand", "linf").is_averaged(["apgd-ce", "apgd-dlr"])
    assert not Attacks("rand", "linf").is_averaged(["square"])
    assert not Attacks("custom", "linf").is_averaged(list(STAGES))
