"""Model words: which source each names, and how wrong ones are refused."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest

from robustbench_mix.errors import RbmixError
from robustbench_mix.models.sources import (
    builtin,
    hub,
    importable,
    registry,
    timm_models,
    torchvision_models,
)

needs_timm = pytest.mark.skipif(find_spec("timm") is None, reason="timm is absent")


@pytest.mark.parametrize(
    ("word", "source", "name"),
    [
        ("resnet14", builtin, "resnet14"),
        ("torchvision:resnet50", torchvision_models, "resnet50"),
        ("timm:resnet18.a1_in1k", timm_models, "resnet18.a1_in1k"),
        ("hf:timm/resnet18@main", hub, "timm/resnet18@main"),
        ("my.package:make", importable, "my.package:make"),
        ("torchvision.models:resnet18", importable, "torchvision.models:resnet18"),
        ("python:timm:make", importable, "timm:make"),
        ("python:python:make", importable, "python:make"),
    ],
)
def test_words_are_taken_apart(word: str, source, name: str) -> None:
    """A prefix names its source, anything else with a colon is a callable of a module."""
    origin = registry.parse(word)
    assert (origin.source, origin.name) == (source, name)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("resnet81", "unknown model 'resnet81'; did you mean"),
        ("torchvision:resnet51", "unknown torchvision model 'resnet51'; did you mean 'resnet"),
        ("torchvision:", "unknown torchvision model ''"),
        ("torchvision:fasterrcnn_resnet50_fpn", "unknown torchvision model"),
        ("hf:resnet18", "model 'hf:resnet18' is not of the form hf:owner/name"),
        ("hf:a/b/c", "is not of the form hf:owner/name"),
        ("nowhere.at.all:make", "cannot import model 'nowhere.at.all:make'"),
        ("math:nothing", "cannot import model"),
        ("math:pi", "is not callable"),
        ("math:", "is not of the form package.module:callable"),
        ("python:make", "model 'make' is not of the form package.module:callable"),
        pytest.param(
            "timm:convmixer_768", "unknown timm model 'convmixer_768'; did you mean 'convmixer_",
            marks=needs_timm,
        ),
        pytest.param("timm:local-dir:/tmp", "unknown timm model 'local-dir", marks=needs_timm),
    ],
)  # fmt: skip
def test_words_that_name_nothing(word: str, message: str) -> None:
    """One line names the word and what is near or allowed, and stays short."""
    with pytest.raises(RbmixError, match=message) as error:
        registry.parse(word).check()
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("package", "word", "extra"),
    [("timm", "timm:resnet18", "timm"), ("huggingface_hub", "hf:timm/resnet18", "hf")],
)
def test_missing_packages_name_the_extra(monkeypatch, package: str, word: str, extra: str) -> None:
    """Without the optional package, the line says what to install."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(RbmixError, match=rf'needs {package} .*"robustbench-mix\[{extra}\]"'):
        registry.parse(word).check()
