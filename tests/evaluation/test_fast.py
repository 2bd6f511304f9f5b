"""The fast backend: its pieces against known mathematics, its curves against the reference."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial

import pytest
import torch

from robustbench_mix.attacks import registry
from robustbench_mix.attacks.base import Stage
from robustbench_mix.attacks.native.pgd import pgd_stages
from robustbench_mix.config import protocols
from robustbench_mix.config.epsilon import parse_grid
from robustbench_mix.config.model import ModelSpec
from robustbench_mix.data import loaders
from robustbench_mix.data.dataset import Split
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.fast import FastOptions, search_all
from robustbench_mix.evaluation.harness import Settings
from robustbench_mix.evaluation.reference import attack_all
from robustbench_mix.evaluation.state import State
from robustbench_mix.models import factory
from robustbench_mix.models.given import adapt
from robustbench_mix.runtime.devices import has_fast_bfloat16

CPU = torch.device("cpu")
GRID = {"linf": ["0.002", "0.005", "0.01", "0.02", "0.04"], "l2": ["0.02", "0.05", "0.1", "0.2"]}
BRIEF = {"steps": 40, "queries": 50}


def protocol_of(name: str, norm: str = "linf", grid: list[str] | None = None):
    """A shipped protocol with another grid."""
    loaded = protocols.load(name, "")
    return replace(loaded, norm=norm, eps=parse_grid(grid or GRID[norm], norm))


def search(
    model, split, protocol, stages, *, batch_size=64, save=None, state=None, exact=False
) -> State:
    """Run the fast engine with everything but the stages at its plainest."""
    settings = Settings(0, CPU, batch_size, save=save)
    options = FastOptions(exact=exact)
    return search_all(model, split, protocol, stages, settings, state, options=options)


@pytest.mark.default
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("classes", [2, 3, 4, 10])
@pytest.mark.parametrize("name", ["autoattack", "pgd"])
def test_finds_the_boundary(linear_case, name: str, classes: int, norm: str) -> None:
    """Nothing is broken below its exact distance, and all is above it."""
    model, split = linear_case(classes)
    protocol = protocol_of(name, norm)
    options = BRIEF if name == "autoattack" else {"steps": 40, "restarts": 2}
    state = search(model, split, protocol, registry.fast_stages(name, classes, options))
    grid = [eps.value for eps in protocol.eps]
    slack = 1.05 if name == "autoattack" or classes < 4 else 1.6
    distances = model.distances(split.pixels(), split.labels, norm).tolist()
    for level, distance in zip(state.level, distances, strict=True):
        assert level == len(grid) or grid[level] >= distance * (1 - 1e-6)
        assert level == 0 or grid[level - 1] < distance * slack


@pytest.fixture(scope="module", params=["learned", "adversarial"])
def trained(request, shipped) -> tuple[str, factory.Normalized]:
    """A small network trained on digits, plainly or on PGD examples as `--adversarial` does."""
    return request.param, shipped(request.param).model


# Of the 60 images that these networks see, 10 to 54 stand at each epsilon.
PARITY = {
    ("learned", "linf"): ["0.4/16", "0.8/16"],
    ("learned", "l2"): ["0.2", "0.4"],
    ("adversarial", "linf"): ["1/16", "1.5/16", "2/16"],
    ("adversarial", "l2"): ["0.3", "0.4", "0.6"],
}


HALF = pytest.mark.skipif(
    not has_fast_bfloat16(CPU), reason="without bfloat16 the search is exact anyway"
)


@pytest.mark.default
@pytest.mark.parametrize("exact", [True, pytest.param(False, marks=HALF)])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_curve_is_the_references(
    trained: tuple[str, factory.Normalized], norm: str, exact: bool
) -> None:
    """Image by image: at most one image better off than under the libraries, per epsilon."""
    kind, network = trained
    split = loaders.balanced_subset(loaders.load("digits").test, 60)
    protocol = protocol_of("autoattack", norm, PARITY[kind, norm])
    options = {"steps": 30, "queries": 100, "targets": 3}
    stages = registry.fast_stages("autoattack", 10, options)
    fast = search(network, split, protocol, stages, exact=exact)
    stages = registry.reference_stages("autoattack", 10, options)
    slow = attack_all(network, split, protocol, stages, Settings(0, CPU, 256))
    assert fast.correct == slow.correct
    for level in range(len(protocol.eps)):
        standing = [
            sum(c and at > level for c, at in zip(s.correct, s.level, strict=True))
            for s in (fast, slow)
        ]
        assert standing[0] <= standing[1] + 1
        better_off = sum(f > level >= s for f, s in zip(fast.level, slow.level, strict=True))
        assert better_off <= 2
        assert 0 < standing[1] < sum(slow.correct)


def test_fgsm_is_the_references(linear_case) -> None:
    """Placing on the grid is FGSM: the same images fall at the same epsilons."""
    model, split = linear_case(10)
    protocol = protocol_of("fgsm")
    fast = search(model, split, protocol, registry.fast_stages("fgsm", 10, {}))
    stages = registry.reference_stages("fgsm", 10, {})
    slow = attack_all(model, split, protocol, stages, Settings(0, CPU, 64))
    assert fast.level == slow.level


@pytest.mark.default
@pytest.mark.parametrize("batch_size", [1, 7, 64])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_outcome_does_not_depend_on_batches_or_order(linear_case, norm, batch_size) -> None:
    """In float64 the same images fall to the same attacks in any batch and any order."""
    model, split = linear_case(10, n=20)
    model = adapt(model.double(), split.pixels(0, 2))
    protocol = protocol_of("autoattack", norm)
    stages = registry.fast_stages("autoattack", 10, {"steps": 10, "queries": 20, "targets": 2})
    reference = search(model, split, protocol, stages, batch_size=20)
    order = torch.randperm(20)
    shuffled = search(model, split.take(order), protocol, stages, batch_size=batch_size)
    assert shuffled.level == [reference.level[i] for i in order]
    assert shuffled.component == [reference.component[i] for i in order]


def test_a_stopped_search_ends_as_an_undisturbed_one(linear_case) -> None:
    """Stop after any batch and go on from what was saved: the outcome is the same."""
    model, split = linear_case(10)
    stages = registry.fast_stages("autoattack", 10, {"steps": 5, "queries": 5, "targets": 2})
    protocol = protocol_of("autoattack")
    saved: list[dict] = []
    whole = search(
        model, split, protocol, stages, batch_size=5, save=lambda s: saved.append(asdict(s))
    )
    expected = {**asdict(whole), "attack_seconds": 0}
    assert len(saved) > 10
    for state in saved[::3]:
        resumed = search(model, split, protocol, stages, batch_size=5, state=State(**state))
        assert repr({**asdict(resumed), "attack_seconds": 0}) == repr(expected)


def test_an_image_that_one_step_breaks_is_cheap(linear_case) -> None:
    """Broken at the smallest epsilon by the first step: one gradient, two forward passes."""
    model, split = linear_case(2)
    protocol = protocol_of("autoattack", grid=["0.3", "0.4"])
    state = search(model, split, protocol, registry.fast_stages("autoattack", 2, {}))
    assert state.level == [0] * len(split)
    assert state.passes == {"fgsm": {"forward": 2 * len(split), "gradient": len(split)}}


@pytest.mark.default
def test_exhaustive_spends_what_autoattack_spends(linear_case) -> None:
    """Savings off: per image and epsilon, pass for pass, the cost of the original.

    Figures measured with a counting network around pyautoattack 0.2.0.
    """
    model, split = linear_case(10, n=3)
    protocol = protocol_of("autoattack", grid=["0.0001", "0.3"])
    stages = registry.fast_stages("autoattack", 10, {}, early_stop=False)
    state = attack_all(model, split, protocol, stages, Settings(0, CPU, 64), exhaustive=True)
    cost = {"apgd-ce": (103, 101), "apgd-t": (920, 909), "fab-t": (1829, 900), "square": (5004, 0)}
    assert state.passes == {
        name: {"forward": 6 * forward, "gradient": 6 * gradient}
        for name, (forward, gradient) in cost.items()
    }
    assert state.forward == [2 * 7856] * 3
    assert state.gradient == [2 * 1910] * 3
    assert state.level == [1] * 3


@pytest.mark.default
def test_the_reference_spends_that_too(linear_case) -> None:
    """The count of the libraries' own passes, on an image that nothing breaks."""
    model, split = linear_case(10, n=2)
    protocol = protocol_of("autoattack", grid=["0.0000001"])
    stages = registry.reference_stages("autoattack", 10, {})
    state = attack_all(model, split, protocol, stages, Settings(0, CPU, 64))
    cost = {"apgd-ce": (103, 101), "apgd-t": (920, 909), "fab-t": (1829, 900), "square": (5004, 0)}
    assert state.passes == {
        name: {"forward": 2 * forward, "gradient": 2 * gradient}
        for name, (forward, gradient) in cost.items()
    }
    assert state.forward == [None, None]


@pytest.mark.parametrize("exact", [True, False])
def test_passes_are_known_per_image(linear_case, exact: bool) -> None:
    """The images' own counts add up to the stages', and the broken cost little."""
    model, split = linear_case(10, n=20)
    stages = registry.fast_stages("autoattack", 10, BRIEF)
    state = search(model, split, protocol_of("autoattack"), stages, exact=exact)
    for kind, counts in (("forward", state.forward), ("gradient", state.gradient)):
        assert sum(counts) == sum(spent[kind] for spent in state.passes.values())
    broken = [state.forward[row] for row in range(20) if state.level[row] == 0]
    standing = [state.forward[row] for row in range(20) if state.level[row] > 2]
    assert max(broken) < min(standing)


def test_misclassified_images_are_left_alone(linear_case) -> None:
    """No pass is spent on them and nothing is concluded about them."""
    model, split = linear_case(10)
    wrong = replace(split, labels=(split.labels + (torch.arange(len(split)) == 3)) % 10)
    state = search(
        model, wrong, protocol_of("pgd"), registry.fast_stages("pgd", 10, {"restarts": 1})
    )
    assert [row for row, correct in enumerate(state.correct) if not correct] == [3]
    assert (state.failed[3], state.forward[3], state.component[3]) == (-1, 0, "")


def test_the_model_leaves_the_search_as_it_came() -> None:
    """Mode, gradient flags, gradients, buffers and the random state are untouched."""
    model = factory.build(
        ModelSpec("resnet14_w4", spatial="frozen"),
        factory.Shape(1, 6, 4),
        torch.zeros(1),
        torch.ones(1),
    ).train()
    model.net.norm.eval()
    next(model.parameters()).grad = torch.ones_like(next(model.parameters()))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    flags = [p.requires_grad for p in model.parameters()]
    modes = [m.training for m in model.modules()]
    images = torch.randint(0, 256, (6, 1, 6, 6), dtype=torch.uint8)
    split = Split(images, torch.arange(6) % 4, torch.arange(6), 255)
    torch.manual_seed(11)
    expected = torch.rand(4)
    torch.manual_seed(11)
    for name in ("fgsm", "pgd", "autoattack", "autoattack-audited"):
        options = {"steps": 3, "queries": 3} if name.startswith("auto") else {}
        stages = registry.fast_stages(name, 4, options)
        search(model, split, protocol_of("fgsm"), stages)
    assert torch.equal(torch.rand(4), expected)
    assert [p.requires_grad for p in model.parameters()] == flags
    assert [m.training for m in model.modules()] == modes
    assert torch.equal(next(model.parameters()).grad, torch.ones_like(next(model.parameters())))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_batches_halve_when_memory_runs_out(linear_case) -> None:
    """The run goes on with smaller batches to the same outcome; one image too many is an error."""
    model, split = linear_case(10, n=20)
    stages = registry.fast_stages("autoattack", 10, {"steps": 5, "queries": 5, "targets": 2})
    protocol = protocol_of("autoattack")
    expected = search(model, split, protocol, stages)
    sizes: list[int] = []

    def limited(limit: int) -> list[Stage]:
        def attack(model, batch, real):
            sizes.append(len(batch))
            if len(batch) > limit:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return real.attack(model, batch)

        return [Stage(stage.name, partial(attack, real=stage)) for stage in stages]

    state = search(model, split, protocol, limited(3))
    assert state.level == expected.level
    assert state.passes == expected.passes
    assert sizes[0] > 3 >= max(sizes[5:])
    with pytest.raises(RbmixError, match="out of memory with a batch of one image"):
        search(model, split, protocol, limited(0))


@pytest.mark.default
def test_conclusions_are_checked(linear_case, monkeypatch) -> None:
    """Some conclusions from a larger to a smaller epsilon are attacked outright."""
    monkeypatch.setattr("robustbench_mix.evaluation.fast_plan.ONE_IN", 1)
    model, split = linear_case(10, n=40)
    protocol = protocol_of("autoattack")
    state = search(model, split, protocol, registry.fast_stages("autoattack", 10, BRIEF))
    concluded = [failed for failed in state.failed if failed > 0]
    assert len(concluded) > 3
    assert state.checked.count("confirmed") == len(concluded)


def test_false_conclusions_are_refuted(linear_case, monkeypatch) -> None:
    """An attack that only works in small balls is caught by the check."""
    monkeypatch.setattr("robustbench_mix.evaluation.fast_plan.ONE_IN", 1)
    model, split = linear_case(10, n=40)
    protocol = protocol_of("pgd", grid=["0.0001", "0.03", "0.04"])

    def odd(model, batch):
        (stage,) = pgd_stages(10, restarts=1)
        x_adv = stage.attack(model, batch)
        return torch.where((batch.radius < 0.035)[:, None, None, None], x_adv, batch.x)

    monkeypatch.setattr("robustbench_mix.evaluation.fast._place", _no_placing)
    state = search(model, split, protocol, [Stage("odd", odd)])
    assert state.checked.count("refuted") > 0
    assert all(state.level[row] < 2 for row in range(40) if state.checked[row] == "refuted")


def _no_placing(job, state, rows, x, y) -> None:
    for row in rows:
        state.stage[row] = 0
