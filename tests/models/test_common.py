"""What all sources share: optional packages, and downloads that fail."""

from __future__ import annotations

import logging
import sys

import pytest

from robustbench_mix.errors import RbmixError
from robustbench_mix.models.sources.common import (
    announce_download,
    download_error,
    import_optional,
)


def test_a_package_that_is_there() -> None:
    """Is imported, also one within another."""
    assert import_optional("logging.handlers", "x:y", "x") is sys.modules["logging.handlers"]


def test_a_package_that_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line names the model word, the package and the extra that brings it."""
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(RbmixError) as found:
        import_optional("timm", "hf:me/net", "hf")
    said = str(found.value)
    assert said.startswith("model 'hf:me/net' needs timm (")
    assert said.endswith('): pip install "robustbench-mix[hf]"')
    assert isinstance(found.value.__cause__, ImportError)


def test_a_download_is_said(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """Once, and the hub's own attempts are not."""
    client = logging.getLogger("huggingface_hub")
    monkeypatch.setattr(client, "level", logging.INFO)
    announce_download("hf:me/net")
    client.warning("trying again")
    assert capsys.readouterr().err == "fetching hf:me/net\n"
    assert client.level == logging.ERROR


def test_what_cannot_be_downloaded() -> None:
    """In one line with the first of the error, and what to do without a network."""
    error = download_error("timm:net", OSError("no route\nsee the manual"))
    assert str(error) == (
        "model 'timm:net' is not on this machine and could not be downloaded (no route); "
        "without a network give its weights with --weights FILE"
    )
