"""Planted failures are flagged, each by its own flag; sound networks are not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import networks
import pytest
import torch
from msgspec import structs
from torch import Tensor, nn
from torch.nn import functional as F

from robustbench_mix.config import protocols
from robustbench_mix.data import loaders
from robustbench_mix.data.dataset import Dataset
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation import diagnostics
from robustbench_mix.evaluation.attack_plan import attack_plan
from robustbench_mix.evaluation.identity import Label
from robustbench_mix.evaluation.inputs import Inputs
from robustbench_mix.evaluation.pending_run import make_run, pending_run
from robustbench_mix.models.checkpoint import CheckpointHeader
from robustbench_mix.models.given import adapt
from robustbench_mix.results import flags, records
from robustbench_mix.results.records import Run
from robustbench_mix.training.load_or_train import TrainedModel

pytestmark = pytest.mark.default

NETWORK = "learned"
CPU = torch.device("cpu")
GRADIENT = "refused: no gradient flows"
UNSAID = "refused: evaluate --randomised"


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return loaders.load("digits")


@pytest.fixture
def run_of(digits: Dataset, tmp_path: Path) -> Callable[..., Run]:
    """A function: the run of a network under a short AutoAttack."""

    def run(
        net: nn.Module, attack: str = "autoattack", header=None, dataset=digits,
        randomised: bool = False, **options,
    ):  # fmt: skip
        given = {"steps": 20, "queries": 200, "targets": 3} if attack == "autoattack" else {}
        spec = protocols.load(attack, "digits")
        protocol = protocols.Protocol(
            attack, "", spec.algorithm, spec.norm, spec.eps, {**spec.options, **given, **options}
        )
        asked = pending_run(
            Label("planted", "external", "external", 0),
            TrainedModel(net.eval(), Path(), header or CheckpointHeader(), 0.0),
            Inputs(dataset, 64, CPU), attack_plan(protocol, randomised=randomised), tmp_path,
            batch_size=64,
        )  # fmt: skip
        return make_run(asked)[0]

    return run


class Planted(nn.Module):
    """The trained network with something wrong before, after or around it."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class Through(torch.autograd.Function):
    """A change of the images whose gradient is taken to be that of the identity."""

    @staticmethod
    def forward(ctx, x, change):
        return change(x)

    @staticmethod
    def backward(ctx, grad):
        return grad, None


class Negated(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return -grad


def quantised(x: Tensor) -> Tensor:
    return (x * 7).round() / 7


def jpeg(x: Tensor) -> Tensor:
    """Each image through a JPEG file."""
    import io

    import numpy as np
    from PIL import Image

    found = []
    for image in x.detach():
        buffer = io.BytesIO()
        levels = (255 * image[0]).round().byte().numpy()
        Image.fromarray(levels).save(buffer, format="JPEG", quality=75)
        found.append(torch.from_numpy(np.array(Image.open(buffer))).float() / 255)
    return torch.stack(found)[:, None]


class ScaledLogits(Planted):
    def forward(self, x):
        return 1e4 * self.net(x)


class SteepTanh(Planted):
    def forward(self, x):
        return 100 * torch.tanh(1e3 * self.net(x))


class Quantised(Planted):
    def forward(self, x):
        return self.net(quantised(x))


class Jpeg(Planted):
    def forward(self, x):
        return self.net(jpeg(x))


class JpegThrough(Planted):
    def forward(self, x):
        return self.net(Through.apply(x, jpeg))


class NegatedGradient(Planted):
    def forward(self, x):
        return self.net(Negated.apply(x))


class RandomResize(Planted):
    def forward(self, x):
        size = int(torch.randint(6, 9, ()))
        small = F.interpolate(x, size=size, mode="bilinear", antialias=True)
        left = int(torch.randint(0, 9 - size, ()))
        return self.net(F.pad(small, (left, 8 - size - left, 8 - size - left, left)))


class Dropout(Planted):
    def forward(self, x):
        return self.net(F.dropout(x, 0.1, training=True))


class Noise(Planted):
    def forward(self, x):
        return self.net(x + 0.05 * torch.randn_like(x))


class Softmax(Planted):
    def forward(self, x):
        return self.net(x).softmax(1)


class Detached(Planted):
    def forward(self, x):
        return self.net(x.detach())


class Leak(Planted):
    """Its gradient is that of a term without effect."""

    def forward(self, x):
        return self.net(x.detach()) + 1e-9 * x.sum((1, 2, 3))[:, None] * torch.arange(10)


class Pairs(Planted):
    """A norm without statistics, which needs two images."""

    def __init__(self, net):
        super().__init__(net)
        self.norm = nn.BatchNorm1d(10, track_running_stats=False)

    def forward(self, x):
        return self.norm(self.net(x))


class Ranged(Planted):
    """Refuses what is no image."""

    def forward(self, x):
        if not bool(((x >= 0) & (x <= 1)).all()):
            raise ValueError("pixels out of range")
        return self.net(x)


class TrainMode(Planted):
    def train(self, mode: bool = True):
        return super().train(True)


class Counting(Planted):
    def __init__(self, net):
        super().__init__(net)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return self.net(x)


class BatchNormalised(Planted):
    def forward(self, x):
        return self.net(x / x.amax() * (1 + x.mean()))


class StaleCache(Planted):
    def forward(self, x):
        if getattr(self, "shape", None) != x.shape:
            self.shape, self.kept = x.shape, self.net(x).detach()
        return self.kept + 0 * x.sum()


class NormalisedOutside(Planted):
    """Expects images that somebody has normalised already."""

    def forward(self, x):
        return self.net(x * self.net.std + self.net.mean)


class WrongBounds(Planted):
    def forward(self, x):
        return self.net(x / 255)


class NotFinite(Planted):
    def forward(self, x):
        return self.net(x) + (0.99 - x.flatten(1).mean(1, keepdim=True)).sqrt()


class Memory(Planted):
    """Knows the test images by heart."""

    def __init__(self, net, split):
        super().__init__(net)
        self.images, self.labels = split.pixels(), split.labels

    def forward(self, x):
        near, which = (x[:, None] - self.images[None]).flatten(2).abs().amax(2).min(1)
        known = 10.0 * F.one_hot(self.labels[which], 10).float() + 0 * x.sum()
        return torch.where((near < 0.3)[:, None], known, self.net(x))


class Winners(Planted):
    """Keeps the largest pixels alone, as networks with winner-take-all activations do."""

    def forward(self, x):
        flat = x.flatten(1)
        rank = (flat + 0.02 * torch.sin(4e3 * flat)).argsort(1).argsort(1)
        return self.net((flat * (rank >= 32)).view_as(x) + 0.2 * torch.sign(torch.sin(4e3 * x)))


PLANTED = [
    (ScaledLogits, "zero-gradients"),
    (SteepTanh, "zero-gradients"),
    (Quantised, "zero-gradients"),
    (Jpeg, GRADIENT),
    (JpegThrough, "wrong-gradients", "more-effort-gains"),
    (NegatedGradient, "wrong-gradients"),
    (Winners, "blind-beats-gradients"),
    (RandomResize, UNSAID),
    (Dropout, UNSAID),
    (Noise, UNSAID),
    (Softmax, "probabilities"),
    (Detached, GRADIENT),
    (Leak, "zero-gradients"),
    (TrainMode, "train-mode"),
    (Counting, "changes-itself"),
    (BatchNormalised, "batch-dependent"),
    (StaleCache, "batch-dependent"),
    (NormalisedOutside, "wrong-scale"),
    (WrongBounds, "wrong-scale"),
    (NotFinite, "not-finite"),
]


@pytest.mark.parametrize(
    ("plant", "wanted"), [(plant, wanted) for plant, *wanted in PLANTED], ids=lambda v: str(v)[:40]
)
def test_a_planted_network_is_flagged(plant, wanted: list[str], shipped, run_of) -> None:
    """By the flag of its own failure (or one of two), or refused in one line."""
    net = plant(shipped(NETWORK).model)
    refused, _, why = wanted[0].partition(": ")
    if refused == "refused":
        with pytest.raises(RbmixError, match=why):
            run_of(net)
        return
    assert set(wanted) & flags.of_run(run_of(net)).keys()


def test_a_network_that_needs_several_images_is_batch_dependent(shipped, digits) -> None:
    """It is not passed alone; and a network that refuses other scales is measured without them."""
    x, y, mean = digits.test.pixels(0, 9), digits.test.labels[:9], torch.zeros(1)
    for plant, depends in ((Pairs, True), (Ranged, False)):
        net = plant(shipped(NETWORK).model).eval()
        found = diagnostics.of_network(net, x, y, mean, mean + 1)
        assert flags.depends_on_batch(found) == depends
        assert found.zero_gradient == 0


@pytest.mark.parametrize("plant", [RandomResize, Dropout, Noise])
def test_what_is_said_to_draw_is_not_flagged_for_it(plant, shipped, run_of) -> None:
    """No flag of what a randomised network does by its nature."""
    net = plant(shipped(NETWORK).model)
    run = run_of(net, "smoke", randomised=True)
    assert run.header.diagnostics.unrepeatable > flags.ROUNDING
    assert flags.of_run(run) == {}


def test_what_the_harness_may_do_wrong_is_flagged(shipped, run_of, digits: Dataset) -> None:
    """Labels of other images, a checkpoint of another network, an attack that hardly moves."""
    good = shipped(NETWORK)
    net = good.model
    assert flags.of_run(run_of(net, header=good.header)) == {}
    shuffled = replace(digits, test=replace(digits.test, labels=digits.test.labels.roll(1)))
    assert "at-chance" in flags.of_run(run_of(net, dataset=shuffled))
    torch.manual_seed(1)
    swapped = copy.deepcopy(net)
    nn.init.normal_(swapped.net.head.weight)
    assert "not-as-trained" in flags.of_run(run_of(swapped, header=good.header))
    still = run_of(net, "smoke", step_size=0.001)
    assert "more-effort-gains" in flags.of_run(still)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_short_pgd_is_flagged(steps: int, shipped, run_of) -> None:
    """More steps on its own loss break what it left, and the flag says how many."""
    run = run_of(shipped(NETWORK).model, "pgd", steps=steps, restarts=1)
    words = flags.of_run(run)["more-effort-gains"]
    found = run.header.diagnostics
    assert words == f"{found.own_gained} of 64 images stood and fall to more steps"
    assert found.own_gained >= 2


def test_knowing_the_images_is_flagged(shipped, run_of, digits: Dataset) -> None:
    """A network that looks its answers up has no gradient near them."""
    found = flags.of_run(run_of(Memory(shipped(NETWORK).model, digits.test)))
    assert "zero-gradients" in found


# Of most networks PGD alone runs by default: its flag is the one that is raised most easily.
SOUND = [
    pytest.param(
        attack, name,
        marks=[] if attack == "pgd" or name in ("learned", "frozen") else pytest.mark.slow,
    )
    for attack in ("fgsm", "pgd", "autoattack")
    for name in networks.SPECS
]  # fmt: skip


@pytest.mark.parametrize(("attack", "name"), SOUND)
def test_a_sound_network_is_not_flagged(attack: str, name: str, shipped, run_of) -> None:
    """Trained here, whatever its mixers, and whatever attacks it."""
    good = shipped(name)
    assert flags.of_run(run_of(good.model, attack, good.header)) == {}


def test_sound_networks_of_other_kinds_are_not_flagged(shipped, run_of) -> None:
    """In double precision, and one without any convolution."""
    assert (
        flags.of_run(run_of(adapt(shipped(NETWORK).model.double(), torch.zeros(2, 1, 8, 8)))) == {}
    )
    assert flags.of_run(run_of(networks.scikit("mlp"))) == {}


def test_older_records_are_unchecked_until_they_are_read_again(shipped, run_of, tmp_path) -> None:
    """Reading a finished run adds what it lacks, to the bytes of one that never lacked it."""
    net = shipped(NETWORK).model
    run_of(net, "smoke")
    (path,) = tmp_path.glob("runs/*/*.parquet")
    whole = path.read_bytes()
    run = records.read(path)
    older = structs.replace(run.header, diagnostics=None)
    records.write(replace(run, header=older), path)
    assert list(flags.of_run(records.read(path))) == [flags.UNCHECKED]
    assert flags.UNCHECKED not in flags.of_run(run_of(net, "smoke"))
    assert path.read_bytes() == whole
