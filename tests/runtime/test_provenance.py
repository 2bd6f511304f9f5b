"""What is recorded about the code that computes."""

from __future__ import annotations

import pytest

from robustbench_mix.errors import RbmixError
from robustbench_mix.runtime import provenance


def test_the_day_can_be_set(monkeypatch) -> None:
    """For the same bytes on another day; a wrong one is named."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1800000000")
    assert provenance.today() == "2027-01-15"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "9" * 30)
    with pytest.raises(RbmixError, match="SOURCE_DATE_EPOCH 9+ is no date"):
        provenance.today()


def test_versions_name_every_package() -> None:
    """Those that are absent too."""
    found = provenance.versions()
    assert list(found) == list(provenance.PACKAGES)
    assert found["torch"] != "absent"
