"""The guide to the flags, as the package brings it along."""

from __future__ import annotations

from pathlib import Path

import pytest

import robustbench_mix
from robustbench_mix.errors import RbmixError
from robustbench_mix.results import flag_guide, flags


def test_every_flag_has_a_section() -> None:
    """And no section is about anything else."""
    assert set(flag_guide.sections()) == {*flags.NAMES, flags.UNCHECKED}


def test_an_installed_package_brings_the_guide(checkout: Path) -> None:
    """Byte for byte the page of the checkout."""
    package = Path(robustbench_mix.__file__).parent
    if package.parent == checkout:
        pytest.skip("not installed: running from the checkout")
    assert flag_guide.path() == package / "guide" / "flags.md"
    assert flag_guide.path().read_bytes() == (checkout / "docs" / "flags.md").read_bytes()


def test_a_section_is_text_of_its_own() -> None:
    """Links are their words; a name that is no flag is refused."""
    assert flag_guide.section("at-chance").startswith("The clean accuracy is not above chance. ")
    assert not any("](" in text or "## " in text for text in flag_guide.sections().values())
    with pytest.raises(RbmixError, match=r"^unknown flag 'at-chanc'; did you mean 'at-chance'"):
        flag_guide.section("at-chanc")


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("One\ntwo. Three.", "One two."),
        ("Above 0.2 % of all. More.", "Above 0.2 % of all."),
        ("Only one (of 64). Or two", "Only one (of 64)."),
        ("Without an end", "Without an end."),
    ],
)
def test_the_first_sentence(text: str, first: str) -> None:
    """A decimal point ends none."""
    assert flag_guide.first_sentence(text) == first
