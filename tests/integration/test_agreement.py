"""Numbers that agree: networks trained outside this project, here and with pyautoattack."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import agreement
import networks
import numpy as np
import pytest
import torch

import robustbench_mix as rbmix
from robustbench_mix.config import protocols
from robustbench_mix.data import loaders
from robustbench_mix.data.dataset import balanced_subset

pytestmark = pytest.mark.default

SHORT = {"steps": 30, "queries": 50}


@pytest.mark.parametrize("name", agreement.CLASSIFIERS)
def test_the_copy_is_the_classifier(name: str) -> None:
    """The same answers to every test image, and its margins to float32."""
    fitted, net = agreement.trained(name)
    split = loaders.load("digits").test
    raw = split.images.flatten(1).double().numpy()
    logits = net(split.pixels()).detach()
    assert np.array_equal(fitted.predict(raw), logits.argmax(1).numpy())
    probabilities = fitted.predict_proba(raw)
    assert np.allclose(logits.double().softmax(1).numpy(), probabilities, atol=1e-4)


@pytest.mark.parametrize("name", agreement.CLASSIFIERS)
@pytest.mark.parametrize("attack", ["autoattack", "autoattack-l2"])
def test_every_image_has_the_same_verdict(name: str, attack: str) -> None:
    """At every epsilon but one image, which must have fallen here; the truth where it is known."""
    net, split = networks.scikit(name), balanced_subset(loaders.load("digits").test, 24)
    x, y = split.pixels(), split.labels
    protocol = protocols.load(attack, "digits", eps=agreement.GRIDS[attack])
    protocol = replace(protocol, options={**protocol.options, **SHORT})
    ours = agreement.here(net, x, y, protocol)
    theirs = agreement.there(net, x, y, protocol)
    assert not (ours & ~theirs).any()
    assert int((ours != theirs).sum()) <= 1
    assert 0 < int(ours[1:].sum()) < ours[1:].numel()
    if name == "linear":
        assert torch.equal(ours, agreement.truth(net, x, y, protocol))


def test_the_truth_is_met_by_brute_force() -> None:
    """What is called true of the linear network: no random point is worse, and some is as bad."""
    net = networks.scikit("linear")
    split = balanced_subset(loaders.load("digits").test, 6)
    x, y = split.pixels(), split.labels
    weight = agreement.LEVELS * net.layers[0].weight.detach()
    slope = (weight[(y + 1) % 10] - weight[y])[:, None]
    pixels = x.flatten(1).double()[:, None]
    for norm, eps in (("linf", 0.1), ("l2", 0.5)):
        protocol = rbmix.Protocol("", "", "", norm, ())
        most = agreement._largest_rise(slope, pixels, eps, protocol)
        draws = torch.randn(6, 2000, 64).double() + 3 * slope / slope.norm(dim=2, keepdim=True)
        length = draws.abs().amax(2) if norm == "linf" else draws.norm(dim=2)
        moved = (pixels + eps * draws / length[..., None]).clamp(0, 1)
        rises = (slope * (moved - pixels)).sum(2)
        assert (rises <= most + 1e-9).all()
        assert (rises.amax(1) > 0.2 * most[:, 0]).all()


def test_the_page_is_of_these_networks(checkout: Path) -> None:
    """docs/agreement.md has a row for each network, norm and epsilon, and says n and versions."""
    page = (checkout / "docs" / "agreement.md").read_text(encoding="utf-8")
    assert page.startswith(agreement.INTRO)
    rows = [line.split(" | ") for line in page.splitlines() if " of " in line and "|" in line]
    wanted = [
        (agreement.WORDS[name], protocols.load(attack, "").norm, eps)
        for name in agreement.CLASSIFIERS
        for attack, grid in agreement.GRIDS.items()
        for eps in ["0", *grid]
    ]
    assert [(row[0].removeprefix("| "), row[1], row[2]) for row in rows] == wanted
    assert "n = 300 test images" in page
    assert all(package in page for package in agreement.PACKAGES)
