"""Model words: what they mean, what comes of them, and how they are refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from robustbench_mix.config.model import ModelSpec
from robustbench_mix.data.shape import run_on_blank_image
from robustbench_mix.errors import RbmixError
from robustbench_mix.models import factory, mixers, separable
from robustbench_mix.models.sources import (
    builtin,
    hub,
    importable,
    registry,
    timm_models,
    torchvision_models,
)

SHAPE = factory.Shape(channels=3, size=32, classes=5)
MODULE = """
import torch
from torch import nn

class Strict(nn.Conv2d):
    def forward(self, x):
        return super().forward(x - self.weight.mean())

def make(num_classes=10, in_chans=3):
    return nn.Sequential(Strict(in_chans, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(4, num_classes))

def fixed():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

def hollow():
    return nn.Linear(2, 2), 3

def needs(something):
    return something

ready = fixed()
"""


def has_timm() -> bool:
    """Whether the optional package is there."""
    try:
        import timm  # noqa: F401
    except ImportError:
        return False
    return True


needs_timm = pytest.mark.skipif(not has_timm(), reason="timm, an optional package, is absent")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of the user's own, `mynet`, in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "mynet", raising=False)
    (tmp_path / "mynet.py").write_text(MODULE)
    return tmp_path


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


def test_callables_are_told_what_they_ask_for(module: Path) -> None:
    """Classes and channels are arguments, where a callable has such ones."""
    net = registry.parse("mynet:make").build(factory.Shape(1, 8, 7))
    assert run_on_blank_image(net, factory.Shape(1, 8, 7)).shape == (1, 7)
    assert isinstance(registry.parse("mynet:fixed").build(SHAPE), nn.Module)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("mynet:hollow", "returned tuple, not an nn.Module"),
        ("mynet:needs", "cannot be made: TypeError: needs.. missing 1 required"),
        ("mynet:ready", "is a network; a callable that makes one is needed"),
        ("builtins:dict", "returned dict, not an nn.Module"),
    ],
)
def test_callables_that_make_nothing(module: Path, word: str, message: str) -> None:
    """What cannot be called, or gives no module, is named."""
    with pytest.raises(RbmixError, match=message):
        registry.parse(word).build(SHAPE)


def test_a_network_that_is_there_is_taken_as_it_is(module: Path) -> None:
    """A module object needs no call, and has no published weights to name."""
    found = registry.parse("mynet:ready").load_pretrained()
    assert found.model is sys.modules["mynet"].ready
    assert (found.weights, found.mean) == ("", None)


TORCHVISION = [
    "resnet18",  # dense, strided, 1x1 shortcuts
    "resnext50_32x4d",  # grouped
    "mobilenet_v3_small",  # depthwise, squeeze and excite
    "shufflenet_v2_x0_5",  # depthwise, shuffled channels
    "convnext_tiny",  # patch embedding, depthwise 7x7, linear layers for channels
    "googlenet",  # a second head that is left out
    "squeezenet1_0",  # a convolution as its head
    "efficientnet_b0",
]
TIMM = [
    "resnet10t",
    "convmixer_768_32",  # patch embedding, depthwise with "same" padding
    "nf_resnet26",  # a standardising subclass of Conv2d
    "tf_efficientnet_b0",  # a padding subclass of Conv2d
    "mixnet_s",  # kernels of several sizes side by side
    "dla46x_c",  # grouped
    "resnetv2_50x1_bit",  # a standardising subclass
    "regnetx_002",
    "convnext_atto",
    "repvgg_a0",
]
WORDS = [f"torchvision:{name}" for name in TORCHVISION] + [
    pytest.param(f"timm:{name}", marks=needs_timm) for name in TIMM
]


@pytest.mark.default
@pytest.mark.parametrize("word", WORDS)
def test_frozen_reaches_every_spatial_filter(word: str) -> None:
    """Of any CNN no dense spatial convolution is left, and every spatial filter is frozen."""
    shape = factory.Shape(3, 64, 5)
    with torch.device("meta"):  # a network of any size in no time
        net = factory.build_without_normalization(ModelSpec(word, "frozen"), shape)
    embedding = mixers.patch_embedding(net)
    left = [m for m in net.modules() if separable.is_dense_spatial(m) and m is not embedding]
    assert left == []
    spatial = list(mixers.spatial_mixers(net))
    assert spatial
    assert not any(p.requires_grad for conv in spatial for p in conv.parameters())
    frozen = sum(p.numel() for p in net.parameters() if not p.requires_grad)
    assert frozen == sum(p.numel() for conv in spatial for p in conv.parameters())
    assert run_on_blank_image(net, shape).shape == (1, 5)


@pytest.mark.parametrize(
    "word",
    ["torchvision:squeezenet1_1", pytest.param("timm:resnet10t", marks=needs_timm)],
)
def test_twins_share_their_initial_weights(word: str) -> None:
    """Learned and frozen networks of one seed start alike, in numbers and in logits."""
    twins = [
        factory.build_without_normalization(ModelSpec(word, mode, seed=3), SHAPE)
        for mode in ("learned", "frozen")
    ]
    for one, other in zip(*(net.state_dict().values() for net in twins), strict=True):
        assert torch.equal(one, other)
    logits = [run_on_blank_image(net, SHAPE) for net in twins]
    assert torch.equal(*logits)
    again = factory.build_without_normalization(ModelSpec(word, seed=4), SHAPE).state_dict()
    assert not all(torch.equal(t, again[n]) for n, t in twins[0].state_dict().items())


def test_a_grey_data_set_changes_the_stem() -> None:
    """Torchvision's networks take one colour channel, the others of the stem's settings kept."""
    net = registry.parse("torchvision:resnet18").build(factory.Shape(1, 32, 4))
    assert net.conv1.weight.shape == (64, 1, 7, 7)
    assert run_on_blank_image(net, factory.Shape(1, 32, 4)).shape == (1, 4)


@pytest.mark.parametrize(
    ("word", "spatial", "channel", "size", "message"),
    [
        ("torchvision:vit_b_16", "frozen", "learned", 224, "nothing for --spatial frozen to set"),
        ("torchvision:vit_b_16", "learned", "frozen", 224, "nothing for --channel frozen to set"),
        ("torchvision:vit_b_16", "learned", "learned", 32, "cannot take images .*--input-size N"),
        ("torchvision:vgg11", "learned", "learned", 8, "cannot take images .*--input-size N"),
    ],
)  # fmt: skip
def test_networks_that_cannot_do_it(word, spatial, channel, size, message) -> None:
    """A network without such mixers, or too small images, are refused in one line."""
    with torch.device("meta"), pytest.raises(RbmixError, match=message) as error:
        factory.build_without_normalization(
            ModelSpec(word, spatial, channel), factory.Shape(3, size, 5)
        )
    assert "\n" not in str(error.value)


def test_a_callable_with_other_outputs_is_refused(module: Path) -> None:
    """A network that ignores the number of classes is not trained on another."""
    with pytest.raises(RbmixError, match=r"has 10 outputs, not 4.*--classes 10 takes it"):
        factory.build_without_normalization(ModelSpec("mynet:fixed"), factory.Shape(1, 8, 4))


def test_published_weights_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of torchvision that cannot be downloaded are one line; rbmix's own have none."""

    def fails(*_: object, **__: object) -> None:
        raise URLError("no route")

    monkeypatch.setattr("torchvision.models._api.WeightsEnum.get_state_dict", fails)
    with pytest.raises(RbmixError, match="'torchvision:squeezenet1_1' .*could not be downloaded"):
        registry.parse("torchvision:squeezenet1_1").load_pretrained()
    with pytest.raises(RbmixError, match="'resnet14' has no published weights"):
        registry.parse("resnet14").load_pretrained()


def test_torchvisions_weights_come_with_their_standardisation(monkeypatch) -> None:
    """What torchvision publishes is loaded, and brings mean, std and a name."""
    from torchvision import models

    torch.manual_seed(1)
    state = models.squeezenet1_1(weights=None).state_dict()
    monkeypatch.setattr(
        "torchvision.models._api.WeightsEnum.get_state_dict", lambda *_, **__: state
    )
    found = registry.parse("torchvision:squeezenet1_1").load_pretrained()
    assert torch.equal(found.model.features[0].weight, state["features.0.weight"])
    assert (found.weights, found.mean) == ("IMAGENET1K_V1", (0.485, 0.456, 0.406))


@pytest.fixture
def fake_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """A cache of the hub, offline, that holds one repository; the network that is in it."""
    timm = pytest.importorskip("timm")
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--me--net"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    config = {
        "architecture": "resnet10t", "num_classes": 6, "num_features": 512,
        "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5], "num_classes": 6},
    }  # fmt: skip
    (snapshot / "config.json").write_text(json.dumps(config))
    torch.manual_seed(7)
    net = timm.create_model("resnet10t", num_classes=6)
    save_file(net.state_dict(), snapshot / "model.safetensors")
    return net


def test_the_hub_gives_architecture_weights_and_standardisation(fake_hub: nn.Module) -> None:
    """A repository in timm's format is loaded by the hub's own client, its commit recorded."""
    found = registry.parse("hf:me/net").load_pretrained()
    for name, tensor in found.model.state_dict().items():
        assert torch.equal(tensor, fake_hub.state_dict()[name])
    assert found.weights == "hf:me/net@0123456789ab"
    assert found.mean == (0.1, 0.2, 0.3)
    fresh = registry.parse("hf:me/net").build(SHAPE)
    assert run_on_blank_image(fresh, SHAPE).shape == (1, 5)
    assert not torch.equal(fresh.conv1[0].weight, fake_hub.conv1[0].weight)


def test_what_the_hub_does_not_have(fake_hub: nn.Module, tmp_path: Path) -> None:
    """Another repository offline, another format and missing weights are one line each."""
    with pytest.raises(RbmixError, match="'hf:me/other' .*could not be downloaded") as error:
        registry.parse("hf:me/other").load_pretrained()
    assert "\n" not in str(error.value)
    (snapshot,) = (tmp_path / "models--me--net" / "snapshots").iterdir()
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(RbmixError, match="'hf:me/net' .*could not be downloaded"):
        registry.parse("hf:me/net").load_pretrained()
    (snapshot / "config.json").write_text(json.dumps({"architectures": ["BertModel"]}))
    with pytest.raises(RbmixError, match="'hf:me/net' is not in timm's format"):
        registry.parse("hf:me/net").load_pretrained()


@needs_timm
def test_timms_weights_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of timm that are not here, or that it does not have, are one line."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", "nowhere")
    for word in ("timm:resnet10t", "timm:resnet26t.nothing"):
        with pytest.raises(RbmixError) as error:
            registry.parse(word).load_pretrained()
        assert word.split(".")[0] in str(error.value)
        assert "\n" not in str(error.value)
