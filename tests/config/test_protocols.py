"""Protocols as data: what ships, what a user may write, and what is wrong with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import robustbench_mix
from robustbench_mix.attacks import registry
from robustbench_mix.config import catalog, protocols
from robustbench_mix.config.epsilon import Eps
from robustbench_mix.errors import RbmixError

GOOD = """
summary = "mine"
algorithm = "pgd"
norm = "l2"
[eps]
default = ["0.5", "0.25"]
[options]
steps = 3
"""


def test_the_named_protocols_ship() -> None:
    """At least the promised ones are there, and nothing that cannot be loaded."""
    promised = {
        "fgsm", "pgd", "pgd-l2", "autoattack", "autoattack-l2", "autoattack-audited", "smoke",
        "noise",
    }  # fmt: skip
    assert promised <= set(protocols.names())


@pytest.mark.parametrize("dataset", ["digits", "cifar10"])
@pytest.mark.parametrize("name", protocols.names())
def test_shipped_protocols_are_complete(name: str, dataset: str) -> None:
    """Every shipped file loads, has a grid, and its options fit its algorithm's backends."""
    protocol = protocols.load(name, dataset)
    assert protocol.eps
    assert protocol.summary
    backends = 0
    for has, make in (
        (catalog.has_reference, registry.reference_stages),
        (catalog.has_fast, registry.fast_stages),
    ):
        if has(protocol.algorithm):
            make(protocol.algorithm, 10, protocol.options)
            backends += 1
    assert backends


def test_default_grid_is_the_papers() -> None:
    """Half to eight 255ths; digits have a scale of their own."""
    grid = [eps.text for eps in protocols.load("autoattack", "cifar10").eps]
    assert grid == ["0.5/255", "1/255", "2/255", "4/255", "8/255"]
    assert [eps.text for eps in protocols.load("autoattack", "digits").eps] != grid


def test_wheel_carries_the_specs(checkout: Path) -> None:
    """An installed package brings every protocol of the checkout, byte for byte."""
    package = Path(robustbench_mix.__file__).parent
    if package.parent == checkout:
        pytest.skip("not installed: running from the checkout")
    assert protocols.folder() == package / "attack_specs"
    shipped = {p.name: p.read_bytes() for p in protocols.folder().iterdir()}
    assert shipped == {p.name: p.read_bytes() for p in (checkout / "attacks").glob("*.toml")}


def test_a_path_works_too(tmp_path: Path) -> None:
    """A user's own file is read, its grid sorted, its name the file's."""
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    protocol = protocols.load(str(path), "digits")
    assert (protocol.name, protocol.norm) == ("mine", "l2")
    assert [eps.text for eps in protocol.eps] == ["0.25", "0.5"]
    assert protocol.options == {"steps": 3}


def test_hash_covers_what_decides_the_outcome(tmp_path: Path) -> None:
    """Options and grid change the hash, the name and the summary do not."""
    first, second, third = (tmp_path / f"{name}.toml" for name in "abc")
    first.write_text(GOOD)
    second.write_text(GOOD.replace('"mine"', '"other words"'))
    third.write_text(GOOD.replace("steps = 3", "steps = 4"))
    hashes = [protocols.load(str(path), "digits").hash for path in (first, second, third)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert protocols.load(str(first), "digits", eps=["0.5"]).hash != hashes[0]


def test_an_epsilon_of_the_grid_keeps_the_text_of_the_grid() -> None:
    """However it was written: the hash, and so the records, are the same."""
    own = protocols.load("pgd", "digits", eps=["2/16"])
    for text in ("0.125", "1/8", "4/32"):
        found = protocols.load("pgd", "digits", eps=[text])
        assert found.hash == own.hash, text
    assert protocols.changed(own, eps=["0.1875"]).eps == (Eps("0.1875"),)
    in_l2 = protocols.load("pgd", "digits", eps=["0.125"], norm="l2")
    assert [eps.text for eps in in_l2.eps] == ["0.125"]


def test_norm_needs_a_grid_of_its_own() -> None:
    """An l-infinity grid means nothing in l2."""
    with pytest.raises(RbmixError, match="give one with --eps"):
        protocols.load("pgd", "digits", norm="l2")
    protocol = protocols.load("pgd", "digits", norm="l2", eps=["0.5"])
    assert protocol.norm == "l2"
    with pytest.raises(RbmixError, match="unknown norm 'l3'"):
        protocols.load("pgd", "digits", norm="l3", eps=["0.5"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("summary", "summery", "unknown field 'summery'"),
        ('algorithm = "pgd"', "", "'algorithm' must be a text"),
        ('norm = "l2"', 'norm = "l7"', "unknown norm 'l7'"),
        ('["0.5", "0.25"]', "[0.5]", "a list of texts"),
        ('["0.5", "0.25"]', '"0.5"', "a list 'default'"),
        ('["0.5", "0.25"]', '["0.5", "x"]', "'x' is not a positive number"),
        ("[options]", "options = 3\n[other]", "unknown field|options|not valid"),
        ("[eps]", "[eps", "not valid TOML"),
    ],
)
def test_malformed_files_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    """One line says what is wrong with the file."""
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(RbmixError, match=message) as error:
        protocols.load(str(path), "digits")
    assert "\n" not in str(error.value)


def test_unknown_and_missing(tmp_path: Path) -> None:
    """A typo gets the nearest name, a missing file its path."""
    with pytest.raises(RbmixError, match="did you mean 'autoattack'"):
        protocols.load("autoatack", "digits")
    with pytest.raises(RbmixError, match=r"cannot read protocol .*no\.toml"):
        protocols.load(str(tmp_path / "no.toml"), "digits")


def test_autoattack_in_l1_has_the_settings_of_its_authors() -> None:
    """Options of the protocol stay, and other norms change nothing."""
    protocol = protocols.load("autoattack", "", norm="l1", eps=["12"])
    settings = {"apgd-ce": {"restarts": 5}, "apgd-t": {"targets": 5}}
    assert protocols.in_norm(protocol).options == {"settings": settings}
    own = replace(protocol, options={"steps": 3, "settings": {}})
    assert protocols.in_norm(own).options == {"steps": 3, "settings": {}}
    other = protocols.load("autoattack", "")
    assert protocols.in_norm(other) == other


def test_the_digits_of_a_fraction_in_a_file_are_that_fraction(tmp_path: Path) -> None:
    """As on the command line."""
    path = tmp_path / "own.toml"
    path.write_text(GOOD.replace('["0.5", "0.25"]', '["0.03137254902", "0.25"]'))
    assert [eps.text for eps in protocols.load(str(path), "none").eps] == ["8/255", "0.25"]


def test_options_may_have_numbers_of_numpy() -> None:
    """They become Python's own, so that the hash is the same."""
    own = protocols.Protocol("a", "", "pgd", "linf", (), {"steps": 3, "step_size": 0.5})
    other = protocols.Protocol(
        "a", "", "pgd", "linf", (), {"steps": np.int64(3), "step_size": torch.tensor(0.5)}
    )
    assert own.hash == other.hash


def test_an_attack_of_foolbox_is_a_word() -> None:
    """Its norm is that of its name unless one is given; its epsilons have to be."""
    found = protocols.load("foolbox:L2DeepFoolAttack", "digits", eps=["0.5"])
    assert (found.name, found.algorithm) == ("foolbox:L2DeepFoolAttack",) * 2
    assert (found.norm, [eps.text for eps in found.eps]) == ("l2", ["0.5"])
    assert protocols.load("foolbox:LinfPGD", "digits", eps=["0.5"]).norm == "linf"
    assert protocols.load("foolbox:DDNAttack", "digits", eps=["0.5"], norm=2).norm == "l2"
    with pytest.raises(RbmixError, match="give one with --eps"):
        protocols.load("foolbox:LinfPGD", "digits")


def test_case_does_not_matter() -> None:
    """Of the name of a shipped protocol and of a norm."""
    assert protocols.load("AutoAttack", "digits") == protocols.load("autoattack", "digits")
    own = protocols.Protocol("own", "", "pgd", "Linf", ["8/255", 0.5])
    assert own.norm == "linf"
    assert [eps.text for eps in own.eps] == ["8/255", "0.5"]
    assert protocols.changed(own, eps=["1"], norm="L2").norm == "l2"
