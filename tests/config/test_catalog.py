"""Names that users write."""

from __future__ import annotations

import pkgutil
import sys
from pathlib import Path

import pytest

from robustbench_mix.config import catalog
from robustbench_mix.errors import RbmixError
from robustbench_mix.models.sources import registry as sources


def test_names_are_those_of_what_they_name() -> None:
    """What is known without an import is what the imports give."""
    for algorithm in catalog.ALGORITHMS.values():
        for function in filter(None, algorithm):
            assert callable(pkgutil.resolve_name(function))
    assert set(catalog.SOURCES) == set(sources.SOURCES)
    for word in ("resnet14", "torchvision:x", "timm:x", "hf:a/b", "python:a:b", "my.nets:make"):
        assert catalog.comes_with_weights(word) == sources.parse(word).source.COMES_WITH_WEIGHTS
        assert catalog.is_code(word) == sources.parse(word).is_code
        assert catalog.is_builtin(word) == sources.parse(word).is_builtin


def test_a_module_of_this_folder_is_found(tmp_path: Path, monkeypatch) -> None:
    """Without importing it: what it does is done once, later."""
    (tmp_path / "ownnet.py").write_text("raise SystemExit('imported')")
    with pytest.raises(RbmixError, match="No module named 'ownnet'"):
        catalog.check_model("ownnet:make")
    monkeypatch.chdir(tmp_path)
    catalog.check_model("ownnet:make")
    assert "ownnet" not in sys.modules
